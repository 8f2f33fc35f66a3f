"""What export, import, backup and restore of a large room cost: time and peak memory of each command as a process.

    python benchmarks/archives.py [--entries 100000] [--file-mib 1024] [--database-url URL]

One room with so many messages and so much in files, in a temporary folder; with a URL (of an empty PostgreSQL) the
room is there, and import and restore fill SQLite.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sfu.ids import RoomName
from signaling.db.settings import DatabaseSettings
from signaling.db.storage import Storage
from signaling.errors import ApiError
from signaling.files.records import NewFile, Quotas
from signaling.files.store import LocalStore
from signaling.log.entries import Draft, Verb
from signaling.portability.stored_files import write_file
from signaling.rooms.policy import Policy
from signaling.rooms.records import Member, Room
from signaling.rooms.roles import Role

_BATCH = 500
_FILES = 16
_MIB = 2**20
_WORDS = (
    "hall",
    "open",
    "we",
    "talk",
    "about",
    "music",
    "code",
    "tea",
    "大厅",
    "世界",
    "会议",
    "weather",
    "trains",
    "maps",
)
_NO_QUOTAS = Quotas(2**50, 2**50, 2**50, 10**6, 10**6)


async def fill(storage: Storage, folder: Path, entries: int, file_mib: int) -> None:
    rooms, log, files = await storage.rooms(), await storage.log(), await storage.files()
    now_ms = round(time.time() * 1000)
    owner = Member("guest_ada", Role.OWNER, "Ada", now_ms)
    room = await rooms.create_room(Room(0, RoomName("hall"), "Hall", now_ms, Policy(), "", 0), [owner])
    assert room is not None
    chance = random.Random(1)
    for start in range(0, entries, _BATCH):
        drafts = [
            Draft(room.room_key, Verb.MESSAGE, f"guest_{n % 50}", f"Person {n % 50}", f"c{n}",
                  {"text": " ".join(chance.choices(_WORDS, k=12))})
            for n in range(start, min(start + _BATCH, entries))
        ]  # fmt: skip
        assert not any(isinstance(outcome, ApiError) for outcome in await log.append(drafts, now_ms))
    store = LocalStore(folder / "files", 0)
    for number in range(_FILES):
        file_id, size = hashlib.sha256(f"{number}".encode()).hexdigest()[:32], file_mib * _MIB // _FILES
        await files.add_file(
            NewFile(file_id, room.room_key, "guest_ada", f"{number}.bin", "", "", size), _NO_QUOTAS, 60
        )
        digest = hashlib.sha256()
        await write_file(store, file_id, _content(number, size, digest))
        await files.complete_file(file_id, digest.hexdigest())


def _content(number: int, size: int, digest: hashlib._Hash) -> Iterator[bytes]:
    block = random.Random(number).randbytes(_MIB)
    for start in range(0, size, _MIB):
        piece = block[: size - start]
        digest.update(piece)
        yield piece


def measure(name: str, folder: Path, url: str, *arguments: str | Path) -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("TING_")}
    settings = {"TING_DATA_DIR": str(folder), **({"TING_DATABASE_URL": url} if url else {})}
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "signaling.cli", *map(str, arguments), "--dev"], env={**clean, **settings},
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, name
    took_s = time.monotonic() - begun
    cpu_s = usage.ru_utime + usage.ru_stime
    print(f"{name:8} {took_s:6.1f} s {cpu_s:6.1f} s CPU {usage.ru_maxrss / 1024:6.0f} MiB peak")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--file-mib", type=int, default=1024)
    parser.add_argument("--database-url", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ting-archives-") as name:
        folder = Path(name)
        here, there, again = folder / "here", folder / "there", folder / "again"
        storage = Storage(DatabaseSettings(database_url=options.database_url), here)

        async def make() -> None:
            await fill(storage, here, options.entries, options.file_mib)
            await storage.close()

        asyncio.run(make())
        measure("export", here, options.database_url, "export", folder / "room.tar")
        print(f"archive: {(folder / 'room.tar').stat().st_size / _MIB:.0f} MiB")
        measure("import", there, "", "import", "--signer", "any", folder / "room.tar")
        measure("backup", here, options.database_url, "backup", folder / "all.tar")
        measure("restore", again, "", "restore", "--signer", "any", folder / "all.tar")


if __name__ == "__main__":
    main()
