"""The first message of a connection: the answer to a join or to a resume."""

from __future__ import annotations

import secrets

from livekit.protocol import rtc

from sfu.api import ParticipantSession
from sfu.config import SfuConfig
from signaling import turn
from signaling.devices import broken_codecs
from signaling.livekit import convert
from signaling.livekit.frames import Frames
from signaling.livekit.settings import SignalSettings
from signaling.rooms.calls import JoinOptions

SIF_TRAILER_BYTES = 16


class Welcome:
    """One per application."""

    def __init__(
        self,
        settings: SignalSettings,
        turn_settings: turn.TurnSettings,
        config: SfuConfig,
        node_id: str,
        frames: Frames,
    ) -> None:
        self._settings = settings
        self._turn = turn_settings
        self._config = config
        self._node_id = node_id
        self._frames = frames
        # Marks frames that a server makes itself, which clients with end-to-end encryption then show as they are. Ting
        # makes none, and nobody can guess the mark.
        self._sif_trailer = secrets.token_bytes(SIF_TRAILER_BYTES)

    def join(
        self, session: ParticipantSession, options: JoinOptions, protocol: int, *, sealed: bool
    ) -> rtc.SignalResponse:
        """`protocol` (a CandidateProtocol) is how the client wants to reach the server, `sealed` the room's kind."""
        broken = broken_codecs(options.client, sealed=sealed)
        return rtc.SignalResponse(
            join=rtc.JoinResponse(
                room=convert.room(session.room, self._config),
                participant=convert.participant(session.info),
                other_participants=self._frames.participants(session.others()),
                server_version=convert.COMPATIBLE_VERSION,
                server_info=convert.server_info(self._node_id),
                subscriber_primary=not options.single_connection,
                ping_interval=self._settings.ping_interval_s,
                ping_timeout=self._settings.ping_timeout_s,
                enabled_publish_codecs=convert.codecs(self._config, broken.all | broken.publish),
                client_configuration=convert.client_configuration(broken, relay_only=protocol == rtc.TLS),
                sif_trailer=self._sif_trailer,
                ice_servers=self._ice_servers(session),
            )
        )

    def resume(self, session: ParticipantSession) -> rtc.SignalResponse:
        response = rtc.ReconnectResponse(
            server_info=convert.server_info(self._node_id),
            ice_servers=self._ice_servers(session),
            last_message_seq=session.last_sequence,
        )
        return rtc.SignalResponse(reconnect=response)

    def _ice_servers(self, session: ParticipantSession) -> list[rtc.ICEServer]:
        return convert.ice_servers(turn.ice_servers(self._turn, session.info.participant_id))
