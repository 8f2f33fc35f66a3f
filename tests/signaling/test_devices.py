"""Codecs that devices only say they can do."""

from __future__ import annotations

import pytest

from sfu.api import ClientDescription
from signaling.devices import broken_codecs
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
    message = convert.client_configuration(broken)
    assert (message is None) == (not both and not publish)
    if message is not None:
        assert {codec.mime for codec in message.disabled_codecs.codecs} == {f"video/{name}" for name in both}
        assert {codec.mime for codec in message.disabled_codecs.publish} == {f"video/{name}" for name in publish}
