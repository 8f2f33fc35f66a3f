"""Where accounts are off, none of their routes is there, whatever the method."""

from __future__ import annotations

from typing import NoReturn

from aiohttp import web

from signaling.errors import ApiError

_PATHS = ("/api/v1/account", "/api/v1/accounts")


class NoAccounts:
    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Without them a POST would be answered with 405: the web app's files are looked for everywhere with GET."""
        for path in _PATHS:
            router.add_route("*", path, _answer)
            router.add_route("*", path + "/{rest:.*}", _answer)


async def _answer(_request: web.Request) -> NoReturn:
    raise ApiError("not_found", "There is nothing here.")
