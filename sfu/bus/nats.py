"""The bus over a NATS server with JetStream; the only file that imports its client.

A connection that is lost is not mended but replaced: client, watches and subscriptions start anew, and what was missed
is told from the state that is there then. So nothing depends on what the server has kept of us (its consumers do not
outlive its restart). The client buffers nothing while it is away; a late write would not be what its writer wants.

One stream named KV_<cluster name> holds all keys, laid out like NATS's own key-value stores, so that `nats kv` shows
it. Nothing relies on the server telling that a key has expired: before 2.11 it does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError, NoServersError
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RawStreamMsg, StorageType, StreamConfig
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError, ServiceUnavailableError

from sfu.bus.api import MAX_VALUE_BYTES, RETENTION_S, BusUnavailable, Conflict, Entry, Handler, check_key, check_value
from sfu.bus.nats_names import OPERATION, encode_key, hint_subject, is_deletion
from sfu.bus.nats_watch import Watch
from sfu.bus.settings import ClusterSettings
from sfu.bus.views import Listeners, Registration, finish, guarded

_log = logging.getLogger("ting.bus")
T = TypeVar("T")
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_WRONG_SEQUENCE = 10071
"""NATS's code of a write that came too late."""
_PROBE_INTERVAL_S = 1.0
_BACKOFF_S = (0.1, 2.0)
"""Between attempts to connect: the first wait, and the longest."""
_MAX_STORE_BYTES = 64 * 1024 * 1024
_MAX_HINTS = 1024
"""Hints that wait for the connection, or for their listener; more are dropped."""
_AWAY = (NatsError, OSError, TimeoutError, ssl.SSLError, asyncio.CancelledError)
_NO_ANSWER = (NatsError, OSError, TimeoutError)


class _Connection:
    """One client and all that ends with it."""

    def __init__(self) -> None:
        self.client = Client()
        self.jetstream: JetStreamContext | None = None
        self.lost = asyncio.Event()
        self.problem = "the NATS server has closed the connection"

    async def on_lost(self) -> None:
        self.lost.set()

    async def on_error(self, error: Exception) -> None:
        self.problem = describe(error)


