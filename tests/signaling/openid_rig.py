"""A browser at an OpenID provider, and a provider of the test's own that can lie in every answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from tests.signaling.account_rig import AccountServer, Browser, running_accounts

CLIENT = "ting client"
SECRET = "a secret: with/odd signs"
PUBLIC_URL = "https://ting.example.org"
_KEY = rsa.generate_private_key(65537, 2048)


def b64(data: bytes | dict[str, Any]) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def public_pem() -> bytes:
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return _KEY.public_key().public_bytes(serialization.Encoding.PEM, kind)


def jwk(key_id: str, key: rsa.RSAPrivateKey = _KEY) -> dict[str, Any]:
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "kid": key_id, "use": "sig", "n": b64(numbers.n.to_bytes(256, "big")), "e": "AQAB"}


def sign_token(header: dict[str, Any], claims: dict[str, Any], key: Any = _KEY) -> str:
    """By the key's own kind, or HMAC when it is bytes."""
    signed = f"{b64(header)}.{b64(claims)}".encode()
    if isinstance(key, bytes):
        signature = hmac.new(key, signed, hashlib.sha256).digest()
    elif isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    else:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        signature = key.sign(signed, ec.ECDSA(hashes.SHA256()))
    return f"{signed.decode()}.{b64(signature)}"


class Provider:
    """Signs everyone in as `subject`. Each of the hooks may change what it says; None leaves a claim out."""

    def __init__(self) -> None:
        self.issuer = ""
        self.subject = "sub-1"
        self.configuration: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.keys: list[dict[str, Any]] = [jwk("one")]
        self.token: Callable[[dict[str, Any], dict[str, Any]], str] = sign_token
        self.answer: Callable[[], web.StreamResponse] | None = None
        self.asked: list[str] = []
        self.form: dict[str, str] = {}
        self.authorization = ""
        self.userinfo: dict[str, Any] = {}
        self._wishes: dict[str, str] = {}

    def sign_in(self, url: str) -> dict[str, str]:
        """What the browser brings back from there."""
        self._wishes = dict(parse_qsl(urlsplit(url).query))
        return {"state": self._wishes["state"], "code": "the code"}

    @property
    def wishes(self) -> dict[str, str]:
        """The query of the authorization request."""
        return self._wishes

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._configuration)
        app.router.add_get("/keys", self._keys)
        app.router.add_post("/token", self._token)
        app.router.add_get("/userinfo", self._userinfo)
        return app

    async def _configuration(self, _request: web.Request) -> web.Response:
        self.asked.append("configuration")
        return web.json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize?tenant=1",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                **self.configuration,
            }
        )

    async def _keys(self, _request: web.Request) -> web.Response:
        self.asked.append("keys")
        return web.json_response({"keys": self.keys})

    async def _token(self, request: web.Request) -> web.StreamResponse:
        self.asked.append("token")
        self.form = {name: str(value) for name, value in (await request.post()).items()}
        self.authorization = request.headers.get("Authorization", "")
        if self.answer is not None:
            return self.answer()
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "sub": self.subject, "exp": now + 60, "iat": now, "auth_time": now,
            "nonce": self._wishes["nonce"], "preferred_username": "Ada", **self.claims,
        }  # fmt: skip
        header = {"alg": "RS256", "kid": "one", **self.header}
        token = self.token(header, {name: value for name, value in claims.items() if value is not None})
        return web.json_response({"access_token": "opaque", "token_type": "Bearer", "id_token": token})

    async def _userinfo(self, request: web.Request) -> web.Response:
        self.asked.append("userinfo")
        assert request.headers["Authorization"] == "Bearer opaque"
        return web.json_response(self.userinfo)


@asynccontextmanager
async def provider_and_server(**changes: Any) -> AsyncIterator[tuple[Provider, AccountServer]]:
    provider = Provider()
    runner = web.AppRunner(provider.app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with server_for(provider.issuer, **changes) as rig:
            yield provider, rig
    finally:
        await runner.cleanup()


@asynccontextmanager
async def server_for(issuer: str, **changes: Any) -> AsyncIterator[AccountServer]:
    settings: dict[str, Any] = {
        "openid_issuer": issuer, "openid_client_id": CLIENT, "openid_client_secret": SECRET,
        "openid_name": "Example ID", "openid_registration": True, "public_url": PUBLIC_URL,
    }  # fmt: skip
    async with running_accounts(**{**settings, **changes}) as rig:
        yield rig


class OpenidBrowser(Browser):
    """Its cookies are those of an HTTPS page, which the test's plain connection would not send by itself."""

    def __init__(self, rig: AccountServer) -> None:
        super().__init__(rig.server)
        self.http._cookie_jar = aiohttp.DummyCookieJar()
        self.headers = {"Origin": PUBLIC_URL, "Sec-Fetch-Site": "same-origin"}
        self.cookies: dict[str, str] = {}
        rig.browsers.append(self)

    async def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> int:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {**self.headers, **({"Cookie": cookie} if cookie else {}), **options.pop("headers", {})}
        status = await super().__call__(method, path, body, headers=headers, **options)
        assert self.answer is not None
        for name, morsel in self.answer.cookies.items():
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value
        return status

    async def depart(self, path: str = "/account/sign-in/openid", **body: Any) -> str:
        given = body if path.endswith("sign-in/openid") else None
        assert await self("POST", path, given) == 200, self.json
        return str(self.json["url"])

    async def arrive(self, answer: dict[str, str]) -> int:
        return await self("POST", "/account/sign-in/openid/finish", answer)


async def signed_in(provider: Provider, rig: AccountServer) -> tuple[int, OpenidBrowser]:
    browser = OpenidBrowser(rig)
    return await browser.arrive(provider.sign_in(await browser.depart())), browser
