"""WHEP's layer extension: the player says which form of the picture it wants, or that it wants the best again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from sfu.api import Kind, PlaybackSource, TrackSettings, VideoLayerInfo
from signaling import strict_json
from signaling.whip.access import Access
from signaling.whip.http import Bodies, Problem, answering, preflight

RELATION = "urn:ietf:params:whep:ext:core:layer"
_JSON = "application/json"
_TEXTS = frozenset({"mediaId", "rid", "encodingId"})
"""`encodingId` is what earlier drafts call a rid."""
_NUMBERS = frozenset(
    {"spatialLayerId", "temporalLayerId", "maxSpatialLayerId", "maxTemporalLayerId", "maxWidth", "maxHeight"}
)
_NAMES = ("q", "h", "f")
"""Of layers whose publisher told no rid, by quality."""
_TEMPORAL_FPS = (7, 15)
"""What the SFU takes for temporal layers 0 and 1; more means all."""


class LayerEndpoint:
    def __init__(self, access: Access, bodies: Bodies) -> None:
        self._access = access
        self._bodies = bodies

    def add_routes(self, router: web.UrlDispatcher) -> None:
        path = "/whep-sessions/{session}/layer"
        router.add_route("POST", path, answering(self._select_layer))
        router.add_route("OPTIONS", path, answering(_layer_options))

    async def _select_layer(self, request: web.Request) -> web.Response:
        session = self._access.owned_session(request).session
        wanted = _read(await self._bodies.read(request, _JSON, {"Accept-Post": _JSON}))
        video = next((one for one in session.playback().sources if one.kind is Kind.VIDEO), None)
        if video is None or wanted.get("mediaId", video.mid) != video.mid:
            raise Problem(422, "unknown_media", "There is no such video section.")
        session.set_layer(settings_of(wanted, video.layers))
        return web.Response()


async def _layer_options(request: web.Request) -> web.Response:
    return preflight("POST, OPTIONS", {"Accept-Post": _JSON})


def _read(text: str) -> dict[str, Any]:
    try:
        wanted = strict_json.loads(text)
    except ValueError:
        raise Problem(400, "invalid_body", "The body is not JSON.") from None
    if not isinstance(wanted, dict) or not set(wanted) <= _TEXTS | _NUMBERS:
        raise Problem(400, "invalid_body", "An object with the fields of a layer is expected.")
    for name, value in wanted.items():
        good = isinstance(value, str) if name in _TEXTS else type(value) is int and 0 <= value <= 65_535
        if not good:
            raise Problem(400, "invalid_body", "A field has a value of another type, or out of range.")
    return wanted


def settings_of(wanted: dict[str, Any], layers: Sequence[VideoLayerInfo]) -> TrackSettings:
    """What was wanted in the SFU's terms. Raises `Problem` unknown_layer for a rid or a layer that is not there."""
    fitting = list(enumerate(layers))
    rid = wanted.get("rid", wanted.get("encodingId"))
    if rid is not None:
        fitting = [(index, layer) for index, layer in fitting if layer_name(layer) == rid]
    spatial = wanted.get("spatialLayerId")
    if spatial is not None:
        fitting = [(index, layer) for index, layer in fitting if index == spatial]
    if not fitting and (rid is not None or spatial is not None):
        raise Problem(422, "unknown_layer", "There is no such layer now.")
    lowest = fitting[:1]
    highest_id = wanted.get("maxSpatialLayerId", len(layers))
    width, height = wanted.get("maxWidth", 65_535), wanted.get("maxHeight", 65_535)
    fitting = [
        (index, layer)
        for index, layer in fitting
        if index <= highest_id and layer.width <= width and layer.height <= height
    ] or lowest
    temporal = min(wanted.get("temporalLayerId", 9), wanted.get("maxTemporalLayerId", 9))
    fps = _TEMPORAL_FPS[temporal] if temporal < len(_TEMPORAL_FPS) else 0
    top = not fitting or fitting[-1][0] == len(layers) - 1
    return TrackSettings(quality=None if top else fitting[-1][1].quality, fps=fps)


def layer_name(layer: VideoLayerInfo) -> str:
    return layer.rid or _NAMES[min(layer.quality, len(_NAMES) - 1)]


def describe(source: PlaybackSource) -> list[dict[str, object]]:
    """The layers of a source for the `layers` event, highest first."""
    return [
        {
            "rid": layer_name(layer),
            "encodingId": layer_name(layer),
            "spatialLayerId": index,
            "targetBitrate": layer.bitrate_bps,
            "width": layer.width,
            "height": layer.height,
        }
        for index, layer in reversed(list(enumerate(source.layers)))
    ]
