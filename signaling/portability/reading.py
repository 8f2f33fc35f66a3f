"""An archive that is taken in: every part is checked against the signed manifest before anything of it is used."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol, Self

import msgspec

from signaling import strict_json
from signaling.errors import ArchiveError
from signaling.portability.archive import BLOCK, CHUNK, FORMAT, MANIFEST, SIGNATURE, VERSION, Kind, Manifest, Signature
from signaling.portability.settings import PortabilitySettings
from signaling.portability.signing import Signer

_MAX_SIGNATURE_BYTES = 4096
_MANIFEST_BYTES_PER_PART = 300


class _Source(Protocol):
    def sizes(self) -> dict[str, int]:
        """Of every part, by name."""
        ...

    def open(self, name: str) -> io.BufferedReader: ...

    def close(self) -> None: ...


class Archive:
    """`open` checks it. Methods work in the caller's thread and may take long."""

    def __init__(self, source: _Source, settings: PortabilitySettings) -> None:
        self._source = source
        self._settings = settings
        self.manifest = Manifest(format=FORMAT, version=VERSION, kind=Kind.ROOMS, parts=[])
        self.signer = ""
        self._sums: dict[str, str] = {}

    @classmethod
    def open(
        cls,
        path: Path,
        signer: Signer,
        settings: PortabilitySettings,
        *,
        accept: str = "",
        progress: Callable[[int], None] = lambda _: None,
    ) -> Self:
        """Raises `ArchiveError` for what is no archive, or damaged, or not signed by somebody who is trusted."""
        try:
            source = _FolderSource(path) if path.is_dir() else _TarSource(os.open(path, os.O_RDONLY), settings)
        except OSError as error:
            raise ArchiveError(f"{path} cannot be read: {error.strerror}") from None
        return cls(source, settings)._checked(signer, accept, progress)

    @classmethod
    def open_file(cls, file: IO[bytes], signer: Signer, settings: PortabilitySettings) -> Self:
        """A tar file that is open already. Raises as `open`."""
        return cls(_TarSource(os.dup(file.fileno()), settings), settings)._checked(signer, "", lambda _: None)

    def _checked(self, signer: Signer, accept: str, progress: Callable[[int], None]) -> Self:
        try:
            self._check(signer, accept, progress)
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        self._source.close()

    def names(self) -> list[str]:
        return [part.name for part in self.manifest.parts]

    def sha256(self, name: str) -> str:
        return self._sums[name]

    def size(self, name: str) -> int:
        return self._source.sizes()[name]

    def chunks(self, name: str) -> Iterator[bytes]:
        with self._source.open(name) as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def lines(self, name: str) -> Iterator[bytes]:
        """Raises `ArchiveError` for one that is too long, or has no end."""
        limit = self._settings.max_archive_line_bytes
        with self._source.open(name) as file:
            while line := file.readline(limit + 1):
                if not line.endswith(b"\n"):
                    raise ArchiveError("a line of a room has no end, or is too long")
                yield line

    def _check(self, signer: Signer, accept: str, progress: Callable[[int], None]) -> None:
        sizes = self._source.sizes()
        if SIGNATURE not in sizes or MANIFEST not in sizes:
            raise ArchiveError("this is no archive of Ting, or its end is missing: it has no signed manifest")
        signature: Signature = self._read(SIGNATURE, _MAX_SIGNATURE_BYTES, Signature)
        text = self._bytes(MANIFEST, self._settings.max_archive_parts * _MANIFEST_BYTES_PER_PART)
        if signature.algorithm != "Ed25519":
            raise ArchiveError("the archive is signed in a way that this version does not know")
        signer.check(text, signature.public_key, signature.signature, accept)
        self.signer = signature.public_key
        self.manifest = _convert(text, Manifest)
        if self.manifest.format != FORMAT or self.manifest.version != VERSION:
            raise ArchiveError("the archive is of another version")
        wanted = {part.name: part for part in self.manifest.parts}
        if wanted.keys() != sizes.keys() - {MANIFEST, SIGNATURE} or len(wanted) != len(self.manifest.parts):
            raise ArchiveError("the archive is damaged: it has other parts than its manifest names")
        self._sums = {name: part.sha256 for name, part in wanted.items()}
        for name, part in wanted.items():
            digest = hashlib.sha256()
            for chunk in self.chunks(name):
                digest.update(chunk)
                progress(len(chunk))
            if sizes[name] != part.size or digest.hexdigest() != part.sha256:
                raise ArchiveError(f"the archive is damaged: {name} is not what its manifest says")

    def _bytes(self, name: str, limit: int) -> bytes:
        if self.size(name) > limit:
            raise ArchiveError(f"the archive's {name} is too long")
        return b"".join(self.chunks(name))

    def _read(self, name: str, limit: int, kind: Any) -> Any:
        return _convert(self._bytes(name, limit), kind)


def _convert(text: bytes, kind: Any) -> Any:
    try:
        return msgspec.convert(strict_json.loads(text), kind)
    except (ValueError, RecursionError):
        raise ArchiveError("the archive's manifest or signature is not what it should be") from None


class _TarSource:
    """Takes what `as_tar` makes and nothing else of what tar can: no links, no folders, no long names."""

    def __init__(self, descriptor: int, settings: PortabilitySettings) -> None:
        self._descriptor = descriptor
        try:
            self._places = self._find(settings.max_archive_parts + 2)
        except BaseException:
            os.close(self._descriptor)
            raise

    def sizes(self) -> dict[str, int]:
        return {name: size for name, (_, size) in self._places.items()}

    def open(self, name: str) -> io.BufferedReader:
        start, size = self._places[name]
        return io.BufferedReader(_Window(self._descriptor, start, size), CHUNK)

    def close(self) -> None:
        os.close(self._descriptor)

    def _find(self, limit: int) -> dict[str, tuple[int, int]]:
        places: dict[str, tuple[int, int]] = {}
        end, place = os.fstat(self._descriptor).st_size, 0
        while (block := os.pread(self._descriptor, BLOCK, place)) != bytes(BLOCK):
            try:
                info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
            except (tarfile.HeaderError, UnicodeDecodeError):
                raise ArchiveError("this is no archive of Ting, or its end is missing") from None
            place += BLOCK
            if info.type != tarfile.REGTYPE or info.name in places or not 0 <= info.size <= end - place:
                raise ArchiveError("this is no archive of Ting, or it is damaged")
            if len(places) == limit:
                raise ArchiveError("the archive has too many parts")
            places[info.name] = place, info.size
            place += info.size + -info.size % BLOCK
        return places


class _Window(io.RawIOBase):
    """A stretch of an open file."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self._descriptor = descriptor
        self._place = start
        self._end = start + size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        wanted = min(len(buffer), self._end - self._place)
        data = os.pread(self._descriptor, wanted, self._place)
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


class _FolderSource:
    """Links are not followed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes = {}
        for parent, _, names in os.walk(folder):
            for name in names:
                path = Path(parent, name)
                if path.is_symlink() or not path.is_file():
                    raise ArchiveError("the folder has something that is no file")
                self._sizes[path.relative_to(folder).as_posix()] = path.stat().st_size

    def sizes(self) -> dict[str, int]:
        return self._sizes

    def open(self, name: str) -> io.BufferedReader:
        return io.BufferedReader(io.FileIO(self._folder / name), CHUNK)

    def close(self) -> None:
        pass
