"""Tokens of other issuers: RS256, ES256 and EdDSA through a real JWKS server, and every way to cheat or to fail."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from signaling.errors import ConfigError
from signaling.jwks import FetchError, parse_key_set
from tests.harness.receiver import Receiver, endless, never, receiving, status
from tests.signaling.harness import KEY, SECRET, Server, bystander, eventually, make_settings, running

ISSUER = "https://id.example.org"
PRIVATE: dict[str, Any] = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
_WRITERS: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


def jwk(algorithm: str, key_id: str | None = None, key: Any = None, **changes: Any) -> dict[str, Any]:
    public = (key or PRIVATE[algorithm]).public_key()
    entry = _WRITERS[algorithm].to_jwk(public, as_dict=True)
    entry.pop("key_ops", None)
    return {**entry, "kid": algorithm if key_id is None else key_id, **changes}


def key_set(*entries: Any) -> bytes:
    return json.dumps({"keys": entries}).encode()


ALL = key_set(*(jwk(algorithm) for algorithm in PRIVATE))


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    base = {
        "iss": ISSUER, "sub": "alice", "nbf": now - 1, "exp": now + 600, "video": {"room": "lobby", "roomJoin": True},
    }  # fmt: skip
    return {name: value for name, value in {**base, **changes}.items() if value is not ...}


def sign(algorithm: str, key: Any = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
    headers = {"kid": algorithm, **(header or {})}
    headers = {name: value for name, value in headers.items() if value is not ...}
    return jwt.encode(claims(**changes), key or PRIVATE[algorithm], algorithm, headers)


class KeyServer:
    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.document = ALL
        receiver.default = self.answer

    async def answer(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(body=self.document, content_type="application/json")

    @property
    def asked(self) -> int:
        return len(self.receiver.requests)


@pytest.fixture
async def keys() -> AsyncIterator[KeyServer]:
    async with receiving(KEY, SECRET) as receiver:
        yield KeyServer(receiver)


@asynccontextmanager
async def trusting(keys: KeyServer, *, audience: str = "", **changes: Any) -> AsyncIterator[Server]:
    table = {"issuer": ISSUER, "jwks": keys.receiver.url("/jwks.json"), "audience": audience}
    async with running(issuers=json.dumps([table]), **changes) as server, bystander(server):
        yield server


async def fetched(server: Server, count: int = 1) -> None:
    await eventually(lambda: server.value("ting_key_sets_total", result="fetched") >= count, "the key set")


async def failed(server: Server, count: int = 1) -> None:
    await eventually(lambda: server.value("ting_key_sets_total", result="failed") >= count, "a failure")


async def verdict(server: Server, token: str) -> int:
    async with server.http.get(f"{server.url}/rtc/validate", params={"access_token": token}) as response:
        return response.status


async def test_each_algorithm_opens_the_room(keys: KeyServer) -> None:
    async with trusting(keys) as server:
        await fetched(server)
        for algorithm in PRIVATE:
            client = await server.connect(sign(algorithm, sub=f"of {algorithm}", name="Ada"))
            assert (await client.expect("join")).join.participant.identity == f"of {algorithm}"
        assert await verdict(server, server.token()) == 200
        assert keys.asked == 1


async def test_a_token_that_is_not_right_is_refused(keys: KeyServer) -> None:
    pem = PRIVATE["RS256"].public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    stranger = rsa.generate_private_key(65537, 2048)
    own = jwk("EdDSA", "x")
    octets = base64.urlsafe_b64encode(b"s" * 32).decode().rstrip("=")
    keys.document = key_set(*(jwk(a) for a in PRIVATE), {"kty": "oct", "k": octets, "kid": "oct", "alg": "HS256"})

    def hmac_signed(secret: bytes, key_id: str, **changes: Any) -> str:
        text = ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
            for part in ({"alg": "HS256", "typ": "JWT", "kid": key_id}, claims(**changes))
        )
        signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(text.encode(), secret)
        return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    good = sign("ES256")
    head, body, signature = good.split(".")
    swapped = base64.urlsafe_b64encode(b'{"alg":"RS256","typ":"JWT","kid":"ES256"}').rstrip(b"=").decode()
    bad = {
        "public key as a secret": hmac_signed(pem, "RS256"),
        "symmetric key of the set": hmac_signed(b"s" * 32, "oct"),
        "an API key's secret": hmac_signed(SECRET.encode(), "RS256"),
        "none": jwt.encode(claims(), None, "none"),
        "another algorithm of the same key": jwt.encode(claims(), PRIVATE["RS256"], "RS512", {"kid": "RS256"}),
        "PSS": jwt.encode(claims(), PRIVATE["RS256"], "PS256", {"kid": "RS256"}),
        "a stranger's key": sign("RS256", stranger),
        "a stranger's key in the header": sign("EdDSA", header={"jwk": own}),
        "a key elsewhere": sign("RS256", header={"jku": keys.receiver.url("/evil")}),
        "x5u": sign("RS256", header={"x5u": keys.receiver.url("/evil")}),
        "crit": sign("RS256", header={"crit": ["exp"]}),
        "another typ": sign("RS256", header={"typ": "at+jwt"}),
        "kid of another algorithm": sign("RS256", header={"kid": "ES256"}),
        "an API key's name": sign("RS256", iss=KEY),
        "another issuer": sign("RS256", iss=ISSUER + "/"),
        "no issuer": sign("RS256", iss=...),
        "swapped header": f"{swapped}.{body}.{signature}",
        "empty signature": f"{head}.{body}.",
        "no exp": sign("ES256", exp=...),
        "expired": sign("ES256", exp=int(time.time()) - 100),
        "valid for too long": sign("ES256", exp=int(time.time()) + 10**6),
        "not yet": sign("ES256", nbf=int(time.time()) + 100),
        "an audience": sign("ES256", aud="ting"),
    }
    # A kid is compared and nothing else: no file, no URL, no database.
    for key_id in ("../../dev/null", "' OR 1=1 --", keys.receiver.url("/evil"), "x" * 5000):
        bad[f"kid {key_id[:20]}"] = sign("RS256", header={"kid": key_id})
    async with trusting(keys) as server:
        await fetched(server)
        assert await verdict(server, good) == 200
        for name, token in bad.items():
            assert await verdict(server, token) == 401, name
        assert {one.path for one in keys.receiver.requests} == {"/jwks.json"}


async def test_an_audience_must_be_exactly_the_wanted_one(keys: KeyServer) -> None:
    async with trusting(keys, audience="ting") as server:
        await fetched(server)
        assert await verdict(server, sign("ES256", aud="ting")) == 200
        for audience in (..., "", "tin", "ting ", ["ting"], ["ting", "x"], None, 1):
            assert await verdict(server, sign("ES256", aud=audience)) == 401
        assert await verdict(server, server.token()) == 200


async def test_a_new_key_is_fetched_at_once_but_not_again_and_again(keys: KeyServer) -> None:
    async with trusting(keys, jwks_min_refresh_s=0.2) as server:
        await fetched(server)
        fresh = ec.generate_private_key(ec.SECP256R1())
        keys.document = key_set(jwk("ES256"), jwk("ES256", "fresh", fresh))
        await asyncio.sleep(0.2)  # the time within which the set is not asked for again
        token = sign("ES256", fresh, {"kid": "fresh"})
        verdicts = await asyncio.gather(*(verdict(server, token) for _ in range(10)))
        assert verdicts == [200] * 10
        assert keys.asked == 2
        unknown = [sign("ES256", fresh, {"kid": f"unknown {number}"}) for number in range(30)]
        begin = time.monotonic()
        assert set(await asyncio.gather(*(verdict(server, token) for token in unknown))) == {401}
        assert keys.asked <= 2 + 1 + (time.monotonic() - begin) / 0.2


async def test_a_key_that_was_taken_out_is_refused(keys: KeyServer) -> None:
    async with trusting(keys, jwks_refresh_s=0.1) as server:
        await fetched(server)
        assert await verdict(server, sign("RS256")) == 200
        keys.document = key_set(jwk("ES256"))
        asked = keys.asked
        await eventually(lambda: keys.asked >= asked + 2, "a new set")
        assert await verdict(server, sign("RS256")) == 401
        assert await verdict(server, sign("ES256")) == 200


async def test_the_last_good_set_stays_for_a_while(keys: KeyServer) -> None:
    async with trusting(keys, jwks_refresh_s=0.05, jwks_stale_s=1.0) as server:
        await fetched(server)
        await keys.receiver.stop()
        await failed(server)
        assert await verdict(server, sign("RS256")) == 200
        token = sign("RS256")
        deadline = time.monotonic() + 5
        while await verdict(server, token) == 200:
            assert time.monotonic() < deadline, "still good"
        before = int(server.value("ting_key_sets_total", result="fetched"))
        await keys.receiver.start()
        await fetched(server, before + 1)
        assert await verdict(server, token) == 200


async def test_a_server_starts_without_the_key_server(keys: KeyServer) -> None:
    await keys.receiver.stop()
    async with trusting(keys, jwks_min_refresh_s=0.01) as server:
        await failed(server)
        assert await verdict(server, sign("RS256")) == 401
        assert await verdict(server, server.token()) == 200
        await keys.receiver.start()
        deadline = time.monotonic() + 5
        while await verdict(server, sign("RS256")) != 200:
            assert time.monotonic() < deadline, "never good"


async def test_a_bad_key_server_changes_nothing(keys: KeyServer) -> None:
    """Too large, without end, silent, elsewhere, nonsense: the last good set stays, and joins go on."""

    def body(document: bytes, **headers: str) -> Callable[[web.Request], Any]:
        async def answer(_request: web.Request) -> web.StreamResponse:
            return web.Response(body=document, headers=headers)

        return answer

    answers = [
        body(b"{" + b" " * 70_000 + b"}"), endless, never, status(302, Location=keys.receiver.url("/elsewhere")),
        status(500), status(204), body(b"nonsense"), body(b'{"keys": {}}'), body(b"[]"), body(b'{"keys": []}'),
        body(b"[" * 60_000), body(b'{"keys": [], "keys": []}'), body(b"\xff\xfe"), body(key_set(1, None, "x", [])),
        body(ALL, **{"Content-Encoding": "gzip"}),
    ]  # fmt: skip
    async with trusting(keys, jwks_refresh_s=0.01, jwks_timeout_s=0.2) as server:
        await fetched(server)
        keys.receiver.answers.extend(answers)
        await eventually(lambda: not keys.receiver.answers, "all bad answers")
        assert await verdict(server, sign("RS256")) == 200
        await failed(server, len(answers) - 1)
        assert "/elsewhere" not in {one.path for one in keys.receiver.requests}


async def test_guest_is_our_own_word(keys: KeyServer) -> None:
    async with trusting(keys) as server:
        await fetched(server)
        token = sign("RS256", guest=True)
        assert not server.tokens.verify(token).guest
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{server.url}/api/v1/rooms/lobby/tokens"
        async with server.http.post(url, json={"name": "Eve"}, headers=headers) as response:
            assert (await response.json())["identity"] != "alice"


async def test_a_kick_holds_for_these_tokens_too(keys: KeyServer) -> None:
    async with trusting(keys) as server:
        await fetched(server)
        token = sign("EdDSA")
        await (await server.connect(token)).expect("join")
        server.rooms.kick("lobby", "alice")
        assert await verdict(server, token) == 401


async def test_without_a_kid_there_must_be_one_key_only(keys: KeyServer) -> None:
    keys.document = key_set(jwk("RS256"), jwk("ES256"), jwk("ES256", "second", ec.generate_private_key(ec.SECP256R1())))
    async with trusting(keys) as server:
        await fetched(server)
        assert await verdict(server, sign("RS256", header={"kid": ...})) == 200
        assert await verdict(server, sign("ES256", header={"kid": ...})) == 401


async def test_a_file_of_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    issuers = json.dumps([{"issuer": ISSUER, "jwks": str(path)}])
    for content in (None, b"nonsense", key_set(), b" " * 70_000):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError, match="issuers"):
            async with running(issuers=issuers):
                pass
    path.write_bytes(key_set(jwk("ES256")))
    async with running(issuers=issuers, jwks_refresh_s=0.05) as server:
        assert await verdict(server, sign("ES256")) == 200
        path.write_bytes(key_set(jwk("RS256")))
        done = server.value("ting_key_sets_total", result="fetched")
        await fetched(server, int(done) + 2)
        assert [await verdict(server, sign(algorithm)) for algorithm in ("ES256", "RS256")] == [401, 200]


def test_keys_that_are_passed_over() -> None:
    small = rsa.generate_private_key(65537, 1024)
    private = {**jwk("ES256"), "d": "AAAA"}
    entries = [
        jwk("RS256", key=small), private, jwk("RS256", use="enc"), jwk("RS256", alg="PS256"), jwk("RS256", alg="HS256"),
        jwk("ES256", key_ops=["sign"]), jwk("ES256", crv="P-521"), jwk("ES256", x="AAAA"), jwk("EdDSA", crv="X25519"),
        jwk("EdDSA", x=5), jwk("RS256", n="!"), jwk("RS256", e="Ag"), jwk("RS256", kid=7), jwk("RS256", kid="x" * 257),
        {"kty": "oct", "k": "AAAA"}, {"kty": ["RSA"]}, {"kty": "RSA"}, {}, None,
    ]  # fmt: skip
    for entry in entries:
        assert parse_key_set(key_set(entry)) == [], entry
    assert [key.algorithm for key in parse_key_set(ALL)] == list(PRIVATE)
    assert len(parse_key_set(key_set(jwk("ES256"), jwk("ES256")))) == 1
    with pytest.raises(FetchError):
        parse_key_set(key_set(*([jwk("ES256")] * 101)))


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({"jwks": "keys.json"}, "issuer has 1 to 256"),
        ({"issuer": "x" * 257, "jwks": "keys.json"}, "issuer has 1 to 256"),
        ({"issuer": KEY, "jwks": "keys.json"}, "API key too"),
        ({"issuer": "a"}, "jwks is needed"),
        ({"issuer": "a", "jwks": "http://example.org/keys"}, "must be an https URL"),
        ({"issuer": "a", "jwks": "ftp://example.org/keys"}, "must be an https URL"),
        ({"issuer": "a", "jwks": "https://a:b@example.org/keys"}, "must be an https URL"),
        ({"issuer": "a", "jwks": "http://127.0.0.1.example.org/keys"}, "must be an https URL"),
        ({"issuer": "a", "jwks": "keys.json", "algorithms": ["HS256"]}, "unknown key algorithms"),
    ],
)
def test_settings_that_are_refused(table: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        make_settings(issuers=json.dumps([table]))


def test_too_many_and_doubled_issuers_are_refused() -> None:
    table = {"issuer": "a", "jwks": "keys.json"}
    with pytest.raises(ConfigError, match="twice"):
        make_settings(issuers=json.dumps([table, table]))
    with pytest.raises(ConfigError, match="at most 16"):
        make_settings(issuers=json.dumps([{**table, "issuer": f"{number}"} for number in range(17)]))
