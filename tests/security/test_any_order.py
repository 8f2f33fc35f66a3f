"""Two to four clients that do anything in any order, against a real server, beside a call that must not notice.

Messages are valid, illegal, about tracks and people that are not theirs, too early, after the end, too many. After
each life everyone who is still connected must have the same view of the room.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import aiohttp
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from livekit.protocol import models, rtc

from tests.harness.bystander import Bystander
from tests.harness.raw import RawParticipant
from tests.harness.server import ServerProcess, make_token

NAMES = ["alice", "bob", "carol", "dave"]
DEADLINE_S = 10.0
MAX_GAP_MS = 100
EXAMPLES, STEPS = 40, 30
who = st.sampled_from(NAMES)
numbers = st.integers(0, 2**32 - 1) | st.integers(0, 3)
words = st.text(max_size=20) | st.sampled_from(["", "x" * 300, "\0", "\u202e"])


class Client:
    """One signal connection; `view` is what it was told of the others, by identity."""

    def __init__(self, room: str, identity: str) -> None:
        self.room, self.identity = room, identity
        self.sid = ""
        self.view: dict[str, models.ParticipantInfo] = {}
        self.tracks: list[str] = []
        self.pongs: set[int] = set()
        self.changed = asyncio.Event()
        self._socket: aiohttp.ClientWebSocketResponse
        self._reader: asyncio.Task[None]

    async def connect(self, http: aiohttp.ClientSession, url: str, **query: str) -> None:
        query = {"access_token": make_token(self.room, self.identity, can_update_own_metadata=True), **query}
        self._socket = await http.ws_connect(f"{url}/rtc", params={"protocol": "17", **query}, max_msg_size=0)
        self._reader = asyncio.create_task(self._read())

    @property
    def connected(self) -> bool:
        return not self._reader.done()

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self._take(rtc.SignalResponse.FromString(message.data))
                self.changed.set()

    def _take(self, response: rtc.SignalResponse) -> None:
        kind = response.WhichOneof("message")
        if kind == "join":
            self.sid = response.join.participant.sid
            self._update(response.join.other_participants)
        elif kind == "update":
            self._update(response.update.participants)
        elif kind == "track_published":
            self.tracks.append(response.track_published.track.sid)
        elif kind == "publish_data_track_response":
            self.tracks.append(response.publish_data_track_response.info.sid)
        elif kind == "pong_resp":
            self.pongs.add(response.pong_resp.last_ping_timestamp)

    def _update(self, participants: Any) -> None:
        for info in participants:
            known = self.view.get(info.identity)
            if info.state == models.ParticipantInfo.DISCONNECTED:
                if known is not None and known.sid == info.sid:
                    del self.view[info.identity]
            elif info.identity != self.identity and (
                known is None or known.sid != info.sid or info.version > known.version
            ):
                self.view[info.identity] = info

    async def send(self, *frames: bytes) -> None:
        try:
            for frame in frames:
                await self._socket.send_bytes(frame)
        except ConnectionError:
            pass  # The server has had enough of it.

    async def settle(self) -> None:
        """A round trip: what was sent before has been handled, or the connection is over."""
        stamp = secrets.randbits(40)
        await self.send(rtc.SignalRequest(ping_req=rtc.Ping(timestamp=stamp)).SerializeToString())
        async with asyncio.timeout(DEADLINE_S):
            while self.connected and stamp not in self.pongs:
                self.changed.clear()
                waiting = asyncio.create_task(self.changed.wait())
                await asyncio.wait({waiting, self._reader}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()

    async def close(self) -> None:
        await self._socket.close()
        await self._reader


def description(identity: str, sections: int) -> str:
    raw = RawParticipant("", identity)
    made = [raw._data_section("0"), raw._audio_section("1"), raw._video_section("2")][:sections]
    return raw._description(made, "actpass")


def message(draw: Any, sids: list[str]) -> rtc.SignalRequest:
    """One request of any kind; ids are real ones of anybody, or not."""
    sid = st.sampled_from([*sids, "", "TR_none", "PA_none"])
    flag = st.booleans()
    permission = st.builds(
        rtc.TrackPermission, participant_sid=sid, participant_identity=st.sampled_from([*NAMES, ""]), all_tracks=flag,
        track_sids=st.lists(sid, max_size=3),
    )  # fmt: skip
    update = st.builds(rtc.UpdateDataSubscription.Update, track_sid=sid, subscribe=flag)
    key = st.builds(models.DataBlobKey, generic=st.text(max_size=3))
    wire = st.builds(rtc.SessionDescription, type=st.sampled_from(["offer", "answer", "x"]), sdp=words, id=numbers)
    offer = st.builds(
        rtc.SessionDescription, type=st.just("offer"), sdp=st.builds(description, st.just("x"), st.integers(0, 3)),
    )  # fmt: skip
    builders: dict[str, st.SearchStrategy[Any]] = {
        "offer": offer | wire,
        "answer": wire,
        "trickle": st.builds(rtc.TrickleRequest, candidateInit=words, final=flag),
        "add_track": st.builds(
            rtc.AddTrackRequest, cid=st.sampled_from(["audio", "video", ""]), name=words, type=st.integers(0, 1),
            sid=sid, width=numbers,
        ),
        "mute": st.builds(rtc.MuteTrackRequest, sid=sid, muted=flag),
        "subscription": st.builds(rtc.UpdateSubscription, track_sids=st.lists(sid, max_size=4), subscribe=flag),
        "track_setting": st.builds(rtc.UpdateTrackSettings, track_sids=st.lists(sid, max_size=3), width=numbers),
        "subscription_permission": st.builds(
            rtc.SubscriptionPermission, all_participants=flag, track_permissions=st.lists(permission, max_size=3)
        ),
        "sync_state": st.builds(
            rtc.SyncState,
            subscription=st.builds(rtc.UpdateSubscription, track_sids=st.lists(sid, max_size=3), subscribe=flag),
            datachannel_receive_states=st.lists(
                st.builds(rtc.DataChannelReceiveState, publisher_sid=sid, last_seq=numbers), max_size=3
            ),
            data_subscription=st.builds(rtc.UpdateDataSubscription, updates=st.lists(update, max_size=3)),
        ),
        "update_metadata": st.builds(
            rtc.UpdateParticipantMetadata, metadata=words, name=words, request_id=numbers,
            attributes=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
        ),
        "update_audio_track": st.builds(rtc.UpdateLocalAudioTrack, track_sid=sid),
        "update_video_track": st.builds(rtc.UpdateLocalVideoTrack, track_sid=sid, width=numbers),
        "publish_data_track_request": st.builds(rtc.PublishDataTrackRequest, pub_handle=numbers, name=words),
        "unpublish_data_track_request": st.builds(rtc.UnpublishDataTrackRequest, pub_handle=numbers),
        "update_data_subscription": st.builds(rtc.UpdateDataSubscription, updates=st.lists(update, max_size=3)),
        "store_data_blob_request": st.builds(
            rtc.StoreDataBlobRequest, request_id=numbers,
            blob=st.builds(models.DataBlob, key=key, contents=st.binary(max_size=20)),
        ),
        "get_data_blob_request": st.builds(
            rtc.GetDataBlobRequest, participant_identity=st.sampled_from([*NAMES, "nobody"]), key=key
        ),
        "update_layers": st.builds(rtc.UpdateVideoLayers, track_sid=sid),
    }  # fmt: skip
    name = draw(st.sampled_from(list(builders)))
    return rtc.SignalRequest(**{name: draw(builders[name])})


class AnyOrder(RuleBasedStateMachine):
    def __init__(self, runner: asyncio.Runner, http: aiohttp.ClientSession, url: str) -> None:
        super().__init__()
        self.runner, self.http, self.url = runner, http, url
        self.room = f"any-{secrets.token_hex(4)}"
        self.clients: dict[str, Client] = {}
        self.gone: list[Client] = []
        for name in NAMES[:2]:
            self.join(name)

    def sids(self) -> list[str]:
        return [sid for client in self.clients.values() for sid in (client.sid, *client.tracks)]

    def do(self, work: Any) -> Any:
        return self.runner.run(work)

    def forget(self, name: str) -> Client:
        client = self.clients.pop(name)
        self.gone.append(client)
        return client

    @rule(name=who)
    def join(self, name: str) -> None:
        """Maybe under a name that is here already: the older one has to go."""
        if name in self.clients:
            self.forget(name)
        client = Client(self.room, name)
        self.do(client.connect(self.http, self.url))
        self.do(client.settle())
        self.clients[name] = client

    @rule(name=who, data=st.data(), times=st.sampled_from([1, 1, 1, 2, 40]))
    def say(self, name: str, data: Any, times: int) -> None:
        if name in self.clients:
            frame = message(data.draw, self.sids()).SerializeToString()
            self.do(self.clients[name].send(*[frame] * times))

    @rule(name=who, frame=st.binary(max_size=60))
    def babble(self, name: str, frame: bytes) -> None:
        if name in self.clients:
            self.do(self.clients[name].send(frame))

    @rule(name=who, data=st.data())
    def leave_and_go_on(self, name: str, data: Any) -> None:
        if name in self.clients and len(self.clients) > 1:
            after = message(data.draw, self.sids()).SerializeToString()
            self.do(self.forget(name).send(rtc.SignalRequest(leave=rtc.LeaveRequest()).SerializeToString(), after))

    @rule(name=who, of=who)
    def come_back(self, name: str, of: str) -> None:
        """With one's own session, or with that of somebody else."""
        if name in self.clients and of in self.clients:
            old, stolen = self.forget(name), self.clients.get(of, self.gone[-1]).sid
            self.do(old.close())
            client = Client(self.room, name)
            client.sid, client.view, client.tracks = old.sid, old.view, old.tracks
            self.do(client.connect(self.http, self.url, reconnect="1", sid=stolen))
            self.clients[name] = client

    @precondition(lambda self: len(self.clients) > 1)
    @rule()
    def agree(self) -> None:
        self.do(self._agree())

    async def _agree(self) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    for client in list(self.clients.values()):
                        await client.settle()
                    if not self._differences():
                        return
        except TimeoutError:
            raise AssertionError(f"the views stay apart: {self._differences()}") from None

    def _differences(self) -> list[str]:
        """Everyone who is connected sees the same of everyone else, and everyone who is connected is seen."""
        connected = [client for client in self.clients.values() if client.connected]
        found = []
        for name in NAMES:
            seen = {
                client.identity: info and (info.sid, info.version, info.SerializeToString(deterministic=True))
                for client in connected
                if client.identity != name
                for info in [client.view.get(name)]
            }
            present = any(client.identity == name for client in connected)
            if len(set(seen.values())) > 1 or (present and None in seen.values()):
                found.append(f"{name}: {seen}")
        return found

    def teardown(self) -> None:
        self.do(self._end())

    async def _end(self) -> None:
        await self._agree()
        for client in [*self.clients.values(), *self.gone]:
            await client.close()


def test_whatever_a_few_clients_do_in_any_order() -> None:
    with asyncio.Runner() as runner:
        server = ServerProcess(environment={"TING_RESUME_TIMEOUT_S": "1", "TING_DEPARTURE_TIMEOUT_S": "1"})
        runner.run(server.start())
        bystander, http = Bystander(server.url), runner.run(_session())
        runner.run(bystander.__aenter__())
        try:
            run_state_machine_as_test(
                lambda: AnyOrder(runner, http, server.url),
                settings=settings(
                    max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )  # fmt: skip
            assert runner.run(bystander.longest_gap_ms()) <= MAX_GAP_MS
        finally:
            runner.run(http.close())
            runner.run(bystander.__aexit__(None, None, None))
            assert runner.run(server.stop()) == 0
    server.assert_healthy()


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()
