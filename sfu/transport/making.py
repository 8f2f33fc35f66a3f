"""Which SCTP the data channels of a transport have: the engine's own where it has one, else aiortc's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from sfu.api import DataKind
from sfu.engine.api import DataOptions, EngineRuntime
from sfu.transport.channels import Channels, ChannelsConfig
from sfu.transport.data_channel import DataChannels
from sfu.transport.dtls import DtlsSession
from sfu.transport.native_channels import NativeDataChannels


def make_channels(
    runtime: EngineRuntime,
    session: DtlsSession,
    config: ChannelsConfig,
    *,
    on_message: Callable[[DataKind, bytes], None],
    on_ready: Callable[[], None],
    counters: Counter[str],
) -> Channels:
    """On a connected session; to be started."""
    association = runtime.data_association(
        DataOptions(
            is_dtls_client=session.is_client,
            opens_channels=config.initiate,
            max_message_bytes=config.max_message_bytes,
            remote_max_message_bytes=config.remote_max_message_size,
            max_buffered_bytes=config.max_buffered_bytes,
            max_track_buffered_bytes=config.max_track_buffered_bytes,
        )
    )
    if association is None:
        return DataChannels(session, config, on_message=on_message, on_ready=on_ready, counters=counters)
    return NativeDataChannels(
        session, association, now_ns=runtime.now_ns, on_message=on_message, on_ready=on_ready, counters=counters
    )
