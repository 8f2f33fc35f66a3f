"""Chat of SDK clients and the log of a room that lasts: what one says in either place is heard in both.

SDKs send chat as text streams of the topic `lk.chat`, older ones as a ChatMessage; both enter the log once the SFU has
passed them on. What enters the log from elsewhere goes to everybody in the call as such a stream. Encrypted packets are
nobody's business here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sfu.api import DataKind, ParticipantSession, RequestError, Sfu
from sfu.ids import Identity, RoomName
from signaling.errors import ApiError, DatabaseError
from signaling.log.entries import Entry, Verb
from signaling.log.log import Log
from signaling.rooms.door import Door
from signaling.rooms.homes import Homes
from signaling.rooms.roles import member_id_of

if TYPE_CHECKING:
    from livekit.protocol import models

_log = logging.getLogger("ting.log")
TOPIC = "lk.chat"
_CHAT = frozenset({"chat_message", "stream_header", "stream_trailer"})
"""Payloads that begin or end something that was said."""
_MAX_STREAMS = 1000
"""That are under way in all calls together; beyond, the oldest is forgotten."""
_MAX_WAITING = 1000
_MAX_OWN = 1000


@dataclass(slots=True)
class _Stream:
    recipient: str
    text: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class _Said:
    room: RoomName
    identity: Identity
    name: str
    message_id: str
    text: str
    recipient: str


class ChatBridge:
    """`key_of` gives the room's key of a call, None when its room does not last; `name_of` the way back."""

    def __init__(
        self,
        sfu: Sfu,
        log: Log,
        door: Door,
        homes: Homes,
        *,
        key_of: Callable[[RoomName], int | None],
        name_of: Callable[[int], RoomName | None],
        max_bytes: int,
    ) -> None:
        self._sfu = sfu
        self._log_of_rooms = log
        self._door = door
        self._homes = homes
        self._key_of = key_of
        self._name_of = name_of
        self._max_bytes = max_bytes
        self._streams: OrderedDict[tuple[str, str], _Stream] = OrderedDict()
        self._own: OrderedDict[tuple[int, str], None] = OrderedDict()
        """Messages that everybody in the call has already."""
        self._queue: asyncio.Queue[_Said] = asyncio.Queue(_MAX_WAITING)
        self._task: asyncio.Task[None] | None = None
        log.add_observer(self._handle_entry)

    # --- from the call ----------------------------------------------------------------------------------------

    def handle_packet(self, session: ParticipantSession, packet: models.DataPacket) -> None:
        """A packet that was passed on. Nearly all are no chat, and cost nothing here."""
        kind, recipient = packet.WhichOneof("value"), ""
        if kind == "stream_chunk":
            self._take_chunk(session, packet.stream_chunk)
        if kind not in _CHAT or self._key_of(session.room_name) is None:
            return
        if packet.destination_identities:
            if len(packet.destination_identities) > 1:
                return  # For some: the log knows only everybody and one.
            recipient = member_id_of(packet.destination_identities[0])
        if kind == "chat_message":
            chat = packet.chat_message
            if not chat.HasField("edit_timestamp"):
                self._say(session, chat.id, chat.message, recipient)
        elif kind == "stream_header" and packet.stream_header.topic == TOPIC:
            header = packet.stream_header
            if header.WhichOneof("content_header") == "text_header" and not header.text_header.version:
                self._streams[session.info.participant_id, header.stream_id] = _Stream(recipient)
                while len(self._streams) > _MAX_STREAMS:
                    self._streams.popitem(last=False)
        elif kind == "stream_trailer":
            stream = self._streams.pop((session.info.participant_id, packet.stream_trailer.stream_id), None)
            if stream is not None and not packet.stream_trailer.reason:
                text = stream.text.decode("utf-8", "replace")
                self._say(session, packet.stream_trailer.stream_id, text, stream.recipient)

    def _take_chunk(self, session: ParticipantSession, chunk: models.DataStream.Chunk) -> None:
        if not self._streams:
            return
        key = session.info.participant_id, chunk.stream_id
        stream = self._streams.get(key)
        if stream is None:
            return
        stream.text += chunk.content
        if len(stream.text) > self._max_bytes:
            del self._streams[key]

    def _say(self, session: ParticipantSession, message_id: str, text: str, recipient: str) -> None:
        said = _Said(session.room_name, session.info.identity, session.info.name, message_id, text, recipient)
        try:
            self._queue.put_nowait(said)
        except asyncio.QueueFull:
            return
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work_on())

    async def _work_on(self) -> None:
        while True:
            said = await self._queue.get()
            try:
                await self._write(said)
            except (ApiError, DatabaseError) as error:
                _log.info("a chat message did not enter the log: %s", error)
            except Exception:
                _log.exception("a chat message failed")

    async def _write(self, said: _Said) -> None:
        actor = await self._door.participant(said.room, said.identity, said.name)
        if actor is None:
            return
        body = {"text": said.text}
        draft = self._log_of_rooms.draft(actor, Verb.MESSAGE, body, said.message_id, recipient=said.recipient)
        self._own[actor.room_key, said.message_id] = None
        while len(self._own) > _MAX_OWN:
            self._own.popitem(last=False)
        await self._log_of_rooms.write(draft)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    # --- from the log -----------------------------------------------------------------------------------------

    def _handle_entry(self, room_key: int, entry: Entry) -> None:
        room = self._name_of(room_key)
        if room is None or entry.verb is not Verb.MESSAGE or entry.body is None or "sealed" in entry.body:
            return
        if self._own.pop((room_key, entry.client_id), ...) is None:
            return
        packets = [packet.SerializeToString() for packet in _as_stream(entry)]
        for place in self._homes.rooms_of(room):
            self._send(place, packets, entry)

    def _send(self, room: RoomName, packets: list[bytes], entry: Entry) -> None:
        destinations = [
            person.identity
            for person in self._sfu.participants(room)
            if entry.visible_to(member_id_of(person.identity)) and member_id_of(person.identity) != entry.sender
        ]
        for packet in packets if destinations else ():
            try:
                self._sfu.send_data(room, DataKind.RELIABLE, packet, destinations)
            except RequestError:
                return  # The call has ended meanwhile.


def _as_stream(entry: Entry) -> list[models.DataPacket]:
    """As SDKs send a text: header, one chunk (an entry is shorter than one), trailer."""
    from livekit.protocol import models  # large, and a server without calls needs nothing of it

    assert entry.body is not None
    text, stream_id = entry.body["text"].encode(), entry.client_id
    header = models.DataStream.Header(
        stream_id=stream_id,
        timestamp=entry.at_ms,
        topic=TOPIC,
        mime_type="text/plain",
        total_length=len(text),
        text_header=models.DataStream.TextHeader(),
        attributes={"ting.seq": str(entry.seq), "ting.name": entry.name},
    )
    chunk = models.DataStream.Chunk(stream_id=stream_id, content=text)
    trailer = models.DataStream.Trailer(stream_id=stream_id)
    packets = [
        models.DataPacket(stream_header=header),
        models.DataPacket(stream_chunk=chunk),
        models.DataPacket(stream_trailer=trailer),
    ]
    for packet in packets:
        packet.kind = models.DataPacket.RELIABLE
        packet.participant_identity = entry.sender
    return packets
