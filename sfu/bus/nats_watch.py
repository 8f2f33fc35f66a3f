"""One watch over a prefix: a push consumer of JetStream, made anew whenever something of it is missing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from sfu.bus.api import Entry, Handler
from sfu.bus.nats_names import decode_key, encode_key, is_deletion
from sfu.bus.views import View

_log = logging.getLogger("ting.bus")
_HEARTBEAT_S = 1.0
_SILENCE_S = 3.0
"""Without a heartbeat for so long the consumer is gone."""
_KEEP_S = 10.0
"""After which the server forgets a consumer that nobody listens to."""
_MAX_PENDING = 65_536
"""Messages that wait for their turn in this process; what is dropped beyond is noticed as a gap."""


class Watch:
    def __init__(
        self, stream: str, subjects: str, prefix: str, handler: Handler, caught_up: Callable[[], None] | None
    ) -> None:
        self._stream = stream
        self._subjects = subjects
        self._filter = subjects + encode_key(prefix.removesuffix("/")) + ".>"
        self._view = View(handler, caught_up)
        self._task: asyncio.Task[None] | None = None
        self._again: Callable[[], None] | None = None
        """Starts over on the connection that there is."""
        self._heard_at_s = 0.0
        self._received = 0
        self._last_before = 0
        """What the stream ended with when the consumer was made: revisions come in their order."""
        self._round = 0
        """Messages of an older consumer are not ours any more."""

    def start(self, client: Client, jetstream: JetStreamContext) -> None:
        self.stop()
        self._again = lambda: self.start(client, jetstream)
        self._heard_at_s = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._run(client, jetstream, self._round))

    def stop(self) -> None:
        self._round += 1
        self._again = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def check(self) -> None:
        """Called now and then while the connection works."""
        if self._again is not None and asyncio.get_running_loop().time() - self._heard_at_s > _SILENCE_S:
            self._again()

    async def _run(self, client: Client, jetstream: JetStreamContext, number: int) -> None:
        """Until it is cancelled. The server takes the consumer away once nobody listens."""
        subscription: Subscription | None = None

        async def hear(message: Msg) -> None:
            self._hear(message, number)

        try:
            inbox = client.new_inbox()
            try:
                self._received = 0
                self._view.begin()
                subscription = await client.subscribe(inbox, cb=hear, pending_msgs_limit=_MAX_PENDING)
                self._last_before = (await jetstream.stream_info(self._stream)).state.last_seq
                info = await jetstream.add_consumer(self._stream, self._config(inbox))
            except (NatsError, TimeoutError) as error:
                _log.warning("a watch of the registry could not begin: %s", error)  # `check` tries again
            else:
                delivered = info.delivered.consumer_seq if info.delivered is not None else 0
                if not info.num_pending and not delivered and number == self._round:
                    self._view.complete()
            if number == self._round:  # else the client has swallowed the cancellation
                await asyncio.Event().wait()
        finally:
            if subscription is not None and client.is_connected:
                with contextlib.suppress(NatsError, TimeoutError):
                    await subscription.unsubscribe()

    def _config(self, inbox: str) -> ConsumerConfig:
        return ConsumerConfig(
            deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
            deliver_subject=inbox,
            filter_subject=self._filter,
            ack_policy=AckPolicy.NONE,
            max_deliver=1,
            idle_heartbeat=_HEARTBEAT_S,
            inactive_threshold=_KEEP_S,
            mem_storage=True,
            num_replicas=1,
        )

    def _hear(self, message: Msg, number: int) -> None:
        if number != self._round:
            return
        self._heard_at_s = asyncio.get_running_loop().time()
        headers = message.headers or {}
        if "Status" in headers:
            last = headers.get("Nats-Last-Consumer")
            if last is not None and int(last) != self._received:
                self._start_over()
            else:
                self._view.complete()  # It is idle.
            return
        metadata = message.metadata
        self._received += 1
        if metadata.sequence.consumer != self._received:
            self._start_over()
            return
        try:
            key = decode_key(message.subject.removeprefix(self._subjects))
        except ValueError:
            _log.warning("the registry holds a key that is not ours")
        else:
            gone = is_deletion(message.headers)
            self._view.put(key, None if gone else Entry(key, message.data, metadata.sequence.stream))
        # Debian's server (2.9.10) counts messages as pending for good that were replaced while it told what was there,
        # so that its count alone does not say when all is told.
        if not metadata.num_pending or metadata.sequence.stream >= self._last_before:
            self._view.complete()

    def _start_over(self) -> None:
        if self._again is not None:
            self._again()
