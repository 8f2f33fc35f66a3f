"""A caller without signaling: `sfu.api` on one side, aiortc's own peer connections on the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcdatachannel import RTCDataChannel

from sfu.api import (
    AddTrackRequest,
    JoinRequest,
    Kind,
    ParticipantSession,
    PublicationInfo,
    SessionEvent,
    Sfu,
    SubscriberOffer,
    TrackPublished,
    TrackSource,
)
from sfu.ids import Identity, RoomName
from tests.harness.waiting import eventually

DEADLINE_S = 15.0
EventT = TypeVar("EventT")


class RawCaller:
    """Answers every subscriber offer by itself; keeps every event in `events`."""

    def __init__(self, sfu: Sfu, session: ParticipantSession | None = None) -> None:
        self.sfu = sfu
        self.events: list[SessionEvent] = []
        self.tracks: list[MediaStreamTrack] = []
        self.channels: dict[str, RTCDataChannel] = {}
        self.messages: list[tuple[str, bytes]] = []
        self.offers: list[str] = []
        self.answering = True
        self._changed = asyncio.Event()
        self._session = session
        self._work: asyncio.Queue[SubscriberOffer] = asyncio.Queue()
        self._task = asyncio.create_task(self._answer())
        self.subscriber = RTCPeerConnection()
        self.publisher = RTCPeerConnection()
        self.publisher_channels = {
            "_reliable": self.publisher.createDataChannel("_reliable"),
            "_lossy": self.publisher.createDataChannel("_lossy", maxRetransmits=0),
        }
        self.subscriber.on("track", self._handle_track)
        self.subscriber.on("datachannel", self._handle_channel)

    @property
    def session(self) -> ParticipantSession:
        assert self._session is not None
        return self._session

    async def join(self, room: str, identity: str, **more: object) -> RawCaller:
        request = JoinRequest(RoomName(room), Identity(identity), **more)  # type: ignore[arg-type]
        self._session = await self.sfu.join(request, self.sink)
        self._session.start()
        return self

    def sink(self, event: SessionEvent) -> None:
        self.events.append(event)
        if isinstance(event, SubscriberOffer):
            self.offers.append(event.sdp)
            self._work.put_nowait(event)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what an event of the SFU or of a peer connection makes true."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def event(self, kind: type[EventT], matches: Callable[[EventT], bool] = lambda _event: True) -> EventT:
        def found() -> list[EventT]:
            return [event for event in self.events if isinstance(event, kind) and matches(event)]

        await self.until(lambda: bool(found()))
        return found()[-1]

    async def announce(self, cid: str, kind: Kind, source: TrackSource, **more: object) -> PublicationInfo:
        self.session.add_track(AddTrackRequest(cid=cid, kind=kind, source=source, **more))  # type: ignore[arg-type]
        return (await self.event(TrackPublished, lambda event: event.cid == cid)).publication

    async def publish(self, track: MediaStreamTrack, source: TrackSource) -> PublicationInfo:
        publication = await self.announce(track.id, Kind(track.kind), source)
        self.publisher.addTrack(track)
        await self.negotiate()
        return publication

    async def negotiate(self) -> None:
        await self.publisher.setLocalDescription(await self.publisher.createOffer())
        answer = await self.session.handle_offer(self.publisher.localDescription.sdp)
        await self.publisher.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))

    async def open_publisher_data(self) -> None:
        """Negotiate data only and wait until both channels are open."""
        for channel in self.publisher_channels.values():
            channel.on("open", self._changed.set)
        await self.negotiate()
        await self.until(lambda: all(c.readyState == "open" for c in self.publisher_channels.values()))

    async def _answer(self) -> None:
        while True:
            offer = await self._work.get()
            if not self.answering:
                continue
            await self.subscriber.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            await self.subscriber.setLocalDescription(await self.subscriber.createAnswer())
            self.session.handle_answer(self.subscriber.localDescription.sdp, offer.offer_id)

    def _handle_track(self, track: MediaStreamTrack) -> None:
        self.tracks.append(track)
        self._changed.set()

    def _handle_channel(self, channel: RTCDataChannel) -> None:
        self.channels[channel.label] = channel

        def received(message: bytes | str) -> None:
            self.messages.append((channel.label, message if isinstance(message, bytes) else message.encode()))
            self._changed.set()

        channel.on("message", received)
        self._changed.set()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for peer in (self.publisher, self.subscriber):
            # aiortc's handshake does not like its ICE transport to go away under it.
            await eventually(lambda peer=peer: peer.connectionState != "connecting", "a peer connection at rest")
            await peer.close()


async def all_joined(sfu: Sfu, room: str, identities: Sequence[str]) -> list[RawCaller]:
    """Callers in one room whose subscriber data channels are open."""
    callers = [await RawCaller(sfu).join(room, identity) for identity in identities]
    for caller in callers:
        await caller.until(lambda caller=caller: len(caller.channels) >= 2)  # type: ignore[misc]
    return callers
