"""A client that plays what a room shows and does nothing else: one offer and one answer, then media.

Picture and sound each have one section and one SSRC for life. When the source changes, the subscription behind the
section is replaced by one with the same SSRCs, which the engine lets go on where the other ended.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sfu.api import PlaybackChanged, PlaybackSource, PlaybackWish, Target, TrackSettings
from sfu.control.context import ControlContext
from sfu.control.member import Member
from sfu.control.publish.publication import Publication
from sfu.control.subscribe.casting import Casting, Performer
from sfu.control.subscribe.subscriber import Subscriber
from sfu.control.subscribe.subscription import Subscription
from sfu.errors import RequestError, SdpError
from sfu.ids import ParticipantId, TrackId
from sfu.kind import Kind
from sfu.sdp.model import AcceptedSection, OfferSection, RemoteDescription, Setup, Ssrcs
from sfu.sdp.negotiate import negotiate_subscribe
from sfu.sdp.parse import parse_description
from sfu.sdp.playback import answer_playback, offer_sections, read_playback
from sfu.sdp.render import render_answer, render_offer
from sfu.transport.transport import Transport, TransportEvents, TransportRole

Neighbours = Callable[[], tuple[Sequence[Performer], Sequence[ParticipantId]]]
"""Everyone else in order of joining, and who of all speaks, loudest first."""


@dataclass(slots=True)
class _Place:
    """Where the picture or the sound goes."""

    ssrcs: Ssrcs
    accepted: AcceptedSection | None = None
    """None until the client has described it; a place that the client did not want has none for ever."""
    track_id: TrackId | None = None
    settings: TrackSettings = field(default_factory=TrackSettings)


class Player:
    """The negotiator of a playing participant."""

    def __init__(
        self,
        member: Member,
        subscriber: Subscriber,
        context: ControlContext,
        wish: PlaybackWish,
        neighbours: Neighbours,
    ) -> None:
        self._member = member
        self._subscriber = subscriber
        self._context = context
        self._neighbours = neighbours
        self._casting = Casting(wish)
        self._transport: Transport | None = None
        self._session_id = secrets.randbits(62)
        self._offered: list[OfferSection] | None = None
        """Of the counter-offer that waits for its answer."""
        self._scheduled: asyncio.Handle | None = None
        self._later = False
        """Whether what is scheduled has time, so that a change comes first."""
        self._told: PlaybackChanged | None = None
        self._places = {kind: _Place(subscriber.take_ssrcs(kind)) for kind in (Kind.AUDIO, Kind.VIDEO)}

    @property
    def transport(self) -> Transport | None:
        return self._transport

    # --- negotiating ------------------------------------------------------------------------------------------

    def answer(self, offer: RemoteDescription) -> str:
        """`offer` asks to receive only. Raises `SdpError` not_acceptable, unsupported_codec, rtcp_mux_required or
        inconsistent_extensions."""
        config = self._context.config
        negotiation, accepted = read_playback(offer, video_codecs=config.video_codecs, audio_codecs=config.audio_codecs)
        ssrcs = {section.mid: self._places[kind].ssrcs for kind, section in accepted.items()}
        negotiation = answer_playback(offer, negotiation, ssrcs, self._member.info.participant_id)
        transport = self._open()
        setup = Setup.ACTIVE if offer.transport.setup is Setup.PASSIVE else Setup.PASSIVE
        transport.set_remote(offer.transport, we_are=setup)
        self._begin(accepted)
        return render_answer(
            negotiation,
            transport.local(),
            session_id=self._session_id,
            version=1,
            setup=setup,
            max_message_size=config.max_data_message_bytes,
        )

    def offer(self) -> str:
        """An offer of ours, with all that may come; `handle_answer` takes the answer."""
        config = self._context.config
        ssrcs = {kind: place.ssrcs for kind, place in self._places.items()}
        codecs = {*config.video_codecs, *config.audio_codecs}
        self._offered = list(offer_sections(ssrcs, self._member.info.participant_id, codecs))
        return render_offer(
            self._offered,
            self._open().local(),
            session_id=self._session_id,
            version=1,
            max_message_size=config.max_data_message_bytes,
            with_data=False,
        )

    def handle_answer(self, sdp: str, offer_id: int) -> None:
        """Raises `RequestError` not_negotiated when no offer waits for it."""
        if self._offered is None or self._transport is None:
            raise RequestError("no offer waits for an answer", code="not_negotiated")
        config = self._context.config
        answer = parse_description(
            sdp, "answer", max_bytes=config.max_sdp_bytes, max_sections=config.max_media_sections
        )
        negotiation = negotiate_subscribe(answer, self._offered, with_data=False)
        accepted = {
            section.kind: negotiation.sections[section.mid]
            for section in self._offered
            if negotiation.sections[section.mid].accepted
        }
        if not accepted:
            raise SdpError("the answer takes nothing", code="not_acceptable")
        we_are = Setup.ACTIVE if answer.transport.setup is Setup.PASSIVE else Setup.PASSIVE
        self._transport.set_remote(negotiation.transport, we_are=we_are)
        self._offered = None
        self._begin(accepted)

    def _open(self) -> Transport:
        transport = self._transport = self._context.make_transport(
            TransportRole.SUBSCRIBE, self._member.room_group, self._member.tcp_only
        )
        transport.events.on(TransportEvents.CONNECTED, self._member.handle_connected)
        transport.events.on(TransportEvents.CLOSED, self._handle_closed)
        return transport

    def _handle_closed(self, reason: str) -> None:
        self._member.handle_transport_closed(Target.SUBSCRIBER, reason)

    def _begin(self, accepted: Mapping[Kind, AcceptedSection]) -> None:
        for kind, section in accepted.items():
            self._places[kind].accepted = section
        self.mark_changed()

    # --- what is shown ----------------------------------------------------------------------------------------

    def mark_changed(self) -> None:
        """Someone came, went, spoke, or sends something else: look again, once for all that happens now."""
        if self._transport is None or (self._scheduled is not None and not self._later):
            return
        if self._scheduled is not None:
            self._scheduled.cancel()
        self._later = False
        self._scheduled = self._context.loop.call_soon(self._look_again)

    def set_layer(self, settings: TrackSettings) -> None:
        """Which form of the picture to send, whatever its source."""
        place = self._places[Kind.VIDEO]
        place.settings = settings
        if place.track_id is not None:
            self._subscriber.update_settings(place.track_id, settings)

    def _look_again(self) -> None:
        self._scheduled = None
        transport = self._transport
        if transport is None:
            return
        cast: Mapping[Kind, Publication | None] = {}
        if self._member.info.permissions.can_subscribe:
            others, speaking = self._neighbours()
            chosen = self._casting.choose(others, speaking, self._context.loop.time())
            cast = {kind: one for kind, one in chosen.items() if one and one.owner.lets(self._member, one.track_id)}
        for kind, place in self._places.items():
            if place.accepted is not None:
                self._show(place, place.accepted, cast.get(kind), transport)
        self._tell()
        if self._casting.again_in_s is not None and self._scheduled is None:
            self._later = True
            self._scheduled = self._context.loop.call_later(self._casting.again_in_s, self._look_again)

    def _show(
        self, place: _Place, accepted: AcceptedSection, publication: Publication | None, transport: Transport
    ) -> None:
        subscriber = self._subscriber
        wanted = None if publication is None else publication.track_id
        if place.track_id is not None and place.track_id != wanted:
            before, place.track_id = place.track_id, None
            subscriber.unsubscribe(before)
        if publication is None:
            return
        if place.track_id is None:
            # Someone else may have subscribed us to it, with SSRCs that the client does not know.
            subscriber.unsubscribe(publication.track_id)
            place.track_id = publication.track_id
            subscriber.subscribe(publication, place.ssrcs)
            subscriber.update_settings(publication.track_id, place.settings)
        subscription = subscriber.subscriptions.get(publication.track_id)
        if subscription is not None:
            self._attach(subscription, accepted, transport)

    def _attach(self, subscription: Subscription, accepted: AcceptedSection, transport: Transport) -> None:
        """Or wait until the publisher sends something that the client can take."""
        if subscription.refused and not subscription.can_take(accepted):
            return
        subscription.refused = False
        self._subscriber.attach(subscription, transport, accepted)

    def release(self, subscription: Subscription) -> None:
        for place in self._places.values():
            if place.track_id == subscription.publication.track_id:
                place.track_id = None

    # --- what is told -----------------------------------------------------------------------------------------

    def state(self) -> PlaybackChanged:
        """What is sent now."""
        sources = []
        for kind, place in self._places.items():
            subscription = self._subscriber.subscriptions.get(place.track_id or TrackId(""))
            if place.accepted is None:
                continue
            publication = None
            if subscription is not None and subscription.handle is not None and not subscription.refused:
                publication = subscription.publication
            active = publication is not None and not publication.info.muted
            layers = publication.primary.target_layers() if publication is not None else ()
            sources.append(PlaybackSource(kind, place.accepted.mid, active, tuple(layers)))
        return PlaybackChanged(tuple(sources))

    def _tell(self) -> None:
        state = self.state()
        if state != self._told:
            self._told = state
            self._member.emit(state)

    # --- the rest of a negotiator -----------------------------------------------------------------------------

    def start(self) -> None:
        """Nothing: the client began."""

    def restart(self) -> None:
        """Nothing: such a client has no signalling to resume."""

    def close(self) -> None:
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        transport, self._transport = self._transport, None
        if transport is not None:
            self._context.close_transport(transport)
