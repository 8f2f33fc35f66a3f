"""The publishing half of a participant: its offers, its pending tracks, its publications."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sfu.api import (
    AddTrackRequest,
    Answer,
    DataKind,
    Kind,
    LayersWanted,
    Permissions,
    PublicationInfo,
    Target,
    TrackPublished,
    TrackSource,
    TrackUnpublished,
    VideoLayerInfo,
)
from sfu.control.context import ControlContext
from sfu.control.dynacast import OFF, Demand, LayerDemand
from sfu.control.publication import (
    PREFER_REGRESSION,
    REGRESSION,
    Encoding,
    Publication,
    announced,
    codec_name,
    sorted_layers,
)
from sfu.errors import RequestError, SdpError
from sfu.ids import TrackId, new_track_id
from sfu.limits import TokenBucket
from sfu.sdp.model import PublishHint, PublishNegotiation, ReceivedMedia, RemoteDescription, Setup
from sfu.sdp.negotiate import negotiate_publish
from sfu.sdp.parse import parse_description
from sfu.sdp.render import render_answer
from sfu.transport.transport import Transport, TransportEvents, TransportRole

if TYPE_CHECKING:
    from sfu.control.participant import Participant


_HIGHEST_QUALITY = 2


@dataclass(slots=True)
class _PendingTrack:
    cid: str
    info: PublicationInfo
    backup_of: Publication | None = None
    layers: Sequence[VideoLayerInfo] = ()
    """Of a backup codec."""


def _unmeasured_layers(media: ReceivedMedia) -> list[VideoLayerInfo]:
    """A description tells how many layers there are, and not how large."""
    layers = media.track.layers
    if len(layers) < 2:
        return []
    return [VideoLayerInfo(min(index, _HIGHEST_QUALITY), 0, 0, rid=one.rid or "") for index, one in enumerate(layers)]


CompleteAnswer = Callable[[Transport, RemoteDescription, PublishNegotiation], PublishNegotiation]
"""Adds to an answer what the client receives on the same connection."""


def receive_only(transport: Transport, offer: RemoteDescription, negotiation: PublishNegotiation) -> PublishNegotiation:
    """The `CompleteAnswer` of a publishing connection that sends nothing."""
    return negotiation


class Publisher:
    """Answers the client's offers (it always offers, so there is no glare) and keeps the room informed."""

    def __init__(
        self,
        participant: Participant,
        context: ControlContext,
        on_data: Callable[[DataKind, bytes], None],
        complete_answer: CompleteAnswer,
    ) -> None:
        self._participant = participant
        self._context = context
        self._on_data = on_data
        self._complete_answer = complete_answer
        self._pending: dict[str, _PendingTrack] = {}
        self._by_mid: dict[str, Publication] = {}
        self._backups: dict[str, Publication] = {}
        """By the mid of their backup codec."""
        self._forbidden: set[tuple[str, str]] = set()
        """mid and cid of media that the client may still send though its publication was ended."""
        self._remote_ufrag = ""
        self._data_offered = False
        self._version = 0
        self._session_id = secrets.randbits(62)
        self._stream_labels: dict[str, str] = {}
        rate = context.config.max_negotiations_per_s
        self._offers = TokenBucket(rate, 2 * rate)
        self.transport: Transport | None = None

    @property
    def publications(self) -> list[Publication]:
        return list(self._by_mid.values())

    def find(self, track_id: TrackId) -> Publication | None:
        return next((p for p in self._by_mid.values() if p.track_id == track_id), None)

    # --- announcing -------------------------------------------------------------------------------------

    def add_track(self, request: AddTrackRequest) -> None:
        # With a backup codec, clients leave out the kind and the source: they are those of its video.
        video = None if request.track_id is None else self._video(request.track_id)
        source = request.source if video is None else video.info.source
        if not self._participant.info.permissions.may_publish(source):
            raise RequestError(f"not allowed to publish {source}", code="not_allowed")
        config = self._context.config
        if request.cid not in self._pending:
            if len(self._pending) >= config.max_pending_tracks:
                raise RequestError("too many tracks wait for an offer", code="limit_exceeded")
            if len(self._pending) + len(self._by_mid) + len(self._backups) >= config.max_tracks_per_participant:
                raise RequestError("too many tracks", code="limit_exceeded")
            self._pending[request.cid] = self._announce(request, video)
        self._participant.emit(TrackPublished(request.cid, self._pending[request.cid].info))

    def _announce(self, request: AddTrackRequest, video: Publication | None) -> _PendingTrack:
        """`video`: what the request adds a backup codec to."""
        if video is None:
            return _PendingTrack(request.cid, announced(new_track_id(), request))
        if video.backup is not None or any(p.backup_of is video for p in self._pending.values()):
            raise RequestError("the track has two codecs already", code="limit_exceeded")
        return _PendingTrack(request.cid, video.info, video, sorted_layers(request.layers))

    def _video(self, track_id: TrackId) -> Publication:
        publication = self.find(track_id)
        if publication is None or publication.info.kind is not Kind.VIDEO:
            raise RequestError("no such video", code="unknown_track")
        return publication

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
            self._pending[cid] = _PendingTrack(cid, announced(new_track_id(), request))

    def set_muted(self, track_id: TrackId, muted: bool) -> bool:
        """True if something changed. Raises unknown_track."""
        for pending in self._pending.values():
            if pending.info.track_id == track_id and pending.backup_of is None:
                pending.info = replace(pending.info, muted=muted)
                return False
        publication = self.find(track_id)
        if publication is None:
            raise RequestError("no such track", code="unknown_track")
        if publication.info.muted == muted:
            return False
        publication.info = replace(publication.info, muted=muted)
        for encoding in publication.encodings:
            self._context.engine.set_track_muted(encoding.track, muted)
        return True

    def set_layers(self, track_id: TrackId, layers: Sequence[VideoLayerInfo]) -> None:
        """Raises unknown_track."""
        publication = self._video(track_id)
        publication.set_layers(layers)
        for subscription in publication.subscriptions.values():
            subscription.apply_settings(self._context.engine)
            publication.note_demand(subscription)

    def describe(self, track_id: TrackId, kind: Kind, **changes: Any) -> None:
        """Change what a track of `kind` says of itself. Raises unknown_track."""
        holders: list[_PendingTrack | Publication] = [*self._pending.values(), *self._by_mid.values()]
        for holder in holders:
            if holder.info.track_id == track_id and holder.info.kind is kind:
                holder.info = replace(holder.info, **changes)
                return
        raise RequestError("no such track", code="unknown_track")

    def unpublish_forbidden(self, permissions: Permissions) -> None:
        """End what `permissions` do not allow. Media that the client still sends is dropped: nothing waits for it."""
        for cid, pending in list(self._pending.items()):
            if not permissions.may_publish(pending.info.source):
                del self._pending[cid]
        for publication in self.publications:
            if not permissions.may_publish(publication.info.source):
                self._forbidden |= {(encoding.received.mid, encoding.cid) for encoding in publication.encodings}
                self.unpublish(publication)

    # --- negotiating ------------------------------------------------------------------------------------

    def handle_offer(self, sdp: str) -> Answer:
        config = self._context.config
        if not self._offers.take(self._context.loop.time()):
            raise SdpError("too many offers", code="rate_limited")
        offer = parse_description(sdp, "offer", max_bytes=config.max_sdp_bytes, max_sections=config.max_media_sections)
        return self.answer(offer)

    def answer(self, offer: RemoteDescription) -> Answer:
        """As `handle_offer`, for an offer that has been read already."""
        config = self._context.config
        negotiation = negotiate_publish(
            offer, hints=self._hints(), video_codecs=self._participant.publish_codecs, audio_codecs=config.audio_codecs
        )
        transport = self._ensure_transport()
        setup = Setup.ACTIVE if offer.transport.setup is Setup.PASSIVE else Setup.PASSIVE
        self._accept_transport(transport, offer, setup)
        if negotiation.data_section:
            self._data_offered = True
            transport.enable_data(initiate=False, remote_max_message_size=negotiation.remote_max_message_size)
        self._reconcile(transport, negotiation)
        negotiation = self._complete_answer(transport, offer, negotiation)
        self._version += 1
        text = render_answer(
            negotiation,
            transport.local(),
            session_id=self._session_id,
            version=self._version,
            setup=setup,
            max_message_size=config.max_data_message_bytes,
        )
        sent = {section.mid: section.sent.track_id for section in negotiation.answer if section.sent is not None}
        return Answer(text, sent)

    def _hints(self) -> dict[str, PublishHint]:
        hints = {pending.cid: _hint(pending.info) for pending in self._pending.values() if pending.backup_of is None}
        hints.update({publication.primary.cid: _hint(publication.info) for publication in self._by_mid.values()})
        for publication in self._backups.values():
            if publication.backup is not None:
                hints[publication.backup.cid] = PublishHint(mime_type=publication.info.codecs[1].mime_type)
        for pending in self._pending.values():
            if pending.backup_of is not None and len(pending.info.codecs) > 1:
                hints[pending.cid] = PublishHint(mime_type=pending.info.codecs[1].mime_type)
        return hints

    def _ensure_transport(self) -> Transport:
        if self.transport is None:
            transport = self._context.make_transport(
                TransportRole.PUBLISH, self._participant.room_group, self._participant.tcp_only
            )
            transport.events.on(TransportEvents.DATA, self._on_data)
            transport.events.on(TransportEvents.CONNECTED, self._handle_connected)
            transport.events.on(TransportEvents.DATA_READY, self._handle_data_ready)
            transport.events.on(TransportEvents.CLOSED, self._handle_closed)
            self.transport = transport
        return self.transport

    def _handle_data_ready(self) -> None:
        self._participant.handle_connected()
        if self._participant.single_connection:
            self._participant.messages.handle_open()

    def _handle_connected(self) -> None:
        # Whoever is active can be reached with data. On a single connection the channels are the client's to open.
        if not (self._participant.single_connection and self._data_offered):
            self._participant.handle_connected()

    def _handle_closed(self, reason: str) -> None:
        self._participant.handle_transport_closed(Target.PUBLISHER, reason)

    def _accept_transport(self, transport: Transport, offer: RemoteDescription, setup: Setup) -> None:
        ufrag = offer.transport.ice.ufrag
        if self._remote_ufrag and ufrag != self._remote_ufrag:
            # RFC 8839 §4.4.1: the answer to an ICE restart carries new credentials of ours.
            transport.restart_ice()
        transport.set_remote(offer.transport, we_are=setup)
        self._remote_ufrag = ufrag

    def _reconcile(self, transport: Transport, negotiation: PublishNegotiation) -> None:
        """Make the publications match what the offer sends: gone ones first, so that a mid can be taken over."""
        received = {media.mid: self._with_cache(media) for media in negotiation.received}
        self._forbidden &= {(media.mid, media.cid) for media in negotiation.received}
        for mid, publication in [*self._by_mid.items(), *self._backups.items()]:
            encoding = publication.primary if publication.primary.received.mid == mid else publication.backup
            media = received.get(mid)
            if encoding is None or (
                media is not None and (media.cid == encoding.cid or media.cid not in self._pending)
            ):
                continue
            if encoding is publication.primary:
                self.unpublish(publication)
            else:
                self._end_backup(publication)
        for media in received.values():
            existing = self._find_encoding(media.mid)
            if existing is None:
                self._publish(transport, media)
            elif existing.received.track != media.track:
                existing.received = media
                self._context.engine.set_track_config(existing.track, media.track)

    def _find_encoding(self, mid: str) -> Encoding | None:
        if mid in self._by_mid:
            return self._by_mid[mid].primary
        return self._backups[mid].backup if mid in self._backups else None

    def _with_cache(self, media: ReceivedMedia) -> ReceivedMedia:
        config = self._context.config
        size_bytes = config.keyframe_cache_bytes if media.track.pli else config.keyframe_cache_bytes_without_pli
        return replace(media, track=replace(media.track, keyframe_cache_bytes=size_bytes))

    def _publish(self, transport: Transport, media: ReceivedMedia) -> None:
        pending = self._take_pending(media)
        if pending is None:
            # Media that nobody announced: the engine has no track for it and drops its packets.
            self._context.counters["unannounced_tracks"] += 1
            return
        info = pending.info
        if not self._participant.info.permissions.may_publish(info.source):
            return
        if pending.backup_of is not None and pending.backup_of.primary.received.mid not in self._by_mid:
            return  # it ended meanwhile
        muted = info.muted if pending.backup_of is None else pending.backup_of.info.muted
        track = self._context.engine.add_track(transport.handle, media.track)
        self._context.engine.set_track_muted(track, muted)
        layers = info.layers if pending.backup_of is None else pending.layers
        # The primary codec goes by the name that the client announced.
        mime_type = (info.mime_type if pending.backup_of is None else "") or media.mime_type
        encoding = Encoding(codec_name(mime_type), pending.cid, media, track, layers)
        if pending.backup_of is not None:
            self._add_backup(pending.backup_of, encoding)
            return
        publication = Publication(self._participant, info, encoding, self._stream_label(info.stream))
        if media.kind is Kind.VIDEO:
            publication.demand = LayerDemand(
                encoding.name,
                publication.measure_demand,
                lambda wanted: self._tell_demand(publication, wanted),
                self._context.loop,
                self._context.config.dynacast_pause_delay_s,
            )
        self._by_mid[media.mid] = publication
        self._context.publications[track] = publication
        self._participant.handle_published(publication)
        if publication.demand is not None and not publication.subscriptions:
            publication.demand.note(encoding.name, OFF)

    def _tell_demand(self, publication: Publication, wanted: Demand) -> None:
        self._participant.emit(LayersWanted(publication.track_id, dict(wanted)))

    def repeat_demand(self) -> None:
        """The client may have missed what was told while its signal connection was gone."""
        for publication in self._by_mid.values():
            if publication.demand is not None:
                publication.demand.repeat()

    def _add_backup(self, publication: Publication, backup: Encoding) -> None:
        self._backups[backup.received.mid] = publication
        self._context.publications[backup.track] = publication
        publication.set_backup(backup)
        policy = publication.info.backup_codec_policy
        large = self._participant.room.num_participants >= self._context.config.codec_regression_participants
        publication.regressed = policy == REGRESSION or (policy == PREFER_REGRESSION and large)
        self._participant.handle_encodings_changed(publication)

    def _end_backup(self, publication: Publication) -> None:
        backup = publication.backup
        if backup is None or self._backups.pop(backup.received.mid, None) is None:
            return  # it ended with its publication
        self._context.publications.pop(backup.track, None)
        publication.set_backup(None)
        self._participant.handle_encodings_changed(publication)
        self._context.engine.remove_track(backup.track)

    def _take_pending(self, media: ReceivedMedia) -> _PendingTrack | None:
        """By msid; else the oldest of the same kind, since some clients name their tracks anew in SDP."""
        if media.cid in self._pending:
            return self._pending.pop(media.cid)
        if (media.mid, media.cid) in self._forbidden:
            return None
        for cid, pending in self._pending.items():
            if pending.info.kind is media.kind:
                return self._pending.pop(cid)
        return None

    def _stream_label(self, stream: str) -> str:
        if not stream:
            return ""
        return self._stream_labels.setdefault(stream, f"stream{len(self._stream_labels)}")

    # --- ending ------------------------------------------------------------------------------------------

    def unpublish(self, publication: Publication) -> None:
        self._end(publication)
        self._participant.emit(TrackUnpublished(publication.track_id))

    def _end(self, publication: Publication) -> None:
        if publication.demand is not None:
            publication.demand.close()
            publication.demand = None
        self._by_mid.pop(publication.primary.received.mid, None)
        for encoding in publication.encodings:
            self._context.publications.pop(encoding.track, None)
            self._backups.pop(encoding.received.mid, None)
        self._participant.handle_unpublished(publication)
        for encoding in publication.encodings:
            self._context.engine.remove_track(encoding.track)

    def close(self) -> None:
        """The publisher itself leaves: it need not hear of each track."""
        for publication in self.publications:
            self._end(publication)
        self._pending.clear()
        if self.transport is not None:
            self._context.close_transport(self.transport)
            self.transport = None


def _hint(info: PublicationInfo) -> PublishHint:
    return PublishHint(
        mime_type=info.mime_type, stereo=info.stereo, disable_red=info.disable_red, disable_dtx=info.disable_dtx
    )
