"""Offers that come too fast: slowed, never refused, and bounded."""

from __future__ import annotations

import pytest
from livekit.protocol import models, rtc

from signaling.livekit import waiting_tracks
from signaling.livekit.offers import WaitingOffer
from signaling.livekit.waiting_tracks import WaitingTracks
from tests.signaling.fake_sfu import FakeSession
from tests.signaling.harness import Client, Server, bystander, eventually, running

NEVER_S = 3600.0


def offer(number: int) -> rtc.SignalRequest:
    return rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp=f"v=0 {number}", id=number))


class Answering:
    """Takes down what is answered; `delays` are what the next offers have to wait."""

    def __init__(self, *delays: float, max_replaced: int = 2) -> None:
        self.delays = list(delays)
        self.answered: list[int] = []
        self.waiting = WaitingOffer(self.answer, self.delay_s, max_replaced)

    def delay_s(self) -> float:
        return self.delays.pop(0) if self.delays else 0.0

    async def answer(self, request: rtc.SignalRequest) -> None:
        self.answered.append(request.offer.id)


async def test_an_offer_in_turn_does_not_wait() -> None:
    assert not Answering(0.0).waiting.must_wait
    assert Answering(0.001).waiting.must_wait


async def test_the_newest_offer_is_answered_when_its_turn_comes() -> None:
    side = Answering(0.001, 0.001)
    assert side.waiting.wait(offer(1))
    assert side.waiting.wait(offer(2))
    assert side.waiting.must_wait, "also when its turn came: nobody overtakes the one that waits"
    await eventually(lambda: side.answered)
    assert side.answered == [2]
    assert not side.waiting.must_wait
    assert side.waiting.wait(offer(3))
    await eventually(lambda: len(side.answered) == 2)
    assert side.answered == [2, 3]


async def test_offers_that_replace_each_other_without_end_are_too_many() -> None:
    side = Answering(NEVER_S)
    assert [side.waiting.wait(offer(number)) for number in range(4)] == [True, True, True, False]
    side.waiting.close()


async def test_nothing_is_answered_after_the_end() -> None:
    side = Answering(NEVER_S)
    side.waiting.wait(offer(1))
    side.waiting.close()
    side.delays.clear()
    assert not side.waiting.must_wait
    assert side.waiting.wait(offer(2))
    await eventually(lambda: side.answered)
    assert side.answered == [2]


# --- over a connection ------------------------------------------------------------------------------------


def descriptions(session: FakeSession) -> list[str]:
    return [call[1] for call in session.calls if call[0] == "handle_offer"]


async def send_offers(client: Client, numbers: range) -> None:
    for number in numbers:
        await client.send(offer=offer(number).offer)


async def test_other_messages_pass_an_offer_that_waits(server: Server) -> None:
    client = await server.join()
    session = server.sfu.session_of("lobby", "alice")
    session.offer_delays = [NEVER_S, NEVER_S]
    await client.send(offer=offer(1).offer)
    await client.ping()
    assert descriptions(session) == []


async def test_a_waiting_offer_is_answered_with_its_id(server: Server) -> None:
    client = await server.join()
    server.sfu.session_of("lobby", "alice").offer_delays = [0.01, 0.01]
    await client.send(offer=offer(7).offer)
    answer = (await client.expect("answer")).answer
    assert (answer.type, answer.id) == ("answer", 7)


async def test_a_flood_of_offers_ends_its_own_session_with_a_reason() -> None:
    async with running(max_replaced_offers=3) as server, bystander(server):
        client = await server.join()
        session = server.sfu.session_of("lobby", "alice")
        session.offer_delays = [NEVER_S] * 10
        await send_offers(client, range(6))
        leave = (await client.wait_for("leave")).leave
        assert leave.action == rtc.LeaveRequest.DISCONNECT
        await client.closed()
        assert session.ended is not None
        assert server.value("ting_signal_closures_total", reason="too_many_offers") == 1
        assert descriptions(session) == []


async def test_an_offer_that_cannot_be_answered_makes_the_client_join_anew(server: Server) -> None:
    client = await server.join()
    server.sfu.session_of("lobby", "alice").no_transport = True
    await client.send(offer=offer(1).offer)
    assert (await client.expect("request_response")).request_response.reason == rtc.RequestResponse.LIMIT_EXCEEDED
    leave = (await client.expect("leave")).leave
    assert (leave.action, leave.reason) == (rtc.LeaveRequest.RECONNECT, models.DisconnectReason.MEDIA_FAILURE)


async def test_a_resume_forgets_the_offer_that_waited(server: Server) -> None:
    client = await server.join()
    session = server.sfu.session_of("lobby", "alice")
    session.offer_delays = [NEVER_S, NEVER_S]
    await client.send(offer=offer(1).offer)
    await client.ping()
    await client.ws.close()
    await eventually(lambda: "signal_lost" in session.names())
    session.offer_delays = []
    again = await server.connect(reconnect="1", sid=client.sid)
    await again.expect("reconnect")
    await again.send(offer=offer(2).offer)
    assert (await again.wait_for("answer")).answer.id == 2


# --- announcements ----------------------------------------------------------------------------------------


async def test_a_track_waits_for_the_place_of_one_that_was_given_up(server: Server) -> None:
    client = await server.join()
    session = server.sfu.session_of("lobby", "alice")
    session.crowded = 2
    await client.send(add_track=rtc.AddTrackRequest(cid="c", type=models.TrackType.AUDIO))
    await client.ping()
    assert (await client.expect("track_published")).track_published.cid == "c"


async def test_a_track_for_which_there_is_no_place_is_refused_with_its_cid() -> None:
    async with running(max_pending_tracks=2) as server:
        client = await server.join()
        server.sfu.session_of("lobby", "alice").crowded = 1000
        for cid in ("1", "2", "3"):
            await client.send(add_track=rtc.AddTrackRequest(cid=cid, type=models.TrackType.AUDIO))
        response = (await client.expect("request_response")).request_response
        assert (response.reason, response.add_track.cid) == (rtc.RequestResponse.LIMIT_EXCEEDED, "3")


async def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[str] = []
    monkeypatch.setattr(waiting_tracks, "PATIENCE_S", 0.001)
    monkeypatch.setattr(waiting_tracks, "RETRY_S", 0.002)

    async def try_again(request: rtc.SignalRequest) -> None:
        if not tracks.wait(request.add_track):
            refused.append(request.add_track.cid)

    tracks = WaitingTracks(try_again, 2)
    assert tracks.wait(rtc.AddTrackRequest(cid="1"))
    await eventually(lambda: refused == ["1"])
    assert tracks.wait(rtc.AddTrackRequest(cid="1")), "the next announcement has its own patience"
    tracks.close()
