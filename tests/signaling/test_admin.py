"""What admins see and do, and what is written down of it."""

from __future__ import annotations

from collections.abc import Sequence

from sfu.api import NodeInfo
from sfu.ids import RoomName
from signaling.api.admin_nodes import AdminNode, AdminNodesEndpoint, RegisteredNode
from tests.signaling.account_rig import running_accounts
from tests.signaling.fake_sfu import FakeSfu
from tests.signaling.rooms import founder, visitor


async def test_admins_see_sums_and_names_and_never_what_was_said() -> None:
    async with running_accounts() as rig:
        admin = await rig.signed_in(is_admin=True)
        ada = await founder(rig.server, title="Reading circle")
        await ada.say("a secret")
        await (await rig.server.connect(ada.token)).expect("join")
        assert await admin("GET", "/admin/overview") == 200
        assert (admin.json["rooms"], admin.json["calls"], admin.json["participants"]) == (1, 1, 1)
        assert await admin("GET", "/admin/rooms") == 200
        (room,) = admin.json["rooms"]
        assert (room["name"], room["title"], room["members"], room["participants"]) == (
            ada.room,
            "Reading circle",
            1,
            1,
        )
        assert "secret" not in str(admin.json)
        assert await admin("GET", "/admin/calls") == 200
        assert [(call["room"], call["lasts"]) for call in admin.json["calls"]] == [(ada.room, True)]
        assert await admin("GET", "/admin/hooks") == 200


class Registry:
    """In which "one" is this node, and "three" has a heartbeat and no connection to it."""

    name = "one"
    problem = ""

    def nodes(self) -> Sequence[RegisteredNode]:
        return [RegisteredNode(name, "1.2", f"{name}:7883", name == "three", 4, 9, 1) for name in ("one", "three")]


async def test_admins_see_nodes_and_where_the_people_of_a_call_are() -> None:
    async with running_accounts() as rig:
        admin = await rig.signed_in(is_admin=True)
        assert await admin("GET", "/admin/nodes") == 200
        assert admin.json == {"nodes": [], "problem": ""}
        ada = await founder(rig.server)
        await (await rig.server.connect(ada.token)).expect("join")
        den = RoomName(ada.room)
        here, there = NodeInfo("one", {den: 1}), NodeInfo("two", {den: 2, RoomName("b"): 1}, True, 5000, 700)
        rig.server.sfu.cluster_nodes = [here, there]
        assert await admin("GET", "/admin/calls") == 200
        [call] = admin.json["calls"]
        assert call["nodes"] == [{"name": "one", "participants": 1}, {"name": "two", "participants": 2}]


async def test_a_node_is_shown_as_it_is_seen_and_else_as_it_describes_itself() -> None:
    sfu, registry = FakeSfu(), Registry()
    sfu.cluster_nodes = [
        NodeInfo("one", {RoomName("a"): 1}),
        NodeInfo("two", {RoomName("a"): 2, RoomName("b"): 1}, True, 5000, 700),
    ]
    shown = await AdminNodesEndpoint(sfu, registry).list_nodes()
    places = {"one": ("1.2", "one:7883"), "two": ("", ""), "three": ("1.2", "three:7883")}
    seen = {
        # here, connected, registered, draining, rooms, participants, links, sent, received
        "one": (True, True, True, False, 1, 1, 1, 0, 0),
        "three": (False, False, True, True, 4, 9, 1, 0, 0),
        "two": (False, True, False, False, 2, 3, 0, 5000, 700),
    }
    assert shown.nodes == [AdminNode(name, *places[name], *facts) for name, facts in seen.items()]
    registry.problem = "the NATS server does not answer"
    assert (await AdminNodesEndpoint(sfu, registry).list_nodes()).problem == registry.problem


async def test_an_admin_deletes_a_room_and_ends_a_call_and_both_are_written_down() -> None:
    async with running_accounts() as rig:
        admin = await rig.signed_in(is_admin=True)
        ada, bob = await founder(rig.server), await founder(rig.server, "Bob")
        client = await rig.server.connect(ada.token)
        await client.expect("join")
        assert await admin("POST", f"/admin/calls/{ada.room}/end") == 204, admin.json
        await client.closed()
        assert [act for _, act in await ada.acts()] == ["create", "end_call"]
        assert await admin("POST", f"/admin/calls/{ada.room}/end") == 404
        assert await admin("DELETE", f"/admin/rooms/{bob.room}") == 204
        assert await bob.refused("GET", "entries") == "room_not_found"
        assert await admin("DELETE", f"/admin/rooms/{bob.room}") == 404
        assert await admin("GET", "/admin/audit") == 200
        acts = [(entry["act"], entry["subject"]) for entry in admin.json["entries"]]
        assert acts[:2] == [("room_deleted", bob.room), ("call_ended", ada.room)]


async def test_nobody_else_comes_near() -> None:
    async with running_accounts() as rig:
        ada = await founder(rig.server)
        bob = await visitor(rig.server, ada.room)
        plain, stranger = await rig.signed_in("Plain"), rig.browser()
        for method, path in (
            ("GET", "/admin/overview"), ("GET", "/admin/rooms"), ("DELETE", f"/admin/rooms/{ada.room}"),
            ("GET", "/admin/calls"), ("POST", f"/admin/calls/{ada.room}/end"), ("GET", "/admin/hooks"),
            ("GET", "/admin/audit"), ("GET", "/admin/nodes"),
        ):  # fmt: skip
            assert await plain(method, path) == 403
            assert await stranger(method, path) == 401
            assert (await bob.call(method, "/api/v1" + path))[0] == 401
        assert len(await ada.entries()) == 1
