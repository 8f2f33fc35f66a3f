"""The subscribing half of a participant: its subscriptions. How they get into media sections is the negotiator's."""

from __future__ import annotations

from collections.abc import Callable

from sfu.api import ClientDescription, DataKind, StreamStatesChanged, SubscriptionRefused, TrackSettings
from sfu.control.context import ControlContext
from sfu.control.member import Member
from sfu.control.publish.publication import Publication
from sfu.control.subscribe.negotiator import Negotiator
from sfu.control.subscribe.subscription import Subscription, new_ssrc
from sfu.control.timelines import Switch
from sfu.engine.api import DataLink
from sfu.ids import SubscriptionHandle, TrackId
from sfu.kind import Kind
from sfu.sdp.model import AcceptedSection, Ssrcs
from sfu.transport.transport import Transport


class Subscriber:
    """`use` gives it its negotiator before anything else is asked of it."""

    def __init__(self, member: Member, context: ControlContext, note_switch: Callable[[Switch], None]) -> None:
        self._member = member
        self._note_switch = note_switch
        self._context = context
        self._ssrcs: set[int | None] = set()
        self._negotiator: Negotiator | None = None
        self.subscriptions: dict[TrackId, Subscription] = {}

    def use(self, negotiator: Negotiator) -> None:
        self._negotiator = negotiator

    @property
    def negotiator(self) -> Negotiator:
        if self._negotiator is None:
            raise RuntimeError("the subscriber has no negotiator yet")
        return self._negotiator

    @property
    def transport(self) -> Transport | None:
        return self.negotiator.transport

    @property
    def client(self) -> ClientDescription:
        return self._member.client

    @property
    def broken_codecs(self) -> frozenset[str]:
        return self._member.broken_codecs

    # --- what to receive ----------------------------------------------------------------------------------

    def subscribe(self, publication: Publication, ssrcs: Ssrcs | None = None) -> None:
        """`ssrcs` where the client knows them already; else they are chosen here."""
        if publication.track_id in self.subscriptions:
            return
        if ssrcs is None:
            ssrcs = self.take_ssrcs(publication.info.kind)
        subscription = Subscription(publication, self, ssrcs)
        self.subscriptions[publication.track_id] = subscription
        publication.subscriptions[self._member.info.participant_id] = subscription
        publication.note_demand(subscription)
        self.negotiator.mark_changed()

    def unsubscribe(self, track_id: TrackId) -> None:
        subscription = self.subscriptions.pop(track_id, None)
        if subscription is None:
            return
        subscription.publication.subscriptions.pop(self._member.info.participant_id, None)
        subscription.publication.note_departure(subscription)
        self.detach(subscription)
        self._ssrcs.difference_update(subscription.ssrcs)
        self.negotiator.release(subscription)
        self.negotiator.mark_changed()

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

    def note_switch(self, switch: Switch) -> None:
        self._context.switches[switch.what, switch.cause] += 1
        self._note_switch(switch)

    def repeat_states(self) -> None:
        """The client was away: it may have missed which videos were paused for want of room, or go on."""
        states = [one.stream_state() for one in self.subscriptions.values() if one.was_paused]
        if states:
            self._member.emit(StreamStatesChanged(states))

    def take_ssrcs(self, kind: Kind) -> Ssrcs:
        """They are its own until a subscription that has them ends."""
        if kind is Kind.AUDIO:
            return Ssrcs(self._take_ssrc())
        has_fec = self._context.config.fec_packets > 0
        return Ssrcs(self._take_ssrc(), self._take_ssrc(), self._take_ssrc() if has_fec else None)

    def _take_ssrc(self) -> int:
        ssrc = new_ssrc(self._ssrcs)
        self._ssrcs.add(ssrc)
        return ssrc

    # --- sending ------------------------------------------------------------------------------------------

    def attach(self, subscription: Subscription, transport: Transport, accepted: AcceptedSection) -> None:
        """Send on the section that the client has accepted, or mark the subscription as refused (counted)."""
        before = subscription.handle
        cache_packets = self._context.config.retransmission_packets
        if subscription.accept(self._context.engine, transport.handle, accepted, cache_packets):
            self._register(subscription, before)
        elif before is not None and subscription.handle is None:
            self._context.subscriptions.discard(before)
        if subscription.refused and not subscription.gave_up:
            self.refuse(subscription)
        elif not subscription.refused:
            self._watch(subscription)
            subscription.publication.note_demand(subscription)

    def _register(self, subscription: Subscription, before: SubscriptionHandle | None) -> None:
        if before is not None:
            self._context.subscriptions.discard(before)
        if subscription.handle is not None:
            self._context.subscriptions.add(subscription.handle)
        subscription.publication.owner.announce_subscribed(subscription.publication.track_id)

    def mark_changed(self) -> None:
        """What a subscription sends is not what the client was offered."""
        self.negotiator.mark_changed()

    def reattach(self, subscription: Subscription) -> None:
        """The publication's encodings are others now: take the best of them."""
        if subscription.gave_up and subscription.publication.backup is not None:
            # It came late. The section may be others' by now.
            subscription.gave_up = subscription.refused = False
            self.negotiator.mark_changed()
        if self.transport is None or subscription.encoding is subscription.best_encoding():
            return
        before = subscription.handle
        cache_packets = self._context.config.retransmission_packets
        if subscription.attach(self._context.engine, self.transport.handle, cache_packets):
            self._register(subscription, before)
        elif before is not None:
            self._context.subscriptions.discard(before)
        if not subscription.refused:
            self._watch(subscription)
        subscription.publication.note_demand(subscription)

    def _watch(self, subscription: Subscription) -> None:
        """Nobody waits for ever for a backup codec that its publisher does not send."""
        if subscription.encoding is not None or not subscription.waits_for_backup:
            subscription.stop_waiting()
        elif subscription.patience is None:
            timeout_s = self._context.config.backup_codec_timeout_s
            subscription.patience = self._context.loop.call_later(timeout_s, self._give_up, subscription)

    def _give_up(self, subscription: Subscription) -> None:
        subscription.gave_up = True
        self.refuse(subscription)

    def refuse(self, subscription: Subscription) -> None:
        """The client cannot take it in any form: it is told so, and nobody else notices."""
        subscription.stop_waiting()
        subscription.refused = True
        self._context.counters["subscriptions_refused"] += 1
        self._member.emit(SubscriptionRefused(subscription.publication.track_id))
        subscription.publication.note_departure(subscription)

    def detach(self, subscription: Subscription) -> None:
        if subscription.handle is not None:
            self._context.subscriptions.discard(subscription.handle)
        subscription.release(self._context.engine)

    @property
    def data_open(self) -> bool:
        return self.transport is not None and self.transport.data_open

    def send_data(self, kind: DataKind, payload: bytes) -> bool:
        transport = self.transport
        return transport is not None and transport.send_data(kind, payload)

    @property
    def data_link(self) -> DataLink | None:
        return None if self.transport is None else self.transport.data_link

    def unsent_bytes(self) -> int:
        return 0 if self.transport is None else self.transport.unsent_data_bytes(DataKind.RELIABLE)

    def close(self) -> None:
        self.negotiator.close()
        self.unsubscribe_all()
