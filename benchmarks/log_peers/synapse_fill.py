"""Puts messages straight into the database of a stopped Synapse. Runs in Synapse's own virtual environment; the order
comes as JSON on standard input: `database` as in its configuration, `room`, `sender`, `entries`."""

import hashlib
import json
import sqlite3
import sys

import psycopg2
import psycopg2.extras
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.crypto.event_signing import compute_content_hash
from synapse.events import make_event_from_dict
from unpaddedbase64 import encode_base64


class Filler:
    def __init__(self, order):
        arguments = order["database"]["args"]
        self._is_sqlite = order["database"]["name"] == "sqlite3"
        if self._is_sqlite:
            self._connection = sqlite3.connect(arguments["database"])
        else:
            self._connection = psycopg2.connect(**{k: v for k, v in arguments.items() if not k.startswith("cp_")})
        self._cursor = self._connection.cursor()
        self._room = order["room"]
        self._entries = order["entries"]

    def run(self):
        """Each the child of the one before, as a client would have written them."""
        row = self._newest()
        (version,) = self._one("SELECT room_version FROM rooms WHERE room_id = ?", self._room)
        (text, metadata, form) = self._one(
            "SELECT json, internal_metadata, format_version FROM event_json WHERE event_id = ?", row["event_id"]
        )
        (state,) = self._one("SELECT state_group FROM event_to_state_groups WHERE event_id = ?", row["event_id"])
        (stream,) = self._one("SELECT max(stream_ordering) FROM events")
        event, previous = json.loads(text), row["event_id"]
        words = event["content"]["body"].partition(" ")[2]
        rows, texts, states, edges = [], [], [], []
        for number in range(1, self._entries + 1):
            depth = row["depth"] + number
            event.update(depth=depth, prev_events=[previous], origin_server_ts=row["origin_server_ts"] + number)
            event["content"]["body"] = f"~{number}~ {words}"
            event["hashes"] = {"sha256": encode_base64(compute_content_hash(event, hashlib.sha256)[1])}
            key = make_event_from_dict(dict(event), KNOWN_ROOM_VERSIONS[version]).event_id
            rows.append(tuple({
                **row, "event_id": key, "depth": depth, "topological_ordering": depth,
                "stream_ordering": stream + number, "origin_server_ts": event["origin_server_ts"],
            }.values()))  # fmt: skip
            texts.append((key, self._room, metadata, json.dumps(event), form))
            states.append((key, state))
            edges.append((key, previous, False))
            previous = key
        self._insert("events", list(row), rows)
        self._insert("event_json", ["event_id", "room_id", "internal_metadata", "json", "format_version"], texts)
        self._insert("event_to_state_groups", ["event_id", "state_group"], states)
        self._insert("event_edges", ["event_id", "prev_event_id", "is_state"], edges)
        self._finish(previous, stream + self._entries)

    def _newest(self):
        """The newest message, by column."""
        where = "room_id = ? AND type = 'm.room.message' ORDER BY stream_ordering DESC LIMIT 1"
        values = self._one(f"SELECT * FROM events WHERE {where}", self._room)
        return dict(zip((column[0] for column in self._cursor.description), values, strict=True))

    def _finish(self, newest, stream):
        self._do("DELETE FROM event_forward_extremities WHERE room_id = ?", self._room)
        self._do("INSERT INTO event_forward_extremities (event_id, room_id) VALUES (?, ?)", newest, self._room)
        if not self._is_sqlite:
            self._do("SELECT setval('events_stream_seq', ?)", stream)
            self._do("UPDATE stream_positions SET stream_id = ? WHERE stream_name = 'events'", stream)
        self._connection.commit()
        self._connection.close()

    def _do(self, statement, *values):
        self._cursor.execute(statement if self._is_sqlite else statement.replace("?", "%s"), values)

    def _one(self, statement, *values):
        self._do(statement, *values)
        return self._cursor.fetchone()

    def _insert(self, table, columns, rows):
        names = ", ".join(columns)
        if self._is_sqlite:
            marks = ", ".join("?" * len(columns))
            self._cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)
        else:
            psycopg2.extras.execute_values(
                self._cursor, f"INSERT INTO {table} ({names}) VALUES %s", rows, page_size=1000
            )


if __name__ == "__main__":
    Filler(json.load(sys.stdin)).run()
