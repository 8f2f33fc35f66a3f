"""The OpenAPI 3.1 document of our own API, made from the types of its routes, and a page to read it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from aiohttp import hdrs, web

from signaling.api.typed import Access, Route, Struct, route
from signaling.errors import HTTP_STATUS
from signaling.version import VERSION

_ALWAYS = ("internal", "rate_limited", "unavailable")
_BODY = ("body_too_large", "invalid_body", "request_timeout")
_ROOM = ("banned", "forbidden", "kicked", "room_not_found", "unauthorized")
_ACCOUNT = ("forbidden", "not_found", "unauthorized")
_IN_ROOM = frozenset({Access.GUEST, Access.MEMBER, Access.MODERATOR, Access.OWNER})


class ErrorDetail(Struct):
    code: str
    message: str


class ErrorBody(Struct):
    error: ErrorDetail


class OpenApiEndpoint:
    def __init__(self, routes: Callable[[], list[Route]], name: str) -> None:
        self._routes = routes
        self._name = name

    @functools.cached_property
    def _document(self) -> bytes:
        return msgspec.json.encode(describe(self._routes(), self._name))

    @route("GET", "/api/openapi.json", access=Access.ANYONE)
    async def get_document(self) -> web.StreamResponse:
        """This document."""
        return web.Response(body=self._document, content_type="application/json")

    @route("GET", "/api/docs", access=Access.ANYONE)
    async def get_page(self) -> web.StreamResponse:
        """Read the API in a browser."""
        from signaling.api.openapi_page import render

        response = web.Response(text=render(describe(self._routes(), self._name)), content_type="text/html")
        response.headers[hdrs.CACHE_CONTROL] = "no-cache"
        return response


def describe(routes: Iterable[Route], name: str) -> dict[str, Any]:
    """The document, as a dictionary."""
    routes = list(routes)
    kinds = [ErrorBody, *(kind for one in routes for kind in (one.body, one.query, one.answer) if _is_schema(kind))]
    references, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    by_kind = {id(kind): reference for kind, reference in zip(kinds, references, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for one in routes:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, by_kind, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": name,
            "version": VERSION,
            "description": "Rooms, their log, members and moderation. Calls themselves speak the LiveKit protocol.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "session": {"type": "apiKey", "in": "cookie", "name": "ting_session"},
            },
        },
    }


def _is_schema(kind: Any) -> bool:
    return kind is not None and not (inspect.isclass(kind) and issubclass(kind, web.StreamResponse))


_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
"""Clients are made from this form; in OpenAPI 3.1 `format` is a note and binds nobody."""


def _operation(one: Route, by_kind: Mapping[int, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": one.handler.__name__ if one.method != "HEAD" else f"head_{one.handler.__name__}",
        "summary": one.summary,
        "x-ting-access": one.access.value,
        "parameters": [_path_parameter(name) for name in one.parameters],
        "responses": _responses(one, by_kind),
    }
    if one.description:
        operation["description"] = one.description
    if one.query is not None:
        operation["parameters"] += _query_parameters(by_kind[id(one.query)], components)
    if one.body is not None:
        content = {"application/json": {"schema": by_kind[id(one.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    elif one.takes:
        operation["requestBody"] = {"required": True, "content": dict.fromkeys(one.takes, _BYTES)}
    if one.access in _IN_ROOM:
        operation["security"] = [{"token": []}]
    elif one.access is not Access.ANYONE:
        operation["security"] = [{"session": []}]
    return operation


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(reference: Mapping[str, Any], components: Mapping[str, Any]) -> list[dict[str, Any]]:
    schema = components[reference["$ref"].rpartition("/")[2]]
    required = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": field}
        for name, field in schema["properties"].items()
    ]


def _responses(one: Route, by_kind: Mapping[int, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "Done."}
    if one.answer is not None and _is_schema(one.answer):
        good["content"] = {"application/json": {"schema": by_kind[id(one.answer)]}}
    elif one.gives:
        good["content"] = {one.gives: _BYTES}
    responses: dict[str, Any] = {str(one.status): good}
    codes = {*one.errors, *_ALWAYS}
    if one.body is not None or one.query is not None:
        codes.update(_BODY)
    if one.access in _IN_ROOM:
        codes.update(_ROOM)
    elif one.access is not Access.ANYONE:
        codes.update(_ACCOUNT)
    by_status: dict[int, list[str]] = {}
    for code in sorted(codes):
        by_status.setdefault(HTTP_STATUS[code], []).append(code)
    for status, its_codes in sorted(by_status.items()):
        content = {"application/json": {"schema": by_kind[id(ErrorBody)]}}
        responses[str(status)] = {"description": ", ".join(its_codes), "content": content}
    return responses
