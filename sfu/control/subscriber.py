"""The subscribing half of a participant: its subscriptions and the offers that carry them.

One offer is under way at a time; whatever changes meanwhile goes into the next. A section whose subscription ended
is closed (port 0) and, once the client has answered that, used again with a new mid (RFC 8829 §5.2.2).
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sfu.api import DataKind, SubscriberOffer, SubscriptionRefused, Target, TrackSettings
from sfu.control.context import ControlContext
from sfu.control.publication import Publication
from sfu.control.subscription import Subscription, new_ssrc
from sfu.engine.api import Kind
from sfu.ids import SubscriptionHandle, TrackId
from sfu.sdp.model import AcceptedSection, OfferSection, Setup, SlotState
from sfu.sdp.negotiate import negotiate_subscribe
from sfu.sdp.parse import parse_description
from sfu.sdp.render import render_offer
from sfu.transport.transport import Transport, TransportEvents, TransportRole

if TYPE_CHECKING:
    from sfu.control.participant import Participant


@dataclass(slots=True)
class _Slot:
    """One media section of our offers, for as long as the transport lives."""

    kind: Kind
    mid: str
    subscription: Subscription | None
    reusable: bool = False
    """Closed, and the client has answered that."""


class Subscriber:
    def __init__(self, participant: Participant, context: ControlContext) -> None:
        self._participant = participant
        self._context = context
        self._slots: list[_Slot] = []
        self._ssrcs: set[int] = set()
        self._next_mid = 1
        self._offer_id = 0
        self._session_id = secrets.randbits(62)
        self._in_flight: list[OfferSection] | None = None
        self._dirty = False
        self._timer: asyncio.TimerHandle | None = None
        self._answer_timer: asyncio.TimerHandle | None = None
        self.subscriptions: dict[TrackId, Subscription] = {}
        self.transport: Transport | None = None

    def start(self) -> None:
        """Open the transport and send the first offer, which has at least the data section."""
        transport = self._context.make_transport(TransportRole.SUBSCRIBE)
        transport.events.on(TransportEvents.CONNECTED, self._participant.handle_connected)
        transport.events.on(TransportEvents.CLOSED, self._handle_closed)
        self.transport = transport
        self._dirty = True
        self._send_offer()

    def _handle_closed(self, reason: str) -> None:
        self._participant.handle_transport_closed(Target.SUBSCRIBER, reason)

    # --- what to receive ----------------------------------------------------------------------------------

    def subscribe(self, publication: Publication) -> None:
        if publication.track_id in self.subscriptions:
            return
        video = publication.info.kind is Kind.VIDEO
        subscription = Subscription(
            publication, self._participant, self._take_ssrc(), self._take_ssrc() if video else None
        )
        self.subscriptions[publication.track_id] = subscription
        publication.subscriptions[self._participant.info.participant_id] = subscription
        publication.note_demand(subscription)
        self.mark_changed()

    def unsubscribe(self, track_id: TrackId) -> None:
        subscription = self.subscriptions.pop(track_id, None)
        if subscription is None:
            return
        subscription.publication.subscriptions.pop(self._participant.info.participant_id, None)
        subscription.publication.note_departure(subscription)
        if subscription.handle is not None:
            self._context.subscriptions.pop(subscription.handle, None)
        subscription.detach(self._context.engine)
        self._ssrcs.discard(subscription.ssrc)
        self._ssrcs.discard(subscription.rtx_ssrc or 0)
        for slot in self._slots:
            if slot.subscription is subscription:
                slot.subscription = None
        self.mark_changed()

    def unsubscribe_all(self) -> None:
        for track_id in list(self.subscriptions):
            self.unsubscribe(track_id)

    def update_settings(self, track_id: TrackId, settings: TrackSettings) -> None:
        """Without a subscription there is nothing to set: it may have ended while the message travelled."""
        subscription = self.subscriptions.get(track_id)
        if subscription is not None:
            subscription.settings = settings
            subscription.apply_settings(self._context.engine)
            subscription.publication.note_demand(subscription)

    def _take_ssrc(self) -> int:
        ssrc = new_ssrc(self._ssrcs)
        self._ssrcs.add(ssrc)
        return ssrc

    # --- offering -----------------------------------------------------------------------------------------

    def mark_changed(self) -> None:
        self._dirty = True
        if self.transport is not None and self._in_flight is None and self._timer is None:
            delay = self._context.config.negotiation_debounce_s
            self._timer = self._context.loop.call_later(delay, self._send_offer)

    def restart(self) -> None:
        """ICE restart, as part of a resume. What the client did not answer before is void."""
        if self.transport is None:
            return
        self.transport.restart_ice()
        self._clear_in_flight()
        self._dirty = True
        self._send_offer()

    def _send_offer(self) -> None:
        self._cancel_timer()
        if self.transport is None or self._in_flight is not None or not self._dirty:
            return
        self._dirty = False
        self._assign_slots()
        self._offer_id += 1
        sections = [self._section(slot) for slot in self._slots]
        sdp = render_offer(
            sections,
            self.transport.local(),
            session_id=self._session_id,
            version=self._offer_id,
            max_message_size=self._context.config.max_data_message_bytes,
        )
        self._in_flight = sections
        self._answer_timer = self._context.loop.call_later(
            self._context.config.answer_timeout_s, self._participant.handle_answer_timeout
        )
        tracks = {section.mid: section.track_id for section in sections if section.state is SlotState.ACTIVE}
        self._participant.emit(SubscriberOffer(sdp, self._offer_id, tracks))

    def _assign_slots(self) -> None:
        placed = {id(slot.subscription) for slot in self._slots if slot.subscription is not None}
        for subscription in self.subscriptions.values():
            if id(subscription) in placed or subscription.refused:
                continue
            if not subscription.variants():
                self._refuse(subscription)
                continue
            kind = subscription.publication.info.kind
            slot = next((s for s in self._slots if s.reusable and s.kind is kind), None)
            if slot is None:
                # One section is the data section.
                if len(self._slots) + 1 >= self._context.config.max_media_sections:
                    self._context.counters["subscriptions_without_section"] += 1
                    continue
                slot = _Slot(kind, "", None)
                self._slots.append(slot)
            slot.mid = str(self._next_mid)
            slot.reusable = False
            slot.subscription = subscription
            subscription.mid = slot.mid
            self._next_mid += 1

    def _section(self, slot: _Slot) -> OfferSection:
        subscription = slot.subscription
        if subscription is None:
            return OfferSection(mid=slot.mid, kind=slot.kind, state=SlotState.CLOSED)
        publication = subscription.publication
        label = publication.stream_label
        if not label or self._participant.client.is_firefox:
            # Firefox names received tracks itself; its SDK finds the track by the stream instead.
            label = publication.track_id
        return OfferSection(
            mid=slot.mid,
            kind=slot.kind,
            state=SlotState.ACTIVE,
            variants=subscription.variants(),
            track_id=publication.track_id,
            stream_id=f"{publication.publisher.info.participant_id}|{label}",
            ssrc=subscription.ssrc,
            rtx_ssrc=subscription.rtx_ssrc,
            cname=publication.publisher.info.participant_id,
            stereo=publication.info.stereo or publication.primary.received.stereo,
        )

    # --- being answered ----------------------------------------------------------------------------------

    def handle_answer(self, sdp: str, offer_id: int) -> None:
        if self.transport is None or self._in_flight is None or offer_id not in (0, self._offer_id):
            self._context.counters["stale_answers"] += 1
            return
        config = self._context.config
        answer = parse_description(
            sdp, "answer", max_bytes=config.max_sdp_bytes, max_sections=config.max_media_sections
        )
        negotiation = negotiate_subscribe(answer, self._in_flight)
        we_are = Setup.ACTIVE if answer.transport.setup is Setup.PASSIVE else Setup.PASSIVE
        self.transport.set_remote(negotiation.transport, we_are=we_are)
        if negotiation.data_section:
            self.transport.enable_data(initiate=True, remote_max_message_size=negotiation.remote_max_message_size)
        offered = {section.mid: section.state for section in self._in_flight}
        self._clear_in_flight()
        for slot in self._slots:
            self._settle(slot, offered.get(slot.mid), negotiation.sections.get(slot.mid))
        if self._dirty:
            self.mark_changed()

    def _settle(self, slot: _Slot, offered: SlotState | None, accepted: AcceptedSection | None) -> None:
        if slot.subscription is None:
            slot.reusable = offered is SlotState.CLOSED
            return
        if offered is not SlotState.ACTIVE or self.transport is None:
            return
        subscription = slot.subscription
        if accepted is None or not accepted.accepted:
            # An answer that rejects a section closes it (RFC 8829 §5.3.1).
            subscription.refused = True
        else:
            cache_packets = self._context.config.retransmission_packets
            before = subscription.handle
            if subscription.accept(self._context.engine, self.transport.handle, accepted, cache_packets):
                self._register(subscription, before)
            elif before is not None and subscription.handle is None:
                self._context.subscriptions.pop(before, None)
        if subscription.refused:
            slot.subscription = None
            self._dirty = True
            self._refuse(subscription)
        else:
            subscription.publication.note_demand(subscription)

    def _refuse(self, subscription: Subscription) -> None:
        """The client can receive no form of it: it is told so, and nobody else notices."""
        subscription.refused = True
        self._context.counters["subscriptions_refused"] += 1
        self._participant.emit(SubscriptionRefused(subscription.publication.track_id))
        subscription.publication.note_departure(subscription)

    def _register(self, subscription: Subscription, before: SubscriptionHandle | None) -> None:
        if before is not None:
            self._context.subscriptions.pop(before, None)
        if subscription.handle is not None:
            self._context.subscriptions[subscription.handle] = subscription
        self._participant.handle_subscribed(subscription)

    def reattach(self, subscription: Subscription) -> None:
        """The publication's encodings are others now: take the best of them."""
        if self.transport is None or subscription.encoding is subscription.best_encoding():
            return
        before = subscription.handle
        cache_packets = self._context.config.retransmission_packets
        if subscription.attach(self._context.engine, self.transport.handle, cache_packets):
            self._register(subscription, before)
        elif before is not None:
            self._context.subscriptions.pop(before, None)
        subscription.publication.note_demand(subscription)

    def _clear_in_flight(self) -> None:
        self._in_flight = None
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- data and end --------------------------------------------------------------------------------------

    def send_data(self, kind: DataKind, payload: bytes) -> bool:
        return self.transport is not None and self.transport.send_data(kind, payload)

    def close(self) -> None:
        self._cancel_timer()
        self._clear_in_flight()
        transport, self.transport = self.transport, None
        self.unsubscribe_all()
        if transport is not None:
            self._context.close_transport(transport)
