"""WHIP and WHEP with aiortc as the peer and aiohttp for the requests."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any
from urllib.parse import quote, urljoin

import aiohttp
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from multidict import CIMultiDictProxy

from tests.harness import pattern, tone
from tests.harness.waiting import eventually

SDP = "application/sdp"
SDP_FRAGMENT = "application/trickle-ice-sdpfrag"
FRAMES_TIMEOUT_S = 60.0


class PatternTrack(VideoStreamTrack):  # type: ignore[misc]
    """The pattern of `source_id`."""

    def __init__(self, source_id: int, size: tuple[int, int] = (320, 180)) -> None:
        super().__init__()
        self.number = 0
        self._source_id, self._size = source_id, size

    async def recv(self) -> av.VideoFrame:
        pts, time_base = await self.next_timestamp()
        width, height = self._size
        data = np.frombuffer(pattern.draw(width, height, pattern.Mark(self._source_id, self.number)), dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(data.reshape(height * 3 // 2, width), format="yuv420p")
        frame.pts, frame.time_base = pts, time_base
        self.number = (self.number + 1) % 0x10000
        return frame


class ToneTrack(AudioStreamTrack):  # type: ignore[misc]
    """A sine tone, 20 ms at a time."""

    def __init__(self, frequency_hz: float) -> None:
        super().__init__()
        self._frequency_hz = frequency_hz
        self._first = 0
        self._begin_s = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        samples = 960
        await asyncio.sleep(self._begin_s + self._first / tone.SAMPLE_RATE - time.monotonic())
        data = tone.sine(self._frequency_hz, self._first, samples).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(data, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = tone.SAMPLE_RATE, self._first, Fraction(1, tone.SAMPLE_RATE)
        self._first += samples
        return frame


class HttpPeer:
    """One peer connection and the session that its POST made."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        self.peer = RTCPeerConnection()
        self.url, self.token = url, token
        self.location = ""
        self.etag = ""
        self.tracks: list[MediaStreamTrack] = []
        self.answer = ""
        self.links: list[str] = []
        self.http = http
        self.peer.on("track", self.tracks.append)

    async def request(self, method: str, url: str = "", **options: Any) -> tuple[int, CIMultiDictProxy[str], str]:
        """Status, headers and body, with the token unless `headers` has one."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        async with self.http.request(method, url or self.location, headers=headers, **options) as response:
            return response.status, response.headers, await response.text()

    async def post(self) -> HttpPeer:
        """Offer what was added to the peer connection, and take the answer."""
        await self.peer.setLocalDescription(await self.peer.createOffer())
        offer = self.peer.localDescription.sdp
        status, headers, text = await self.request("POST", self.url, data=offer, headers={"Content-Type": SDP})
        assert status == 201, (status, text)
        self.answer = text
        self.location, self.etag = urljoin(self.url, headers["Location"]), headers["ETag"]
        self.links = headers.getall("Link", [])
        await self.peer.setRemoteDescription(RTCSessionDescription(text, "answer"))
        return self

    async def connected(self) -> HttpPeer:
        await eventually(lambda: self.peer.connectionState == "connected", "the peer connection to be connected")
        return self

    async def marks(self, done: Callable[[list[pattern.Mark]], bool]) -> list[pattern.Mark]:
        """Read the received video until `done` says so of all readable marks."""
        track = next(track for track in self.tracks if track.kind == "video")
        seen: list[pattern.Mark] = []
        try:
            async with asyncio.timeout(FRAMES_TIMEOUT_S):
                while not done(seen):
                    frame = await track.recv()
                    mark = pattern.read(frame.to_ndarray(format="gray"))
                    if mark is not None:
                        seen.append(mark)
        except TimeoutError:
            raise AssertionError(f"waited {FRAMES_TIMEOUT_S} s; last marks {seen[-5:]}") from None
        return seen

    async def width(self, width: int) -> None:
        """Read the received video until it has that width."""
        track = next(track for track in self.tracks if track.kind == "video")
        seen = []
        try:
            async with asyncio.timeout(FRAMES_TIMEOUT_S):
                while seen[-1:] != [width]:
                    seen.append((await track.recv()).width)
        except TimeoutError:
            raise AssertionError(f"no frame was {width} wide; last {seen[-5:]}") from None

    def link(self, relation: str) -> str:
        """The URL of the answer's link with that relation."""
        (value,) = [link for link in self.links if f'rel="{relation}"' in link]
        return urljoin(self.url, value[1 : value.index(">")])

    async def close(self) -> None:
        await eventually(lambda: self.peer.connectionState != "connecting", "a peer connection at rest")
        await self.peer.close()


class EventReader:
    """Reads one stream of server-sent events; `wait` looks at what came before too."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None]

    @classmethod
    async def open(cls, peer: HttpPeer, url: str, *names: str) -> EventReader:
        status, headers, text = await peer.request("POST", url, json=names)
        assert status == 201, text
        reader = cls()
        reader._task = asyncio.create_task(reader._run(peer.http, urljoin(url, headers["Location"])))
        return reader

    async def _run(self, http: aiohttp.ClientSession, url: str) -> None:
        async with http.get(url) as response:
            assert response.status == 200
            name = ""
            async for line in response.content:
                key, _, value = line.decode().strip().partition(": ")
                if key == "event":
                    name = value
                elif key == "data":
                    self.events.append((name, json.loads(value)))
                    self._changed.set()

    async def wait(self, name: str, matches: Callable[[Any], bool] = lambda _data: True) -> Any:
        try:
            async with asyncio.timeout(FRAMES_TIMEOUT_S):
                while True:
                    self._changed.clear()
                    for event, data in self.events:
                        if event == name and matches(data):
                            return data
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"no event {name}; last {self.events[-5:]}") from None

    async def ended(self) -> None:
        """The server ends the stream."""
        await asyncio.wait_for(self._task, FRAMES_TIMEOUT_S)


def whip_url(server_url: str, room: str) -> str:
    return f"{server_url}/whip/{quote(room, safe='')}"


def whep_url(server_url: str, *parts: str) -> str:
    return f"{server_url}/whep/" + "/".join(quote(part, safe="") for part in parts)
