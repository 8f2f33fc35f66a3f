"""Routes of our own API: one function each, whose annotations say what comes in and what goes out.

    @route("POST", "/api/v1/rooms/{room}/members", access=Access.OWNER, errors=("last_owner",))
    async def change_role(self, actor: Actor, body: NewRole) -> MemberView:
        '''Give somebody another role.

        The last owner cannot give up the role.
        '''

- parameters by name: `request`; `actor`, whoever `Authority` finds behind the request; `body` and `query`, msgspec
  structs that are checked before the function runs; every name in braces of the path, a `str`.
- what it returns is the answer: a struct as JSON, None as 204, a `web.StreamResponse` as it is.
- `access` has no default: whoever adds a route says who may use it, and `Authority` sees to it.

`openapi` makes the OpenAPI 3.1 document from the same annotations.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar, get_type_hints

import msgspec
from aiohttp import hdrs, web

from signaling import strict_json
from signaling.errors import ApiError

_ATTRIBUTE = "__ting_route__"
_PARAMETER = re.compile(r"{(\w+)(?::[^}]*)?}")
_PLACE = re.compile(r"at `\$([\w.\[\]]+)`$")
_F = TypeVar("_F", bound=Callable[..., Awaitable[Any]])


class Access(StrEnum):
    """Who may use a route. From GUEST to OWNER a role in the room of the path is meant, by a room token."""

    ANYONE = "anyone"
    GUEST = "guest"
    MEMBER = "member"
    MODERATOR = "moderator"
    OWNER = "owner"
    ACCOUNT = "account"
    """Whoever is signed in."""
    ACCOUNT_PROVED = "account_proved"
    """Whoever is signed in and has proved who they are a moment ago (step-up)."""
    ADMIN = "admin"
    ADMIN_PROVED = "admin_proved"


class Struct(msgspec.Struct, kw_only=True):
    """What the API answers with."""


class Input(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What the API takes: a field too many is an error, so that nothing is lost quietly."""


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: str
    access: Access
    summary: str
    description: str
    parameters: tuple[str, ...]
    body: Any
    query: Any
    answer: Any
    status: int
    errors: tuple[str, ...]
    takes: tuple[str, ...]
    """Media types of a body that the function reads by itself."""
    gives: str
    """Media type of an answer that is not JSON; empty: none is named."""
    wants: frozenset[str]
    """Of `request`, `actor`: what the function takes."""
    handler: Callable[..., Awaitable[Any]]


class Authority(Protocol):
    async def authorize(self, request: web.Request, route: Route) -> Any:
        """The `actor` of a route: an `Actor` for roles in a room, the account's `Session` for accounts and admins, None
        for ANYONE. Raises `ApiError` unauthorized, forbidden, room_not_found, not_found, step_up_needed."""


class Endpoint(Protocol):
    """What has functions with `@route`. With an attribute `max_body_bytes` its bodies may be larger than others."""


def route(
    method: str,
    path: str,
    *,
    access: Access,
    errors: Iterable[str] = (),
    status: int = 200,
    takes: Iterable[str] = (),
    gives: str = "",
) -> Callable[[_F], _F]:
    """See the module's text. `errors` are the codes that the function itself may answer with, beside those that every
    route has; `takes` and `gives` name the media types of what is not JSON, and of any size."""

    def mark(function: _F) -> _F:
        setattr(function, _ATTRIBUTE, (method, path, access, tuple(errors), status, tuple(takes), gives))
        return function

    return mark


def routes_of(endpoint: Endpoint) -> list[Route]:
    """In the order in which they are written."""
    found = []
    for name, function in type(endpoint).__dict__.items():
        if (mark := getattr(function, _ATTRIBUTE, None)) is not None:
            found.append(_read(getattr(endpoint, name), *mark))
    return found


