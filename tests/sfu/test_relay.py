"""One room over several nodes: real nodes with a mesh and links between them, aiortc's peer connections as clients."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack, VideoStreamTrack

from sfu.api import (
    ClusterPlace,
    DataKind,
    DataTrackHandles,
    DataTrackRequest,
    LayersWanted,
    LeaveReason,
    NodePlace,
    ParticipantChanges,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantsUpdated,
    Permissions,
    PublicationInfo,
    RoomFinished,
    RoomOptions,
    RoomStarted,
    RoomUpdated,
    SessionEnded,
    SubscriptionRights,
    TrackGrant,
    TrackMuted,
    TrackSettings,
    TrackSource,
    TrackSubscribed,
)
from sfu.ids import Identity, ParticipantId, RoomName, TrackId
from sfu.node import Node
from sfu.relay import messages
from tests.harness.raw_caller import RawCaller
from tests.harness.waiting import eventually
from tests.sfu.conftest import BASE, free_port

ROOM = RoomName("den")
SECRET = "a secret for tests that is long enough"


class Cluster:
    """Nodes that know each other, with what each of them told its listeners."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.places: dict[str, NodePlace] = {}
        self.told: dict[str, list[Any]] = {}

    async def add(self, name: str, secret: str = SECRET, **changes: object) -> Node:
        place = NodePlace(name, "127.0.0.1", free_port(socket.SOCK_STREAM))
        ports = {"rtc_udp_port": free_port(socket.SOCK_DGRAM), "rtc_tcp_port": free_port(socket.SOCK_STREAM)}
        settings: dict[str, object] = {"node_timeout_s": 10.0, "dynacast_pause_delay_s": 0.2, **ports, **changes}
        config = replace(BASE, **settings)  # type: ignore[arg-type]
        node = Node(config, ClusterPlace(name, secret, place.host, place.port))
        await node.start()
        self.nodes[name], self.places[name] = node, place
        self.told[name] = []
        node.add_listener(self.told[name].append)
        for other in self.nodes:
            self.nodes[other].set_nodes({name: place for name, place in self.places.items() if name != other})
        return node

    async def connected(self) -> None:
        def whole() -> bool:
            return all(node.metrics()["ting_node_peers"] == len(self.nodes) - 1 for node in self.nodes.values())

        await eventually(whole, "a whole mesh")

    async def lose(self, name: str) -> None:
        """As if its process had died: nothing of it says goodbye."""
        node = self.nodes.pop(name)
        del self.places[name]
        assert node._neighbours is not None
        node._neighbours.relay._nodes.clear()
        await node.close()

    def events(self, kind: type) -> list[tuple[str, Any]]:
        return [(name, event) for name, told in self.told.items() for event in told if isinstance(event, kind)]


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    cluster, problems = Cluster(), []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: problems.append(context))
    yield cluster
    for node in cluster.nodes.values():
        await node.close()
        figures = node.metrics()
        left = [figures[f"ting_{name}"] for name in ("transports", "subscriptions", "publications", "links")]
        assert left == [0, 0, 0, 0]
    assert problems == []


async def joined(node: Node, identity: str, **more: object) -> RawCaller:
    """Somebody whose media connection stands."""
    caller = await RawCaller(node).join(ROOM, identity, **more)
    await eventually(lambda: caller.subscriber.connectionState == "connected", "a connection")
    return caller


async def publish(caller: RawCaller, track: MediaStreamTrack, source: TrackSource) -> PublicationInfo:
    publication = await caller.publish(track, source)
    await eventually(lambda: caller.publisher.connectionState == "connected", "a connection")
    return publication


async def close_all(*callers: RawCaller) -> None:
    await asyncio.gather(*(caller.close() for caller in callers))


def sees(caller: RawCaller, *identities: str) -> Callable[[], bool]:
    return lambda: {info.identity for info in caller.session.others()} == set(identities)


