"""SimulateScenario: faults that a client asks for in order to test itself. They touch nobody but the sender."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from livekit.protocol import models, rtc

from sfu.api import LeaveReason, RequestError
from sfu.ids import Identity, ParticipantId, RoomName
from signaling.livekit.context import Context

MAX_SPEAKING_S = 60
RESUME_FAULT_S = 30.0
"""How long a promised fault waits for the resume that it is meant for."""
MAX_RESUME_FAULTS = 1000
PREFERENCE_S = 300.0
"""How long a preferred protocol is remembered."""
MAX_PREFERENCES = 1000


class ResumeFaults:
    """Participants whose next resume is to break: before the first message when the value is True, else after it.
    `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._faults: OrderedDict[ParticipantId, tuple[bool, float]] = OrderedDict()

    def add(self, participant_id: ParticipantId, *, silent: bool) -> None:
        self._faults[participant_id] = (silent, self._clock() + RESUME_FAULT_S)
        self._faults.move_to_end(participant_id)
        if len(self._faults) > MAX_RESUME_FAULTS:
            self._faults.popitem(last=False)

    def take(self, participant_id: ParticipantId) -> bool | None:
        """None when the resume may go on."""
        silent, until = self._faults.pop(participant_id, (False, 0.0))
        return silent if self._clock() < until else None


class PreferredProtocols:
    """By room and identity: what a client wants to reach the server by when it joins again. `clock` is monotonic, in
    seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._preferred: OrderedDict[tuple[RoomName, Identity], tuple[int, float]] = OrderedDict()

    def set(self, room: RoomName, identity: Identity, protocol: int) -> None:
        self._preferred[room, identity] = (protocol, self._clock() + PREFERENCE_S)
        self._preferred.move_to_end((room, identity))
        if len(self._preferred) > MAX_PREFERENCES:
            self._preferred.popitem(last=False)

    def of(self, room: RoomName, identity: Identity) -> int:
        """UDP where nothing else is preferred."""
        protocol, until = self._preferred.get((room, identity), (rtc.UDP, 0.0))
        return protocol if self._clock() < until else rtc.UDP


class Simulations:
    """What clients have asked for that outlives their connection; one per application. `has_tcp` and `has_tls`: how
    the server is reached beside UDP, over ICE-TCP and over TURN with TLS."""

    def __init__(self, *, has_tcp: bool, has_tls: bool) -> None:
        self._has = {rtc.UDP: True, rtc.TCP: has_tcp, rtc.TLS: has_tls}
        self.resume_faults = ResumeFaults()
        self._preferred = PreferredProtocols()

    def prefer(self, room: RoomName, identity: Identity, protocol: rtc.CandidateProtocol) -> None:
        """Raises `RequestError` not_supported."""
        if not self._has[protocol]:
            raise RequestError("this server has no such way in", code="not_supported")
        self._preferred.set(room, identity, protocol)

    def protocol_of(self, room: RoomName, identity: Identity) -> int:
        """UDP where nothing else is preferred."""
        return self._preferred.of(room, identity)


async def simulate(context: Context, message: rtc.SimulateScenario) -> None:
    """One that is switched off has no effect. Raises `RequestError` not_supported for one of a newer protocol."""
    match message.WhichOneof("scenario"):
        case "speaker_update" if message.speaker_update > 0:
            _speak(context, min(message.speaker_update, MAX_SPEAKING_S))
        case "node_failure" if message.node_failure:
            context.leave(LeaveReason.SIGNAL_CLOSE, tell=False)
        case "migration" if message.migration:
            context.leave(LeaveReason.MIGRATION, tell=False)
        case "server_leave" if message.server_leave:
            context.leave(LeaveReason.SERVER_SHUTDOWN, tell=True)
        case "leave_request_full_reconnect" if message.leave_request_full_reconnect:
            context.leave(LeaveReason.STATE_MISMATCH, tell=True)
        case "disconnect_signal_on_resume" if message.disconnect_signal_on_resume:
            context.break_next_resume(silent=False)
        case "disconnect_signal_on_resume_no_messages" if message.disconnect_signal_on_resume_no_messages:
            context.break_next_resume(silent=True)
        case "subscriber_bandwidth":
            if message.subscriber_bandwidth < 0:
                raise RequestError("a bandwidth is not negative", code="invalid_request")
            context.session.simulate_bandwidth(message.subscriber_bandwidth)
        case "switch_candidate_protocol":
            if message.switch_candidate_protocol not in rtc.CandidateProtocol.values():
                raise RequestError("no such protocol", code="invalid_request")
            context.prefer_protocol(message.switch_candidate_protocol)
        case None:
            raise RequestError("the scenario is not known here", code="not_supported")
        case _:
            context.count_refusal("ignored_message")


def _speak(context: Context, seconds: int) -> None:
    """The client sees itself speak, and stop after that time."""
    sid = context.session.info.participant_id

    def say(active: bool) -> None:
        speaker = models.SpeakerInfo(sid=sid, active=active, level=0.9 if active else 0.0)
        context.send(rtc.SignalResponse(speakers_changed=rtc.SpeakersChanged(speakers=[speaker])))

    say(True)
    asyncio.get_running_loop().call_later(seconds, say, False)
