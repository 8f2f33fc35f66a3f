"""Janus with its VideoRoom plugin (https://janus.conf.meetecho.com/docs/videoroom): the server, and its participants.

Debian's package is started on loopback with a configuration of its own. `event_loops = 2`: the stock setting, a thread
per connection, costs Janus about twice as much CPU and would flatter whatever stands beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.load import sdp
from benchmarks.load.cli import Make
from benchmarks.load.errors import LoadError
from benchmarks.load.participant import MediaParticipant, Seat
from benchmarks.load.transport import Generator, MediaTransport, choose_address, dtls_client
from benchmarks.peers.server import PeerServer, free_port, own_address, pin_to

KEEPALIVE_S = 20.0
PLUGIN = "janus.plugin.videoroom"

_MAIN = """\
general: {{
  configs_folder = "{folder}"
  debug_level = 2
  debug_timestamps = false
  event_loops = 2
  session_timeout = 60
  server_name = "benchmark"
}}
nat: {{
  nice_debug = false
  full_trickle = false
  ice_enforce_list = "{address}"
}}
media: {{
  rtp_port_range = "20000-59999"
}}
plugins: {{
  disable = "{plugins}"
}}
transports: {{
  disable = "libjanus_http.so,libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,libjanus_rabbitmq.so"
}}
events: {{
  broadcast = false
}}
"""
_WEBSOCKETS = """\
general: {{
  json = "compact"
  ws = true
  ws_port = {port}
  ws_ip = "127.0.0.1"
}}
admin: {{
  admin_ws = false
}}
"""
_OTHER_PLUGINS = (
    "audiobridge", "duktape", "echotest", "lua", "nosip", "recordplay", "sip", "sipre", "streaming", "textroom",
    "videocall", "voicemail",
)  # fmt: skip


class JanusServer(PeerServer):
    """`janus` in a process of its own, with a private configuration."""

    name = "janus"

    def __init__(self) -> None:
        super().__init__()
        self.media_address = own_address()

    @classmethod
    def version(cls) -> str | None:
        if shutil.which("janus") is None:
            return None
        output = subprocess.run(["janus", "--version"], capture_output=True, text=True, check=False)
        match = re.search(r"\(([\d.]+)\)", output.stdout + output.stderr)
        return f"Janus {match[1]} (VideoRoom, event_loops = 2)" if match else "Janus (VideoRoom, event_loops = 2)"

    async def start(self, folder: Path, cpus: set[int]) -> None:
        port = free_port()
        self.url = f"ws://127.0.0.1:{port}"
        plugins = ",".join(f"libjanus_{name}.so" for name in _OTHER_PLUGINS)
        (folder / "janus.jcfg").write_text(_MAIN.format(folder=folder, plugins=plugins, address=self.media_address))
        (folder / "janus.transport.websockets.jcfg").write_text(_WEBSOCKETS.format(port=port))
        (folder / "janus.plugin.videoroom.jcfg").write_text("general: {\n}\n")
        self.log = folder / "janus.log"
        with self.log.open("w") as log:
            self.process = await asyncio.create_subprocess_exec(
                "janus", "--config", str(folder / "janus.jcfg"), "--configs-folder", str(folder),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=pin_to(cpus),
            )  # fmt: skip
        await self.wait_for_port(port)

    def load_arguments(self) -> list[str]:
        return ["--url", self.url]


@contextlib.asynccontextmanager
async def janus_protocol(options: argparse.Namespace, _ttl_s: float) -> AsyncIterator[Make]:
    """Participants for `benchmarks.load.cli.main`."""
    rooms: dict[int, asyncio.Task[None]] = {}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        def make(generator: Generator, seat: Seat) -> JanusParticipant:
            if seat.room not in rooms:
                rooms[seat.room] = asyncio.create_task(_create_room(http, options.url, seat.room + 1))
            return JanusParticipant(
                generator, http, options.url, rooms[seat.room], seat,
                nack=not options.no_nack, timeout_s=options.join_timeout,
            )  # fmt: skip

        yield make


class Session:
    """The Janus API over a WebSocket (https://janus.conf.meetecho.com/docs/rest): requests, and events of handles."""

    def __init__(self) -> None:
        self.events: dict[int, asyncio.Queue[dict[str, Any]]] = {}
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._id = 0
        self._socket: aiohttp.ClientWebSocketResponse
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, http: aiohttp.ClientSession, url: str) -> None:
        self._socket = await http.ws_connect(url, protocols=("janus-protocol",), max_msg_size=0)
        self._tasks.append(asyncio.create_task(self._read()))
        self._id = (await self._ask({"janus": "create"}))["data"]["id"]
        self._tasks.append(asyncio.create_task(self._keep_alive()))

    async def attach(self) -> int:
        handle: int = (await self._ask({"janus": "attach", "plugin": PLUGIN}))["data"]["id"]
        self.events[handle] = asyncio.Queue()
        return handle

    async def request(self, handle: int, body: dict[str, Any]) -> dict[str, Any]:
        """A synchronous request of the plugin."""
        reply = await self._ask({"janus": "message", "handle_id": handle, "body": body})
        data: dict[str, Any] = reply["plugindata"]["data"]
        return data

    async def send(self, handle: int, body: dict[str, Any], jsep: dict[str, str] | None = None) -> None:
        """An asynchronous request: its result comes as an event of the handle."""
        message: dict[str, Any] = {"janus": "message", "handle_id": handle, "body": body}
        if jsep is not None:
            message["jsep"] = jsep
        await self._ask(message)

    async def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        transaction = secrets.token_hex(8)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[transaction] = future
        more = {"session_id": self._id} if self._id else {}
        await self._socket.send_json({**message, **more, "transaction": transaction})
        reply = await future
        if reply["janus"] == "error":
            raise LoadError(f"Janus refuses: {reply['error']['reason']}")
        return reply

    async def _read(self) -> None:
        async for message in self._socket:
            event = message.json()
            future = self._replies.get(event.get("transaction", ""))
            if future is not None and event["janus"] in ("success", "ack", "error"):
                del self._replies[event["transaction"]]
                future.set_result(event)
            elif event["janus"] == "event" and event.get("sender") in self.events:
                self.events[event["sender"]].put_nowait(event)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEPALIVE_S)
            await self._ask({"janus": "keepalive"})

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(2):
                await self._ask({"janus": "destroy"})
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if hasattr(self, "_socket"):
            await self._socket.close()


