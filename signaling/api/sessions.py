"""Sessions of accounts over HTTP: the cookie, what it may be used for, and whose it is.

A browser sends the cookie with whatever a page makes it send, so a request that changes something, or that opens a
WebSocket, counts only when the browser says that one of our own pages made it: by `Sec-Fetch-Site` (Fetch Metadata) and
by `Origin` (RFC 6454).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from signaling.accounts.ceremonies import Site
from signaling.accounts.devices import AccountSession
from signaling.accounts.service import Accounts
from signaling.api.typed import Access
from signaling.errors import ApiError

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_NOTED: web.RequestKey[dict[str, str]] = web.RequestKey("cookies", dict[str, str])
_SCHEMES: Mapping[str, str] = {"ws": "http", "wss": "https"}


@dataclass(frozen=True, slots=True)
class Cookies:
    """Names of our cookies. With TLS the browser itself keeps them to this host (RFC 6265bis, 4.1.3.2)."""

    session: str
    openid: str


class Sessions:
    """`accounts` is None when there are none. `tls`: the server itself speaks HTTPS; behind a proxy that does,
    public_url says so. `site_name` is what devices show beside a passkey."""

    def __init__(self, accounts: Accounts | None, *, public_url: str, tls: bool, site_name: str) -> None:
        self._accounts = accounts
        self._site_name = site_name
        self._public_origin = origin_of(public_url)
        self.is_secure = tls or self._public_origin.startswith("https:")
        self.cookies = (
            Cookies("__Host-ting", "__Host-ting_openid") if self.is_secure else Cookies("ting_session", "ting_openid")
        )

    async def session_of(self, request: web.Request) -> AccountSession | None:
        """Who is signed in on the device that asks; None for nobody. Raises `ApiError` forbidden when another site's
        page asks for a change, and `DatabaseError`."""
        secret = request.cookies.get(self.cookies.session, "")
        if self._accounts is None or not secret:
            return None
        if request.method not in _SAFE_METHODS or _is_upgrade(request):
            self.require_same_origin(request)
        return await self._accounts.devices.session_of(secret)

    async def authorize(self, request: web.Request, access: Access) -> AccountSession:
        """Whoever uses a route for accounts or admins. Raises as `require`."""
        return await self.require(
            request,
            admin=access in (Access.ADMIN, Access.ADMIN_PROVED),
            proved=access in (Access.ACCOUNT_PROVED, Access.ADMIN_PROVED),
        )

    async def require(self, request: web.Request, *, admin: bool = False, proved: bool = False) -> AccountSession:
        """Who is signed in. `admin`: must be one; `proved`: must have proved a moment ago who they are. Raises
        `ApiError` unauthorized, forbidden and step_up_needed, and `DatabaseError`."""
        session = await self.session_of(request)
        if session is None or self._accounts is None:
            raise ApiError("unauthorized", "Please sign in.")
        if admin and not session.is_admin:
            raise ApiError("forbidden", "This is for admins.")
        if proved and not self._accounts.is_proved(session):
            raise ApiError("step_up_needed", "Please prove once more who you are.")
        return session

    def require_same_origin(self, request: web.Request) -> None:
        """Raises `ApiError` forbidden unless the browser says that one of our own pages asks."""
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get(hdrs.ORIGIN)
        good = (site is not None or origin is not None) and site in (None, "same-origin")
        if not good or (origin is not None and not self._is_ours(request, origin)):
            raise ApiError("forbidden", "This can only be asked for by a page of this server.")

    def site_of(self, request: web.Request) -> Site:
        """Where the page is, for its passkeys: public_url, else what the browser calls us."""
        origin = self._public_origin or f"{'https' if self.is_secure else 'http'}://{request.host}"
        return Site(urlsplit(origin).hostname or "", (origin,), self._site_name)

    def keep(self, request: web.Request, secret: str, max_age_s: float) -> None:
        """Give the browser its session with the answer to this request."""
        self._note(request, self.cookies.session, secret, max_age_s)

    def keep_openid(self, request: web.Request, secret: str, max_age_s: float) -> None:
        """Give the browser what it must bring back from the provider."""
        self._note(request, self.cookies.openid, secret, max_age_s)

    def drop(self, request: web.Request, name: str) -> None:
        """Take a cookie back."""
        self._note(request, name, "", 0)

    def openid_secret_of(self, request: web.Request) -> str:
        """What `keep_openid` gave; empty when there is nothing."""
        return request.cookies.get(self.cookies.openid, "")

    async def add_cookies(self, request: web.Request, response: web.StreamResponse) -> None:
        """For on_response_prepare: what was noted while the request was answered."""
        for cookie in request.get(_NOTED, {}).values():
            response.headers.add(hdrs.SET_COOKIE, cookie)

    def _note(self, request: web.Request, name: str, value: str, max_age_s: float) -> None:
        secure = "; Secure" if self.is_secure else ""
        cookie = f"{name}={value}; Max-Age={round(max_age_s)}; Path=/; HttpOnly{secure}; SameSite=Lax"
        if _NOTED not in request:
            request[_NOTED] = {}
        request[_NOTED][name] = cookie

    def _is_ours(self, request: web.Request, origin: str) -> bool:
        if origin and origin == self._public_origin:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        schemes = ("https",) if self.is_secure else ("http", "https")
        return parts.scheme in schemes and parts.netloc == request.headers.get(hdrs.HOST)


def origin_of(public_url: str) -> str:
    """Scheme, host and port (RFC 6454) as browsers write them; empty when the URL is."""
    if not public_url:
        return ""
    parts = urlsplit(public_url)
    scheme = _SCHEMES.get(parts.scheme, parts.scheme)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port and (scheme, parts.port) not in (("http", 80), ("https", 443)) else ""
    return f"{scheme}://{host}{port}"


def _is_upgrade(request: web.Request) -> bool:
    return hdrs.UPGRADE in request.headers
