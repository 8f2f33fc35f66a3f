"""Public keys of token issuers: JSON Web Key Sets (RFC 7517) from a file or an HTTPS URL.

A key set is fetched at the start, again every `jwks_refresh_s`, and when a token names a key that is not in it, but
not more often than every `jwks_min_refresh_s`. A set that cannot be fetched or read changes nothing: the last good
one stays in use for `jwks_stale_s`. The algorithm of a key follows from its type and size alone: RSA of 2048 bits or
more is RS256, P-256 is ES256, Ed25519 is EdDSA; everything else in a set is passed over, symmetric keys above all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from signaling import strict_json
from signaling.config_values import is_url
from signaling.errors import ConfigError
from signaling.metrics import Metrics

_log = logging.getLogger("ting.tokens")
MAX_KEYS = 100
MAX_ISSUERS = 16
MAX_ISSUER_LENGTH = 256
MAX_KEY_ID_LENGTH = 256
_ALGORITHMS = {("RSA", ""): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Tokens whose `iss` is `issuer` are checked with the keys of `jwks`, an https URL or a file. With `audience`
    their `aud` must be exactly that; without it they must have none."""

    issuer: str = ""
    jwks: str = ""
    audience: str = ""


@dataclass(frozen=True, slots=True)
class KeySetSettings:
    issuers: tuple[TokenIssuer, ...] = ()
    """Who may issue tokens with RS256, ES256 or EdDSA; each has issuer and jwks, and may have audience."""
    jwks_refresh_s: float = 60.0
    """How often key sets are fetched; a key that was taken out of one is refused after this time."""
    jwks_min_refresh_s: float = 10.0
    """A token with an unknown key makes its issuer's key set be fetched at once, but not more often than this."""
    jwks_stale_s: float = 86_400.0
    """How long the last good key set is used while no newer one can be fetched."""
    jwks_timeout_s: float = 5.0
    """How long fetching a key set may take."""
    jwks_max_bytes: int = 65_536
    """A larger key set is refused."""


def check_issuers(issuers: Sequence[TokenIssuer], keys: Mapping[str, str]) -> None:
    """Raises `ConfigError`."""
    if len(issuers) > MAX_ISSUERS:
        raise ConfigError(f"issuers: at most {MAX_ISSUERS} tables")
    if len({entry.issuer for entry in issuers}) < len(issuers):
        raise ConfigError("issuers: an issuer stands there twice")
    for number, entry in enumerate(issuers, start=1):
        place = f"issuers, table {number}"
        if not 0 < len(entry.issuer) <= MAX_ISSUER_LENGTH:
            raise ConfigError(f"{place}: issuer has 1 to {MAX_ISSUER_LENGTH} characters")
        if entry.issuer in keys:
            raise ConfigError(f"{place}: issuer is the name of an API key too")
        if not entry.jwks:
            raise ConfigError(f"{place}: jwks is needed, an https URL or a file")
        if "://" in entry.jwks and not _is_key_url(entry.jwks):
            raise ConfigError(f"{place}: jwks must be an https URL without a password (http on loopback), or a file")


def _is_key_url(text: str) -> bool:
    if is_url(text, ("https",)):
        return True
    return is_url(text, ("http",)) and urlsplit(text).hostname in ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class PublicKey:
    key_id: str
    """Empty when the set does not name it."""
    algorithm: str
    key: Any


class FetchError(Exception):
    """The key set could not be had. The message is one line without addresses."""


def parse_key_set(document: bytes) -> list[PublicKey]:
    """The usable keys of a set. Raises `FetchError` when it is no key set."""
    try:
        value = strict_json.loads(document)
    except ValueError:
        raise FetchError("the key set is not JSON") from None
    entries = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise FetchError(f"a key set has the list `keys` with at most {MAX_KEYS} entries")
    keys: dict[tuple[str, str], PublicKey] = {}
    for entry in entries:
        key = _parse_key(entry)
        if key is not None:
            keys.setdefault((key.key_id, key.algorithm), key)
    return list(keys.values())


def _parse_key(entry: Any) -> PublicKey | None:
    if not isinstance(entry, dict) or "d" in entry or entry.get("use", "sig") != "sig":
        return None
    kind, curve = entry.get("kty"), entry.get("crv", "")
    algorithm = _ALGORITHMS.get((kind, curve)) if isinstance(kind, str) and isinstance(curve, str) else None
    key_id, operations = entry.get("kid", ""), entry.get("key_ops", ["verify"])
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    if not isinstance(key_id, str) or len(key_id) > MAX_KEY_ID_LENGTH:
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    from signaling.signatures import read_key

    key = read_key(entry, algorithm)
    if key is None:
        return None
    return PublicKey(key_id, algorithm, key)


