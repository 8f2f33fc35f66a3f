"""Devices with a clock of the test's own: lifetimes, what memory is believed, who is told of an end. And the small
rules: names, passwords, settings."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.accounts.devices import Devices, new_id
from signaling.accounts.names import MAX_NAME_LENGTH, clean_account_name, device_name, name_key
from signaling.accounts.passwords import Passwords
from signaling.accounts.records import AccountRow, AccountStore, EndedDevice, NewAccount
from signaling.accounts.settings import AccountSettings, openid_secret
from signaling.config import load_settings
from signaling.db.accounts import account_store
from signaling.db.database import Database
from signaling.db.url import sqlite_url
from signaling.errors import ApiError, ConfigError, DatabaseError
from tests.signaling.account_rig import FIREFOX
from tests.signaling.harness import eventually

DAY_S = 86_400.0
NEVER: dict[str, Any] = {"device_watch_s": 3600.0}


class Rig:
    """One database, and processes that share it; `now` is everybody's clock."""

    def __init__(self, store: AccountStore, account: AccountRow) -> None:
        self.store = store
        self.account = account
        self.now = 1_000_000.0
        self.reads = 0
        self.broken = False
        self._made: list[Devices] = []

    def process(self, **settings: Any) -> tuple[Devices, list[EndedDevice]]:
        async def open_store() -> AccountStore:
            self.reads += 1
            if self.broken:
                raise DatabaseError("the database failed")
            return self.store

        devices = Devices(AccountSettings(**{**NEVER, **settings}), open_store, lambda: self.now)
        ended: list[EndedDevice] = []
        devices.on_ended.append(ended.append)
        self._made.append(devices)
        return devices, ended

    async def close(self) -> None:
        for devices in self._made:
            await devices.close()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    database = Database(sqlite_url(tmp_path / "ting.db"))
    await database.open()
    store = account_store(database)
    account = AccountRow(new_id(), "Ada", "ada", "h", False, False, 0)
    await store.accounts.add(NewAccount(account), 10)
    made = Rig(store, account)
    yield made
    await made.close()
    await database.close()


async def test_what_was_looked_up_is_believed_for_a_while(rig: Rig) -> None:
    devices, _ = rig.process(session_refresh_s=5.0)
    secret, session = await devices.open(rig.account, "Firefox", proved_at=rig.now)
    rig.reads = 0
    for _ in range(3):
        assert await devices.session_of(secret) == session
        assert await devices.is_alive(session.device_id)
    assert rig.reads == 0
    rig.broken = True
    rig.now += 4
    assert await devices.is_alive(session.device_id)
    rig.now += 2
    with pytest.raises(DatabaseError):
        await devices.is_alive(session.device_id)
    rig.broken = False
    assert await devices.is_alive(session.device_id)


async def test_secrets_that_are_none_do_not_even_ask(rig: Rig) -> None:
    devices, _ = rig.process()
    for secret in ("", "x" * 65, "x" * 100_000):
        assert await devices.session_of(secret) is None
    assert rig.reads == 0
    for secret in ("x", "\x00", "\ud800", "ä"):
        assert await devices.session_of(secret) is None
    assert not await devices.is_alive("nobody")


async def test_a_device_that_is_not_seen_is_signed_out(rig: Rig) -> None:
    devices, ended = rig.process(session_idle_s=DAY_S, session_max_s=10 * DAY_S)
    secret, session = await devices.open(rig.account, "Firefox", proved_at=0)
    for _ in range(3):
        rig.now += DAY_S - 1
        assert await devices.session_of(secret) is not None
    rig.now += DAY_S
    assert await devices.session_of(secret) is None
    assert [device.device_id for device in ended] == [session.device_id]
    assert await devices.of_account(rig.account.account_id) == []


async def test_a_device_is_signed_out_after_its_time_whatever_it_does(rig: Rig) -> None:
    devices, ended = rig.process(session_idle_s=DAY_S, session_max_s=2 * DAY_S)
    secret, session = await devices.open(rig.account, "Firefox", proved_at=0)
    for _ in range(3):
        rig.now += DAY_S / 2
        assert await devices.session_of(secret) is not None
    rig.now += DAY_S / 2
    assert not await devices.is_alive(session.device_id)
    assert len(ended) == 1


async def test_that_it_was_seen_is_written_down_now_and_then(rig: Rig) -> None:
    devices, _ = rig.process(session_seen_s=60.0)
    secret, session = await devices.open(rig.account, "Firefox", proved_at=0)
    seen = []
    for _ in range(5):
        rig.now += 25
        await devices.session_of(secret)
        found = await rig.store.devices.find(device_id=session.device_id)
        assert found is not None
        seen.append(found[0].seen_at_ms / 1000 - 1_000_000)
    assert seen == [0, 0, 75, 75, 75]


