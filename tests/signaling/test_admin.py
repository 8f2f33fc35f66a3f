"""What admins see and do, and what is written down of it."""

from __future__ import annotations

from tests.signaling.account_rig import running_accounts
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
            ("GET", "/admin/audit"),
        ):  # fmt: skip
            assert await plain(method, path) == 403
            assert await stranger(method, path) == 401
            assert (await bob.call(method, "/api/v1" + path))[0] == 401
        assert len(await ada.entries()) == 1
