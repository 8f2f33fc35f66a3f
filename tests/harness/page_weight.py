"""What a browser fetches of the web app: bytes and requests, as they came over the line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.async_api import CDPSession, Page

NO_WORKER = "delete Navigator.prototype.serviceWorker"
"""What a service worker fetches beside the page is not what one waits for, and hides the page's own from this."""


@dataclass
class PageWeight:
    """Follows a page of Chromium from before its first request on."""

    origin: str
    session: CDPSession
    requests: int = 0
    """To the page's own origin, WebSockets among them; not what the browser has already."""
    foreign: list[str] = field(default_factory=list)
    _kinds: dict[str, str] = field(default_factory=dict)
    _bytes: dict[str, int] = field(default_factory=dict)

    @classmethod
    async def follow(cls, page: Page, origin: str, coding: str = "gzip") -> Self:
        """`coding` is the only one (RFC 9110, 8.4.1) that the browser offers to take."""
        session = await page.context.new_cdp_session(page)
        weight = cls(urlsplit(origin).netloc, session)
        session.on("Network.requestWillBeSent", lambda event: weight._count(event["request"]["url"]))
        session.on("Network.requestServedFromCache", lambda _event: weight._uncount())
        session.on("Network.webSocketCreated", lambda event: weight._count(event["url"]))
        session.on("Network.responseReceived", weight._note_kind)
        session.on("Network.loadingFinished", weight._note_bytes)
        await session.send("Network.enable")
        await page.set_extra_http_headers({"Accept-Encoding": coding})
        return weight

    def script_bytes(self) -> int:
        """Of JavaScript, with the headers of its answers."""
        return sum(size for request, size in self._bytes.items() if self._kinds.get(request) == "Script")

    def all_bytes(self) -> int:
        return sum(self._bytes.values())

    def _count(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("data", "blob"):
            return
        if parts.netloc == self.origin:
            self.requests += 1
        else:
            self.foreign.append(url)

    def _uncount(self) -> None:
        self.requests -= 1

    def _note_kind(self, event: Mapping[str, Any]) -> None:
        if event["response"].get("fromDiskCache"):
            self._uncount()
        kind = event["type"]
        if "javascript" in event["response"].get("mimeType", ""):
            kind = "Script"
        self._kinds[event["requestId"]] = kind

    def _note_bytes(self, event: Mapping[str, Any]) -> None:
        self._bytes[event["requestId"]] = int(event["encodedDataLength"])
