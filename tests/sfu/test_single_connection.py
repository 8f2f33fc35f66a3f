"""One connection for both directions, as the control plane sees it: which tracks go out on which sections of the
client's offers, and what the client is asked for. The client is made of text; real media is for tests/integration."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from aiortc.mediastreams import VideoStreamTrack

from sfu.api import (
    AddTrackRequest,
    Answer,
    JoinRequest,
    Kind,
    LeaveReason,
    MediaSectionsRequired,
    ParticipantsUpdated,
    SdpError,
    SessionEnded,
    SessionEvent,
    SubscriberOffer,
    TrackSource,
    TrackSubscribed,
)
from sfu.ids import Identity, RoomName, TrackId
from sfu.node import Node
from tests.harness.raw import split_sections
from tests.harness.raw_caller import RawCaller
from tests.sfu.sdp_rig import sections_of

ROOM = RoomName("den")
DEADLINE_S = 10.0
FINGERPRINT = ":".join(["0C"] * 32)
CODECS = {
    "audio": ["a=rtpmap:109 opus/48000/2", "a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid"],
    "video": [
        "a=rtpmap:120 VP8/90000", "a=rtcp-fb:120 nack", "a=rtcp-fb:120 nack pli", "a=rtpmap:121 rtx/90000",
        "a=fmtp:121 apt=120", "a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid",
    ],
}  # fmt: skip
FORMATS = {"audio": "109", "video": "120 121"}


class Peer:
    """A client of a single connection. `sections` holds the kind and direction of each of its media sections, whose
    mids are their places in it; the data section is behind the first offer's."""

    def __init__(self, node: Node, identity: str) -> None:
        self.node, self.identity = node, identity
        self.sections: list[list[str]] = []
        self.events: list[SessionEvent] = []
        self.answer = Answer("")
        self._ufrag = secrets.token_hex(4)
        self._changed = asyncio.Event()

    async def join(self, **more: object) -> Peer:
        request = JoinRequest(ROOM, Identity(self.identity), single_connection=True, **more)  # type: ignore[arg-type]
        self.session = await self.node.join(request, self._sink)
        self.session.start()
        return self

    def _sink(self, event: SessionEvent) -> None:
        self.events.append(event)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def add(self, *kinds: str, direction: str = "recvonly") -> None:
        self.sections += [[kind, direction] for kind in kinds]

    async def offer(self) -> dict[str, str]:
        """Offer; gives the direction of each section of the answer by mid."""
        self.answer = await self.session.handle_offer(self.description())
        _, answered = split_sections(self.answer.sdp)
        words = ("sendrecv", "sendonly", "recvonly", "inactive")
        return {
            one.value("mid"): next(word for word in words if f"a={word}" in one.lines)
            for one in answered
            if one.kind != "application"
        }

    def description(self) -> str:
        mids = [str(index) for index in range(len(self.sections))]
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join([*mids, 'data'])}"]
        transport = [
            "c=IN IP4 0.0.0.0", f"a=ice-ufrag:{self._ufrag}", f"a=ice-pwd:{'p' * 24}",
            f"a=fingerprint:sha-256 {FINGERPRINT}", "a=setup:actpass",
        ]  # fmt: skip
        for mid, (kind, direction) in zip(mids, self.sections, strict=True):
            lines += [f"m={kind} 9 UDP/TLS/RTP/SAVPF {FORMATS[kind]}", *transport, f"a=mid:{mid}", f"a={direction}"]
            lines += ["a=rtcp-mux", *CODECS[kind]]
            if direction.startswith("send"):
                lines += [f"a=msid:stream cid{mid}", f"a=ssrc:{1000 + int(mid)} cname:c"]
        lines += ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", *transport, "a=mid:data", "a=sctp-port:5000"]
        return "\r\n".join(lines) + "\r\n"

    async def publish(self, *kinds: str) -> list[TrackId]:
        """Offer new sections that send; the ids of their tracks."""
        before = {track.track_id for track in self.session.info.tracks}
        for kind in kinds:
            cid = f"cid{len(self.sections)}"
            self.session.add_track(AddTrackRequest(cid=cid, kind=Kind(kind), source=TrackSource.UNKNOWN))
            self.add(kind, direction="sendonly")
        await self.offer()
        return [track.track_id for track in self.session.info.tracks if track.track_id not in before]

    def restart_ice(self) -> None:
        self._ufrag = secrets.token_hex(4)

    @property
    def requirements(self) -> list[tuple[int, int]]:
        found = [event for event in self.events if isinstance(event, MediaSectionsRequired)]
        return [(event.num_audios, event.num_videos) for event in found]

    async def required(self, count: int) -> tuple[int, int]:
        """The `count`-th requirement."""
        await self.until(lambda: len(self.requirements) >= count)
        return self.requirements[count - 1]


