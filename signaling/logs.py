"""Logging: one line per record on standard error, as text or JSON, whatever the message holds.

Line breaks and other control characters are escaped, so nobody outside can write a log line. The access log shows
the route and not the path or query, which may hold names and tokens.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger


@dataclass(frozen=True, slots=True)
class LogSettings:
    log_level: str = "info"
    """debug, info, warning or error."""
    log_format: str = "text"
    """text or json; one line per record on standard error."""
    access_log: bool = True
    """One line per finished HTTP request, without addresses and query strings."""


def configure(settings: LogSettings) -> None:
    """Replace the handlers of the root logger."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    # aiohttp reports each malformed request at ERROR with what it held; we count those.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    # aiosqlite writes down every statement with its values, which are what people have said.
    logging.getLogger("aiosqlite").setLevel(logging.INFO)
    logging.captureWarnings(True)


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JsonFormatter(logging.Formatter):
    """One JSON object per line (RFC 8259); `json.dumps` escapes every control character."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": _timestamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


class TextFormatter(logging.Formatter):
    """`time level logger message`; a traceback is appended with its line breaks escaped."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{_timestamp(record)} {record.levelname.lower():7} {record.name} {record.getMessage()}"
        if record.exc_info:
            text += " | " + self.formatException(record.exc_info)
        return escape(text)


def escape(text: str) -> str:
    """The text on one line: everything that is not printable becomes a backslash escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class AccessLogger(AbstractAccessLogger):
    """`GET /rtc 101 1234 ms`: method, route, status, duration. No address, no path, no query."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        self.logger.info("%s %s %d %d ms", request.method, route_of(request), response.status, round(time * 1000))

    @property
    def enabled(self) -> bool:
        return self.logger.isEnabledFor(logging.INFO)


def route_of(request: web.BaseRequest) -> str:
    """The pattern that the request matched, for example /r/{room}; "none" when it matched nothing."""
    resource = request.match_info.route.resource if isinstance(request, web.Request) else None
    return resource.canonical if resource is not None else "none"
