"""The part of the composition root that speaks LiveKit's protocol: its signalling and its server API."""

from __future__ import annotations

from signaling.config import Settings
from signaling.limits import AddressLimiter
from signaling.livekit.endpoint import SignalEndpoint
from signaling.livekit.frames import Frames
from signaling.livekit.parts import SignalParts
from signaling.livekit.room_service import ServerApi
from signaling.livekit.routes import LiveKitHandlers
from signaling.livekit.rpc import RpcCalls
from signaling.livekit.silence import SilenceSweep
from signaling.livekit.simulate import Simulations
from signaling.livekit.twirp import TwirpEndpoint
from signaling.livekit.welcome import Welcome
from signaling.services import Services
from signaling.turn import has_tls


def create_handlers(settings: Settings, services: Services) -> LiveKitHandlers:
    rpc = RpcCalls(
        services.sfu,
        settings.server_api.rpc_ack_timeout_s,
        settings.server_api.max_rpc_timeout_s,
        settings.server_api.max_rpc_calls_per_participant,
    )
    return LiveKitHandlers(_create_signal(settings, services, rpc), _create_server_api(settings, services, rpc))


def _create_signal(settings: Settings, services: Services, rpc: RpcCalls) -> SignalEndpoint:
    frames = Frames()
    parts = SignalParts(
        settings=settings.signal,
        max_metadata_bytes=settings.tokens.max_metadata_bytes,
        max_tracks=settings.sfu.max_pending_tracks,
        config=settings.sfu,
        rooms=services.rooms,
        door=services.lasting.door,
        sealed_rooms=services.lasting.sealed_rooms,
        chat=services.lasting.chat,
        tokens=services.tokens,
        connections=services.connections,
        metrics=services.metrics,
        frames=frames,
        welcome=Welcome(settings.signal, settings.turn, settings.sfu, services.sfu.node_id, frames),
        rpc=rpc,
        simulations=Simulations(has_tcp=bool(settings.sfu.rtc_tcp_port), has_tls=has_tls(settings.turn)),
        silence=SilenceSweep(settings.signal.websocket_heartbeat_s, settings.signal.ping_timeout_s),
    )
    return SignalEndpoint(services.lifecycle, parts)


def _create_server_api(settings: Settings, services: Services, rpc: RpcCalls) -> TwirpEndpoint:
    server_api = ServerApi(
        settings=settings.rooms,
        max_metadata_bytes=settings.tokens.max_metadata_bytes,
        config=settings.sfu,
        sfu=services.sfu,
        rooms=services.rooms,
        sealed_rooms=services.lasting.sealed_rooms,
        rpc=rpc,
    )
    return TwirpEndpoint(
        services.lifecycle,
        settings.gate,
        settings.server_api,
        services.addresses,
        AddressLimiter(settings.server_api.server_api_requests_per_minute, settings.addresses.max_tracked_addresses),
        services.tokens,
        services.rooms,
        services.metrics,
        server_api,
        services.lasting.door,
        services.lasting.calls,
    )
