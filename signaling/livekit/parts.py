"""What the signal connections of one application share."""

from __future__ import annotations

from dataclasses import dataclass

from sfu.config import SfuConfig
from signaling.connections import Connections
from signaling.livekit.chat import ChatBridge
from signaling.livekit.frames import Frames
from signaling.livekit.rpc import RpcCalls
from signaling.livekit.settings import SignalSettings
from signaling.livekit.silence import SilenceSweep
from signaling.livekit.simulate import Simulations
from signaling.livekit.welcome import Welcome
from signaling.metrics import Metrics
from signaling.rooms.calls import RoomService
from signaling.rooms.door import Door
from signaling.rooms.kinds import SealedRooms
from signaling.tokens import TokenService


@dataclass(frozen=True, slots=True)
class SignalParts:
    """What the signal connections of one application share, and nothing else gets."""

    settings: SignalSettings
    max_metadata_bytes: int
    max_tracks: int
    """That may be announced at once."""
    config: SfuConfig
    rooms: RoomService
    door: Door
    sealed_rooms: SealedRooms
    chat: ChatBridge
    tokens: TokenService
    connections: Connections
    metrics: Metrics
    frames: Frames
    welcome: Welcome
    rpc: RpcCalls
    simulations: Simulations
    silence: SilenceSweep
