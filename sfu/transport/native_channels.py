"""Data channels in the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from sfu.api import DataKind
from sfu.engine.api import DataLink, DataOptions, EngineRuntime, Path
from sfu.ids import TransportHandle
from sfu.transport.channels import KINDS, NUMBERS, ChannelsConfig
from sfu.transport.dtls import DtlsSession

MAX_MESSAGES_A_TURN = 32
"""Then other work of the event loop gets its turn."""


class NativeDataChannels:
    """`Channels` around a `DataLink`. SCTP has begun once it is open."""

    def __init__(
        self,
        session: DtlsSession,
        *,
        on_message: Callable[[DataKind, bytes], None],
        on_ready: Callable[[], None],
        counters: Counter[str],
    ) -> None:
        self._session = session
        self._on_message = on_message
        self._on_ready = on_ready
        self._counters = counters
        self.link: DataLink | None = None

    def open(self, runtime: EngineRuntime, transport: TransportHandle, path: Path, config: ChannelsConfig) -> None:
        """After the end of the engine there are none: nothing is taken, nothing comes."""
        options = DataOptions(
            opens_channels=config.initiate,
            max_message_bytes=config.max_message_bytes,
            remote_max_message_bytes=config.remote_max_message_size,
            max_buffered_bytes=config.max_buffered_bytes,
            max_track_buffered_bytes=config.max_track_buffered_bytes,
        )
        self.link = runtime.open_data(transport, path, self._session.secrets(), options, self)

    @property
    def ready(self) -> bool:
        return self.link is not None and self.link.is_ready

    def start(self) -> None:
        if self.link is not None:
            self._session.set_packet_receiver(self.link.handle_packet)

    def send(self, kind: DataKind, payload: bytes) -> bool:
        return self.link is not None and self.link.send(NUMBERS[kind], payload)

    def unsent_bytes(self, kind: DataKind) -> int:
        return 0 if self.link is None else self.link.unsent_bytes(NUMBERS[kind])

    def set_reading(self, is_reading: bool) -> None:
        if self.link is not None:
            self.link.set_reading(is_reading)

    def set_path(self, path: Path) -> None:
        if self.link is not None:
            self.link.set_path(path)

    def handle_waiting(self) -> None:
        if self.link is not None:
            self._take(self.link)

    async def stop(self) -> None:
        link, self.link = self.link, None
        if link is None:
            return
        self._session.set_packet_receiver(None)
        link.close()

    def _take(self, link: DataLink) -> None:
        news = link.take_news(MAX_MESSAGES_A_TURN)
        if news.counts:
            self._counters.update(news.counts)
        if news.became_ready:
            # Who opens channels has had the end of our handshake: from now on all is read and written in the engine.
            self._session.retire()
            self._on_ready()
        for kind, payload in news.messages:
            if self.link is not None:
                self._on_message(KINDS[kind], payload)
        if news.ended:
            self._session.on_goodbye()