async def _create_room(http: aiohttp.ClientSession, url: str, room: int) -> None:
    session = Session()
    await session.open(http, url)
    handle = await session.attach()
    body = {"request": "create", "room": room, "publishers": 1000, "bitrate": 0, "videocodec": "vp8,h264"}
    await session.request(handle, body)
    await session.close()


class JanusParticipant(MediaParticipant):
    """One publisher handle and, when it receives, one handle that subscribes to every feed of the room."""

    def __init__(
        self,
        generator: Generator,
        http: aiohttp.ClientSession,
        url: str,
        created: asyncio.Task[None],
        seat: Seat,
        *,
        nack: bool,
        timeout_s: float,
    ) -> None:
        super().__init__(generator, nack=nack, sample=seat.sample)
        self._http, self._url, self._room, self._created = http, url, seat.room + 1, created
        self._host = own_address()
        self._tracks = [sdp.OutgoingTrack(f"track{index}", clips) for index, clips in enumerate(seat.publish)]
        self._subscribe, self._start_in_s, self._timeout_s = seat.subscribe, seat.start_in_s, timeout_s
        self._session = Session()
        self._feeds: set[int] = set()
        self._subscriber: MediaTransport | None = None
        self._subscriber_handle = 0
        self._streams: list[sdp.IncomingStream] = []
        self._receiving = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    async def join(self) -> None:
        await self._created
        self.mark_started()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._session.open(self._http, self._url)
                handle = await self._session.attach()
                await self._session.send(handle, {"request": "join", "ptype": "publisher", "room": self._room})
                joined = await self._event(handle, "joined")
                self.timings.signalled_s = time.monotonic()
                if self._tracks:
                    await self._publish(handle)
                if self._subscribe:
                    await self._add_feeds(_feeds(joined))
                    self._watcher = asyncio.create_task(self._watch(handle))
                    if not self._tracks:
                        await self._receiving.wait()
                self.timings.connected_s = (self._subscriber or self.transports[0]).connected_s
        except TimeoutError:
            raise LoadError(f"no connection within {self._timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise LoadError(f"the server cannot be reached: {type(error).__name__}") from error

    async def leave(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        for transport in self.transports:
            await transport.close()
        await self._session.close()

    async def _event(self, handle: int, kind: str) -> dict[str, Any]:
        """The next event of that kind with all that came with it."""
        while True:
            event = await self._session.events[handle].get()
            data = event["plugindata"]["data"]
            if "error" in data:
                raise LoadError(f"Janus refuses: {data['error']}")
            if data.get("videoroom") == kind and (kind != "event" or "configured" in data or "started" in data):
                return {**data, "jsep": event.get("jsep", {})}

    async def _publish(self, handle: int) -> None:
        transport = MediaTransport(self.generator, self._host)
        self.transports.append(transport)
        jsep = {"type": "offer", "sdp": sdp.build_offer(transport, self._tracks)}
        await self._session.send(handle, {"request": "publish"}, jsep)
        text = (await self._event(handle, "event"))["jsep"]["sdp"]
        answer = sdp.parse(text, "answer")
        await self._connect(transport, answer, text, client=dtls_client(answer.transport.setup), controlling=True)
        self.send_tracks(transport, self._tracks, self._start_in_s)

    async def _watch(self, handle: int) -> None:
        """Feeds that come later."""
        while True:
            event = await self._session.events[handle].get()
            await self._add_feeds(_feeds(event["plugindata"]["data"]))

    async def _add_feeds(self, feeds: Sequence[int]) -> None:
        new = [feed for feed in feeds if feed not in self._feeds]
        self._feeds.update(new)
        if not new:
            return
        streams = [{"feed": feed} for feed in new]
        if not self._subscriber_handle:
            self._subscriber_handle = await self._session.attach()
            body = {"request": "join", "ptype": "subscriber", "room": self._room, "streams": streams}
            await self._session.send(self._subscriber_handle, body)
            await self._answer(await self._event(self._subscriber_handle, "attached"))
        else:
            await self._session.send(self._subscriber_handle, {"request": "update", "subscribe": streams})
            await self._answer(await self._event(self._subscriber_handle, "updated"))

    async def _answer(self, event: dict[str, Any]) -> None:
        text = event["jsep"].get("sdp")
        if text is None:
            return
        offer = sdp.parse(text, "offer")
        self._streams = sdp.incoming_streams(offer)
        transport, first = self._subscriber, self._subscriber is None
        if transport is None:
            transport = self._subscriber = MediaTransport(self.generator, self._host)
            self.transports.append(transport)
        # As the DTLS server we choose the cipher: the same one for every peer.
        jsep = {"type": "answer", "sdp": sdp.build_answer(transport, offer, setup="passive")}
        if not first:
            self.expect(transport, self._streams)
        await self._session.send(self._subscriber_handle, {"request": "start"}, jsep)
        if first:
            transport.on_open = lambda: self.expect(transport, self._streams)
            await self._connect(transport, offer, text, client=False, controlling=offer.ice_lite)
            self._receiving.set()

    async def _connect(
        self, transport: MediaTransport, remote: Any, text: str, *, client: bool, controlling: bool
    ) -> None:
        address = choose_address(sdp.candidates_of(text), self._host)
        if address is None:
            raise LoadError("Janus names no candidate")
        await transport.connect(
            remote.transport, address, controlling=controlling, client=client, data=False, timeout_s=self._timeout_s
        )


def _feeds(data: dict[str, Any]) -> list[int]:
    return [publisher["id"] for publisher in data.get("publishers", [])]
