"""Devices: the browsers and apps that are signed in, each with a secret of its own.

The secret is 256 random bits, of which the database has the SHA-256. What is known of a device is kept in memory for
`session_refresh_s`. Whoever must let go of a device that has ended hangs itself into `on_ended`: it is told at once of
what this process ends, and within `device_watch_s` of what others end (other processes, `ting account`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from signaling.accounts.records import AccountRow, AccountStore, DeviceRow, EndedDevice
from signaling.accounts.settings import AccountSettings
from signaling.errors import DatabaseError

_log = logging.getLogger("ting.accounts")
SECRET_BYTES = 32
_ID_BYTES = 16
_PRUNE_INTERVAL_S = 3600.0
_CLOCKS_DIFFER_S = 30.0
"""An end is looked for from that long before the last look: clocks of processes differ, and commits take time."""

OpenStore = Callable[[], Awaitable[AccountStore]]
"""The database, opened by the first who needs it. Raises `DatabaseError`."""


@dataclass(frozen=True, slots=True)
class AccountSession:
    """Who is signed in on the device that asks."""

    account_id: str
    device_id: str
    name: str
    is_admin: bool
    proved_at: float
    """When they last proved who they are; Unix time in seconds, 0 for never."""


@dataclass(slots=True)
class _Known:
    row: DeviceRow
    account: AccountRow
    read_at_s: float


def new_id() -> str:
    """Random and unguessable, in hexadecimal digits."""
    return secrets.token_hex(_ID_BYTES)


def hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Devices:
    """`clock` gives Unix time in seconds."""

    def __init__(self, settings: AccountSettings, open_store: OpenStore, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._open_store = open_store
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        """By hash of the secret; the one that was not asked for for longest first."""
        self._hashes: dict[str, str] = {}
        """Of devices in `_known`, by id."""
        self._watching: asyncio.Task[None] | None = None
        self._told: dict[str, float] = {}
        """Ends that were told within the time that `_watch` looks back, with the time."""
        self._looked_at_s = clock()
        self.on_ended: list[Callable[[EndedDevice], None]] = []

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def open(self, account: AccountRow, name: str, *, proved_at: float) -> tuple[str, AccountSession]:
        """Sign in on a new device; its secret. Raises `DatabaseError`."""
        store = await self._store()
        secret, now_ms = secrets.token_urlsafe(SECRET_BYTES), self._now_ms()
        row = DeviceRow(
            device_id=new_id(),
            account_id=account.account_id,
            secret_hash=hash_secret(secret),
            name=name,
            created_at_ms=now_ms,
            seen_at_ms=now_ms,
            proved_at_ms=round(proved_at * 1000),
        )
        ended = await store.devices.add(row, self._settings.max_devices_per_account)
        self._tell(EndedDevice(device_id, account.account_id) for device_id in ended)
        return secret, _session(self._remember(row, account))

    async def session_of(self, secret: str) -> AccountSession | None:
        """Whose secret it is; None when it is nobody's (any more). Raises `DatabaseError`."""
        if not secret or len(secret) > 2 * SECRET_BYTES:
            return None
        known = await self._find(secret_hash=hash_secret(secret))
        if known is None:
            return None
        await self._note_seen(known)
        return _session(known)

    async def is_alive(self, device_id: str) -> bool:
        """Whether the device is signed in. Answered from memory when it was looked up within `session_refresh_s`; an
        end by this process counts at once. Raises `DatabaseError`."""
        return await self._find(device_id=device_id) is not None

    async def prove(self, session: AccountSession, proved_at: float) -> AccountSession:
        """Whoever uses it has proved who they are; the session from now on. Raises `DatabaseError`."""
        store = await self._store()
        await store.devices.touch(session.device_id, proved_at_ms=round(proved_at * 1000))
        self._forget(session.device_id)
        return replace(session, proved_at=proved_at)

    async def of_account(self, account_id: str) -> list[DeviceRow]:
        """Those that are signed in, newest first. Raises `DatabaseError`."""
        rows = await (await self._store()).devices.of_account(account_id)
        return [row for row in rows if not self._is_past(row)]

    async def end(self, account_id: str, *, only: str = "", but: str = "") -> int:
        """All of an account, `only` one, or all `but` one. How many there were. Raises `DatabaseError`."""
        store = await self._store()
        ended = await store.devices.end(account_id, self._now_ms(), only=only, but=but)
        self._tell(EndedDevice(device_id, account_id) for device_id in ended)
        return len(ended)

    def forget(self, account_id: str) -> None:
        """Something about the account has changed: ask the database for it again."""
        for known in [known for known in self._known.values() if known.row.account_id == account_id]:
            self._forget(known.row.device_id)

    # --- what is known in memory --------------------------------------------------------------------------

    async def _find(self, *, secret_hash: str = "", device_id: str = "") -> _Known | None:
        key = secret_hash or self._hashes.get(device_id, "")
        known = self._known.get(key)
        if known is None or self._clock() - known.read_at_s > self._settings.session_refresh_s:
            store = await self._store()
            found = await store.devices.find(secret_hash=secret_hash, device_id=device_id)
            # What ended while the database was asked stays ended.
            if found is None or found[0].device_id in self._told:
                if known is not None:
                    self._forget(known.row.device_id)
                return None
            known = self._remember(*found)
        if self._is_past(known.row):
            await self.end(known.row.account_id, only=known.row.device_id)
            return None
        self._known.move_to_end(known.row.secret_hash)
        return known

    def _remember(self, row: DeviceRow, account: AccountRow) -> _Known:
        known = self._known[row.secret_hash] = _Known(row, account, self._clock())
        self._hashes[row.device_id] = row.secret_hash
        while len(self._known) > self._settings.max_cached_devices:
            _, oldest = self._known.popitem(last=False)
            self._hashes.pop(oldest.row.device_id, None)
        return known

    def _forget(self, device_id: str) -> None:
        self._known.pop(self._hashes.pop(device_id, ""), None)

    async def _note_seen(self, known: _Known) -> None:
        now_ms = self._now_ms()
        if now_ms - known.row.seen_at_ms >= self._settings.session_seen_s * 1000:
            store = await self._store()
            await store.devices.touch(known.row.device_id, seen_at_ms=now_ms)
            # Not written into memory: the next look, soon, brings it.
            self._forget(known.row.device_id)

    def _is_past(self, row: DeviceRow) -> bool:
        now_ms = self._now_ms()
        return (
            now_ms - row.seen_at_ms >= self._settings.session_idle_s * 1000
            or now_ms - row.created_at_ms >= self._settings.session_max_s * 1000
        )

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)

    # --- ends ---------------------------------------------------------------------------------------------

    async def _store(self) -> AccountStore:
        store = await self._open_store()
        if self._watching is None:
            self._looked_at_s = self._clock()
            self._watching = asyncio.create_task(self._watch(store))
        return store

    def _tell(self, ended: Iterable[EndedDevice]) -> None:
        for device in ended:
            self._forget(device.device_id)
            if device.device_id in self._told:
                continue
            self._told[device.device_id] = self._clock()
            for listener in self.on_ended:
                try:
                    listener(device)
                except Exception:
                    _log.exception("a device has ended, and something of it goes on")

    async def _watch(self, store: AccountStore) -> None:
        pruned_at_s = float("-inf")
        while True:
            now_s = self._clock()
            try:
                await self._look(store, now_s)
                if now_s - pruned_at_s >= _PRUNE_INTERVAL_S:
                    await self._prune(store, now_s)
                    pruned_at_s = now_s
            except DatabaseError as error:
                _log.error("whether devices have ended could not be seen: %s", error)
            await asyncio.sleep(self._settings.device_watch_s)

    async def _look(self, store: AccountStore, now_s: float) -> None:
        since_s = self._looked_at_s - _CLOCKS_DIFFER_S
        self._tell(await store.devices.ended_since(round(since_s * 1000)))
        self._looked_at_s = now_s
        for device_id in [device_id for device_id, told_at_s in self._told.items() if told_at_s < since_s - 1]:
            del self._told[device_id]
        for known in [known for known in self._known.values() if self._is_past(known.row)]:
            await self.end(known.row.account_id, only=known.row.device_id)

    async def _prune(self, store: AccountStore, now_s: float) -> None:
        settings = self._settings
        await store.devices.prune(
            ended_before_ms=round((now_s - _PRUNE_INTERVAL_S) * 1000),
            seen_before_ms=round((now_s - settings.session_idle_s) * 1000),
            created_before_ms=round((now_s - settings.session_max_s) * 1000),
        )


def _session(known: _Known) -> AccountSession:
    return AccountSession(
        account_id=known.row.account_id,
        device_id=known.row.device_id,
        name=known.account.name,
        is_admin=known.account.is_admin,
        proved_at=known.row.proved_at_ms / 1000,
    )