class NatsBus:
    def __init__(self, settings: ClusterSettings, node_name: str) -> None:
        self._settings = settings
        self._node_name = node_name
        self._stream = f"KV_{settings.cluster_name}"
        self._subjects = f"$KV.{settings.cluster_name}."
        self._timeout_s = settings.cluster_timeout_s
        self._connection: _Connection | None = None
        """The one that works."""
        self._problem = "not connected yet"
        self._runner: asyncio.Task[None] | None = None
        self._answered = asyncio.Event()
        self._watches: set[Watch] = set()
        self._topics: list[tuple[str, Callable[[bytes], None]]] = []
        self._hints: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(_MAX_HINTS)
        self._listeners: Listeners[bool] = Listeners()
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def available(self) -> bool:
        return self._connection is not None

    @property
    def problem(self) -> str:
        return "" if self._connection is not None else self._problem

    def on_available(self, callback: Callable[[bool], None]) -> Registration:
        return self._listeners.add(callback)

    async def open(self) -> None:
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timeout_s * 2):
                await self._answered.wait()

    async def close(self) -> None:
        runner, self._runner = self._runner, None
        await finish(runner)
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def get(self, key: str) -> Entry | None:
        check_key(key)
        there = await self._read(key)
        if there is None or is_deletion(there.headers):
            return None
        return Entry(key, there.data or b"", there.seq or 0)

    async def _read(self, key: str) -> RawStreamMsg | None:
        try:
            return await _ask(self._jetstream().get_last_msg(self._stream, self._subjects + encode_key(key)))
        except NotFoundError:
            return None
        except APIError as error:
            raise BusUnavailable(describe(error)) from None

    async def create(self, key: str, value: bytes) -> int:
        try:
            return await self._write(key, value, 0)
        except Conflict:
            # What stands there may be the trace of an entry that was deleted.
            there = await self._read(key)
            if there is not None and not is_deletion(there.headers):
                raise
        return await self._write(key, value, (there.seq or 0) if there is not None else 0)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        if not revision:
            raise Conflict(f"{key} has changed")
        return await self._write(key, value, revision)

    async def delete(self, key: str, revision: int) -> None:
        if not revision:
            raise Conflict(f"{key} has changed")
        await self._write(key, b"", revision, {OPERATION: "DEL"})

    async def _write(self, key: str, value: bytes, expected: int, headers: dict[str, str] | None = None) -> int:
        check_key(key)
        check_value(value)
        headers = {_EXPECTED: str(expected), **(headers or {})}
        try:
            done = await _ask(self._jetstream().publish(self._subjects + encode_key(key), value, headers=headers))
        except APIError as error:
            if error.err_code == _WRONG_SEQUENCE:
                raise Conflict(f"{key} has changed") from None
            raise BusUnavailable(describe(error)) from None
        return done.seq

    def _jetstream(self) -> JetStreamContext:
        if self._connection is None or self._connection.jetstream is None:
            raise BusUnavailable(self._problem)
        return self._connection.jetstream

    def watch(self, prefix: str, handler: Handler, caught_up: Callable[[], None] | None = None) -> Registration:
        check_key(prefix, prefix=True)
        watch = Watch(self._stream, self._subjects, prefix, handler, caught_up)
        self._watches.add(watch)
        if self._connection is not None and self._connection.jetstream is not None:
            watch.start(self._connection.client, self._connection.jetstream)

        def end() -> None:
            self._watches.discard(watch)
            watch.stop()

        return Registration(end)

    def emit(self, topic: str, payload: bytes) -> bool:
        check_value(payload)
        if self._connection is None:
            return False
        try:
            self._hints.put_nowait((topic, payload))
        except asyncio.QueueFull:
            return False
        return True

    def listen(self, topic: str, handler: Callable[[bytes], None]) -> Registration:
        entry = (topic, handler)
        self._topics.append(entry)
        return Registration(lambda: self._topics.remove(entry))

    async def _run(self) -> None:
        """Connect, stay while it lasts, and again."""
        wait_s, longest_s = _BACKOFF_S
        while True:
            connection = _Connection()
            try:
                await self._connect(connection)
                wait_s = _BACKOFF_S[0]
                await self._stay(connection)
                self._problem = connection.problem
            except NoServersError:
                self._problem = connection.problem
            except asyncio.CancelledError:
                if _is_cancelled():
                    raise
                self._problem = "the connection to the NATS server was lost"
            except Exception as error:
                # Also what the client trips over when its connection is lost under it.
                self._problem = describe(error)
            finally:
                self._end(connection)
            self._answered.set()
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - so that nodes do not come all at once
            wait_s = min(2 * wait_s, longest_s)

    async def _connect(self, connection: _Connection) -> None:
        """Raises one of `_NO_ANSWER`."""
        client = connection.client
        servers = [server.strip() for server in self._settings.cluster.split(",")]
        async with asyncio.timeout(self._timeout_s * 2):
            await client.connect(
                servers,
                name=f"ting {self._node_name}",
                error_cb=connection.on_error,
                closed_cb=connection.on_lost,
                allow_reconnect=False,
                connect_timeout=max(1, round(self._timeout_s)),
                # Each server once and at once; the waiting is ours.
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                no_echo=True,
                pending_size=0,
                tls=self._tls(servers),
            )
            jetstream = client.jetstream(timeout=self._timeout_s)
            await client.subscribe(hint_subject(self._settings.cluster_name, ">"), cb=self._hear,
                                   pending_msgs_limit=_MAX_HINTS)  # fmt: skip
            # Its answer says that the server has heard of the subscription as well.
            await self._provide_stream(jetstream)
        connection.jetstream = jetstream

    def _tls(self, servers: list[str]) -> ssl.SSLContext | None:
        if not any(server.startswith("tls:") for server in servers):
            return None
        return ssl.create_default_context(cafile=self._settings.cluster_ca or None)

    async def _provide_stream(self, jetstream: JetStreamContext) -> None:
        config = StreamConfig(
            name=self._stream,
            subjects=[self._subjects + ">"],
            max_msgs_per_subject=1,
            max_age=RETENTION_S,
            max_msg_size=MAX_VALUE_BYTES + 4096,
            max_bytes=_MAX_STORE_BYTES,
            discard=DiscardPolicy.NEW,
            storage=StorageType.FILE,
            num_replicas=self._settings.cluster_replicas,
            duplicate_window=0,
            allow_rollup_hdrs=True,
            deny_delete=True,
            # Reading from what follows would give older entries more often.
            allow_direct=False,
        )
        try:
            there = await jetstream.stream_info(self._stream)
        except NotFoundError:
            await jetstream.add_stream(config)
        else:
            if there.config.num_replicas != config.num_replicas:
                await jetstream.update_stream(there.config.evolve(num_replicas=config.num_replicas))

    async def _stay(self, connection: _Connection) -> None:
        """Until the connection is lost, or JetStream does not answer any more."""
        assert connection.jetstream is not None
        self._connection = connection
        self._answered.set()
        for watch in self._watches:
            watch.start(connection.client, connection.jetstream)
        self._listeners.tell(True)
        sender = asyncio.create_task(self._send_hints(connection.client))
        try:
            while not connection.lost.is_set():
                await connection.jetstream.stream_info(self._stream)
                for watch in self._watches:
                    watch.check()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PROBE_INTERVAL_S):
                        await connection.lost.wait()
        finally:
            sender.cancel()

    def _end(self, connection: _Connection) -> None:
        if self._connection is connection:
            self._connection = None
            self._listeners.tell(False)
        for watch in self._watches:
            watch.stop()
        while not self._hints.empty():
            self._hints.get_nowait()
        task = asyncio.create_task(_leave(connection.client, self._timeout_s))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _send_hints(self, client: Client) -> None:
        with contextlib.suppress(*_NO_ANSWER):
            while True:
                topic, payload = await self._hints.get()
                await client.publish(hint_subject(self._settings.cluster_name, topic), payload)

    async def _hear(self, message: Msg) -> None:
        for topic, handler in tuple(self._topics):
            if message.subject == hint_subject(self._settings.cluster_name, topic):
                guarded(handler, message.data)


