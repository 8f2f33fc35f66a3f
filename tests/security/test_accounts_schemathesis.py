"""Requests made up from the OpenAPI document by schemathesis for an admin who is signed in: no answer is a 5xx."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.signaling.account_rig import running_accounts

ENDS_ITSELF = ("sign_out", "delete_account", "register_with_password", "register_with_passkey")
"""What would end the session, with which all requests come, long before the others are through."""


@pytest.mark.timeout(300)
async def test_no_made_up_request_is_a_server_error(tmp_path: Path) -> None:
    async with running_accounts(registration="open", api_requests_per_minute=1_000_000_000) as rig:
        admin = await rig.signed_in(is_admin=True)
        [cookie] = admin.http.cookie_jar
        excluded = [part for name in ENDS_ITSELF for part in ("--exclude-operation-id", name)]
        command = [
            str(Path(sys.executable).with_name("st")), "run", f"{rig.server.url}/api/openapi.json",
            "--checks", "not_a_server_error", "--max-examples", "25", "--seed", "11", "--phases",
            "examples,coverage,fuzzing", "--include-path-regex", "/api/v1/account",
            "--header", f"Cookie: ting_session={cookie.value}", "--header", "Sec-Fetch-Site: same-origin", *excluded,
            "--no-color",
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output = (await process.communicate())[0].decode("utf-8", "replace")
        assert process.returncode == 0, output[-8000:]
        assert await rig.browser()("GET", "/account/sign-in") == 200