def _read(
    handler: Callable[..., Awaitable[Any]],
    method: str,
    path: str,
    access: Access,
    errors: tuple[str, ...],
    status: int,
    takes: tuple[str, ...],
    gives: str,
) -> Route:
    hints = get_type_hints(handler)
    answer = hints.pop("return", None)
    parameters = tuple(_PARAMETER.findall(path))
    text = inspect.getdoc(handler) or ""
    if not text:
        raise TypeError(f"{method} {path} has no docstring")
    unknown = set(hints) - {"request", "actor", "body", "query", *parameters}
    if unknown or not set(parameters) <= {*hints, "room"}:
        raise TypeError(f"{method} {path}: {unknown or parameters} does not fit the path")
    summary, _, description = text.partition("\n\n")
    return Route(
        method=method,
        path=path,
        access=access,
        summary=" ".join(summary.split()),
        description=description.strip(),
        parameters=parameters,
        body=hints.get("body"),
        query=hints.get("query"),
        answer=None if answer is type(None) else answer,
        status=204 if answer in (None, type(None)) else status,
        errors=errors,
        takes=takes,
        gives=gives,
        wants=frozenset(hints) & {"request", "actor", *parameters},
        handler=handler,
    )


class Api:
    """Hangs typed routes into the application. `body_timeout_s` is for the body of a request."""

    def __init__(self, authority: Authority, body_timeout_s: float) -> None:
        self._authority = authority
        self._body_timeout_s = body_timeout_s
        self.routes: list[Route] = []

    def add(self, router: web.UrlDispatcher, endpoint: Endpoint) -> None:
        for found in routes_of(endpoint):
            self.routes.append(found)
            max_body_bytes: int | None = getattr(endpoint, "max_body_bytes", None)
            router.add_route(found.method, found.path, self._serve(found, max_body_bytes))

    def _serve(
        self, found: Route, max_body_bytes: int | None
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            actor = await self._authority.authorize(request, found)
            given: dict[str, Any] = {name: request.match_info[name] for name in found.parameters if name in found.wants}
            if "request" in found.wants:
                given["request"] = request
            if "actor" in found.wants:
                given["actor"] = actor
            if found.query is not None:
                given["query"] = convert(dict(request.query), found.query, strict=False)
            if found.body is not None:
                if max_body_bytes is not None:
                    request = request.clone(client_max_size=max_body_bytes)
                given["body"] = convert(await self._read_body(request), found.body)
            answer = await found.handler(**given)
            if isinstance(answer, web.StreamResponse):
                return answer
            headers = {hdrs.CACHE_CONTROL: "no-store"}
            if answer is None:
                return web.Response(status=204, headers=headers)
            return web.Response(
                body=msgspec.json.encode(answer), status=found.status, content_type="application/json", headers=headers
            )

        return serve

    async def _read_body(self, request: web.Request) -> Any:
        if request.content_type != "application/json":
            raise ApiError("invalid_body", "The body must be application/json.")
        try:
            async with asyncio.timeout(self._body_timeout_s):
                text = await request.read()
            return strict_json.loads(text)
        except TimeoutError:
            raise ApiError("request_timeout", "The body took too long.") from None
        except ValueError:
            raise ApiError("invalid_body", "The body is not JSON.") from None


class TypedApi:
    """All endpoints with typed routes."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.endpoints: list[object] = []

    @property
    def routes(self) -> list[Route]:
        return self._api.routes

    def add_routes(self, router: web.UrlDispatcher) -> None:
        for endpoint in self.endpoints:
            self._api.add(router, endpoint)


def convert(value: object, kind: Any, *, strict: bool = True) -> Any:
    """`value` as `kind`. Raises `ApiError` invalid_body, which says where and not what."""
    try:
        return msgspec.convert(value, kind, strict=strict)
    except ValueError as error:
        # ValidationError; and UnicodeEncodeError for a key that has a lone surrogate (msgspec 0.22).
        place = _PLACE.search(str(error))
        where = f" at {place[1]}" if place else ""
        raise ApiError("invalid_body", f"A field is missing, unknown, or not of its kind{where}.") from None