async def _ask(question: Awaitable[T]) -> T:
    """Raises `APIError` for an answer that says no, `BusUnavailable` for anything else that goes wrong: a client whose
    connection is lost cancels what waits for it, or trips over what it has just let go of."""
    try:
        return await question
    except APIError as error:
        if isinstance(error, ServiceUnavailableError):
            raise BusUnavailable(describe(error)) from None
        raise
    except asyncio.CancelledError:
        if _is_cancelled():
            raise
        raise BusUnavailable("the connection to the NATS server was lost") from None
    except Exception as error:
        raise BusUnavailable(describe(error)) from None


def _is_cancelled() -> bool:
    """Whether it is this task that somebody cancelled, and not what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _leave(client: Client, timeout_s: float) -> None:
    """Close a client, which a server that says nothing must not hold up."""
    with contextlib.suppress(*_AWAY):
        async with asyncio.timeout(timeout_s):
            await client.close()
            return
    transport = getattr(getattr(client, "_transport", None), "_io_writer", None)
    if transport is not None:
        transport.transport.abort()


def describe(error: BaseException) -> str:
    """For a person; the client's messages hold no URL."""
    if isinstance(error, NoRespondersError | NoStreamResponseError) or (
        isinstance(error, ServiceUnavailableError) and not error.description
    ):
        return "the NATS server has no JetStream (nats-server -js)"
    if isinstance(error, TimeoutError):
        return "the NATS server does not answer"
    if isinstance(error, APIError):
        return f"JetStream: {error.description}"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error) or type(error).__name__
