"""Looks for a text wherever a running server could have it: its memory, its files, what it wrote and what it told."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

_CHUNK = 1 << 24
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ \S+\s*(.*)")
_KERNELS_OWN = ("[vvar]", "[vvar_vclock]", "[vsyscall]")


def forms_of(canary: str) -> list[bytes]:
    """As it is, in UTF-16, and what is the same in every base64 that it is in the middle of."""
    plain = canary.encode()
    forms = [plain, canary.encode("utf-16-le")]
    for before in range(3):
        encoded = base64.urlsafe_b64encode(b"x" * before + plain)
        forms.append(encoded[(before * 8 + 5) // 6 : (before + len(plain)) * 8 // 6])
    return forms


def found_in(data: bytes, canaries: Mapping[str, str]) -> set[str]:
    """The names of those that are in it, in any form. They should begin alike: then it is searched for that alone."""
    first, last = min(canaries.values()), max(canaries.values())
    common = first[: next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]
    if common and not any(form in data for form in forms_of(common)):
        return set()
    return {name for name, canary in canaries.items() if any(form in data for form in forms_of(canary))}


def found_in_files(folders: Iterable[Path], canaries: Mapping[str, str]) -> dict[str, set[str]]:
    """Also the names of files."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            names = found_in(str(path).encode(), canaries)
            if path.is_file():
                names |= found_in(path.read_bytes(), canaries)
            if names:
                found[str(path)] = names
    return found


def found_in_memory(pid: int, canaries: Mapping[str, str]) -> set[str]:
    """In everything that the process can read. Raises `PermissionError` where it may not be looked at."""
    found: set[str] = set()
    overlap = 4 * max(len(canary) for canary in canaries.values())
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            mapping = _MAPPING.match(line)
            if mapping is None or mapping[3] in _KERNELS_OWN:
                continue
            place, end = int(mapping[1], 16), int(mapping[2], 16)
            while place < end:
                try:
                    memory.seek(place)
                    data = memory.read(min(_CHUNK, end - place))
                except OSError:
                    break  # Of a device, or gone meanwhile.
                found |= found_in(data, canaries)
                if len(data) <= overlap:
                    break
                place += len(data) - overlap if place + len(data) < end else len(data)
    return found
