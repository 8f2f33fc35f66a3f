"""Webhooks of a real call, and what the death of the server leaves for its successor."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.harness.caller import Caller
from tests.harness.receiver import receiving, targets
from tests.harness.server import API_KEY, API_SECRET, ServerProcess
from tests.harness.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


async def test_a_call_is_told_in_order(room: str) -> None:
    async with receiving(API_KEY, API_SECRET) as receiver:
        environment = {"TING_WEBHOOKS": targets({"url": receiver.url()}), "TING_EMPTY_TIMEOUT_S": "0.2"}
        environment["TING_DEPARTURE_TIMEOUT_S"] = "0.2"
        server = ServerProcess(environment=environment)
        await server.start()
        alice = await Caller(server.url, room, "alice").join()
        publication = await alice.publish_tone(450)
        await eventually(lambda: len(receiver.requests) == 3, "the track")
        await alice.leave()
        await eventually(lambda: len(receiver.requests) == 6, "the room's end")
        events = receiver.verified()
        assert [event.event for event in events] == [
            "room_started", "participant_joined", "track_published", "track_unpublished", "participant_left",
            "room_finished",
        ]  # fmt: skip
        assert {event.room.name for event in events} == {room}
        assert {event.participant.identity for event in events[1:5]} == {"alice"}
        assert {event.track.sid for event in events[2:4]} == {publication.sid}
        assert await server.stop() == 0
        server.assert_healthy()


async def test_events_of_a_server_that_was_killed_are_delivered_by_the_next(room: str, tmp_path: Path) -> None:
    async with receiving(API_KEY, API_SECRET) as receiver:
        table = targets({"url": receiver.url()})
        await receiver.stop()
        environment = {"TING_WEBHOOKS": table, "TING_DATA_DIR": str(tmp_path), "TING_WEBHOOK_LEASE_S": "1"}
        server = ServerProcess(environment=environment)
        await server.start()
        alice = await Caller(server.url, room, "alice").join()

        def stored() -> int:
            with sqlite3.connect(tmp_path / "ting.db") as database:
                return int(database.execute("SELECT count(*) FROM webhook_deliveries").fetchone()[0])

        await eventually(lambda: stored() == 2, "both events in the database")
        await server.kill()
        await alice.leave()
        await receiver.start()
        successor = ServerProcess(environment=environment)
        await successor.start()
        await eventually(lambda: receiver.names() == ["room_started", "participant_joined"], "what was left")
        await eventually(lambda: stored() == 0, "an empty queue")
        assert await successor.stop() == 0
        successor.assert_healthy()
