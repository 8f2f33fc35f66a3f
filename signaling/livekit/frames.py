"""Messages as WebSocket frames; those that go to many connections are converted and serialised once.

A change of one participant goes to everyone in the room, and who joins a large room hears of everyone in it. The same
event object reaches every connection, one after another, so the last one's frames are worth keeping.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from sfu.api import ParticipantInfo, SessionEvent
from sfu.ids import ParticipantId
from signaling import strict_json
from signaling.livekit import convert

MAX_PARTICIPANTS = 4096
_LENGTH_DELIMITED = 2

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


def as_field(number: int, encoded: bytes) -> bytes:
    """A serialised message as field `number` of another: such pieces, put together, are that other one serialised, and
    a repeated field is there several times (https://protobuf.dev/programming-guides/encoding/)."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(encoded)) + encoded


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


class _Known:
    """A participant as everybody is told of it."""

    __slots__ = ("encoded", "info", "message")

    def __init__(self, info: ParticipantInfo, before: _Known | None) -> None:
        self.info = info
        if before is not None and replace(info, state=before.info.state, version=before.info.version) == before.info:
            # Who has just come is told of three times, and nothing else is new.
            self.message = models.ParticipantInfo()
            self.message.CopyFrom(before.message)
            convert.set_state(self.message, info)
        else:
            self.message = convert.participant(info)
        self.encoded = b""
        """Once somebody has asked, as `other_participants` of a JoinResponse."""


class Frames:
    """One per application."""

    def __init__(self) -> None:
        self._participants: OrderedDict[ParticipantId, _Known] = OrderedDict()
        self._event: SessionEvent | None = None
        self._frames: dict[bool, Frame] = {}

    def participant(self, info: ParticipantInfo) -> models.ParticipantInfo:
        """As a message, which must not be changed."""
        return self._participant(info).message

    def participants(self, infos: Iterable[ParticipantInfo]) -> list[models.ParticipantInfo]:
        """As messages, which must not be changed: others get the same ones."""
        return [self._participant(info).message for info in infos]

    def other_participants(self, infos: Iterable[ParticipantInfo]) -> bytes:
        """That part of a JoinResponse: who comes into a large room hears of many, and so does the next one."""
        return b"".join(map(self._encoded, infos))

    def _encoded(self, info: ParticipantInfo) -> bytes:
        known = self._participant(info)
        if not known.encoded:
            known.encoded = as_field(
                rtc.JoinResponse.OTHER_PARTICIPANTS_FIELD_NUMBER, known.message.SerializeToString()
            )
        return known.encoded

    def _participant(self, info: ParticipantInfo) -> _Known:
        known = self._participants.get(info.participant_id)
        if known is not None and known.info is info:
            return known
        known = self._participants[info.participant_id] = _Known(info, known)
        self._participants.move_to_end(info.participant_id)
        if len(self._participants) > MAX_PARTICIPANTS:
            self._participants.popitem(last=False)
        return known

    def frame(self, event: SessionEvent, make: Callable[[], rtc.SignalResponse], *, text: bool) -> Frame:
        """The frame of `event`; `make` is called when it is another event than last time."""
        if event is not self._event:
            self._event, self._frames = event, {}
        if text not in self._frames:
            self._frames[text] = serialize(make(), text=text)
        return self._frames[text]
