"""Asking another server for JSON, without trusting it: bounded in size and time, and never sent elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp

from signaling import strict_json


class UpstreamError(Exception):
    """There was no answer that can be used. The message is one line without addresses and without what was sent."""


class Upstream:
    def __init__(self, timeout_s: float, max_bytes: int) -> None:
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON object that is there. Raises `UpstreamError`."""
        return await self._ask("GET", url, None, headers)

    async def post(self, url: str, form: Mapping[str, str], *, headers: Mapping[str, str]) -> dict[str, Any]:
        """The JSON object that answers a form. Raises `UpstreamError`."""
        return await self._ask("POST", url, form, headers)

    async def _ask(
        self, method: str, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str] | None
    ) -> dict[str, Any]:
        wanted = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                aiohttp.ClientSession(auto_decompress=False) as session,
                session.request(method, url, data=form, headers=wanted, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise UpstreamError(f"status {response.status}")
                document = await self._read(response.content)
        except TimeoutError:
            raise UpstreamError("no answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UpstreamError(type(error).__name__) from None
        try:
            value = strict_json.loads(document)
        except ValueError:
            raise UpstreamError("the answer is not JSON") from None
        if not isinstance(value, dict):
            raise UpstreamError("the answer is not a JSON object")
        return value

    async def _read(self, content: aiohttp.StreamReader) -> bytes:
        document = bytearray()
        async for part in content.iter_chunked(8192):
            document += part
            if len(document) > self._max_bytes:
                raise UpstreamError("the answer is too large")
        return bytes(document)