async def test_an_end_elsewhere_is_told_here_once(rig: Rig) -> None:
    here, ended = rig.process(device_watch_s=0.01, session_refresh_s=3600.0)
    there, _ = rig.process()
    secret, session = await here.open(rig.account, "Firefox", proved_at=0)
    assert await there.is_alive(session.device_id)
    # A process whose clock is behind.
    rig.now -= 10
    assert await there.end(rig.account.account_id) == 1
    rig.now += 10
    await eventually(lambda: ended, "the end")
    assert await here.session_of(secret) is None
    reads = rig.reads
    later, told_later = rig.process(device_watch_s=0.01)
    assert not await later.is_alive(session.device_id)
    await eventually(lambda: told_later, "a process that starts now hears of it too")
    assert rig.reads > reads
    assert len(ended) == 1


async def test_a_database_that_fails_does_not_end_the_watch(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    devices, ended = rig.process(device_watch_s=0.01)
    _, session = await devices.open(rig.account, "Firefox", proved_at=0)
    look = type(rig.store.devices).ended_since
    failures = []

    async def fail(_self: object, _at_ms: int) -> list[EndedDevice]:
        failures.append(1)
        raise DatabaseError("the database failed")

    monkeypatch.setattr(type(rig.store.devices), "ended_since", fail)
    await eventually(lambda: len(failures) > 2, "failures")
    monkeypatch.setattr(type(rig.store.devices), "ended_since", look)
    await rig.store.devices.end(rig.account.account_id, round(rig.now * 1000))
    await eventually(lambda: ended, "the end")
    assert ended[0].device_id == session.device_id


async def test_an_end_while_the_database_is_asked_counts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before the end must not be remembered after it."""
    devices, _ = rig.process(session_refresh_s=5.0)
    secret, session = await devices.open(rig.account, "Firefox", proved_at=0)
    rig.now += 6
    find = type(rig.store.devices).find
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(self: Any, **named: str) -> Any:
        found = await find(self, **named)
        asked.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(type(rig.store.devices), "find", slowly)
    looking = asyncio.create_task(devices.session_of(secret))
    await asked.wait()
    await devices.end(rig.account.account_id)
    go_on.set()
    assert await looking is None
    assert not await devices.is_alive(session.device_id)


async def test_only_so_many_are_kept_in_memory(rig: Rig) -> None:
    devices, ended = rig.process(max_cached_devices=2)
    opened = [await devices.open(rig.account, f"device {number}", proved_at=0) for number in range(4)]
    assert (len(devices._known), len(devices._hashes)) == (2, 2)
    assert all([await devices.is_alive(session.device_id) for _, session in opened])
    assert await devices.end(rig.account.account_id, but=opened[3][1].device_id) == 3
    assert len(ended) == 3
    assert [await devices.session_of(secret) is not None for secret, _ in opened] == [False] * 3 + [True]


async def test_old_devices_leave_the_database(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    devices, _ = rig.process(session_idle_s=DAY_S)
    await devices.open(rig.account, "old", proved_at=0)
    rig.now += 2 * DAY_S
    pruned = asyncio.Event()
    prune = type(rig.store.devices).prune

    async def note(self: Any, **times: int) -> None:
        await prune(self, **times)
        pruned.set()

    monkeypatch.setattr(type(rig.store.devices), "prune", note)
    fresh, _ = rig.process(session_idle_s=DAY_S)
    _, session = await fresh.open(rig.account, "new", proved_at=0)
    await asyncio.wait_for(pruned.wait(), 5)
    assert [row.device_id for row in await rig.store.devices.of_account(rig.account.account_id)] == [session.device_id]


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("Ada", "Ada"), ("  Ada \u00a0 Lovelace ", "Ada Lovelace"), ("cafe\u0301", "café"), ("小明", "小明"),
        ("x" * 64, "x" * 64),
    ],
)  # fmt: skip
def test_names_that_are_taken(name: str, cleaned: str) -> None:
    assert clean_account_name(name) == cleaned


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "x" * 65, "a\x00b", "a\x1bb", "a\u200bb", "a\u202eb", "a\u2066b", "\ud800", "a\ue000", "\u00ad",
        "\ufdfa" * 20,
    ],
)  # fmt: skip
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(ApiError) as caught:
        clean_account_name(name)
    assert caught.value.code == "invalid_name"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada", "ADA"), ("Ada", "ada"), ("admin", "\u0430dmin"), ("admin", "ａｄｍｉｎ"), ("root", "r\u043e\u03bft"),
        ("café", "cafe\u0301"), ("strasse", "STRA\u00dfE"), ("scope", "\u0455\u0441\u043e\u0440\u0435"), ("ﬁx", "fix"),
        ("Hope", "Норе"), ("TAXI", "ТАХІ"),
    ],
)  # fmt: skip
def test_names_that_look_the_same_are_one(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


@given(st.text(max_size=300))
def test_any_name_is_taken_or_refused(name: str) -> None:
    try:
        cleaned = clean_account_name(name)
    except ApiError:
        return
    assert 0 < len(cleaned) <= MAX_NAME_LENGTH
    assert clean_account_name(cleaned) == cleaned
    assert len(name_key(cleaned)) <= 256


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.0 Safari/605.1", "Safari on macOS"),
        ("curl/8.1", "curl"),
        ("Linux", "App on Linux"),
        ("", "Unknown device"),
        ("<script>alert(1)</script>", "Unknown device"),
    ],
)  # fmt: skip
def test_devices_have_names_in_our_words(user_agent: str, name: str) -> None:
    assert device_name(user_agent) == name


# --- passwords ----------------------------------------------------------------------------------------------------


async def test_as_many_are_hashed_at_once_as_there_are_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = AccountSettings(password_memory_kib=8, password_passes=1, max_waiting_passwords=5)
    passwords = Passwords(settings, cpus=2)
    stored = await passwords.hash("correct horse")
    assert stored.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert passwords._hasher is not None
    running, most, go_on, lock = 0, 0, threading.Event(), threading.Lock()

    class Slow:
        def verify(self, _stored: str, _password: bytes) -> bool:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            go_on.wait(10)
            with lock:
                running -= 1
            return True

    assert await passwords.verify("", "x") is False  # makes the hash of nobody's password
    monkeypatch.setattr(passwords, "_hasher", Slow())
    waiting = [asyncio.create_task(passwords.verify(stored, "x")) for _ in range(5)]
    await eventually(lambda: running == 2, "two at once")
    with pytest.raises(ApiError) as caught:
        await passwords.verify(stored, "x")
    assert (caught.value.code, caught.value.retry_after_s) == ("unavailable", 1)
    go_on.set()
    assert await asyncio.gather(*waiting) == [True] * 5
    assert most == 2


async def test_hashes_of_other_settings_are_outdated() -> None:
    old = Passwords(AccountSettings(password_memory_kib=8, password_passes=1))
    new = Passwords(AccountSettings(password_memory_kib=16, password_passes=1))
    stored = await old.hash("correct horse")
    assert await new.verify(stored, "correct horse")
    assert not await new.verify(stored, "wrong horse")
    assert (old.is_outdated(stored), new.is_outdated(stored)) == (False, True)
    assert not await new.verify("not a hash", "x")
    assert not await new.verify("", "nobody has this one")


# --- settings -----------------------------------------------------------------------------------------------------

OPENID = {"TING_OPENID_ISSUER": "https://id.test", "TING_OPENID_CLIENT_ID": "ting", "TING_PUBLIC_URL": "https://t.test"}


@pytest.mark.parametrize(
    ("environment", "word"),
    [
        ({"TING_REGISTRATION": "perhaps"}, "registration"),
        ({"TING_MIN_PASSWORD_LENGTH": "9", "TING_MAX_PASSWORD_LENGTH": "8"}, "min_password_length"),
        ({"TING_PASSWORD_MEMORY_KIB": "7"}, "password_memory_kib"),
        ({"TING_STEP_UP_S": "0"}, "step_up_s"),
        ({**OPENID, "TING_OPENID_ISSUER": "http://id.test"}, "openid_issuer"),
        ({**OPENID, "TING_OPENID_ISSUER": "id.test"}, "openid_issuer"),
        ({**OPENID, "TING_OPENID_CLIENT_ID": ""}, "openid_client_id"),
        ({**OPENID, "TING_PUBLIC_URL": ""}, "public_url"),
        ({**OPENID, "TING_PUBLIC_URL": "wss://t.test"}, "public_url"),
        ({**OPENID, "TING_OPENID_CLIENT_SECRET": "a", "TING_OPENID_CLIENT_SECRET_FILE": "b"}, "set one of them"),
    ],
)
def test_settings_that_cannot_be(environment: dict[str, str], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        load_settings({}, {"TING_KEYS": "k: " + "s" * 32, **environment})


def test_the_providers_secret_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    environment = {"TING_KEYS": "k: " + "s" * 32, **OPENID, "TING_OPENID_CLIENT_SECRET_FILE": str(tmp_path / "secret")}
    settings = load_settings({}, environment).accounts
    assert openid_secret(settings) == "hunter2"
    assert "hunter2" not in repr(AccountSettings(openid_client_secret="hunter2"))
    with pytest.raises(ConfigError, match=r"openid_client_secret_file: .* cannot be read"):
        load_settings({}, {**environment, "TING_OPENID_CLIENT_SECRET_FILE": str(tmp_path / "missing")})
