"""Messages as WebSocket frames; those that go to many connections are converted and serialised once.

A change of one participant goes to everyone in the room, and who joins a large room hears of everyone in it. The same
event object reaches every connection, one after another, so the last one's frames are worth keeping.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from sfu.api import ParticipantInfo, SessionEvent
from sfu.ids import ParticipantId
from signaling import strict_json
from signaling.livekit import convert

MAX_PARTICIPANTS = 4096

Frame = bytes | str


def serialize(response: rtc.SignalResponse, *, text: bool) -> Frame:
    """Binary frames hold protobuf, text frames its JSON form."""
    return json_format.MessageToJson(response, indent=None) if text else response.SerializeToString()


def parse_request(payload: bytes | str) -> rtc.SignalRequest | None:
    """A frame as a message: binary frames hold protobuf, text frames its JSON form. None when it is neither."""
    try:
        if isinstance(payload, bytes):
            return rtc.SignalRequest.FromString(payload)
        value = strict_json.loads(payload)
        if not isinstance(value, dict):
            return None
        return json_format.ParseDict(value, rtc.SignalRequest(), ignore_unknown_fields=True)
    except (DecodeError, json_format.ParseError, ValueError, TypeError):
        return None


class Frames:
    """One per application."""

    def __init__(self) -> None:
        self._participants: OrderedDict[ParticipantId, tuple[ParticipantInfo, models.ParticipantInfo]] = OrderedDict()
        self._event: SessionEvent | None = None
        self._frames: dict[bool, Frame] = {}

    def participants(self, infos: Iterable[ParticipantInfo]) -> list[models.ParticipantInfo]:
        """As messages, which must not be changed: others get the same ones."""
        return [self._participant(info) for info in infos]

    def _participant(self, info: ParticipantInfo) -> models.ParticipantInfo:
        known = self._participants.get(info.participant_id)
        if known is not None and known[0] is info:
            return known[1]
        message = convert.participant(info)
        self._participants[info.participant_id] = info, message
        self._participants.move_to_end(info.participant_id)
        if len(self._participants) > MAX_PARTICIPANTS:
            self._participants.popitem(last=False)
        return message

    def frame(self, event: SessionEvent, make: Callable[[], rtc.SignalResponse], *, text: bool) -> Frame:
        """The frame of `event`; `make` is called when it is another event than last time."""
        if event is not self._event:
            self._event, self._frames = event, {}
        if text not in self._frames:
            self._frames[text] = serialize(make(), text=text)
        return self._frames[text]
