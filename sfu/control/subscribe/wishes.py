"""What a participant wants to receive, and what of it it may: every decision to subscribe is made here."""

from __future__ import annotations

from sfu.api import SubscriptionAllowed
from sfu.control.member import Member
from sfu.control.publish.publication import Publication
from sfu.control.subscribe.subscriber import Subscriber
from sfu.ids import TrackId


class Wishes:
    """One participant's. `review` makes a subscription what it should be now; call it when anything changed that
    counts: a new track, the client's own choice, its permissions, or the rights that a publisher gives."""

    def __init__(self, member: Member, subscriber: Subscriber, *, auto_subscribe: bool, plays: bool) -> None:
        """`plays`: a player chooses what is received, and only among what it may have."""
        self._member = member
        self._subscriber = subscriber
        self._auto_subscribe = auto_subscribe
        self._plays = plays
        self._chosen: dict[TrackId, bool] = {}
        """What the client said itself, of tracks that are there."""
        self._told: dict[TrackId, bool] = {}
        """Whether the publisher lets it have the track, of tracks where that was ever no."""

    def choose(self, publication: Publication, wanted: bool) -> None:
        self._chosen[publication.track_id] = wanted
        if wanted:
            # Who asks gets an answer, the same again too.
            self._told.pop(publication.track_id, None)
        self.review(publication)

    def review(self, publication: Publication) -> None:
        track_id, owner = publication.track_id, publication.owner
        wanted = self._chosen.get(track_id, self._auto_subscribe) and owner is not self._member
        wanted = wanted and self._member.info.permissions.can_subscribe
        allowed = owner.lets(self._member, track_id)
        if self._plays:
            if not allowed:
                self._subscriber.unsubscribe(track_id)
            self._subscriber.mark_changed()
            return
        if wanted and allowed:
            self._subscriber.subscribe(publication)
        else:
            self._subscriber.unsubscribe(track_id)
        if (wanted and not allowed) or track_id in self._told:
            self._tell(publication, allowed)

    def _tell(self, publication: Publication, allowed: bool) -> None:
        if self._told.get(publication.track_id) is not allowed:
            self._told[publication.track_id] = allowed
            self._member.emit(self._news(publication, allowed))

    def repeat(self, publication: Publication) -> None:
        """The client was away: it may have missed what it was told of this track."""
        allowed = self._told.get(publication.track_id)
        if allowed is not None:
            self._member.emit(self._news(publication, allowed))

    @staticmethod
    def _news(publication: Publication, allowed: bool) -> SubscriptionAllowed:
        return SubscriptionAllowed(publication.owner.info.participant_id, publication.track_id, allowed)

    def forget_all(self) -> None:
        """In another room there are others."""
        self._chosen.clear()
        self._told.clear()

    def forget(self, track_id: TrackId) -> None:
        """There is no such track any more."""
        self._chosen.pop(track_id, None)
        self._told.pop(track_id, None)
