"""Accounts in the database, on SQLite and on a real PostgreSQL: limits, names, the last admin, and what goes with an
account."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from signaling.accounts.devices import new_id
from signaling.accounts.names import name_key
from signaling.accounts.records import (
    AccountRow,
    AccountStore,
    AuditEntry,
    DeviceRow,
    EndedDevice,
    InvitationRow,
    NewAccount,
    Outcome,
    PasskeyRow,
)
from signaling.db.accounts import account_store
from signaling.db.database import Database
from signaling.db.url import sqlite_url
from tests.harness.postgres import Postgres, find_binaries, running_postgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    with running_postgres(binaries) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AccountStore]:
    if request.param == "sqlite":
        url = sqlite_url(tmp_path / "ting.db")
    else:
        server: Postgres = request.getfixturevalue("postgres")
        name = f"db_{secrets.token_hex(4)}"
        server.run(f"CREATE DATABASE {name}")
        url = server.url(name)
    database = Database(url)
    await database.open()
    yield account_store(database)
    await database.close()


def account(name: str, **changes: Any) -> AccountRow:
    values: dict[str, Any] = {"password_hash": "h", "is_admin": False, "is_disabled": False, "created_at_ms": 1000}
    return AccountRow(account_id=new_id(), name=name, name_key=name_key(name), **{**values, **changes})


def device(owner: AccountRow, seen_at_ms: int = 1000, **changes: Any) -> DeviceRow:
    values: dict[str, Any] = {"created_at_ms": 1000, "proved_at_ms": 0, "name": "Firefox on Linux"}
    return DeviceRow(
        device_id=new_id(), account_id=owner.account_id, secret_hash=secrets.token_hex(32), seen_at_ms=seen_at_ms,
        **{**values, **changes},
    )  # fmt: skip


def passkey(owner: AccountRow, credential_id: bytes = b"", **changes: Any) -> PasskeyRow:
    values: dict[str, Any] = {
        "public_key": b"\x00key",
        "sign_count": 0,
        "name": "",
        "created_at_ms": 1,
        "used_at_ms": 0,
    }
    return PasskeyRow(
        passkey_id=new_id(), account_id=owner.account_id, credential_id=credential_id or secrets.token_bytes(1023),
        **{**values, **changes},
    )  # fmt: skip


async def added(store: AccountStore, name: str = "Ada", **changes: Any) -> AccountRow:
    row = account(name, **changes)
    assert await store.accounts.add(NewAccount(row), 100) is Outcome.DONE
    return row


async def test_an_account_is_found_by_id_and_name(store: AccountStore) -> None:
    row = await added(store, "Ada", is_admin=True)
    assert await store.accounts.find(row.account_id) == row
    assert await store.accounts.find_by_name("ada") == row
    assert await store.accounts.find_by_name("Ada") is None
    assert await store.accounts.find("nobody") is None


async def test_a_name_is_given_once(store: AccountStore) -> None:
    row = await added(store)
    assert await store.accounts.add(NewAccount(account("ADA")), 100) is Outcome.TAKEN
    other = await added(store, "Bob")
    assert await store.accounts.change(other.account_id, name="aDa", name_key="ada") is Outcome.TAKEN
    assert await store.accounts.change(row.account_id, name="ADA", name_key="ada") is Outcome.DONE
    assert await store.accounts.change("nobody", name="x", name_key="x") is Outcome.MISSING


async def test_many_at_once_pass_no_limit(store: AccountStore) -> None:
    outcomes = await asyncio.gather(*(store.accounts.add(NewAccount(account(f"n{n}")), 3) for n in range(8)))
    assert sorted(outcomes) == [Outcome.DONE] * 3 + [Outcome.FULL] * 5
    same = await asyncio.gather(*(store.accounts.add(NewAccount(account("same")), 100) for _ in range(8)))
    assert same.count(Outcome.DONE) == 1
    [owner, *_] = await store.accounts.page("", 1)
    made = await asyncio.gather(*(store.credentials.add_passkey(passkey(owner), 2) for _ in range(5)))
    assert sorted(made) == [Outcome.DONE] * 2 + [Outcome.FULL] * 3


async def test_pages_go_by_name(store: AccountStore) -> None:
    for name in ("Cy", "ada", "Bob"):
        await added(store, name)
    first = await store.accounts.page("", 2)
    assert [row.name for row in first] == ["ada", "Bob"]
    assert [row.name for row in await store.accounts.page(first[-1].name_key, 2)] == ["Cy"]


async def test_the_last_admin_stays(store: AccountStore) -> None:
    admin = await added(store, "Ada", is_admin=True)
    plain = await added(store, "Bob")
    for change in ({"is_admin": False}, {"is_disabled": True}):
        assert await store.accounts.change(admin.account_id, **change) is Outcome.LAST_ADMIN
    assert await store.accounts.delete(admin.account_id) is Outcome.LAST_ADMIN
    assert await store.accounts.change(plain.account_id, is_admin=True) is Outcome.DONE
    both = await asyncio.gather(*(store.accounts.delete(row.account_id) for row in (admin, plain)))
    assert sorted(both) == [Outcome.DONE, Outcome.LAST_ADMIN]


async def test_what_belongs_to_an_account_goes_with_it(store: AccountStore) -> None:
    row = await added(store)
    await store.credentials.add_passkey(passkey(row, b"one"), 10)
    await store.credentials.link(row.account_id, "https://id.test", "ada")
    phone = device(row)
    await store.devices.add(phone, 10)
    assert await store.accounts.delete(row.account_id) is Outcome.DONE
    assert await store.accounts.delete(row.account_id) is Outcome.MISSING
    assert await store.credentials.find_passkey(b"one") is None
    assert await store.credentials.find_linked("https://id.test", "ada") is None
    assert await store.devices.find(device_id=phone.device_id) is None
    # The device is still there to be ended, so that other processes hear of it.
    assert await store.devices.end(row.account_id, 2000) == [phone.device_id]
    assert await store.devices.ended_since(2000) == [EndedDevice(phone.device_id, row.account_id)]


async def test_an_account_comes_with_its_passkey_or_not_at_all(store: AccountStore) -> None:
    row = account("Ada", password_hash="")
    assert await store.accounts.add(NewAccount(row, passkey=passkey(row, b"one")), 100) is Outcome.DONE
    other = account("Bob", password_hash="")
    assert await store.accounts.add(NewAccount(other, passkey=passkey(other, b"one")), 100) is Outcome.TAKEN
    assert await store.accounts.add(NewAccount(other, link=("https://id.test", "b")), 100) is Outcome.DONE
    third = account("Cy", password_hash="")
    assert await store.accounts.add(NewAccount(third, link=("https://id.test", "b")), 100) is Outcome.TAKEN
    assert [row.name for row in await store.accounts.page("", 10)] == ["Ada", "Bob"]
    assert await store.credentials.linked_issuers(other.account_id) == ["https://id.test"]


async def test_the_last_way_to_sign_in_stays(store: AccountStore) -> None:
    row = account("Ada", password_hash="")
    key = passkey(row, b"one", sign_count=2**32 - 1)
    await store.accounts.add(NewAccount(row, passkey=key), 100)
    delete = store.credentials.delete_passkey
    assert await store.credentials.find_passkey(b"one") == key
    assert await delete(row.account_id, key.passkey_id) is Outcome.LAST_SIGN_IN
    stranger = await added(store, "Bob")
    assert await delete(stranger.account_id, key.passkey_id) is Outcome.MISSING
    await store.credentials.link(row.account_id, "https://id.test", "ada")
    assert await delete(row.account_id, key.passkey_id) is Outcome.DONE
    assert await store.credentials.list_passkeys(row.account_id) == []
    assert await store.credentials.unlink(row.account_id, "https://id.test") is Outcome.LAST_SIGN_IN
    assert await store.credentials.unlink(row.account_id, "https://other.test") is Outcome.MISSING
    await store.credentials.link(row.account_id, "https://other.test", "ada")
    assert await store.credentials.unlink(row.account_id, "https://id.test") is Outcome.DONE
    assert await store.credentials.linked_issuers(row.account_id) == ["https://other.test"]
    assert await store.credentials.add_passkey(passkey(account("nobody")), 10) is Outcome.MISSING


async def test_a_subject_belongs_to_one_account(store: AccountStore) -> None:
    ada, bob = await added(store, "Ada"), await added(store, "Bob")
    link = store.credentials.link
    assert await link(ada.account_id, "https://id.test", "s") is Outcome.DONE
    assert await link(ada.account_id, "https://id.test", "s") is Outcome.DONE
    assert await link(bob.account_id, "https://id.test", "s") is Outcome.TAKEN
    assert await link(bob.account_id, "https://other.test", "s") is Outcome.DONE
    assert await link("nobody", "https://other.test", "t") is Outcome.MISSING
    assert await store.credentials.find_linked("https://id.test", "s") == ada.account_id


async def test_the_device_that_was_not_seen_for_longest_makes_room(store: AccountStore) -> None:
    row = await added(store)
    rows = [device(row, seen_at_ms) for seen_at_ms in (3000, 1000, 2000)]
    for each in rows:
        assert await store.devices.add(each, 3) == []
    newest = device(row, 4000)
    assert await store.devices.add(newest, 3) == [rows[1].device_id]
    assert {each.device_id for each in await store.devices.of_account(row.account_id)} == {
        rows[0].device_id, rows[2].device_id, newest.device_id,
    }  # fmt: skip


async def test_devices_end_one_all_or_all_others(store: AccountStore) -> None:
    ada, bob = await added(store, "Ada"), await added(store, "Bob")
    rows = [device(ada) for _ in range(4)]
    for each in (*rows, device(bob)):
        await store.devices.add(each, 10)
    ids = [each.device_id for each in rows]
    assert await store.devices.find(secret_hash=rows[0].secret_hash) == (rows[0], ada)
    await store.devices.touch(ids[0], seen_at_ms=5000, proved_at_ms=6000)
    found = await store.devices.find(device_id=ids[0])
    assert found is not None
    assert (found[0].seen_at_ms, found[0].proved_at_ms) == (5000, 6000)
    assert await store.devices.end(bob.account_id, 7000, only=ids[0]) == []
    assert await store.devices.end(ada.account_id, 7000, only=ids[0]) == [ids[0]]
    assert await store.devices.end(ada.account_id, 7001, only=ids[0]) == []
    assert set(await store.devices.end(ada.account_id, 8000, but=ids[1])) == {ids[2], ids[3]}
    assert [each.device_id for each in await store.devices.of_account(ada.account_id)] == [ids[1]]
    assert {ended.device_id for ended in await store.devices.ended_since(0)} == {ids[0], ids[2], ids[3]}
    assert {ended.device_id for ended in await store.devices.ended_since(7001)} == {ids[2], ids[3]}
    await store.accounts.change(ada.account_id, is_disabled=True)
    assert await store.devices.find(device_id=ids[1]) is None


async def test_old_devices_are_forgotten(store: AccountStore) -> None:
    row = await added(store)
    kept, ended = device(row, 5000, created_at_ms=5000), device(row, 5000, created_at_ms=5000)
    unseen, old = device(row, 1000, created_at_ms=5000), device(row, 5000, created_at_ms=1000)
    for each in (kept, ended, unseen, old):
        await store.devices.add(each, 10)
    await store.devices.end(row.account_id, 3000, only=ended.device_id)
    await store.devices.prune(ended_before_ms=4000, seen_before_ms=2000, created_before_ms=2000)
    assert [each.device_id for each in await store.devices.of_account(row.account_id)] == [kept.device_id]
    assert await store.devices.ended_since(0) == []


async def test_an_invitation_is_good_once_and_for_a_while(store: AccountStore) -> None:
    add = store.accounts.add_invitation
    assert await add(InvitationRow("one", "ting", 0, 2000), 2) is Outcome.DONE
    assert await add(InvitationRow("two", "ting", 0, 1000), 2) is Outcome.DONE
    assert await add(InvitationRow("three", "ting", 0, 2000), 2) is Outcome.FULL
    assert await add(InvitationRow("four", "ting", 1000, 2000), 2) is Outcome.DONE
    uses = [
        store.accounts.add(NewAccount(account(name, created_at_ms=1500), invitation=code), 100)
        for name, code in (("a", "one"), ("b", "one"), ("c", "two"), ("d", "three"))
    ]
    assert await asyncio.gather(*uses) == [Outcome.DONE, Outcome.MISSING, Outcome.MISSING, Outcome.MISSING]
    late = NewAccount(account("e", created_at_ms=2000), invitation="four")
    assert await store.accounts.add(late, 100) is Outcome.MISSING


async def test_the_audit_is_read_backwards(store: AccountStore) -> None:
    entries = [AuditEntry(n, "ting", "account_created", "id", {"n": n, "ü": [True, None]}) for n in range(3)]
    for entry in entries:
        await store.audit.add(entry)
    newest = await store.audit.page(0, 2)
    assert [entry for _, entry in newest] == [entries[2], entries[1]]
    assert [entry for _, entry in await store.audit.page(newest[-1][0], 2)] == [entries[0]]
