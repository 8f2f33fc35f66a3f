"""A participant goes on in another room, with the same transports and publications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sfu.api import (
    LeaveReason,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantState,
    ParticipantsUpdated,
    PublicationEnded,
    PublicationStarted,
    RoomMoved,
)
from sfu.control.context import ControlContext
from sfu.control.forwarding import ended
from sfu.control.participant import Participant
from sfu.control.publish.publication import Publication
from sfu.control.room import Room
from sfu.errors import RequestError


def move(participant: Participant, room: Room, context: ControlContext) -> None:
    """Raises left, not_connected or limit_exceeded; then nothing has changed."""
    if participant.ended:
        raise RequestError("the participant has left", code="left")
    if participant.info.state is not ParticipantState.ACTIVE or participant.away:
        raise RequestError("the participant is not connected now", code="not_connected")
    room.make_place(participant.info.identity, participant.info.kind)
    before, publications, left = participant.info, participant.publications, participant.room
    _leave(participant, publications, context)
    participant.become(replace(before, version=before.version + 1))
    participant.enter(room)
    room.add(participant)
    room.talk_times.take_over(left.talk_times, participant.info.identity)
    participant.emit(RoomMoved(room.info, participant.info, participant.others(), before.participant_id))
    room.broadcast_info(participant)
    context.notify(ParticipantJoined(room.info, participant.info))
    for publication in publications:
        context.notify(PublicationStarted(room.info, participant.info, publication.info))
        room.announce(publication)
    for track in participant.data_publisher.tracks:
        room.announce_data_track(track)
    participant.review_all()


def _leave(participant: Participant, publications: Sequence[Publication], context: ControlContext) -> None:
    """As if it had left, for everyone but itself, who sees everyone else leave."""
    room = participant.room
    participant.subscriber.unsubscribe_all()
    participant.messages.release()
    participant.wishes.forget_all()
    participant.end_data()
    participant.stop_forwarding()
    for publication in publications:
        publication.end_subscriptions()
        room.withdraw(publication)
        context.notify(PublicationEnded(room.info, participant.info, publication.info))
    others = [ended(info, LeaveReason.MIGRATION) for info in participant.others()]
    participant.become(ended(participant.info, LeaveReason.MIGRATION))
    room.broadcast_info(participant)
    timeline = room.remove(participant)
    context.notify(ParticipantLeft(room.info, participant.info, timeline))
    # Not every client forgets them when it hears that it was moved.
    participant.emit(ParticipantsUpdated(others))
