"""Log lines: one per record, whatever the message holds, and no secret in the access log."""

from __future__ import annotations

import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling import logs
from tests.signaling.harness import Server, eventually, relaxed

NASTY = 'line\nbreak\r\x1b[31mred\u2028sep\x00 {"level":"error"} %s'


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("ting", logging.INFO, __file__, 1, message, arguments, None)


@relaxed
@given(st.text())
def test_every_record_is_one_line(text: str) -> None:
    for formatter in (logs.TextFormatter(), logs.JsonFormatter()):
        line = formatter.format(record("%s", text))
        assert len(line.splitlines()) == 1
        line.encode("utf-8")


def test_json_lines_hold_the_message_as_it_was() -> None:
    entry = json.loads(logs.JsonFormatter().format(record("%s", NASTY)))
    assert (entry["message"], entry["level"], entry["logger"]) == (NASTY, "info", "ting")


def test_tracebacks_stay_on_the_line() -> None:
    try:
        raise ValueError(NASTY)
    except ValueError:
        entry = logging.LogRecord("ting", logging.ERROR, __file__, 1, "failed", (), None)
        entry.exc_info = sys.exc_info()
    assert len(logs.TextFormatter().format(entry).splitlines()) == 1
    assert "ValueError" in json.loads(logs.JsonFormatter().format(entry))["exception"]


async def test_the_log_holds_no_token_no_name_and_no_address(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ting")
    token = server.token("canary-identity", "canary-room", name="canary-name")
    client = await server.connect(token)
    await client.expect("join")
    await client.ws.close()
    async with server.http.get(server.url + "/r/canary-room?secret=canary") as response:
        await response.read()
    async with server.http.get(server.url + "/rtc/validate", params={"access_token": token}) as response:
        await response.read()
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("ting")]
    await eventually(lambda: any("GET /rtc 101" in record.getMessage() for record in caplog.records))
    text = "\n".join(lines)
    assert "GET /rtc/validate 200" in text
    assert "GET /r/{room}" in text
    for secret in ("canary", token, "127.0.0.1"):
        assert secret not in text
