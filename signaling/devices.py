"""Codecs that a device says it can do and cannot: kept out of its descriptions, and named in the join response.

The list follows what LiveKit's server has found out about devices (livekit/livekit, pkg/clientconfiguration).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from sfu.api import ClientDescription

_NUMBERS = re.compile(r"[0-9]+")


_BROWSERS = (
    # Everything calls itself Safari, and what is built on Chromium calls itself Chrome: first match wins.
    ("firefox", re.compile(r"(?:Firefox|FxiOS)/([0-9.]+)")),
    ("chrome", re.compile(r"(?:Chrome|Chromium|CriOS)/([0-9.]+)")),
    ("safari", re.compile(r"Version/([0-9.]+) .*Safari/")),
)
_SYSTEMS = (("Android", "android"), ("iPhone", "ios"), ("iPad", "ios"), ("Mac OS X", "macos"), ("Windows", "windows"),
            ("Linux", "linux"))  # fmt: skip
_MAX_USER_AGENT_LENGTH = 512


@dataclass(frozen=True, slots=True)
class BrokenCodecs:
    """Names as in `SfuConfig.video_codecs`."""

    all: frozenset[str] = frozenset()
    """Neither published nor received."""
    publish: frozenset[str] = frozenset()
    """Not published, beside those of `all`."""


def broken_codecs(client: ClientDescription, *, sealed: bool = False) -> BrokenCodecs:
    """`sealed`: the client encrypts its frames, and no SDK does so with AV1."""
    browser, os = client.browser.lower(), client.os.lower()
    both: set[str] = {"av1"} if sealed else set()
    publish: set[str] = set()
    if browser == "safari":
        both.add("av1")
        if _version(client.browser_version) > (18, 3):
            publish.add("vp9")
    if browser.startswith("firefox"):
        if os in ("linux", "android"):
            publish.add("h264")
        if (155,) <= _version(client.browser_version) < (157,):
            # These decode the base layer of an AV1 stream with spatial layers only.
            both.add("av1")
    if os == "android" and client.device_model.lower() == "xiaomi 2201117ti":
        publish.add("h264")
    return BrokenCodecs(frozenset(both), frozenset(publish))


def with_user_agent(client: ClientDescription, user_agent: str) -> ClientDescription:
    """`client` with what the User-Agent header tells, where the client did not say it: browsers' SDKs leave it out."""
    if client.browser:
        return client
    text = user_agent[:_MAX_USER_AGENT_LENGTH]
    found = next(((name, match[1]) for name, pattern in _BROWSERS if (match := pattern.search(text))), None)
    if found is None:
        return client
    os = client.os or next((name for mark, name in _SYSTEMS if mark in text), "")
    return replace(client, browser=found[0], browser_version=found[1], os=os)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in _NUMBERS.findall(text)[:3])
