"""Two tabs whose peer connections may use relays only, through coturn over TLS."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import async_playwright

from tests.harness.browser import Tab, launch
from tests.harness.coturn import MISSING, SECRET, Coturn, find_coturn
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

RELAY_ONLY = """
const Native = RTCPeerConnection;
window.RTCPeerConnection = class extends Native {
    constructor(config, ...rest) { super({...config, iceTransportPolicy: 'relay'}, ...rest); }
    // The SDK hands over the ICE servers once it has them, and the default policy with them.
    setConfiguration(config) { super.setConfiguration({...config, iceTransportPolicy: 'relay'}); }
};
"""
RELAY_PROTOCOLS = """async () => {
    const pc = window.__tingRoom.engine.pcManager;
    const stats = await (pc.subscriber ?? pc.publisher).getStats();
    return [...stats.values()].filter(s => s.candidateType === 'relay' && s.relayProtocol).map(s => s.relayProtocol);
}"""


async def test_a_call_through_turn_over_tls(room: str) -> None:
    binary = find_coturn()
    if binary is None:
        pytest.skip(MISSING)
    coturn = Coturn(binary)
    await coturn.start()
    turn = json.dumps([{"urls": [coturn.url("tls")], "secret": SECRET}])
    server = ServerProcess(environment={"TING_TURN": turn})
    await server.start()
    async with async_playwright() as playwright:
        # The certificate is signed by nobody that Chromium knows.
        browser = await launch(playwright, extra=["--ignore-certificate-errors"])
        tabs = []
        for name in ("Ada", "Bob"):
            tab = await Tab.open(browser, server.url)
            await tab.context.add_init_script(RELAY_ONLY)
            tabs.append(await tab.join(room, name))
        ada, bob = tabs
        await bob.expect_moving("Ada")
        await ada.expect_moving("Bob")
        assert set(await bob.page.evaluate(RELAY_PROTOCOLS)) == {"tls"}
        assert sum("ALLOCATE processed, success" in line for line in coturn.log) >= 4
        for tab in tabs:
            assert tab.errors == []
            await tab.close()
        await browser.close()
    assert await server.stop() == 0
    server.assert_healthy()
    await coturn.stop()
