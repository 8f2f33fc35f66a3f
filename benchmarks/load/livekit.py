"""A simulated participant of any server that speaks the LiveKit protocol, in the dialect with two connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp
from livekit.protocol import models, rtc

from benchmarks.load import sdp
from benchmarks.load.errors import LoadError
from benchmarks.load.participant import MediaParticipant, Seat
from benchmarks.load.transport import Address, Generator, MediaTransport, choose_address, dtls_client
from sfu.sdp.model import RemoteDescription

PROTOCOL = 15
_PUBLISHER, _SUBSCRIBER = rtc.SignalTarget.PUBLISHER, rtc.SignalTarget.SUBSCRIBER
_SOURCES = {True: models.TrackSource.CAMERA, False: models.TrackSource.MICROPHONE}
_QUALITIES = (models.VideoQuality.LOW, models.VideoQuality.MEDIUM, models.VideoQuality.HIGH)


class LiveKitParticipant(MediaParticipant):
    """Joins with `token`, publishes one track per entry of `publish`, receives everything when `subscribe`."""

    def __init__(
        self,
        generator: Generator,
        http: aiohttp.ClientSession,
        url: str,
        token: str,
        seat: Seat,
        *,
        nack: bool,
        timeout_s: float,
    ) -> None:
        super().__init__(generator, nack=nack, sample=seat.sample)
        self._http, self._url, self._token = http, url, token
        self._host = urlsplit(url).hostname or "127.0.0.1"
        self._tracks = [sdp.OutgoingTrack(f"track{index}", clips) for index, clips in enumerate(seat.publish)]
        self._subscribe = seat.subscribe
        self._start_in_s, self._timeout_s = seat.start_in_s, timeout_s
        self._heeds_wishes = seat.heeds_wishes
        self._wishes: dict[str, frozenset[int]] = {}
        """By track id, the qualities that somebody wants."""
        self._publisher: MediaTransport | None = None
        self._subscriber: MediaTransport | None = None
        self._candidates: dict[int, list[str]] = {_PUBLISHER: [], _SUBSCRIBER: []}
        self._changed = asyncio.Event()
        self._published: dict[str, str] = {}
        self._answer = ""
        self._streams: list[sdp.IncomingStream] = []
        self._subscribed = asyncio.Event()
        self._failure: LoadError | None = None
        self._leaving = False
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def join(self) -> None:
        self.mark_started()
        try:
            async with asyncio.timeout(self._timeout_s):
                join = await self._open()
                self.timings.signalled_s = time.monotonic()
                self._tasks.append(asyncio.create_task(self._read()))
                self._tasks.append(asyncio.create_task(self._ping(join.ping_interval or 10)))
                if self._tracks:
                    await self._publish()
                if self._subscribe:
                    await self._until(self._subscribed.is_set)
                    assert self._subscriber is not None
                    self.timings.connected_s = self._subscriber.connected_s
                elif self._publisher is not None:
                    self.timings.connected_s = self._publisher.connected_s
        except TimeoutError:
            raise LoadError(f"no connection within {self._timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise LoadError(f"the server cannot be reached: {type(error).__name__}") from error

    async def _open(self) -> rtc.JoinResponse:
        query = {
            "auto_subscribe": "1" if self._subscribe else "0",
            "protocol": str(PROTOCOL),
            "sdk": "python",
            "version": "1.0.0",
            "adaptive_stream": "0",
        }
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            self._socket = await self._http.ws_connect(
                f"{self._url.rstrip('/')}/rtc", params=query, headers=headers, max_msg_size=0, autoping=True
            )
        except aiohttp.WSServerHandshakeError as error:
            raise LoadError(f"the server refuses the connection: HTTP {error.status}") from error
        while True:
            response = await self._receive()
            if response is None:
                raise LoadError("the server closed the connection before the join")
            if response.HasField("join"):
                return response.join
            if response.HasField("leave"):
                reason = models.DisconnectReason.Name(response.leave.reason)
                raise LoadError(f"the server refuses the join: {reason}")

    async def leave(self) -> None:
        self._leaving = True
        with contextlib.suppress(Exception):
            await self._send(rtc.SignalRequest(leave=rtc.LeaveRequest(reason=models.DisconnectReason.CLIENT_INITIATED)))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for transport in self.transports:
            await transport.close()
        if self._socket is not None:
            await self._socket.close()

    @property
    def failure(self) -> LoadError | None:
        """Why the participant was put out, if it was."""
        return self._failure

    # --- signalling -----------------------------------------------------------------------------------------------

    async def _receive(self) -> rtc.SignalResponse | None:
        assert self._socket is not None
        message = await self._socket.receive()
        if message.type is not aiohttp.WSMsgType.BINARY:
            return None
        return rtc.SignalResponse.FromString(message.data)

    async def _send(self, request: rtc.SignalRequest) -> None:
        assert self._socket is not None
        await self._socket.send_bytes(request.SerializeToString())

    async def _ping(self, interval_s: int) -> None:
        while True:
            await asyncio.sleep(interval_s)
            with contextlib.suppress(ConnectionError):
                await self._send(rtc.SignalRequest(ping_req=rtc.Ping(timestamp=time.time_ns() // 1_000_000)))

    async def _read(self) -> None:
        try:
            while (response := await self._receive()) is not None:
                await self._handle(response)
                self._changed.set()
            if not self._leaving:
                self._fail(LoadError("the server closed the connection"))
        except LoadError as error:
            self._fail(error)
        except Exception as error:
            self._fail(LoadError(f"{type(error).__name__}: {error}"))

    def _fail(self, error: LoadError) -> None:
        self._failure = self._failure or error
        self._changed.set()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._failure is not None:
                raise self._failure
            self._changed.clear()
            await self._changed.wait()

    async def _handle(self, response: rtc.SignalResponse) -> None:
        kind = response.WhichOneof("message")
        if kind == "offer":
            await self._handle_offer(response.offer)
        elif kind == "answer":
            self._answer = response.answer.sdp
        elif kind == "track_published":
            self._published[response.track_published.cid] = response.track_published.track.sid
        elif kind == "trickle":
            with contextlib.suppress(ValueError):
                line = json.loads(response.trickle.candidateInit).get("candidate", "")
                self._candidates[response.trickle.target].append(line)
        elif kind == "subscribed_quality_update":
            self._handle_wishes(response.subscribed_quality_update)
        elif kind == "leave":
            self._fail(LoadError(f"put out: {models.DisconnectReason.Name(response.leave.reason)}"))

    # --- publishing -----------------------------------------------------------------------------------------------

    async def _publish(self) -> None:
        for track in self._tracks:
            await self._send(rtc.SignalRequest(add_track=_add_track(track)))
        await self._until(lambda: len(self._published) == len(self._tracks))
        transport = self._publisher = MediaTransport(self.generator, self._host)
        self.transports.append(transport)
        offer = sdp.build_offer(transport, self._tracks)
        await self._send(rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp=offer, id=1)))
        await self._until(lambda: bool(self._answer))
        answer = sdp.parse(self._answer, "answer")
        if any(section.rejected for section in answer.sections):
            raise LoadError("the server rejects a published track")
        await self._connect(transport, answer, self._answer, _PUBLISHER, offered=True)
        self.send_tracks(transport, self._tracks, self._start_in_s)
        self._heed_wishes()

    def _handle_wishes(self, update: rtc.SubscribedQualityUpdate) -> None:
        of_codecs = [one for codec in update.subscribed_codecs for one in codec.qualities]
        qualities = of_codecs or update.subscribed_qualities
        self._wishes[update.track_sid] = frozenset(one.quality for one in qualities if one.enabled)
        self._heed_wishes()

    def _heed_wishes(self) -> None:
        """Dynacast: layers that nobody wants pause."""
        if not self._heeds_wishes or self._publisher is None:
            return
        for track in self._tracks:
            wanted = self._wishes.get(self._published.get(track.cid, ""))
            if wanted is None or len(track.clips) < 2:
                continue
            for quality, sender in zip(_QUALITIES, self._senders.get(track.cid, ()), strict=False):
                self.generator.native.set_wanted(self._publisher.peer, sender, quality in wanted)

    # --- subscribing ----------------------------------------------------------------------------------------------

    async def _handle_offer(self, message: rtc.SessionDescription) -> None:
        offer = sdp.parse(message.sdp, "offer")
        transport = self._subscriber
        first = transport is None
        if transport is None:
            transport = self._subscriber = MediaTransport(self.generator, self._host)
            self.transports.append(transport)
        answer = sdp.build_answer(transport, offer)
        self._streams = sdp.incoming_streams(offer)
        if transport.peer:
            self.expect(transport, self._streams)
        await self._send(rtc.SignalRequest(answer=rtc.SessionDescription(type="answer", sdp=answer, id=message.id)))
        if first:
            self._tasks.append(asyncio.create_task(self._connect_subscriber(transport, offer, message.sdp)))

    async def _connect_subscriber(self, transport: MediaTransport, offer: RemoteDescription, text: str) -> None:
        try:
            await self._connect(transport, offer, text, _SUBSCRIBER, offered=False)
        except LoadError as error:
            self._fail(error)
            return
        self._subscribed.set()
        self._changed.set()

    async def _connect(
        self, transport: MediaTransport, remote: RemoteDescription, text: str, target: int, *, offered: bool
    ) -> None:
        address: Address | None = None
        candidates = self._candidates[target]
        while address is None:
            address = choose_address(sdp.candidates_of(text) + candidates, self._host)
            if address is None:
                self._changed.clear()
                await self._changed.wait()
        if not offered:
            # Media may come as soon as the keys are there.
            transport.on_open = lambda: self.expect(transport, self._streams)
        await transport.connect(
            remote.transport,
            address,
            controlling=offered or remote.ice_lite,
            client=not offered or dtls_client(remote.transport.setup),
            data=sdp.wants_data(remote) and not offered,
            timeout_s=self._timeout_s,
        )


def _add_track(track: sdp.OutgoingTrack) -> rtc.AddTrackRequest:
    request = rtc.AddTrackRequest(
        cid=track.cid,
        name=track.cid,
        type=models.TrackType.VIDEO if track.is_video else models.TrackType.AUDIO,
        source=_SOURCES[track.is_video],
    )
    for quality, clip in zip(_QUALITIES, track.clips, strict=False):
        if clip.layer is None:
            continue
        request.width, request.height = clip.layer.width, clip.layer.height
        if len(track.clips) == 1:
            quality = models.VideoQuality.HIGH
        request.layers.append(
            models.VideoLayer(
                quality=quality,
                width=clip.layer.width,
                height=clip.layer.height,
                bitrate=clip.layer.bitrate_bps,
                rid=clip.layer.rid,
            )
        )
    return request
