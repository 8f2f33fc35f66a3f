"""An archive: parts with names, a manifest with the SHA-256 of each, and a signature over the manifest. As one tar
file, or as a folder with the same files.

The same parts give the same bytes: a tar header has no time, no owner, and always the same mode. The signature is the
only thing in it that tells servers apart, and it is a part of its own.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import msgspec

from signaling.errors import ArchiveError
from signaling.portability.signing import Signer

FORMAT = "ting-archive"
VERSION = 1
MANIFEST = "manifest.json"
SIGNATURE = "signature.json"
BLOCK = 512
CHUNK = 262_144
NAME = r"^(?:[A-Za-z0-9_-]{1,64}/){0,3}[A-Za-z0-9_-]{1,64}(?:\.json|\.jsonl)?$"
"""Of a part: nothing in it leads out of a folder."""


class Kind(StrEnum):
    ROOMS = "rooms"
    BACKUP = "backup"
    ACCOUNT = "account"


class ManifestPart(msgspec.Struct, frozen=True):
    name: Annotated[str, msgspec.Meta(pattern=NAME)]
    size: Annotated[int, msgspec.Meta(ge=0, le=2**60)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    format: str
    version: int
    kind: Kind
    about: Mapping[str, str] = {}
    """Of a backup: which version of the tables it has."""
    parts: list[ManifestPart]


class Signature(msgspec.Struct, frozen=True):
    algorithm: str
    public_key: str
    signature: str


@dataclass(frozen=True, slots=True)
class Part:
    """`chunks` together have `size` bytes."""

    name: str
    size: int
    chunks: AsyncIterator[bytes]


class Seal:
    """Counts and hashes what passes, and closes with manifest and signature."""

    def __init__(self, signer: Signer, kind: Kind, about: Mapping[str, str] | None = None) -> None:
        self._signer = signer
        self._kind = kind
        self._about = about or {}
        self._parts: list[ManifestPart] = []

    async def pass_on(self, part: Part) -> AsyncGenerator[bytes]:
        """Raises `ArchiveError` when the part is not as long as it said."""
        digest, size = hashlib.sha256(), 0
        async for chunk in part.chunks:
            digest.update(chunk)
            size += len(chunk)
            yield chunk
        if size != part.size:
            raise ArchiveError("a file changed while it was read")
        self._parts.append(ManifestPart(part.name, size, digest.hexdigest()))

    def close(self) -> list[tuple[str, bytes]]:
        """The last two parts."""
        manifest = Manifest(format=FORMAT, version=VERSION, kind=self._kind, about=self._about, parts=self._parts)
        text = msgspec.json.encode(manifest)
        signature = Signature("Ed25519", self._signer.public_key, self._signer.sign(text))
        return [(MANIFEST, text), (SIGNATURE, msgspec.json.encode(signature))]


async def as_tar(parts: AsyncGenerator[Part], seal: Seal) -> AsyncGenerator[bytes]:
    """The bytes of the tar file, as they come. Raises what the parts raise, and `ArchiveError`."""
    async with aclosing(parts):
        async for part in parts:
            yield _header(part.name, part.size)
            async with aclosing(seal.pass_on(part)) as chunks:
                async for chunk in chunks:
                    yield chunk
            yield bytes(-part.size % BLOCK)
    for name, data in seal.close():
        yield _header(name, len(data)) + data + bytes(-len(data) % BLOCK)
    yield bytes(2 * BLOCK)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o600
    # GNU's format alone has sizes beyond 8 GiB in a header of one block.
    return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")
