"""Data channels over aiortc's SCTP: the reference, and what runs without the Rust engine."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from aiortc import RTCDataChannel
from aiortc.rtcdatachannel import RTCDataChannelParameters

from sfu.api import DataKind
from sfu.engine.api import Path
from sfu.transport.aiortc_sctp import SctpAssociation
from sfu.transport.channels import ChannelsConfig
from sfu.transport.dtls import DtlsSession

MAX_CHANNELS = 16
"""Channels that a peer may open; more are closed at once."""

_KINDS = {"_reliable": DataKind.RELIABLE, "_lossy": DataKind.LOSSY, "_data_track": DataKind.TRACK}
_NEEDED = (DataKind.RELIABLE, DataKind.LOSSY)
"""Older clients know no data tracks."""


class DataChannels:
    """`Channels` as `sfu.transport.channels` says."""

    def __init__(
        self,
        session: DtlsSession,
        config: ChannelsConfig,
        *,
        on_message: Callable[[DataKind, bytes], None],
        on_ready: Callable[[], None],
        counters: Counter[str],
    ) -> None:
        self._sctp = SctpAssociation(session, counters)
        self._initiate = config.initiate
        self._remote_max_message_size = config.remote_max_message_size
        self._max_message_bytes = config.max_message_bytes
        self._max_buffered_bytes = dict.fromkeys(DataKind, config.max_buffered_bytes)
        self._max_buffered_bytes[DataKind.TRACK] = config.max_track_buffered_bytes
        self._on_message = on_message
        self._on_ready = on_ready
        self._counters = counters
        self._channels: dict[DataKind, RTCDataChannel] = {}
        self._waiting: dict[DataKind, list[bytes]] = {kind: [] for kind in DataKind}
        """Messages for channels of ours that the peer has not acknowledged."""
        self._waiting_bytes: Counter[DataKind] = Counter()
        self._accepted: set[RTCDataChannel] = set()
        self._ready = False
        self._task: asyncio.Task[None] | None = None

    @property
    def link(self) -> None:
        """There is none: packets are aiortc's."""

    @property
    def ready(self) -> bool:
        return self._ready and self._is_open(DataKind.RELIABLE)

    def start(self) -> None:
        self._sctp.on("datachannel", self._accept)
        self._task = asyncio.get_running_loop().create_task(self._sctp.begin(self._remote_max_message_size))
        if self._initiate:
            self._open("_reliable", max_retransmits=None)
            self._open("_lossy", max_retransmits=0)
            self._open("_data_track", max_retransmits=0, ordered=False)

    def send(self, kind: DataKind, payload: bytes) -> bool:
        channel = self._channels.get(kind)
        if channel is None or channel.readyState not in ("connecting", "open"):
            return False
        limit = min(self._max_message_bytes, self._remote_max_message_size or self._max_message_bytes)
        if len(payload) > limit:
            self._counters["data_too_long"] += 1
            return False
        if channel.bufferedAmount + self._waiting_bytes[kind] + len(payload) > self._max_buffered_bytes[kind]:
            self._counters["data_buffer_full"] += 1
            return False
        if channel.readyState == "open":
            channel.send(payload)
        else:
            self._waiting[kind].append(payload)
            self._waiting_bytes[kind] += len(payload)
        return True

    def unsent_bytes(self, kind: DataKind) -> int:
        channel = self._channels.get(kind)
        return 0 if channel is None else channel.bufferedAmount + self._waiting_bytes[kind]

    def set_reading(self, is_reading: bool) -> None:
        """aiortc hands over what it has: here the peer waits for the event loop only."""

    def set_path(self, path: Path) -> None:
        """Datagrams of the session go where the transport sends."""

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._sctp.stop()

    def _is_open(self, kind: DataKind) -> bool:
        channel = self._channels.get(kind)
        return channel is not None and channel.readyState == "open"

    def _open(self, label: str, max_retransmits: int | None, ordered: bool = True) -> None:
        parameters = RTCDataChannelParameters(label=label, ordered=ordered, maxRetransmits=max_retransmits)
        channel = RTCDataChannel(self._sctp, parameters)
        channel.on("open", lambda: self._handle_open(channel))
        self._add(channel)

    def _handle_open(self, channel: RTCDataChannel) -> None:
        kind = _KINDS[channel.label]
        waiting, self._waiting[kind] = self._waiting[kind], []
        del self._waiting_bytes[kind]
        for payload in waiting:
            channel.send(payload)
        self._check_ready()

    def _accept(self, channel: RTCDataChannel) -> None:
        if len(self._accepted) >= MAX_CHANNELS:
            self._counters["data_channel_limit"] += 1
            channel.close()
            return
        self._accepted.add(channel)
        channel.on("close", lambda: self._accepted.discard(channel))
        self._add(channel)
        self._check_ready()

    def _add(self, channel: RTCDataChannel) -> None:
        kind = _KINDS.get(channel.label)
        if kind is None:
            channel.on("message", self._ignore)
            return
        # A peer that opens a label anew (SDKs do after a reset) sends and receives on the newest channel.
        self._ready = self._ready and kind is not DataKind.RELIABLE
        self._channels[kind] = channel
        channel.on("message", lambda message: self._handle_message(kind, message))

    def _handle_message(self, kind: DataKind, message: str | bytes) -> None:
        payload = message.encode() if isinstance(message, str) else message
        if len(payload) > self._max_message_bytes:
            self._counters["data_too_long"] += 1
            return
        self._on_message(kind, payload)

    def _ignore(self, _message: str | bytes) -> None:
        self._counters["data_unknown_label"] += 1

    def _check_ready(self) -> None:
        if not self._ready and all(self._is_open(kind) for kind in _NEEDED):
            self._ready = True
            self._on_ready()
