"""Two connections: our offers carry the subscriptions on a transport of their own, and the client answers.

One offer is under way at a time; whatever changes meanwhile goes into the next. A section whose subscription ended
is closed (port 0) and, once the client has answered that, used again with a new mid (RFC 8829 §5.2.2).
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass

from sfu.api import SubscriberOffer, Target
from sfu.control.context import ControlContext
from sfu.control.member import Member
from sfu.control.subscribe.subscriber import Subscriber
from sfu.control.subscribe.subscription import Subscription
from sfu.kind import Kind
from sfu.sdp.model import AcceptedSection, OfferSection, Setup, SlotState
from sfu.sdp.negotiate import negotiate_subscribe
from sfu.sdp.parse import parse_description
from sfu.sdp.render import render_offer
from sfu.transport.transport import Transport, TransportEvents, TransportRole


@dataclass(slots=True)
class _Slot:
    """One media section of our offers, for as long as the transport lives."""

    kind: Kind
    mid: str
    subscription: Subscription | None
    reusable: bool = False
    """Closed, and the client has answered that."""


class OfferingNegotiator:
    def __init__(self, member: Member, subscriber: Subscriber, context: ControlContext) -> None:
        self._member = member
        self._subscriber = subscriber
        self._context = context
        self._slots: list[_Slot] = []
        self._next_mid = 1
        self._offer_id = 0
        self._session_id = secrets.randbits(62)
        self._in_flight: list[OfferSection] | None = None
        self._dirty = False
        self._timer: asyncio.TimerHandle | None = None
        self._answer_timer: asyncio.TimerHandle | None = None
        self._transport: Transport | None = None

    @property
    def transport(self) -> Transport | None:
        return self._transport

    def start(self) -> None:
        """Open the transport and send the first offer, which has at least the data section."""
        transport = self._context.make_transport(
            TransportRole.SUBSCRIBE, self._member.room_group, self._member.tcp_only
        )
        transport.events.on(TransportEvents.CONNECTED, self._member.handle_connected)
        transport.events.on(TransportEvents.DATA_READY, self._member.handle_data_open)
        transport.events.on(TransportEvents.CLOSED, self._handle_closed)
        self._transport = transport
        self._dirty = True
        self._send_offer()

    def _handle_closed(self, reason: str) -> None:
        self._member.handle_transport_closed(Target.SUBSCRIBER, reason)

    def release(self, subscription: Subscription) -> None:
        for slot in self._slots:
            if slot.subscription is subscription:
                slot.subscription = None

    # --- offering -----------------------------------------------------------------------------------------

    def mark_changed(self) -> None:
        self._dirty = True
        if self._transport is not None and self._in_flight is None and self._timer is None:
            delay = self._context.config.negotiation_debounce_s
            self._timer = self._context.loop.call_later(delay, self._send_offer)

    def restart(self) -> None:
        """ICE restart, as part of a resume. What the client did not answer before is void."""
        if self._transport is None:
            return
        self._transport.restart_ice()
        self._clear_in_flight()
        self._dirty = True
        self._send_offer()

    def _send_offer(self) -> None:
        self._cancel_timer()
        if self._transport is None or self._in_flight is not None or not self._dirty:
            return
        self._dirty = False
        self._assign_slots()
        self._offer_id += 1
        sections = [self._section(slot) for slot in self._slots]
        sdp = render_offer(
            sections,
            self._transport.local(),
            session_id=self._session_id,
            version=self._offer_id,
            max_message_size=self._context.config.max_data_message_bytes,
        )
        self._in_flight = sections
        self._answer_timer = self._context.loop.call_later(
            self._context.config.answer_timeout_s, self._member.handle_negotiation_timeout
        )
        tracks = {section.mid: section.track_id for section in sections if section.state is SlotState.ACTIVE}
        self._member.emit(SubscriberOffer(sdp, self._offer_id, tracks))

    def _assign_slots(self) -> None:
        placed = {id(slot.subscription) for slot in self._slots if slot.subscription is not None}
        for subscription in self._subscriber.subscriptions.values():
            if id(subscription) in placed or subscription.refused:
                continue
            if not subscription.variants():
                self._subscriber.refuse(subscription)
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
            self._next_mid += 1

    def _section(self, slot: _Slot) -> OfferSection:
        subscription = slot.subscription
        if subscription is None:
            return OfferSection(mid=slot.mid, kind=slot.kind, state=SlotState.CLOSED)
        sent = subscription.sent_media()
        return OfferSection(
            mid=slot.mid,
            kind=slot.kind,
            state=SlotState.ACTIVE,
            variants=sent.variants,
            track_id=sent.track_id,
            stream_id=sent.stream_id,
            ssrc=sent.ssrc,
            rtx_ssrc=sent.rtx_ssrc,
            fec_ssrc=sent.fec_ssrc,
            cname=sent.cname,
            stereo=sent.stereo,
        )

    # --- being answered ----------------------------------------------------------------------------------

    def handle_answer(self, sdp: str, offer_id: int) -> None:
        transport = self._transport
        if transport is None or self._in_flight is None or offer_id not in (0, self._offer_id):
            self._context.counters["stale_answers"] += 1
            return
        config = self._context.config
        answer = parse_description(
            sdp, "answer", max_bytes=config.max_sdp_bytes, max_sections=config.max_media_sections
        )
        negotiation = negotiate_subscribe(answer, self._in_flight)
        we_are = Setup.ACTIVE if answer.transport.setup is Setup.PASSIVE else Setup.PASSIVE
        transport.set_remote(negotiation.transport, we_are=we_are)
        if negotiation.data_section:
            transport.enable_data(initiate=True, remote_max_message_size=negotiation.remote_max_message_size)
        offered = {section.mid: section.state for section in self._in_flight}
        self._clear_in_flight()
        for slot in self._slots:
            self._settle(slot, offered.get(slot.mid), negotiation.sections.get(slot.mid), transport)
        if self._dirty:
            self.mark_changed()

    def _settle(
        self, slot: _Slot, offered: SlotState | None, accepted: AcceptedSection | None, transport: Transport
    ) -> None:
        if slot.subscription is None:
            slot.reusable = offered is SlotState.CLOSED
            return
        if offered is not SlotState.ACTIVE:
            return
        subscription = slot.subscription
        if accepted is None or not accepted.accepted:
            # An answer that rejects a section closes it (RFC 8829 §5.3.1).
            self._subscriber.refuse(subscription)
        else:
            self._subscriber.attach(subscription, transport, accepted)
        if subscription.refused:
            slot.subscription = None
            self._dirty = True

    def _clear_in_flight(self) -> None:
        self._in_flight = None
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        self._cancel_timer()
        self._clear_in_flight()
        transport, self._transport = self._transport, None
        if transport is not None:
            self._context.close_transport(transport)
