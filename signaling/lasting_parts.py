"""Rooms that last and their logs, put together: a part of the composition root."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from sfu.api import Sfu
from signaling.accounts.passwords import Passwords
from signaling.accounts.service import Accounts
from signaling.addresses import parse_networks
from signaling.bots.bots import Bots
from signaling.bots.deliveries import HookDeliveries
from signaling.cluster.settings import place_of
from signaling.config import Settings
from signaling.db.storage import Storage
from signaling.livekit.chat import ChatBridge
from signaling.log.chronicle import CallChronicle, LogChronicle
from signaling.log.live import Live
from signaling.log.log import Log
from signaling.log.reading import LogReader
from signaling.log.timelines import KeptTimelines
from signaling.metrics import Metrics
from signaling.retention.sweeper import Sweeper
from signaling.rooms.admissions import Admissions
from signaling.rooms.breakouts import Breakouts
from signaling.rooms.calls import RoomService
from signaling.rooms.door import Door
from signaling.rooms.homes import Homes
from signaling.rooms.keys import account_of_member, pepper_of
from signaling.rooms.kinds import SealedRooms
from signaling.rooms.knocks import Knocks
from signaling.rooms.lasting import LastingRooms
from signaling.rooms.moderation import Moderation
from signaling.rooms.records import Room
from signaling.rooms.spotlight import Spotlights
from signaling.rooms.timelines import CallTimelines
from signaling.sealed.delivery import Delivery
from signaling.sealed.presence import Presence
from signaling.tokens import TokenService


@dataclass(frozen=True, slots=True)
class LastingParts:
    """Rooms that last, and their logs."""

    rooms: LastingRooms
    door: Door
    sealed_rooms: SealedRooms
    knocks: Knocks
    moderation: Moderation
    spotlights: Spotlights
    breakouts: Breakouts
    live: Live
    log: Log
    chronicle: LogChronicle
    reader: LogReader
    calls: CallChronicle
    chat: ChatBridge
    sweeper: Sweeper
    bots: Bots
    hooks: HookDeliveries
    timelines: CallTimelines
    kept_timelines: KeptTimelines
    presence: Presence
    delivery: Delivery


def _create_doors(settings: Settings, sfu: Sfu) -> tuple[Knocks, Homes]:
    lasting = settings.lasting_rooms
    rules: dict[str, Any] = {
        "max_per_room": lasting.max_knocks,
        "absence_s": lasting.knock_absence_s,
        "denial_s": lasting.denial_s,
        "clock": time.monotonic,
    }
    if not settings.cluster.cluster:
        return Knocks(**rules), Homes()
    from signaling.rooms.spread import SpreadHomes, SpreadKnocks  # a server by itself needs nothing of it

    return SpreadKnocks(sfu, **rules), SpreadHomes(sfu)


def _create_kinds(settings: Settings, sfu: Sfu, storage: Storage, homes: Homes) -> tuple[SealedRooms, Admissions]:
    if not settings.cluster.cluster:
        return SealedRooms(storage, homes), Admissions()
    from signaling.rooms.spread_doors import (  # a server by itself needs nothing of it
        SpreadAdmissions,
        SpreadSealedRooms,
    )

    return SpreadSealedRooms(storage, homes, sfu), SpreadAdmissions(sfu)


def _create_live(settings: Settings, sfu: Sfu) -> Live:
    if not settings.cluster.cluster:
        return Live()
    from signaling.log.spread import SpreadLive  # a server by itself needs nothing of it

    return SpreadLive(sfu)


def _create_timelines(settings: Settings, sfu: Sfu, homes: Homes) -> CallTimelines:
    if not settings.cluster.cluster:
        return CallTimelines(sfu, homes)
    from signaling.rooms.spread_timelines import SpreadTimelines  # a server by itself needs nothing of it

    return SpreadTimelines(sfu, homes)


async def _is_gone(accounts: Accounts | None, member_id: str) -> bool:
    """Whether it is of an account that was deleted."""
    account_id = account_of_member(member_id)
    return accounts is not None and account_id is not None and not await accounts.exists(account_id)


def _create_breakouts(settings: Settings, sfu: Sfu, homes: Homes, live: Live, chronicle: LogChronicle) -> Breakouts:
    if not settings.cluster.cluster:
        return Breakouts(sfu, homes, live.tell, chronicle, settings.lasting_rooms)
    from signaling.log.spread import SpreadLive  # a server by itself needs nothing of it
    from signaling.rooms.spread_breakouts import SpreadBreakouts

    assert isinstance(live, SpreadLive)
    node = place_of(settings.cluster, dev=settings.listener.dev).name
    return SpreadBreakouts(node, sfu, homes, live.tell_here, chronicle, settings.lasting_rooms)


def create_lasting(
    settings: Settings,
    sfu: Sfu,
    storage: Storage,
    tokens: TokenService,
    calls: RoomService,
    metrics: Metrics,
    accounts: Accounts | None,
) -> LastingParts:
    lasting, live = settings.lasting_rooms, _create_live(settings, sfu)
    passwords = Passwords(settings.accounts) if accounts is None else accounts.passwords
    knocks, homes = _create_doors(settings, sfu)
    log = Log(storage, live, settings.room_log, metrics)
    chronicle = LogChronicle(log)
    pepper = pepper_of(settings.tokens.keys)
    is_alive = None if accounts is None else accounts.devices.is_alive
    sealed_rooms, admissions = _create_kinds(settings, sfu, storage, homes)
    door = Door(
        storage, sfu, knocks, passwords, sealed_rooms, homes, admissions, pepper=pepper, is_device_alive=is_alive
    )
    rooms = LastingRooms(storage, passwords, chronicle, lasting)
    rooms.add_deletion_listener(lambda room: live.end_room(room.room_key))
    rooms.add_deletion_listener(lambda room: _end_call(sfu, room))
    rooms.add_deletion_listener(lambda room: sealed_rooms.forget(room.room_key))
    rooms.add_policy_listener(sealed_rooms.handle_policy)
    spotlights = Spotlights(sfu)
    moderation = Moderation(storage, sfu, calls, door, knocks, chronicle, spotlights, homes, lasting)
    moderation.add_listener(live.end_member)
    call_chronicle = CallChronicle(
        storage, log, homes, settings.sfu.max_timeline_entries, settings.room_log.max_timeline_bytes,
        lambda member_id: _is_gone(accounts, member_id),
    )  # fmt: skip
    reader = LogReader(storage, storage, live, settings.room_log)
    sweeper = Sweeper(storage, live, metrics, settings.retention)
    log.add_observer(sweeper.handle_entry)
    rooms.add_deletion_listener(lambda _: sweeper.note_removal())
    networks = parse_networks(settings.bots.hook_networks)
    hooks = HookDeliveries(storage, storage, tokens, metrics, settings.bots, networks)
    log.add_observer(hooks.handle_entry)
    rooms.add_deletion_listener(lambda room: hooks.remove_room(room.room_key))
    rooms.add_policy_listener(sweeper.handle_policy)
    rooms.add_policy_listener(knocks.handle_policy)
    reader.add_read_listener(sweeper.handle_read)
    presence = Presence(live, settings.sealed)
    return LastingParts(
        rooms=rooms,
        door=door,
        sealed_rooms=sealed_rooms,
        knocks=knocks,
        moderation=moderation,
        spotlights=spotlights,
        breakouts=_create_breakouts(settings, sfu, homes, live, chronicle),
        live=live,
        log=log,
        chronicle=chronicle,
        reader=reader,
        sweeper=sweeper,
        bots=Bots(storage, chronicle, settings.bots),
        hooks=hooks,
        timelines=_create_timelines(settings, sfu, homes),
        kept_timelines=KeptTimelines(storage, sweeper.note_removal),
        presence=presence,
        delivery=Delivery(storage, live, presence, settings.sealed, settings.addresses.max_tracked_addresses),
        calls=call_chronicle,
        chat=ChatBridge(
            sfu,
            log,
            door,
            homes,
            key_of=call_chronicle.key_of,
            name_of=call_chronicle.name_of,
            max_bytes=settings.room_log.max_entry_bytes,
        ),
    )


def _end_call(sfu: Sfu, room: Room) -> None:
    sfu.end_room(room.name)
