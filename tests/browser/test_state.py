"""The browser's client, when a participant's rights, words and room change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.browser.conftest import OpenTab
from tests.harness.server import ServerProcess, make_token

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


class ServerApi:
    def __init__(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        self._http, self._url = http, url
        self._headers = {"Authorization": f"Bearer {token}"}

    async def call(self, method: str, **body: Any) -> Any:
        url = f"{self._url}/twirp/livekit.RoomService/{method}"
        async with self._http.post(url, json=body, headers=self._headers) as response:
            assert response.status == 200, await response.text()
            return await response.json()


@pytest_asyncio.fixture(loop_scope="session")
async def server_api(server: ServerProcess, room: str) -> AsyncIterator[ServerApi]:
    token = make_token(room, "", room_join=False, room_admin=True, destination_room=f"{room}-2")
    async with aiohttp.ClientSession() as http:
        yield ServerApi(http, server.url, token)


async def test_own_words_once_they_are_allowed(open_tab: OpenTab, server_api: ServerApi, room: str) -> None:
    ada = await (await open_tab()).join(room, "Ada")
    (info,) = (await server_api.call("ListParticipants", room=room))["participants"]
    change = (
        "([hand]) => window.__tingRoom.localParticipant.setAttributes({hand})"
        ".then(() => 'ok', error => error.reasonName)"
    )
    assert await ada.page.evaluate(change, ["up"]) == "NOT_ALLOWED"
    rights = {"can_publish": True, "can_subscribe": True, "can_publish_data": True, "can_update_metadata": True}
    await server_api.call("UpdateParticipant", room=room, identity=info["identity"], permission=rights)
    await ada.page.wait_for_function("() => window.__tingRoom.localParticipant.permissions.canUpdateMetadata")
    assert await ada.page.evaluate(change, ["up"]) == "ok"
    assert await ada.page.evaluate(change, ["x" * 9000]) == "LIMIT_EXCEEDED"
    assert await ada.page.evaluate(change, [""]) == "ok"
    assert await ada.page.evaluate("() => window.__tingRoom.localParticipant.attributes") == {}


async def test_moved_to_another_room(open_tab: OpenTab, server_api: ServerApi, room: str) -> None:
    ada, bob = await (await open_tab()).join(room, "Ada"), await (await open_tab()).join(f"{room}-2", "Bob")
    (info,) = (await server_api.call("ListParticipants", room=room))["participants"]
    await server_api.call("MoveParticipant", room=room, identity=info["identity"], destination_room=f"{room}-2")
    await ada.page.wait_for_function("name => window.__tingRoom.name === name", arg=f"{room}-2")
    await bob.expect_moving("Ada")
    await ada.expect_moving("Bob")