async def test_what_is_there_goes_out_in_the_first_answer(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada = await Peer(node, "ada").join()
    sound, picture = await ada.publish("audio", "video")
    bob = await Peer(node, "bob").join()
    bob.add("audio", "audio", "video", "video")
    assert await bob.offer() == {"0": "sendonly", "1": "inactive", "2": "sendonly", "3": "inactive"}
    assert bob.answer.mid_to_track_id == {"0": sound, "2": picture}
    text = bob.answer.sdp
    assert f"a=msid:{ada.session.info.participant_id}|{sound} {sound}" in text
    assert bob.requirements == []
    assert not any(isinstance(event, SubscriberOffer) for event in bob.events)
    assert {e.track_id for e in ada.events if isinstance(e, TrackSubscribed)} == {sound, picture}
    assert node.metrics()["ting_subscriptions"] == 2
    assert node.metrics()["ting_transports"] == 2


async def test_missing_sections_are_asked_for_once(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await Peer(node, "ada").join(), await Peer(node, "bob").join()
    await bob.offer()
    tracks = await ada.publish("audio", "video", "video")
    assert await bob.required(1) == (1, 2)
    # An offer that was on its way already brings none of them, and asks for nothing again.
    await bob.offer()
    await bob.offer()
    bob.add("audio", "video", "video")
    assert set((await bob.offer()).values()) == {"sendonly"}
    assert set(bob.answer.mid_to_track_id.values()) == set(tracks)
    more = await ada.publish("audio")
    assert await bob.required(2) == (1, 0)
    bob.add("audio")
    assert (await bob.offer())["3"] == "sendonly"
    assert bob.answer.mid_to_track_id["3"] == more[0]
    assert len(bob.requirements) == 2


async def test_a_free_section_needs_an_offer_and_no_more_sections(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await Peer(node, "ada").join(), await Peer(node, "bob").join()
    bob.add("audio", "video")
    await bob.offer()
    await ada.publish("audio")
    assert await bob.required(1) == (0, 0)
    assert await bob.offer() == {"0": "sendonly", "1": "inactive"}


async def test_a_section_rests_once_before_it_is_used_again(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await Peer(node, "ada").join(), await Peer(node, "bob").join()
    first, second = await ada.publish("audio", "audio")
    bob.session.update_subscription([second], False)
    bob.add("audio")
    await bob.offer()
    assert bob.answer.mid_to_track_id == {"0": first}
    bob.session.update_subscription([first], False)
    bob.session.update_subscription([second], True)
    assert await bob.required(1) == (0, 0)
    assert await bob.offer() == {"0": "inactive"}
    assert await bob.required(2) == (0, 0)
    assert await bob.offer() == {"0": "sendonly"}
    assert bob.answer.mid_to_track_id == {"0": second}


async def test_a_track_that_ended_is_told(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await Peer(node, "ada").join(), await Peer(node, "bob").join()
    await ada.publish("video")
    bob.add("video")
    assert await bob.offer() == {"0": "sendonly"}
    ada.sections[0][1] = "inactive"
    await ada.offer()
    assert await bob.required(1) == (0, 0)
    assert await bob.offer() == {"0": "inactive"}
    assert bob.answer.mid_to_track_id == {}
    assert node.metrics()["ting_subscriptions"] == 0


async def test_a_track_moves_when_its_section_stops_to_receive(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await Peer(node, "ada").join(), await Peer(node, "bob").join()
    (track,) = await ada.publish("video")
    bob.add("video", "video")
    assert await bob.offer() == {"0": "sendonly", "1": "inactive"}
    bob.sections[0][1] = "inactive"
    assert await bob.offer() == {"0": "inactive", "1": "sendonly"}
    assert bob.answer.mid_to_track_id == {"1": track}
    bob.sections[1][1] = "inactive"
    assert await bob.offer() == {"0": "inactive", "1": "inactive"}
    assert await bob.required(1) == (0, 1)
    assert node.metrics()["ting_subscriptions"] == 0


async def test_both_directions_on_one_section(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await Peer(node, "ada").join(), await Peer(node, "bob").join()
    (track,) = await ada.publish("video")
    bob.session.add_track(AddTrackRequest(cid="cid0", kind=Kind.VIDEO, source=TrackSource.CAMERA))
    bob.add("video", direction="sendrecv")
    assert await bob.offer() == {"0": "sendrecv"}
    assert bob.answer.mid_to_track_id == {"0": track}
    assert [own.mid for own in bob.session.info.tracks] == ["0"]
    # Unpublished, it still receives.
    bob.sections[0][1] = "recvonly"
    assert await bob.offer() == {"0": "sendonly"}
    assert bob.session.info.tracks == ()
    assert bob.answer.mid_to_track_id == {"0": track}


async def test_what_the_client_cannot_take_is_refused_and_not_asked_for_again(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada = await Peer(node, "ada").join()
    await ada.publish("video", "audio")
    bob = await Peer(node, "bob").join()
    bob.add("video", "audio")
    text = bob.description().replace("a=rtpmap:120 VP8/90000", "a=rtpmap:120 H264/90000")
    answer = await bob.session.handle_offer(text)
    assert list(answer.mid_to_track_id) == ["1"]
    assert node.metrics()['ting_control_events_total{event="subscriptions_refused"}'] == 1
    await ada.publish("audio")
    assert await bob.required(1) == (1, 0)


async def test_sections_beyond_the_limit_are_not_asked_for(start_node: Callable[..., Any]) -> None:
    node = await start_node(max_media_sections=4)
    ada, eve = await Peer(node, "ada").join(), await Peer(node, "eve").join()
    bob = await Peer(node, "bob").join()
    bob.add("audio")
    await bob.offer()
    await ada.publish("audio", "video")
    await eve.publish("audio", "video")
    asked = await bob.required(1)
    await bob.until(lambda: sum(map(sum, bob.requirements)) >= 2)
    assert sum(map(sum, bob.requirements)) == 2, (asked, bob.requirements)
    assert node.metrics()['ting_control_events_total{event="subscriptions_without_section"}'] >= 1
    bob.add(*["audio"] * sum(audios for audios, _ in bob.requirements))
    bob.add(*["video"] * sum(videos for _, videos in bob.requirements))
    before = len(bob.requirements)
    assert set((await bob.offer()).values()) == {"sendonly"}
    # There is no end in asking for what cannot come.
    eve.session.leave()
    await bob.until(lambda: len(bob.requirements) > before)
    assert bob.requirements[before:] == [(0, 0)]


async def test_a_client_that_never_offers_is_sent_away(start_node: Callable[..., Any]) -> None:
    node = await start_node(answer_timeout_s=0.2)
    bob = await Peer(node, "bob").join()
    await bob.until(lambda: isinstance(bob.events[-1], SessionEnded) if bob.events else False)
    assert bob.events[-1] == SessionEnded(LeaveReason.STATE_MISMATCH)


async def test_a_client_that_does_not_bring_the_sections_is_sent_away(start_node: Callable[..., Any]) -> None:
    node = await start_node(answer_timeout_s=0.3)
    ada, bob = await Peer(node, "ada").join(), await Peer(node, "bob").join()
    await bob.offer()
    await ada.publish("audio")
    await bob.required(1)
    await bob.offer()
    await bob.until(lambda: isinstance(bob.events[-1], SessionEnded))
    assert bob.events[-1] == SessionEnded(LeaveReason.STATE_MISMATCH)
    assert not ada.session.info.leave_reason


async def test_a_resume_forgets_what_was_asked_before(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await Peer(node, "ada").join(), await Peer(node, "bob").join()
    await bob.offer()
    first = split_sections(bob.answer.sdp)[1][0].value("ice-ufrag")
    await ada.publish("audio")
    await bob.required(1)
    bob.session.signal_lost()
    bob.events.clear()
    bob.session.resume(bob._sink)
    assert isinstance(bob.events[0], ParticipantsUpdated)
    bob.restart_ice()
    await bob.offer()
    assert split_sections(bob.answer.sdp)[1][0].value("ice-ufrag") != first
    assert await bob.required(1) == (1, 0)
    bob.add("audio")
    assert await bob.offer() == {"0": "sendonly"}


async def test_an_answer_of_the_client_and_bad_offers_change_nothing(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    ada, bob = await Peer(node, "ada").join(), await Peer(node, "bob").join()
    (track,) = await ada.publish("audio")
    bob.add("audio")
    await bob.offer()
    bob.session.handle_answer("nonsense", 1)
    assert node.metrics()['ting_control_events_total{event="stale_answers"}'] == 1
    for text in ("nonsense", "", bob.description().replace("a=mid:0", "a=mid:data")):
        with pytest.raises(SdpError):
            await bob.session.handle_offer(text)
    assert await bob.offer() == {"0": "sendonly"}
    assert bob.answer.mid_to_track_id == {"0": track}


async def test_an_offer_that_maps_an_id_twice_is_refused_and_the_next_one_is_taken(
    start_node: Callable[..., Any],
) -> None:
    node = await start_node()
    ada, bob = await Peer(node, "ada").join(), await Peer(node, "bob").join()
    await ada.publish("audio", "video")
    bob.add("audio", "video")
    level = "a=extmap:9/recvonly urn:ietf:params:rtp-hdrext:ssrc-audio-level"
    text = bob.description().replace("a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid", level, 1)
    with pytest.raises(SdpError):
        await bob.session.handle_offer(text)
    assert set((await bob.offer()).values()) == {"sendonly"}


async def test_a_client_of_two_connections_hears_one_of_a_single_one(start_node: Callable[..., Any]) -> None:
    node = await start_node()
    old = await RawCaller(node).join(ROOM, "old")
    await old.publish(VideoStreamTrack(), TrackSource.CAMERA)
    new = await Peer(node, "new").join()
    new.add("video")
    assert await new.offer() == {"0": "sendonly"}
    (track,) = await new.publish("audio")
    await old.until(lambda: any(track in offer for offer in old.offers))
    assert sections_of(old.offers[-1])[1][0].startswith("m=audio")
    await old.close()
