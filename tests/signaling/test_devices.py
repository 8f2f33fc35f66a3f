"""Codecs that devices only say they can do."""

from __future__ import annotations

import pytest

from sfu.api import ClientDescription
from signaling.devices import broken_codecs, with_user_agent
from signaling.livekit import convert


@pytest.mark.parametrize(
    ("client", "both", "publish"),
    [
        ({}, set(), set()),
        ({"browser": "Chrome", "browser_version": "140.0", "os": "macOS"}, set(), set()),
        ({"browser": "Safari", "browser_version": "17.5", "os": "macOS"}, {"av1"}, set()),
        ({"browser": "Safari", "browser_version": "18.3", "os": "iOS"}, {"av1"}, set()),
        ({"browser": "Safari", "browser_version": "18.10", "os": "iOS"}, {"av1"}, {"vp9"}),
        ({"browser": "Firefox", "browser_version": "140.0", "os": "Linux"}, set(), {"h264"}),
        ({"browser": "Firefox Mobile", "os": "android"}, set(), {"h264"}),
        ({"browser": "Firefox", "browser_version": "155.0.1", "os": "Windows"}, {"av1"}, set()),
        ({"browser": "Firefox", "browser_version": "157.0", "os": "Windows"}, set(), set()),
        ({"os": "android", "device_model": "Xiaomi 2201117TI"}, set(), {"h264"}),
        ({"browser": "safari", "browser_version": "x" * 64}, {"av1"}, set()),
    ],
)
def test_broken_codecs(client: dict[str, str], both: set[str], publish: set[str]) -> None:
    broken = broken_codecs(ClientDescription(**client))  # type: ignore[arg-type]
    assert (broken.all, broken.publish) == (both, publish)
    message = convert.client_configuration(broken, relay_only=False)
    assert (message is None) == (not both and not publish)
    if message is not None:
        assert {codec.mime for codec in message.disabled_codecs.codecs} == {f"video/{name}" for name in both}
        assert {codec.mime for codec in message.disabled_codecs.publish} == {f"video/{name}" for name in publish}


MOZILLA = "Mozilla/5.0"


@pytest.mark.parametrize(
    ("user_agent", "browser", "version", "os"),
    [
        (f"{MOZILLA} (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "firefox", "140.0", "linux"),
        (f"{MOZILLA} (Android 14; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "firefox", "140.0", "android"),
        (
            f"{MOZILLA} (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/140.0.0.0 Safari/537.36",
            "chrome", "140.0.0.0", "windows",
        ),
        (
            f"{MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 "
            "Safari/605.1.15",
            "safari", "18.4", "macos",
        ),
        (
            f"{MOZILLA} (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/18.4 Mobile/15E148 Safari/604.1",
            "safari", "18.4", "ios",
        ),
        ("Python/3.11 aiohttp/3.12", "", "", ""),
        ("", "", "", ""),
    ],
)  # fmt: skip
def test_what_the_user_agent_tells(user_agent: str, browser: str, version: str, os: str) -> None:
    client = with_user_agent(ClientDescription(), user_agent)
    assert (client.browser, client.browser_version, client.os) == (browser, version, os)


def test_what_the_client_says_itself_counts_more() -> None:
    client = ClientDescription(browser="firefox mobile", os="android")
    assert with_user_agent(client, f"{MOZILLA} Chrome/140.0 Safari/537.36") == client
