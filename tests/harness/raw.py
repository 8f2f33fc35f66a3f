"""A participant made of signalling alone: it announces tracks, offers and answers as a client does, and sends no media.

Light enough to fill a room with. Its session descriptions are written by hand, so it is also a second opinion on
what the server writes: `answer_for` refuses an offer that breaks the rules of renegotiation.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
from livekit.protocol import models, rtc

from tests.harness.server import make_token

TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Section:
    """One media section of a session description, as text lines."""

    lines: tuple[str, ...]

    @property
    def kind(self) -> str:
        return self.lines[0].removeprefix("m=").split(" ")[0]

    @property
    def port(self) -> int:
        return int(self.lines[0].split(" ")[1])

    def value(self, name: str) -> str:
        """The first attribute of that name, empty when there is none."""
        return next((line.removeprefix(f"a={name}:") for line in self.lines if line.startswith(f"a={name}:")), "")


def split_sections(sdp: str) -> tuple[list[str], list[Section]]:
    """Session lines and media sections."""
    parts = ("\n" + sdp.replace("\r\n", "\n").strip()).split("\nm=")
    head = parts[0].strip().split("\n")
    return head, [Section(tuple(("m=" + part).split("\n"))) for part in parts[1:]]


class RawParticipant:
    def __init__(self, room: str, identity: str) -> None:
        self.room, self.identity = room, identity
        self.others: dict[str, models.ParticipantInfo] = {}
        self.offers = 0
        self.left: rtc.LeaveRequest | None = None
        """The server's goodbye."""
        self.received: dict[str, str] = {}
        """Track id by mid, of the sections of the newest offer that carry something."""
        self._published: dict[str, models.TrackInfo] = {}
        self._answers: list[str] = []
        self._ufrag, self._pwd = secrets.token_hex(4), secrets.token_hex(16)
        self._fingerprint = ":".join(f"{byte:02X}" for byte in secrets.token_bytes(32))
        self._sections: list[Section] = []
        self._own_sections: list[list[str]] = []
        self._socket: aiohttp.ClientWebSocketResponse
        self._task: asyncio.Task[None]
        self._pinger: asyncio.Task[None]
        self._changed = asyncio.Event()

    async def join(self, http: aiohttp.ClientSession, url: str) -> RawParticipant:
        query = {"access_token": make_token(self.room, self.identity), "protocol": "16", "auto_subscribe": "1"}
        self._socket = await http.ws_connect(f"{url}/rtc", params=query)
        response = await self._receive()
        assert response is not None, "closed before join"
        assert response.WhichOneof("message") == "join", response.WhichOneof("message")
        self._update(response.join.other_participants)
        self._task = asyncio.create_task(self._run())
        self._pinger = asyncio.create_task(self._ping(response.join.ping_interval))
        return self

    async def leave(self) -> None:
        self._pinger.cancel()
        await self._send(rtc.SignalRequest(leave=rtc.LeaveRequest(reason=models.DisconnectReason.CLIENT_INITIATED)))
        await self._socket.close()
        await self._task

    async def freeze(self) -> None:
        """From now on neither read nor write, as a client whose machine went to sleep."""
        self._pinger.cancel()
        self._task.cancel()
        await asyncio.gather(self._task, self._pinger, return_exceptions=True)

    async def publish_camera_and_microphone(self) -> None:
        """Announce both, wait for their ids, then offer them in one description."""
        for kind, name in ((models.TrackType.AUDIO, "audio"), (models.TrackType.VIDEO, "video")):
            request = rtc.AddTrackRequest(cid=name, type=kind, name=name, width=320, height=180)
            await self._send(rtc.SignalRequest(add_track=request))
        await self.until(lambda: len(self._published) == 2, "both tracks to be published")
        self._own_sections = [self._data_section("0"), self._audio_section("1"), self._video_section("2")]
        _, answered = split_sections(await self.offer(self._description(self._own_sections, "actpass")))
        assert len(answered) == len(self._own_sections), "the answer has other media sections than the offer"
        assert all(section.port for section in answered), "the answer rejects a section"

    async def offer(self, sdp: str) -> str:
        """Offer for the publisher connection; gives the answer."""
        number = len(self._answers) + 1
        await self._send(rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp=sdp, id=number)))
        await self.until(lambda: len(self._answers) == number, "the answer")
        return self._answers[-1]

    async def flood_offers(self, count: int) -> None:
        """Good offers, one right after the other."""
        offer = self._description([self._data_section("0")], "actpass")
        for number in range(count):
            await self._send(rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp=offer, id=number + 1)))

    async def until(self, probe: Callable[[], bool], what: str, timeout: float = TIMEOUT_S) -> None:
        """Evaluate `probe` at every message until it is true."""
        try:
            async with asyncio.timeout(timeout):
                while not probe():
                    assert not self._task.done(), f"{self.identity}: the connection ended while waiting for {what}"
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{self.identity} waited {timeout} s in vain for {what}") from None

    # --- the connection ---------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while (response := await self._receive()) is not None:
                await self._handle(response)
                self._changed.set()
        finally:
            self._changed.set()

    async def _ping(self, interval_s: int) -> None:
        while True:
            await asyncio.sleep(interval_s)
            await self._send(rtc.SignalRequest(ping_req=rtc.Ping(timestamp=time.time_ns() // 1_000_000)))

    async def _handle(self, response: rtc.SignalResponse) -> None:
        kind = response.WhichOneof("message")
        if kind == "update":
            self._update(response.update.participants)
        elif kind == "offer":
            sdp = self.answer_for(response.offer.sdp)
            self.offers += 1
            answer = rtc.SessionDescription(type="answer", sdp=sdp, id=response.offer.id)
            await self._send(rtc.SignalRequest(answer=answer))
        elif kind == "answer":
            self._answers.append(response.answer.sdp)
        elif kind == "leave":
            self.left = response.leave
        elif kind == "track_published":
            self._published[response.track_published.cid] = response.track_published.track

    def _update(self, participants: object) -> None:
        for info in participants:  # type: ignore[attr-defined]
            if info.state == models.ParticipantInfo.DISCONNECTED:
                self.others.pop(info.identity, None)
            elif info.identity != self.identity:
                self.others[info.identity] = info

    async def _send(self, request: rtc.SignalRequest) -> None:
        await self._socket.send_bytes(request.SerializeToString())

    async def _receive(self) -> rtc.SignalResponse | None:
        message = await self._socket.receive()
        if message.type is not aiohttp.WSMsgType.BINARY:
            return None
        return rtc.SignalResponse.FromString(message.data)

    # --- session descriptions ---------------------------------------------------------------------

    def answer_for(self, offer: str) -> str:
        """An answer that takes everything. AssertionError for an offer that RFC 8829 and RFC 9143 do not allow."""
        head, sections = split_sections(offer)
        assert len(sections) >= len(self._sections), "an offer lost media sections"
        for before, now in zip(self._sections, sections, strict=False):
            assert before.kind == now.kind, "a media section changed its kind"
            if before.port and now.port:
                assert before.value("mid") == now.value("mid"), "a section in use changed its mid"
        active = [section for section in sections if section.port]
        mids = [section.value("mid") for section in active]
        assert len(set(mids)) == len(mids), f"mids repeat: {mids}"
        bundle = next((line for line in head if line.startswith("a=group:BUNDLE")), "")
        assert bundle.split(" ")[1:] == mids, "the bundle is not the sections in use"
        ssrcs = [line.split(" ")[0] for one in active for line in one.lines if line.startswith("a=ssrc:")]
        per_section = [{line.split(" ")[0] for line in one.lines if line.startswith("a=ssrc:")} for one in active]
        assert len(set(ssrcs)) == sum(len(one) for one in per_section), "two sections share an SSRC"
        self._sections = sections
        self.received = {
            one.value("mid"): one.value("msid").split(" ")[0].rpartition("|")[2]
            for one in active
            if one.kind != "application"
        }
        return self._description([self._answer_section(one) for one in sections], "active")

    def _answer_section(self, section: Section) -> list[str]:
        if not section.port:
            return [section.lines[0], f"a=mid:{section.value('mid')}"]
        kept = ("a=mid:", "a=rtpmap:", "a=fmtp:", "a=rtcp-fb:", "a=extmap:", "a=sctp-port:", "a=max-message-size:")
        lines = [section.lines[0], "c=IN IP4 0.0.0.0", *(one for one in section.lines if one.startswith(kept))]
        return lines if section.kind == "application" else [*lines, "a=recvonly", "a=rtcp-mux"]

    def _description(self, sections: list[list[str]], setup: str) -> str:
        mids = [line.removeprefix("a=mid:") for one in sections for line in one if line.startswith("a=mid:")]
        used = [mid for mid, one in zip(mids, sections, strict=True) if one[0].split(" ")[1] != "0"]
        transport = [
            f"a=ice-ufrag:{self._ufrag}", f"a=ice-pwd:{self._pwd}", f"a=fingerprint:sha-256 {self._fingerprint}",
            f"a=setup:{setup}",
        ]  # fmt: skip
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE " + " ".join(used)]
        for one in sections:
            lines += one + (transport if one[0].split(" ")[1] != "0" else [])
        return "\r\n".join(lines) + "\r\n"

    @staticmethod
    def _data_section(mid: str) -> list[str]:
        return [
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", f"a=mid:{mid}",
            "a=sctp-port:5000", "a=max-message-size:65536",
        ]  # fmt: skip

    @staticmethod
    def _audio_section(mid: str) -> list[str]:
        return [
            "m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 0.0.0.0", f"a=mid:{mid}", "a=sendonly", "a=rtcp-mux",
            "a=rtpmap:111 opus/48000/2", "a=msid:stream audio", f"a=ssrc:{1 + secrets.randbits(31)} cname:raw",
        ]  # fmt: skip

    @staticmethod
    def _video_section(mid: str) -> list[str]:
        return [
            "m=video 9 UDP/TLS/RTP/SAVPF 96", "c=IN IP4 0.0.0.0", f"a=mid:{mid}", "a=sendonly", "a=rtcp-mux",
            "a=rtpmap:96 VP8/90000", "a=rtcp-fb:96 nack", "a=rtcp-fb:96 nack pli", "a=msid:stream video",
            f"a=ssrc:{1 + secrets.randbits(31)} cname:raw",
        ]  # fmt: skip
