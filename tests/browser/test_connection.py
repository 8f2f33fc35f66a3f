"""Why a call was bad for somebody, as a host sees it while it is so and afterwards, and as one sees it oneself."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import Browser, Locator, expect

from tests.harness.browser import Tab, close_clean
from tests.harness.link import Conditions, Link
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

LED_THROUGH = """([host, port]) => {
    const lead = text => text.split('\\r\\n').flatMap(line => {
        const at = line.indexOf('candidate:');
        if (at < 0 || at > 2) return [line];
        const parts = line.split(' ');
        const led = [...parts.slice(0, 4), host, port, ...parts.slice(6)].join(' ');
        return parts[2].toLowerCase() === 'udp' ? [led] : [];
    }).join('\\r\\n');
    const Native = window.RTCPeerConnection;
    window.RTCPeerConnection = class extends Native {
        setRemoteDescription(one) { return super.setRemoteDescription({type: one.type, sdp: lead(one.sdp)}); }
        addIceCandidate(one) {
            const candidate = lead(one?.candidate ?? '');
            return candidate === '' ? Promise.resolve() : super.addIceCandidate({...one, candidate});
        }
    };
}"""
"""The page reaches the server's media over this address alone."""


def mark(tab: Tab, what: str, cause: str) -> Locator:
    return tab.page.locator(f'[data-testid="connection-marks"] [data-mark="{what}"][data-cause="{cause}"]')


async def open_connection(tab: Tab, name: str) -> None:
    line = tab.page.locator(f'[data-testid="people-item"][data-name="{name}"]')
    await line.get_by_test_id("person-menu").click()
    await tab.get("host-connection").click()
    await expect(tab.get("connection")).to_be_visible()


async def test_a_host_sees_why_a_call_is_bad_for_somebody_and_was(browser: Browser, server: ServerProcess) -> None:
    link = await Link(("127.0.0.1", server.ports.udp), Conditions()).start()
    ada, bob = [await Tab.open(browser, server.url) for _ in range(2)]
    await bob.context.add_init_script(f"({LED_THROUGH})({json.dumps(link.address)})")
    room = await ada.make_room("Ada")
    await ada.get("room-menu").click()
    await ada.get("call-timelines").click()
    await expect(ada.get("room-saved")).not_to_be_empty()
    await ada.get("close-room-dialog").click()
    await bob.come(room, "Bob")
    await bob.expect_moving("Ada")

    await ada.get("toggle-people").click()
    await open_connection(ada, "Bob")
    await expect(ada.get("connection")).to_contain_text("Connection of Bob")
    await expect(ada.get("connection-now")).to_contain_text("is sent to them")
    link.conditions = Conditions(rate_bps=40_000)
    await expect(mark(ada, "paused", "line")).to_contain_text("Paused, line too slow: camera of Ada", timeout=30_000)
    link.conditions = Conditions()
    await expect(mark(ada, "resumed", "line").first).to_contain_text("Came back: camera of Ada", timeout=40_000)
    await expect(ada.get("line-chart").locator('[data-mark="paused"]').first).to_be_attached()
    assert await ada.get("line-chart").locator("path.sent").get_attribute("d")
    await expect(ada.get("connection-gets").locator('[data-source="camera"]')).to_contain_text("kbit/s")
    await ada.get("connection-table").locator("summary").click()
    await expect(ada.get("connection-table").locator("tbody tr").first).to_be_visible()

    await bob.get("toggle-people").click()
    await open_connection(bob, "Bob")
    await expect(mark(bob, "paused", "line").first).to_be_attached()
    await expect(bob.get("connection-person")).to_have_count(0)
    await bob.get("close-connection").click()
    await bob.get("leave").click()
    await expect(ada.page.locator('[data-testid="connection-marks"] [data-mark="left"]')).to_be_attached()
    await ada.get("close-connection").click()
    await ada.get("toggle-chat").click()
    await ada.get("event-connection").click()
    await expect(ada.get("connection")).to_contain_text("Connection of Bob")
    await expect(mark(ada, "paused", "line").first).to_contain_text("camera of Ada")
    await ada.get("connection-forget").click()
    await ada.get("confirm-yes").click()
    await expect(ada.get("connection-call")).to_have_count(0)
    await ada.get("close-connection").click()
    await close_clean([ada, bob])
    await link.stop()