async def test_audio_and_video_cross_to_another_node(cluster: Cluster) -> None:
    one, two = await cluster.add("one"), await cluster.add("two")
    await cluster.connected()
    ada = await joined(one, "ada")
    audio = await publish(ada, AudioStreamTrack(), TrackSource.MICROPHONE)
    video = await publish(ada, VideoStreamTrack(), TrackSource.CAMERA)
    await eventually(lambda: two.find_room(ROOM) is not None, "the room on the other node")
    bob = await joined(two, "bob")
    await bob.until(lambda: len(bob.tracks) == 2)
    for track in bob.tracks:
        first, second = await track.recv(), await track.recv()
        assert second.pts > first.pts
    assert [info.identity for info in bob.session.others()] == ["ada"]
    assert {track.track_id for track in bob.session.others()[0].tracks} == {audio.track_id, video.track_id}
    assert (await ada.event(TrackSubscribed)).track_id in {audio.track_id, video.track_id}
    assert one.find_room(ROOM).room_id == two.find_room(ROOM).room_id  # type: ignore[union-attr]
    assert one.metrics()["ting_links"] == two.metrics()["ting_links"] == 1
    assert [name for name, _ in cluster.events(RoomStarted)] == ["one"]
    near, far = two.nodes()
    assert ((near.name, near.people), (far.name, far.people)) == (("two", {ROOM: 1}), ("one", {ROOM: 1}))
    assert far.has_link
    assert far.received_bytes > 0
    await close_all(ada, bob)


async def test_people_see_each_other_and_what_changes(cluster: Cluster) -> None:
    one, two, three = [await cluster.add(name) for name in ("one", "two", "three")]
    await cluster.connected()
    ada, bob = await joined(one, "ada"), await joined(two, "bob", name="Bob")
    await ada.until(sees(ada, "bob"))
    await bob.until(sees(bob, "ada"))
    bob.session.update(ParticipantChanges(name="Robert", attributes={"hand": "up"}))
    await ada.event(ParticipantsUpdated, lambda event: event.participants[0].name == "Robert")
    assert ada.session.others()[0].attributes == {"hand": "up"}
    await eventually(lambda: len(three.participants(ROOM)) == 2, "both, on a node where nobody is")
    assert three.find_room(ROOM).num_participants == 2  # type: ignore[union-attr]
    bob.session.leave()
    gone = await ada.event(ParticipantsUpdated, lambda event: event.participants[0].leave_reason is not None)
    assert gone.participants[0].leave_reason is LeaveReason.CLIENT_INITIATED
    assert ada.session.others() == []
    await close_all(ada, bob)


async def test_data_goes_to_the_named_and_to_everyone_once(cluster: Cluster) -> None:
    one, two = await cluster.add("one"), await cluster.add("two")
    await cluster.connected()
    ada = await joined(one, "ada")
    bob, cat = [await joined(two, identity) for identity in ("bob", "cat")]
    for caller in (ada, bob, cat):
        await caller.until(lambda caller=caller: "_reliable" in caller.channels and "_lossy" in caller.channels)  # type: ignore[misc]
    await ada.until(sees(ada, "bob", "cat"))
    for number in (1, 2, 2):
        ada.session.send_data(DataKind.RELIABLE, f"all {number}".encode(), sequence=number)
    ada.session.send_data(DataKind.RELIABLE, b"bob only", [Identity("bob")], sequence=3)
    two.send_data(ROOM, DataKind.RELIABLE, b"the server")
    one.send_data(ROOM, DataKind.RELIABLE, b"the other server", [Identity("cat")])
    await bob.until(lambda: len(bob.messages) == 4)
    await cat.until(lambda: len(cat.messages) == 4)
    await ada.until(lambda: len(ada.messages) == 1)
    assert {text for _, text in bob.messages} == {b"all 1", b"all 2", b"bob only", b"the server"}
    assert {text for _, text in cat.messages} == {b"all 1", b"all 2", b"the server", b"the other server"}
    assert ada.messages == [("_reliable", b"the server")]
    await close_all(ada, bob, cat)


def watch_reading(caller: RawCaller) -> list[bool]:
    """Whether the node of the caller takes its reliable data, as that changes."""
    told: list[bool] = []
    publisher = caller.session.participant.publisher
    publisher.set_data_reading = told.append  # type: ignore[method-assign]
    return told


