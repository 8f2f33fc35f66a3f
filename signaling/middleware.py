"""What every request passes: errors become answers, and keys of issuers are fetched before a token is checked."""

from __future__ import annotations

import logging

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from signaling.errors import ApiError, DatabaseError
from signaling.gate import Gate
from signaling.logs import route_of
from signaling.metrics import Metrics
from signaling.requests import request_token
from signaling.tokens import TokenService

_log = logging.getLogger("ting")
_CLIENT_GONE = 499
"""For the log and the metrics only; no client ever gets it."""


def answering_errors(gate: Gate, metrics: Metrics) -> Middleware:
    """Errors as JSON under /api, as plain text elsewhere; nothing of an internal error goes out."""

    @web.middleware
    async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        gate.admit(request)
        try:
            response = await handler(request)
        except ApiError as error:
            response = _error_response(request, error)
        except web.HTTPRequestEntityTooLarge:
            response = _error_response(request, ApiError("body_too_large", "The body is too large."))
        except web.HTTPNotFound:
            response = _error_response(request, ApiError("not_found", "There is nothing here."))
        except web.HTTPMethodNotAllowed as error:
            response = _error_response(request, ApiError("method_not_allowed", "This method is not for this address."))
            response.headers[hdrs.ALLOW] = ",".join(sorted(error.allowed_methods))
        except web.HTTPException:
            raise
        except ConnectionResetError:
            # The client hung up before its answer; aiohttp notices that when it tries to send this one.
            response = web.Response(status=_CLIENT_GONE)
        except DatabaseError as error:
            metrics.database_errors.labels("request").inc()
            _log.error("a request failed: %s", error)
            response = _error_response(
                request, ApiError("unavailable", "The database cannot be reached.", retry_after_s=5)
            )
        except Exception:
            _log.exception("a request failed")
            response = _error_response(request, ApiError("internal", "Something went wrong here."))
        metrics.requests.labels(route_of(request), str(response.status)).inc()
        return response

    return answer_errors


def fetching_keys(tokens: TokenService) -> Middleware:
    """Where there are issuers: a token may name a key that its issuer has just made."""

    @web.middleware
    async def fetch_keys(request: web.Request, handler: Handler) -> web.StreamResponse:
        if token := request_token(request):
            await tokens.prepare(token)
        return await handler(request)

    return fetch_keys


def _error_response(request: web.Request, error: ApiError) -> web.Response:
    if request.path.startswith("/api/"):
        response = web.json_response(error.body(), status=error.status, headers={hdrs.CACHE_CONTROL: "no-store"})
    else:
        response = web.Response(status=error.status, text=f"{error}\n")
    response.headers.update(error.headers)
    if error.retry_after_s is not None:
        response.headers[hdrs.RETRY_AFTER] = str(error.retry_after_s)
    return response
