"""The first message of a connection: the answer to a join or to a resume."""

from __future__ import annotations

import secrets

from livekit.protocol import rtc

from sfu.api import ParticipantSession
from sfu.config import SfuConfig
from signaling import turn
from signaling.devices import BrokenCodecs, broken_codecs
from signaling.livekit import convert
from signaling.livekit.frames import Frames, as_field
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
        self._kinds: dict[tuple[BrokenCodecs, bool, bool], bytes] = {}

    def join(self, session: ParticipantSession, options: JoinOptions, protocol: int, *, sealed: bool) -> bytes:
        """The frame. `protocol` (a CandidateProtocol) is how the client wants to reach the server, `sealed` the room's
        kind. Of a join in a large room, what others get as well is most: it is put together from encoded pieces."""
        own = rtc.JoinResponse(
            room=convert.room(session.room, self._config),
            participant=self._frames.participant(session.info),
            ice_servers=self._ice_servers(session),
        )
        broken = broken_codecs(options.client, sealed=sealed)
        response = (
            own.SerializeToString()
            + self._same_for_all(broken, options.single_connection, protocol == rtc.TLS)
            + self._frames.other_participants(session.others())
        )
        return as_field(rtc.SignalResponse.JOIN_FIELD_NUMBER, response)

    def _same_for_all(self, broken: BrokenCodecs, single_connection: bool, relay_only: bool) -> bytes:
        """What a JoinResponse says to every client of a kind."""
        kind = (broken, single_connection, relay_only)
        if kind not in self._kinds:
            self._kinds[kind] = rtc.JoinResponse(
                server_version=convert.COMPATIBLE_VERSION,
                server_info=convert.server_info(self._node_id),
                subscriber_primary=not single_connection,
                ping_interval=self._settings.ping_interval_s,
                ping_timeout=self._settings.ping_timeout_s,
                enabled_publish_codecs=convert.codecs(self._config, broken.all | broken.publish),
                client_configuration=convert.client_configuration(broken, relay_only=relay_only),
                sif_trailer=self._sif_trailer,
            ).SerializeToString()
        return self._kinds[kind]

    def resume(self, session: ParticipantSession) -> rtc.SignalResponse:
        response = rtc.ReconnectResponse(
            server_info=convert.server_info(self._node_id),
            ice_servers=self._ice_servers(session),
            last_message_seq=session.last_sequence,
        )
        return rtc.SignalResponse(reconnect=response)

    def _ice_servers(self, session: ParticipantSession) -> list[rtc.ICEServer]:
        return convert.ice_servers(turn.ice_servers(self._turn, session.info.participant_id))
