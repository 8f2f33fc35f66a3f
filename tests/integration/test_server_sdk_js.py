"""The server API with the unmodified npm package `livekit-server-sdk`, which speaks JSON where the Python one speaks
protobuf."""

from __future__ import annotations

import asyncio
import json
import os
import shutil

import pytest

from tests.harness.fixtures import Join
from tests.harness.server import API_KEY, API_SECRET, ROOT, ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

WEB = ROOT / "web"
TIMEOUT_S = 30.0

SCRIPT = """
import { DataPacket_Kind, RoomServiceClient } from 'livekit-server-sdk';
const { URL: url, KEY: key, SECRET: secret, ROOM: room } = process.env;
const client = new RoomServiceClient(url, key, secret);
const seen = {};
const created = await client.createRoom({ name: room, emptyTimeout: 600, maxParticipants: 9, metadata: 'm' });
seen.created = [created.name, created.emptyTimeout, created.maxParticipants, created.metadata];
seen.listed = (await client.listRooms([room])).map((info) => info.name);
seen.metadata = (await client.updateRoomMetadata(room, 'n')).metadata;
const [alice] = await client.listParticipants(room);
seen.alice = [alice.identity, alice.tracks.length, alice.permission.canPublish];
seen.muted = (await client.mutePublishedTrack(room, 'alice', alice.tracks[0].sid, true)).muted;
const updated = await client.updateParticipant(room, 'alice', {
  name: 'A. L.', attributes: { role: 'host' }, permission: { canPublish: false, canSubscribe: true },
});
seen.updated = [updated.name, updated.attributes.role, updated.permission.canPublish, updated.tracks.length];
await client.sendData(room, new TextEncoder().encode('hello'), DataPacket_Kind.RELIABLE, { topic: 'greeting' });
await client.moveParticipant(room, 'alice', `${room}-2`);
seen.moved = (await client.getParticipant(`${room}-2`, 'alice')).identity;
await client.removeParticipant(`${room}-2`, 'alice');
try {
  await client.getParticipant(room, 'alice');
} catch (error) {
  seen.missing = [error.status, error.code];
}
await client.deleteRoom(room);
seen.left = (await client.listRooms([room])).length;
console.log(JSON.stringify(seen));
"""


async def test_every_method(server: ServerProcess, join: Join, room: str) -> None:
    node = shutil.which("node")
    if node is None or not (WEB / "node_modules" / "livekit-server-sdk").is_dir():
        pytest.skip("needs Node.js with the packages of web/package.json: make test")
    alice = await join(server.url, "alice")
    await alice.publish_tone(600)
    environment = {**os.environ, "URL": server.url, "KEY": API_KEY, "SECRET": API_SECRET, "ROOM": room}
    process = await asyncio.create_subprocess_exec(
        node, "--input-type=module", "-e", SCRIPT,
        cwd=WEB, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, errors.decode()
    assert json.loads(output) == {
        "created": [room, 600, 9, "m"],
        "listed": [room],
        "metadata": "n",
        "alice": ["alice", 1, True],
        "muted": True,
        "updated": ["A. L.", "host", False, 0],
        "moved": "alice",
        "missing": [404, "not_found"],
        "left": 0,
    }
    await alice.wait_for("data_received", lambda packet: (packet.topic, packet.data) == ("greeting", b"hello"))
    assert [event for event, _ in alice.events if event in ("moved", "disconnected")] == ["moved", "disconnected"]
