"""What a WHEP player may say of layers, in the SFU's terms; and the links that name ICE servers."""

from __future__ import annotations

from typing import Any

import pytest

from sfu.api import TrackSettings, VideoLayerInfo
from signaling.turn import TurnServer, TurnSettings
from signaling.whip.http import Problem, ice_server_links
from signaling.whip.layers import layer_name, settings_of

SIMULCAST = [
    VideoLayerInfo(0, 320, 180, 150_000, "q"),
    VideoLayerInfo(1, 640, 360, 500_000, "h"),
    VideoLayerInfo(2, 1280, 720, 1_700_000, "f"),
]
UNMEASURED = [VideoLayerInfo(0, 0, 0, rid="2"), VideoLayerInfo(1, 0, 0, rid="1"), VideoLayerInfo(2, 0, 0, rid="0")]


@pytest.mark.parametrize(
    ("wanted", "quality"),
    [
        ({}, None),
        ({"mediaId": "1"}, None),
        ({"rid": "q"}, 0),
        ({"encodingId": "h"}, 1),
        ({"rid": "f"}, None),
        ({"spatialLayerId": 1}, 1),
        ({"maxSpatialLayerId": 0}, 0),
        ({"maxSpatialLayerId": 9}, None),
        ({"maxWidth": 700}, 1),
        ({"maxHeight": 360}, 1),
        ({"maxWidth": 1280, "maxHeight": 200}, 0),
        ({"maxWidth": 10}, 0),
    ],
)
def test_the_largest_layer_that_fits_is_taken(wanted: dict[str, Any], quality: int | None) -> None:
    assert settings_of(wanted, SIMULCAST) == TrackSettings(quality=quality)


@pytest.mark.parametrize(("temporal", "fps"), [(0, 7), (1, 15), (2, 0), (7, 0)])
@pytest.mark.parametrize("name", ["temporalLayerId", "maxTemporalLayerId"])
def test_temporal_layers_become_a_frame_rate(name: str, temporal: int, fps: int) -> None:
    assert settings_of({name: temporal}, SIMULCAST) == TrackSettings(fps=fps)


@pytest.mark.parametrize("wanted", [{"rid": "x"}, {"spatialLayerId": 3}, {"rid": "q", "spatialLayerId": 2}])
def test_a_layer_that_is_not_there_is_refused(wanted: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        settings_of(wanted, SIMULCAST)
    assert (refused.value.status, refused.value.code) == (422, "unknown_layer")


def test_sizes_that_nobody_told_limit_nothing() -> None:
    assert settings_of({"maxWidth": 10}, UNMEASURED) == TrackSettings()
    assert settings_of({"rid": "2"}, UNMEASURED) == TrackSettings(quality=0)
    assert settings_of({"maxWidth": 10}, []) == TrackSettings()
    with pytest.raises(Problem):
        settings_of({"rid": "q"}, [])


def test_layers_without_a_rid_are_named_by_quality() -> None:
    assert [layer_name(VideoLayerInfo(quality, 1, 1)) for quality in range(4)] == ["q", "h", "f", "f"]


def test_links_name_every_ice_server_with_its_credential() -> None:
    settings = TurnSettings(
        stun_urls=("stun:stun.example:3478",),
        turn=(TurnServer(("turn:turn.example:3478?transport=udp", "turns:turn.example:443"), "north"),),
    )
    links = ice_server_links(settings, "PA_x")
    assert links[0] == '<stun:stun.example:3478>; rel="ice-server"'
    assert len(links) == 3
    for link, url in zip(links[1:], ("turn:turn.example:3478?transport=udp", "turns:turn.example:443"), strict=True):
        head, *parameters = link.split("; ")
        assert head == f"<{url}>"
        names = [parameter.partition("=")[0] for parameter in parameters]
        assert names == ["rel", "username", "credential", "credential-type"]
        assert parameters[1].endswith(':PA_x"')
        # OBS splits at commas and semicolons wherever they stand.
        assert not any(mark in parameter for parameter in parameters for mark in ",;")
