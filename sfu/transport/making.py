"""Which SCTP the data channels of a transport have: the engine's own where it has one, else aiortc's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from sfu.api import DataKind
from sfu.engine.api import EngineRuntime, Path
from sfu.ids import TransportHandle
from sfu.transport.channels import Channels, ChannelsConfig
from sfu.transport.dtls import DtlsSession
from sfu.transport.native_channels import NativeDataChannels


def make_channels(
    runtime: EngineRuntime,
    transport: TransportHandle,
    path: Path,
    session: DtlsSession,
    config: ChannelsConfig,
    *,
    on_message: Callable[[DataKind, bytes], None],
    on_ready: Callable[[], None],
    counters: Counter[str],
) -> Channels:
    """On a connected session, whose datagrams go to `path`; to be started."""
    if runtime.has_data_channels:
        native = NativeDataChannels(session, on_message=on_message, on_ready=on_ready, counters=counters)
        native.open(runtime, transport, path, config)
        return native
    from sfu.transport.data_channel import DataChannels  # see `loading`

    return DataChannels(session, config, on_message=on_message, on_ready=on_ready, counters=counters)