async def test_a_sender_waits_for_receivers_that_are_behind_on_another_node(cluster: Cluster) -> None:
    one, _two = await cluster.add("one"), await cluster.add("two", data_wait_from_bytes=30_000)
    await cluster.connected()
    ada, bob = await joined(one, "ada"), await joined(cluster.nodes["two"], "bob")
    await bob.until(lambda: "_reliable" in bob.channels)
    await ada.until(sees(ada, "bob"))
    told = watch_reading(ada)
    for number in range(1, 41):
        ada.session.send_data(DataKind.RELIABLE, bytes(10_000), sequence=number)
    await bob.until(lambda: len(bob.messages) == 40)
    await eventually(lambda: told[-1:] == [True], "the sender to go on")
    assert told == [False, True] * (len(told) // 2)
    await close_all(ada, bob)


async def test_a_sender_waits_for_no_node_that_is_lost(cluster: Cluster) -> None:
    one, two, _three = [await cluster.add(name) for name in ("one", "two", "three")]
    await cluster.connected()
    ada, bob = await joined(one, "ada"), await joined(two, "bob")
    await bob.until(sees(bob, "ada"))
    told = watch_reading(ada)
    for name in ("two", "three"):
        neighbours = cluster.nodes[name]._neighbours
        assert neighbours is not None
        (member,) = neighbours.relay._nodes["one"].members.values()
        member.home.set_reading(member, False)
        await eventually(
            lambda name=name: name in ada.session.participant.messages._held_by,  # type: ignore[misc]
            "the sender to wait",
        )
    assert told == [False]
    await cluster.lose("three")
    await eventually(lambda: ada.session.participant.messages._held_by == {"two"}, "one node less")
    assert told == [False]
    await cluster.lose("two")
    await eventually(lambda: told == [False, True], "the sender to go on")
    await close_all(ada, bob)


async def test_moderation_reaches_over_nodes(cluster: Cluster) -> None:
    one, two = await cluster.add("one"), await cluster.add("two")
    await cluster.connected()
    ada, bob = await joined(one, "ada"), await joined(two, "bob")
    audio = await publish(bob, AudioStreamTrack(), TrackSource.MICROPHONE)
    await ada.until(lambda: len(ada.tracks) == 1)
    one.mute_track(ROOM, Identity("bob"), audio.track_id, True)
    assert (await bob.event(TrackMuted)).muted
    await ada.event(ParticipantsUpdated, lambda event: any(track.muted for track in event.participants[0].tracks))
    found = one.find_participant(ROOM, Identity("bob"))
    assert found is not None
    found.update(ParticipantChanges(metadata="moderated"))
    await bob.event(ParticipantsUpdated, lambda event: event.participants[0].metadata == "moderated")
    found.set_permissions(Permissions(can_publish=False))
    await ada.event(ParticipantsUpdated, lambda event: not event.participants[0].tracks)
    one.remove_participant(ROOM, Identity("bob"))
    assert (await bob.event(SessionEnded)).reason is LeaveReason.PARTICIPANT_REMOVED
    await ada.until(sees(ada))
    await close_all(ada, bob)


async def test_rights_that_a_publisher_gives_hold_on_other_nodes(cluster: Cluster) -> None:
    one, two = await cluster.add("one"), await cluster.add("two")
    await cluster.connected()
    ada, bob = await joined(one, "ada"), await joined(two, "bob")
    audio = await publish(ada, AudioStreamTrack(), TrackSource.MICROPHONE)
    await bob.until(lambda: len(bob.tracks) == 1)
    await bob.tracks[0].recv()
    ada.session.set_subscription_rights(
        SubscriptionRights(all_participants=False, grants=[TrackGrant(identity="cat", all_tracks=True)])
    )
    (publication,) = one._directory.require(ROOM).publications()
    await eventually(lambda: not publication.subscriptions, "nothing that goes to the other node")
    cat, dan = await joined(two, "cat"), await joined(two, "dan")
    await cat.until(lambda: len(cat.tracks) == 1)
    await cat.tracks[0].recv()
    (arrival,) = two._directory.require(ROOM).publications()
    assert set(arrival.subscriptions) == {cat.session.info.participant_id}
    assert arrival.track_id == audio.track_id
    await close_all(ada, bob, cat, dan)


async def test_what_nobody_on_a_node_wants_does_not_go_there(cluster: Cluster) -> None:
    one, two = await cluster.add("one"), await cluster.add("two")
    await cluster.connected()
    ada, bob = await joined(one, "ada"), await joined(two, "bob", auto_subscribe=False)
    video = await publish(ada, VideoStreamTrack(), TrackSource.CAMERA)
    wanted = await ada.event(LayersWanted, lambda event: set(event.codecs.values()) == {-1})
    assert wanted.track_id == video.track_id
    (publication,) = one._directory.require(ROOM).publications()
    await bob.event(ParticipantsUpdated, lambda event: len(event.participants[0].tracks) == 1)
    assert not publication.subscriptions
    bob.session.update_subscription([video.track_id], True)
    await bob.until(lambda: len(bob.tracks) == 1)
    await bob.tracks[0].recv()
    await ada.event(LayersWanted, lambda event: 2 in event.codecs.values())
    bob.session.update_track_settings([video.track_id], TrackSettings(disabled=True))
    await eventually(lambda: not publication.subscriptions, "nothing that is needed")
    await ada.event(LayersWanted, lambda event: set(event.codecs.values()) == {-1})
    bob.session.update_track_settings([video.track_id], TrackSettings())
    await eventually(lambda: len(publication.subscriptions) == 1, "a need")
    await bob.tracks[0].recv()
    await close_all(ada, bob)


async def test_data_tracks_and_blobs_are_had_on_other_nodes(cluster: Cluster) -> None:
    one, two = await cluster.add("one"), await cluster.add("two")
    await cluster.connected()
    ada, bob = await joined(one, "ada"), await joined(two, "bob")
    await bob.until(sees(bob, "ada"))
    await bob.until(lambda: "_data_track" in bob.channels)
    info = ada.session.publish_data_track(DataTrackRequest(7, "pose"))
    ada.session.store_blob(b"schema", b"what pose means")
    await bob.event(ParticipantsUpdated, lambda event: event.participants[0].data_tracks)
    bob.session.update_data_subscription(info.track_id, True)
    handles = await bob.event(DataTrackHandles)
    (handle,) = handles.sources
    track = one._directory.require(ROOM).find_data_track(info.track_id)
    await eventually(lambda: track is not None and track.wanted, "a node that wants it")
    frame = bytes([0b0001_1000, 0]) + (7).to_bytes(2) + bytes(8) + b"here"
    ada.session.participant.data_publisher.handle_packet(frame)  # type: ignore[attr-defined]
    await bob.until(lambda: ("_data_track", frame[:2] + handle.to_bytes(2) + frame[4:]) in bob.messages)
    assert bob.session.find_blob(Identity("ada"), b"schema") == b"what pose means"
    bob.session.update_data_subscription(info.track_id, False)
    await eventually(lambda: track is not None and not track.wanted, "nobody who wants it")
    third = await cluster.add("three")
    await cluster.connected()
    cat = await joined(third, "cat")
    assert cat.session.find_blob(Identity("ada"), b"schema") == b"what pose means"
    ada.session.unpublish_data_track(7)
    await cat.event(ParticipantsUpdated, lambda event: not event.participants[0].data_tracks)
    await close_all(ada, bob, cat)


async def test_one_identity_is_there_once_whichever_node_it_comes_to(cluster: Cluster) -> None:
    one, two = await cluster.add("one"), await cluster.add("two")
    await cluster.connected()
    first = await joined(one, "ada")
    await eventually(lambda: len(two.participants(ROOM)) == 1, "the first on the other node")
    second = await joined(two, "ada")
    assert (await first.event(SessionEnded)).reason is LeaveReason.DUPLICATE_IDENTITY
    for node in (one, two):
        await eventually(lambda node=node: len(node.participants(ROOM)) == 1, "one of them")  # type: ignore[misc]
        assert node.participants(ROOM)[0].participant_id == second.session.info.participant_id
    await close_all(first, second)


async def test_a_room_is_one_whoever_begins_sets_or_ends_it(cluster: Cluster) -> None:
    one, two = await cluster.add("one"), await cluster.add("two")
    # Begun on both before they know of each other.
    first = one.create_room(ROOM, RoomOptions(metadata="of one"))
    second = two.create_room(ROOM, RoomOptions(max_participants=5))
    await cluster.connected()
    both = lambda: [node.find_room(ROOM) for node in (one, two)]  # noqa: E731
    await eventually(lambda: both()[0] == both()[1], "the same room")
    assert both()[0].room_id in {first.room_id, second.room_id}  # type: ignore[union-attr]
    ada, bob = await joined(one, "ada"), await joined(two, "bob")
    await ada.until(sees(ada, "bob"))
    two.update_room_metadata(ROOM, "new")
    await ada.event(RoomUpdated, lambda event: event.room.metadata == "new")
    assert two.end_room(ROOM)
    for caller in (ada, bob):
        assert (await caller.event(SessionEnded)).reason is LeaveReason.ROOM_DELETED
    await eventually(lambda: both() == [None, None], "no room")
    assert [name for name, _ in cluster.events(RoomFinished)] == ["two"]
    await close_all(ada, bob)


async def test_an_empty_room_ends_once_and_on_every_node(cluster: Cluster) -> None:
    one, two = [await cluster.add(name, departure_timeout_s=0.1) for name in ("one", "two")]
    await cluster.connected()
    ada, bob = await joined(one, "ada"), await joined(two, "bob")
    await ada.until(sees(ada, "bob"))
    ada.session.leave()
    bob.session.leave()
    await eventually(lambda: one.find_room(ROOM) is two.find_room(ROOM) is None, "no room")
    assert [name for name, _ in cluster.events(RoomFinished)] == ["one"]
    await close_all(ada, bob)


async def test_who_was_on_a_node_that_is_lost_is_gone_for_the_others(cluster: Cluster) -> None:
    one, two, three = [await cluster.add(name) for name in ("one", "two", "three")]
    await cluster.connected()
    callers = [await joined(node, name) for node, name in ((one, "ada"), (two, "bob"), (three, "cat"))]
    ada, bob, cat = callers
    await publish(cat, AudioStreamTrack(), TrackSource.MICROPHONE)
    await publish(ada, AudioStreamTrack(), TrackSource.MICROPHONE)
    await bob.until(lambda: len(bob.tracks) == 2)
    await ada.until(lambda: len(ada.tracks) == 1)
    await eventually(lambda: len(cluster.events(ParticipantJoined)) >= 2, "those who are really there")
    await cluster.lose("three")
    await ada.until(sees(ada, "bob"))
    await bob.until(sees(bob, "ada"))
    assert [
        (name, event.participant.identity) for name, event in cluster.events(ParticipantLeft) if name != "three"
    ] == [("one", "cat")]
    # The call of the others goes on, and who was lost comes back elsewhere.
    again = await joined(two, "cat")
    await ada.until(sees(ada, "bob", "cat"))
    await again.until(lambda: len(again.tracks) == 1)
    await again.tracks[0].recv()
    await close_all(ada, bob, cat, again)


async def test_a_connection_that_breaks_is_made_anew_and_all_is_as_before(cluster: Cluster) -> None:
    one, two = await cluster.add("one"), await cluster.add("two")
    await cluster.connected()
    ada, bob = await joined(one, "ada"), await joined(two, "bob")
    await publish(ada, AudioStreamTrack(), TrackSource.MICROPHONE)
    await bob.until(lambda: len(bob.tracks) == 1)
    await bob.tracks[0].recv()
    versions = [info.version for info in bob.session.others()]
    begin = len(bob.events)
    assert two._neighbours is not None
    for _, connection in two._neighbours.mesh._peers.values():
        connection.writer.transport.abort()
    await bob.until(lambda: any(isinstance(one, ParticipantsUpdated) for one in bob.events[begin:]))
    await cluster.connected()
    await bob.until(sees(bob, "ada"))
    told = [event.participants[0] for event in bob.events[begin:] if isinstance(event, ParticipantsUpdated)]
    assert [info.leave_reason is not None for info in told] == [True, False]
    assert versions[0] < told[0].version < told[1].version
    ada.session.update(ParticipantChanges(name="Ada"))
    named = await bob.event(ParticipantsUpdated, lambda event: event.participants[0].name == "Ada")
    assert named.participants[0].version > told[1].version
    cat = await joined(two, "cat")
    await cat.until(lambda: len(cat.tracks) == 1)
    await cat.tracks[0].recv()
    await close_all(ada, bob, cat)


async def test_a_node_that_stops_sends_its_clients_to_the_others(cluster: Cluster) -> None:
    one, two = await cluster.add("one"), await cluster.add("two")
    await cluster.connected()
    ada, bob = await joined(one, "ada"), await joined(two, "bob")
    await ada.until(sees(ada, "bob"))
    del cluster.nodes["one"]
    await one.close()
    assert (await ada.event(SessionEnded)).reason is LeaveReason.NODE_SHUTDOWN
    gone = await bob.event(ParticipantsUpdated, lambda event: event.participants[0].leave_reason is not None)
    assert gone.participants[0].leave_reason is LeaveReason.NODE_SHUTDOWN
    again = await joined(two, "ada")
    await bob.until(sees(bob, "ada"))
    assert cluster.events(RoomFinished) == []
    await close_all(ada, bob, again)


async def test_keys_of_a_link_are_replaced_while_media_flows(cluster: Cluster) -> None:
    one, two = [await cluster.add(name, link_key_interval_s=0.1) for name in ("one", "two")]
    await cluster.connected()
    ada, bob = await joined(one, "ada"), await joined(two, "bob")
    await publish(ada, AudioStreamTrack(), TrackSource.MICROPHONE)
    await bob.until(lambda: len(bob.tracks) == 1)
    await bob.tracks[0].recv()
    assert one._neighbours is not None
    link = one._neighbours.relay._nodes["two"].link
    assert link is not None
    before = link._number
    await eventually(lambda: link._number >= before + 3, "new keys")
    for _ in range(10):
        await bob.tracks[0].recv()
    await close_all(ada, bob)


async def test_a_message_that_is_not_understood_is_counted_and_left_alone(cluster: Cluster) -> None:
    one, two = await cluster.add("one"), await cluster.add("two")
    await cluster.connected()
    assert one._neighbours is not None
    peer = one._neighbours.relay._nodes["two"].peer
    for message in (b"", b"\xc1", msgspec.msgpack.encode({"kind": "of the future", "x": 1})):
        peer.send(message)
    peer.send(messages.encode(messages.Mute(ParticipantId("PA_gone"), ROOM, TrackId("TR_gone"), True)))
    counted = 'ting_control_events_total{event="node_messages_%s"}'
    await eventually(lambda: two.metrics().get(counted % "refused", 0) == 1, "a refusal")
    assert two.metrics()[counted % "unknown"] == 3
    # A field that a later version has added is no hindrance.
    later = {**msgspec.msgpack.decode(messages.encode(messages.RoomLeft(ROOM))), "since": "tomorrow"}
    assert messages.decode(msgspec.msgpack.encode(later)) == messages.RoomLeft(ROOM)
    assert one.metrics()["ting_node_peers"] == two.metrics()["ting_node_peers"] == 1


async def test_a_node_with_another_secret_stays_outside(cluster: Cluster) -> None:
    one = await cluster.add("one")
    two = await cluster.add("two", secret="another secret that is long enough, too")
    refusals = 'ting_node_events_total{event="failed_connections"}'
    await eventually(lambda: one.metrics().get(refusals, 0) + two.metrics().get(refusals, 0) >= 2, "refusals")
    assert one.metrics()["ting_node_peers"] == two.metrics()["ting_node_peers"] == 0
