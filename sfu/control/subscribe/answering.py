"""One connection for both directions: the client always offers, and our answers send where it receives.

A subscription that finds no section waits for the next offer, which the client is asked for (`MediaSectionsRequired`)
together with as many sections as are missing. A section whose subscription ended is answered `inactive` once before it
is used again: clients notice a new track only on a section that did not receive before.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

from sfu.api import MediaSectionsRequired
from sfu.control.context import ControlContext
from sfu.control.member import Member
from sfu.control.subscribe.subscriber import Subscriber
from sfu.control.subscribe.subscription import Subscription
from sfu.kind import Kind
from sfu.sdp.duplex import receivable_sections, send_on
from sfu.sdp.model import AcceptedSection, PublishNegotiation, RemoteDescription
from sfu.sdp.negotiate import KINDS
from sfu.transport.transport import Transport


class AnsweringNegotiator:
    """Lives beside the publisher, whose transport it uses and whose answers it completes (`complete_answer`)."""

    def __init__(
        self,
        member: Member,
        subscriber: Subscriber,
        context: ControlContext,
        find_transport: Callable[[], Transport | None],
    ) -> None:
        """`find_transport` gives the publisher's, once there is one."""
        self._member = member
        self._subscriber = subscriber
        self._context = context
        self._find_transport = find_transport
        self._receivable: Mapping[str, AcceptedSection] = {}
        """Of the newest offer, by mid."""
        self._kinds: dict[str, Kind] = {}
        """Of all media sections in use of the newest offer."""
        self._sections = 0
        """How many that offer has of any kind; clients cannot take sections out again."""
        self._carried: dict[str, Subscription] = {}
        self._draining: set[str] = set()
        """Sections that the newest answer sends on, whose subscription has ended since."""
        self._requested: Counter[Kind] = Counter()
        """Sections that the client was asked for and that no offer has brought yet."""
        self._requested_at_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._offer_timer: asyncio.TimerHandle | None = None

    @property
    def transport(self) -> Transport | None:
        return self._find_transport()

    def start(self) -> None:
        """The client begins; whatever is subscribed by then is in the answer to its first offer."""
        self._expect_offer()

    def restart(self) -> None:
        """The client will offer with an ICE restart. It may never have heard what it was asked for before."""
        self._requested.clear()
        self._expect_offer()

    def handle_answer(self, sdp: str, offer_id: int) -> None:
        self._context.counters["stale_answers"] += 1

    def release(self, subscription: Subscription) -> None:
        for mid, carried in list(self._carried.items()):
            if carried is subscription:
                del self._carried[mid]
                self._draining.add(mid)

    # --- asking for an offer --------------------------------------------------------------------------------

    def mark_changed(self) -> None:
        if self.transport is None or self._timer is not None:
            return
        config, now_s = self._context.config, self._context.loop.time()
        # Half of the offers that a client may make are its own to begin.
        earliest_s = self._requested_at_s + 2 / config.max_negotiations_per_s
        delay_s = max(config.negotiation_debounce_s, earliest_s - now_s)
        self._timer = self._context.loop.call_later(delay_s, self._handle_changed)

    def _handle_changed(self) -> None:
        self._timer = None
        transport = self.transport
        if transport is None:
            return
        self._attach_all(transport)
        free = Counter(self._kinds[mid] for mid in self._receivable if mid not in self._carried)
        wanted = Counter(subscription.publication.info.kind for subscription in self._waiting())
        missing = self._missing(wanted - free - self._requested)
        if not missing.total() and (self._offer_timer is not None or not (self._draining or wanted & free)):
            return  # an offer is on its way already, or it would change nothing
        self._requested += missing
        self._requested_at_s = self._context.loop.time()
        self._member.emit(MediaSectionsRequired(missing[Kind.AUDIO], missing[Kind.VIDEO]))
        self._expect_offer()

    def _waiting(self) -> list[Subscription]:
        carried = {id(subscription) for subscription in self._carried.values()}
        subscriptions = self._subscriber.subscriptions.values()
        return [s for s in subscriptions if id(s) not in carried and not s.refused]

    def _missing(self, lacking: Counter[Kind]) -> Counter[Kind]:
        """As many of the `lacking` sections as a description of the client still has room for."""
        room = max(0, self._context.config.max_media_sections - self._sections - self._requested.total())
        missing = Counter[Kind]()
        for kind in Kind:
            missing[kind] = min(lacking[kind], room - missing.total())
        self._context.counters["subscriptions_without_section"] += lacking.total() - missing.total()
        return missing

    def _expect_offer(self) -> None:
        self._forget_offer_timer()
        self._offer_timer = self._context.loop.call_later(self._context.config.answer_timeout_s, self._handle_no_offer)

    def _handle_no_offer(self) -> None:
        self._offer_timer = None
        self._member.handle_negotiation_timeout()

    def _forget_offer_timer(self) -> None:
        if self._offer_timer is not None:
            self._offer_timer.cancel()
            self._offer_timer = None

    # --- answering --------------------------------------------------------------------------------------------

    def complete_answer(
        self, transport: Transport, offer: RemoteDescription, negotiation: PublishNegotiation
    ) -> PublishNegotiation:
        """Add what we send to an answer. From here on it is sent."""
        self._take_offer(offer, negotiation)
        self._place()
        self._attach_all(transport)
        self._draining.clear()
        if not self._requested.total():
            self._forget_offer_timer()
        if self._waiting():
            self.mark_changed()
        sent = {mid: subscription.sent_media() for mid, subscription in self._carried.items()}
        return send_on(offer, negotiation, sent)

    def _take_offer(self, offer: RemoteDescription, negotiation: PublishNegotiation) -> None:
        before = self._kinds
        self._sections = len(offer.sections)
        self._receivable = receivable_sections(offer, negotiation)
        self._kinds = {
            section.mid: KINDS[section.kind]
            for section in offer.sections
            if section.kind in KINDS and not section.rejected
        }
        self._requested -= Counter(self._kinds[mid] for mid in self._receivable if mid not in before)
        for mid, subscription in list(self._carried.items()):
            if mid not in self._receivable:
                # The client has stopped to receive here: the track moves to another section.
                del self._carried[mid]
                self._subscriber.detach(subscription)
        self._draining &= self._receivable.keys()

    def _place(self) -> None:
        free = [mid for mid in self._receivable if mid not in self._carried and mid not in self._draining]
        for subscription in self._waiting():
            kind = subscription.publication.info.kind
            mid = next((mid for mid in free if self._kinds[mid] is kind), None)
            if mid is None:
                continue
            if not subscription.can_take(self._receivable[mid]):
                self._subscriber.refuse(subscription)
                continue
            free.remove(mid)
            self._carried[mid] = subscription

    def _attach_all(self, transport: Transport) -> None:
        for mid, subscription in list(self._carried.items()):
            self._subscriber.attach(subscription, transport, self._receivable[mid])
            if subscription.refused:
                del self._carried[mid]
                self._draining.add(mid)

    def close(self) -> None:
        self._forget_offer_timer()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
