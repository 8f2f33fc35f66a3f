"""Tracks that were announced, until an offer brings their media."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sfu.api import AddTrackRequest, Permissions, PublicationInfo, TrackSource, VideoLayerInfo
from sfu.control.publish.publication import Publication, announced, may_be_redundant, sorted_layers
from sfu.errors import RequestError
from sfu.ids import TrackId, new_track_id
from sfu.kind import Kind
from sfu.sdp.model import PublishHint, ReceivedMedia

_HIGHEST_QUALITY = 2
ABANDONED_S = 1.0
"""An offer may have been on its way when the client heard that its track is announced: the one that brings it follows
within this time, or never. Clients tell nobody when they give a track up before they have offered it."""


@dataclass(slots=True)
class PendingTrack:
    cid: str
    info: PublicationInfo
    backup_of: Publication | None = None
    layers: Sequence[VideoLayerInfo] = ()
    """Of a backup codec."""
    missed_at_s: float | None = None
    """When an offer came without it; monotonic."""


class PendingTracks:
    """Those of one participant, by the cid that its client announced them with."""

    def __init__(self) -> None:
        self._tracks: dict[str, PendingTrack] = {}

    def __len__(self) -> int:
        return len(self._tracks)

    def __iter__(self) -> Iterator[PendingTrack]:
        return iter(self._tracks.values())

    def find(self, cid: str) -> PendingTrack | None:
        return self._tracks.get(cid)

    def announce(self, request: AddTrackRequest, video: Publication | None) -> PendingTrack:
        """`video`: what the request adds a backup codec to. Raises limit_exceeded when that has one."""
        pending = PendingTrack(request.cid, announced(new_track_id(), request) if video is None else video.info)
        if video is not None:
            if video.backup is not None or any(one.backup_of is video for one in self):
                raise RequestError("the track has two codecs already", code="limit_exceeded")
            pending.backup_of, pending.layers = video, sorted_layers(request.layers)
        self._tracks[request.cid] = pending
        return pending

    def announce_received(self, received: Sequence[ReceivedMedia], sources: Mapping[Kind, TrackSource]) -> None:
        """In the client's place, announce what its offer will send. At most one track of a kind."""
        cids = [media.cid for media in received]
        for media in received:
            # No msid has a blank: such a track is found by its kind.
            cid = media.cid if cids.count(media.cid) == 1 and media.cid else f" {media.kind}"
            request = AddTrackRequest(
                cid=cid,
                kind=media.kind,
                source=sources[media.kind],
                stream="ingest",
                layers=_unmeasured_layers(media),
                disable_dtx=True,
            )
            self.announce(request, None)

    def take(self, media: ReceivedMedia, *, by_kind: bool) -> PendingTrack | None:
        """By msid; else, where `by_kind`, the oldest of the same kind: some clients name their tracks anew in SDP."""
        if media.cid in self._tracks:
            return self._tracks.pop(media.cid)
        if by_kind:
            for cid, pending in self._tracks.items():
                if pending.info.kind is media.kind:
                    return self._tracks.pop(cid)
        return None

    def note_offer(self, now_s: float) -> None:
        """An offer has been answered: those that are still here were not in it."""
        for pending in self:
            if pending.missed_at_s is None:
                pending.missed_at_s = now_s

    def forget_abandoned(self, now_s: float) -> None:
        """Those that no offer will bring any more."""
        for pending in list(self):
            if pending.missed_at_s is not None and now_s - pending.missed_at_s >= ABANDONED_S:
                del self._tracks[pending.cid]

    def set_muted(self, track_id: TrackId, muted: bool) -> bool:
        """False when no such track is pending."""
        for pending in self:
            if pending.info.track_id == track_id and pending.backup_of is None:
                pending.info = replace(pending.info, muted=muted)
                return True
        return False

    def remove_forbidden(self, permissions: Permissions) -> None:
        self._tracks = {cid: one for cid, one in self._tracks.items() if permissions.may_publish(one.info.source)}

    def hints(self) -> dict[str, PublishHint]:
        """What an offer cannot say of the tracks that it brings, by cid."""
        return {one.cid: publish_hint(one.info) for one in self if one.backup_of is None}

    def backup_hints(self) -> dict[str, PublishHint]:
        """The same of backup codecs."""
        backups = [one for one in self if one.backup_of is not None and len(one.info.codecs) > 1]
        return {one.cid: PublishHint(mime_type=one.info.codecs[1].mime_type) for one in backups}

    def clear(self) -> None:
        self._tracks.clear()


def publish_hint(info: PublicationInfo) -> PublishHint:
    return PublishHint(
        mime_type=info.mime_type,
        stereo=info.stereo,
        disable_red=not may_be_redundant(info),
        disable_dtx=info.disable_dtx,
    )


def _unmeasured_layers(media: ReceivedMedia) -> list[VideoLayerInfo]:
    """A description tells how many layers there are, and not how large."""
    layers = media.track.layers
    if len(layers) < 2:
        return []
    return [VideoLayerInfo(min(index, _HIGHEST_QUALITY), 0, 0, rid=one.rid or "") for index, one in enumerate(layers)]
