"""The publishing half of a participant: its offers, its pending tracks, its publications."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from sfu.api import (
    AddTrackRequest,
    Answer,
    DataKind,
    LayersWanted,
    Permissions,
    Target,
    TrackPublished,
    TrackUnpublished,
    VideoLayerInfo,
)
from sfu.control.context import ControlContext
from sfu.control.member import Member
from sfu.control.publish.dynacast import OFF, Demand, LayerDemand
from sfu.control.publish.encoding import Encoding, codec_name
from sfu.control.publish.pending import PendingTrack, PendingTracks, publish_hint
from sfu.control.publish.publication import PREFER_REGRESSION, REGRESSION, Publication
from sfu.errors import RequestError, SdpError
from sfu.ids import TrackId
from sfu.kind import Kind
from sfu.limits import TokenBucket
from sfu.sdp.model import PublishHint, PublishNegotiation, ReceivedMedia, RemoteDescription, Setup
from sfu.sdp.negotiate import negotiate_publish
from sfu.sdp.parse import parse_description
from sfu.sdp.render import render_answer
from sfu.transport.transport import Transport, TransportEvents, TransportRole

CompleteAnswer = Callable[[Transport, RemoteDescription, PublishNegotiation], PublishNegotiation]
"""Adds to an answer what the client receives on the same connection."""


def receive_only(transport: Transport, offer: RemoteDescription, negotiation: PublishNegotiation) -> PublishNegotiation:
    """The `CompleteAnswer` of a publishing connection that sends nothing."""
    return negotiation


class PublishingMember(Member, Protocol):
    """What a publisher asks of its participant besides, and tells it."""

    @property
    def single_connection(self) -> bool: ...

    @property
    def publish_codecs(self) -> Sequence[str]:
        """Video codecs that it may publish."""
        ...

    @property
    def num_participants(self) -> int:
        """Of the room."""
        ...

    def handle_published(self, publication: Publication) -> None: ...

    def handle_unpublished(self, publication: Publication) -> None: ...

    def change(self) -> None:
        """A publication says something else of itself than before."""
        ...


class Publisher:
    """Answers the client's offers (it always offers, so there is no glare) and keeps the room informed."""

    def __init__(
        self,
        member: PublishingMember,
        context: ControlContext,
        on_data: Callable[[DataKind, bytes], None],
        complete_answer: CompleteAnswer,
    ) -> None:
        self._member = member
        self._context = context
        self._on_data = on_data
        self._complete_answer = complete_answer
        self.pending = PendingTracks()
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
        if not self._member.info.permissions.may_publish(source):
            raise RequestError(f"not allowed to publish {source}", code="not_allowed")
        pending = self.pending.find(request.cid)
        if pending is None:
            self._require_place()
            pending = self.pending.announce(request, video)
        self._member.emit(TrackPublished(request.cid, pending.info))

    def _require_place(self) -> None:
        """Raises limit_exceeded; try_later when tracks wait for an offer, which may turn out to be given up."""
        if self._has_place():
            return
        self.pending.forget_abandoned(self._context.loop.time())
        if not self._has_place():
            code = "try_later" if len(self.pending) else "limit_exceeded"
            raise RequestError("the participant has too many tracks", code=code)

    def _has_place(self) -> bool:
        config, waiting = self._context.config, len(self.pending)
        published = len(self._by_mid) + len(self._backups)
        return waiting < config.max_pending_tracks and waiting + published < config.max_tracks_per_participant

    def _video(self, track_id: TrackId) -> Publication:
        publication = self.find(track_id)
        if publication is None or publication.info.kind is not Kind.VIDEO:
            raise RequestError("no such video", code="unknown_track")
        return publication

    def set_muted(self, track_id: TrackId, muted: bool) -> bool:
        """True if something changed. Raises unknown_track."""
        if self.pending.set_muted(track_id, muted):
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
        holders: list[PendingTrack | Publication] = [*self.pending, *self._by_mid.values()]
        for holder in holders:
            if holder.info.track_id == track_id and holder.info.kind is kind:
                holder.info = replace(holder.info, **changes)
                return
        raise RequestError("no such track", code="unknown_track")

    def unpublish_forbidden(self, permissions: Permissions) -> None:
        """End what `permissions` do not allow. Media that the client still sends is dropped: nothing waits for it."""
        self.pending.remove_forbidden(permissions)
        for publication in self.publications:
            if not permissions.may_publish(publication.info.source):
                self._forbidden |= {(encoding.received.mid, encoding.cid) for encoding in publication.encodings}
                self.unpublish(publication)

    # --- negotiating ------------------------------------------------------------------------------------

    def offer_delay_s(self) -> float:
        return self._offers.delay_s(self._context.loop.time())

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
            offer, hints=self._hints(), video_codecs=self._member.publish_codecs, audio_codecs=config.audio_codecs
        )
        transport = self._ensure_transport()
        setup = Setup.ACTIVE if offer.transport.setup is Setup.PASSIVE else Setup.PASSIVE
        self._accept_transport(transport, offer, setup)
        if negotiation.data_section:
            self._data_offered = True
            transport.enable_data(initiate=False, remote_max_message_size=negotiation.remote_max_message_size)
        self._reconcile(transport, negotiation)
        self.pending.note_offer(self._context.loop.time())
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
        hints = self.pending.hints()
        hints.update({publication.primary.cid: publish_hint(publication.info) for publication in self._by_mid.values()})
        for publication in self._backups.values():
            if publication.backup is not None:
                hints[publication.backup.cid] = PublishHint(mime_type=publication.info.codecs[1].mime_type)
        return {**hints, **self.pending.backup_hints()}

    def _ensure_transport(self) -> Transport:
        if self.transport is None:
            transport = self._context.make_transport(
                TransportRole.PUBLISH, self._member.room_group, self._member.tcp_only
            )
            transport.events.on(TransportEvents.DATA, self._on_data)
            transport.events.on(TransportEvents.CONNECTED, self._handle_connected)
            transport.events.on(TransportEvents.DATA_READY, self._handle_data_ready)
            transport.events.on(TransportEvents.CLOSED, self._handle_closed)
            self.transport = transport
        return self.transport

    def set_data_reading(self, is_reading: bool) -> None:
        """Let reliable data of the client come, or wait at its end."""
        if self.transport is not None:
            self.transport.set_data_reading(is_reading)

    def _handle_data_ready(self) -> None:
        self._member.handle_connected()
        if self._member.single_connection:
            self._member.handle_data_open()

    def _handle_connected(self) -> None:
        # Whoever is active can be reached with data. On a single connection the channels are the client's to open.
        if not (self._member.single_connection and self._data_offered):
            self._member.handle_connected()

    def _handle_closed(self, reason: str) -> None:
        self._member.handle_transport_closed(Target.PUBLISHER, reason)

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
                media is not None and (media.cid == encoding.cid or self.pending.find(media.cid) is None)
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
        pending = self.pending.take(media, by_kind=(media.mid, media.cid) not in self._forbidden)
        if pending is None:
            # Media that nobody announced: the engine has no track for it and drops its packets.
            self._context.counters["unannounced_tracks"] += 1
            return
        info = pending.info
        if not self._member.info.permissions.may_publish(info.source):
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
        publication = Publication(self._member, info, encoding, self._stream_label(info.stream))
        if media.kind is Kind.VIDEO:
            publication.demand = LayerDemand(
                encoding.name,
                publication.measure_demand,
                lambda wanted: self._tell_demand(publication, wanted),
                self._context.loop,
                self._context.config.dynacast_pause_delay_s,
            )
        self._by_mid[media.mid] = publication
        self._context.tracks[track] = publication
        self._member.handle_published(publication)
        if publication.demand is not None and not publication.subscriptions:
            publication.demand.note(encoding.name, OFF)

    def _tell_demand(self, publication: Publication, wanted: Demand) -> None:
        self._member.emit(LayersWanted(publication.track_id, dict(wanted)))

    def repeat_demand(self) -> None:
        """The client may have missed what was told while its signal connection was gone."""
        for publication in self._by_mid.values():
            if publication.demand is not None:
                publication.demand.repeat()

    def _add_backup(self, publication: Publication, backup: Encoding) -> None:
        self._backups[backup.received.mid] = publication
        self._context.tracks[backup.track] = publication
        publication.set_backup(backup)
        policy = publication.info.backup_codec_policy
        large = self._member.num_participants >= self._context.config.codec_regression_participants
        publication.regressed = policy == REGRESSION or (policy == PREFER_REGRESSION and large)
        self._handle_encodings_changed(publication)

    def _end_backup(self, publication: Publication) -> None:
        backup = publication.backup
        if backup is None or self._backups.pop(backup.received.mid, None) is None:
            return  # it ended with its publication
        self._context.tracks.pop(backup.track, None)
        publication.set_backup(None)
        self._handle_encodings_changed(publication)
        self._context.engine.remove_track(backup.track)

    def _handle_encodings_changed(self, publication: Publication) -> None:
        publication.reattach_all()
        self._member.change()

    def _stream_label(self, stream: str) -> str:
        if not stream:
            return ""
        return self._stream_labels.setdefault(stream, f"stream{len(self._stream_labels)}")

    # --- ending ------------------------------------------------------------------------------------------

    def unpublish(self, publication: Publication) -> None:
        self._end(publication)
        self._member.emit(TrackUnpublished(publication.track_id))

    def _end(self, publication: Publication) -> None:
        if publication.demand is not None:
            publication.demand.close()
            publication.demand = None
        self._by_mid.pop(publication.primary.received.mid, None)
        for encoding in publication.encodings:
            self._context.tracks.pop(encoding.track, None)
            self._backups.pop(encoding.received.mid, None)
        self._member.handle_unpublished(publication)
        for encoding in publication.encodings:
            self._context.engine.remove_track(encoding.track)

    def close(self) -> None:
        """The publisher itself leaves: it need not hear of each track."""
        for publication in self.publications:
            self._end(publication)
        self.pending.clear()
        if self.transport is not None:
            self._context.close_transport(self.transport)
            self.transport = None
