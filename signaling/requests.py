"""What requests of every kind have: a bearer token."""

from __future__ import annotations

from aiohttp import hdrs, web


def bearer_token(request: web.Request) -> str | None:
    """That of the Authorization header; None when there is no bearer token."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def request_token(request: web.Request) -> str:
    """From the Authorization header, else from the query, where browsers must put it. Empty when there is none."""
    token = bearer_token(request)
    return request.query.get("access_token", "") if token is None else token