class IssuerKeys:
    """The keys of one issuer. `find` never waits; `refresh` does."""

    def __init__(self, issuer: TokenIssuer, settings: KeySetSettings, metrics: Metrics) -> None:
        self.issuer = issuer
        self._settings = settings
        self._metrics = metrics
        self._keys: list[PublicKey] = []
        self._fetched_at_s = float("-inf")
        self._tried_at_s = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    def find(self, key_id: str, algorithm: str) -> PublicKey | None:
        """The key of this id; without an id the only one for the algorithm."""
        if time.monotonic() - self._fetched_at_s > self._settings.jwks_stale_s:
            return None
        found = [key for key in self._keys if key.algorithm == algorithm and (not key_id or key.key_id == key_id)]
        return found[0] if len(found) == 1 else None

    async def refresh(self, *, forced: bool = False) -> None:
        """Fetch the set, unless that was tried a moment ago; everyone who comes meanwhile waits for the same fetch.
        Bounded by `jwks_timeout_s`. A failure is counted and logged."""
        if self._fetching is None:
            if not forced and time.monotonic() - self._tried_at_s < self._settings.jwks_min_refresh_s:
                return
            self._tried_at_s = time.monotonic()
            self._fetching = asyncio.create_task(self._refresh())
            self._fetching.add_done_callback(self._forget_task)
        await asyncio.shield(self._fetching)

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    def _forget_task(self, _task: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _refresh(self) -> None:
        try:
            self.use(await self._fetch())
            self._metrics.key_sets.labels("fetched").inc()
        except FetchError as error:
            self._metrics.key_sets.labels("failed").inc()
            _log.error("the keys of a token issuer: %s", error)

    def use(self, document: bytes) -> None:
        """Raises `FetchError` and keeps the last good set when the document has no key that can be used."""
        keys = parse_key_set(document)
        if not keys:
            raise FetchError("the key set has no usable key")
        self._keys, self._fetched_at_s = keys, time.monotonic()

    @property
    def is_file(self) -> bool:
        return not is_url(self.issuer.jwks, ("http", "https"))

    async def _fetch(self) -> bytes:
        if self.is_file:
            return await asyncio.to_thread(read_file, self.issuer.jwks, self._settings.jwks_max_bytes)
        timeout = aiohttp.ClientTimeout(total=self._settings.jwks_timeout_s)
        headers = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
                session.get(self.issuer.jwks, headers=headers, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise FetchError(f"status {response.status}")
                return await self._read(response.content)
        except TimeoutError:
            raise FetchError("no answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise FetchError(type(error).__name__) from None

    async def _read(self, content: aiohttp.StreamReader) -> bytes:
        document = bytearray()
        async for part in content.iter_chunked(8192):
            document += part
            if len(document) > self._settings.jwks_max_bytes:
                raise FetchError("the key set is too large")
        return bytes(document)


def read_file(path: str, max_bytes: int) -> bytes:
    """Raises `FetchError`."""
    try:
        with Path(path).open("rb") as file:
            document = file.read(max_bytes + 1)
    except OSError as error:
        raise FetchError(f"the file cannot be read: {error.strerror}") from None
    if len(document) > max_bytes:
        raise FetchError("the key set is too large")
    return document


class KeySets:
    """All issuers of the settings."""

    def __init__(self, settings: KeySetSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._issuers = {issuer.issuer: IssuerKeys(issuer, settings, metrics) for issuer in settings.issuers}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def configured(self) -> bool:
        return bool(self._issuers)

    def of(self, issuer: str) -> IssuerKeys | None:
        return self._issuers.get(issuer)

    async def start(self) -> None:
        """Read files now, and fetch URLs in the background. Raises `ConfigError` for a file that is no key set."""
        for keys in self._issuers.values():
            if keys.is_file:
                try:
                    keys.use(await asyncio.to_thread(read_file, keys.issuer.jwks, self._settings.jwks_max_bytes))
                except FetchError as error:
                    raise ConfigError(f"issuers: {error}") from None
            self._tasks.append(asyncio.create_task(self._keep_fresh(keys)))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *(keys.close() for keys in self._issuers.values()), return_exceptions=True)

    async def _keep_fresh(self, keys: IssuerKeys) -> None:
        while True:
            with contextlib.suppress(Exception):
                await keys.refresh(forced=True)
            await asyncio.sleep(self._settings.jwks_refresh_s)
