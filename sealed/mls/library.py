"""The host of `ting_mls.wasm`: memory and calls. The page has the same in `web/src/sealed/mls/core.ts`."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import wasmtime

from sealed.mls.errors import Failure, MlsError
from sealed.mls.wire import Field, encode

NAME = "ting_mls.wasm"
_PACKAGED = Path(__file__).parent / NAME
_IN_TREE = Path(__file__).parents[2] / "web" / "src" / "sealed" / "mls" / NAME


def wasm_path() -> Path:
    """Where the library is: beside this module in a wheel, with the page's code in the source tree."""
    return _PACKAGED if _PACKAGED.exists() else _IN_TREE


class Library:
    """One instance of the library, for one thread."""

    def __init__(self, path: Path | None = None) -> None:
        engine = wasmtime.Engine()
        self._store = wasmtime.Store(engine)
        self._store.set_wasi(wasmtime.WasiConfig())  # no files, no arguments, no output: random bytes only
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        module = wasmtime.Module.from_file(engine, str(path or wasm_path()))
        exports = linker.instantiate(self._store, module).exports(self._store)
        self._memory = cast(wasmtime.Memory, exports["memory"])
        self._alloc = cast(wasmtime.Func, exports["ting_alloc"])
        self._free = cast(wasmtime.Func, exports["ting_free"])
        self._call = cast(wasmtime.Func, exports["ting_call"])

    def call(self, number: int, *fields: Field) -> bytes:
        """Makes a call and answers its fields, to be read by a Reader. Raises MlsError with the kind of failure."""
        store, memory = self._store, self._memory
        given = encode(fields)
        start = self._alloc(store, len(given))
        memory.write(store, given, start)
        place = self._call(store, number, start, len(given)) & 0xFFFF_FFFF_FFFF_FFFF
        self._free(store, start, len(given))
        at, length = place >> 32, place & 0xFFFF_FFFF
        answer = bytes(memory.read(store, at, at + length))
        self._free(store, at, length)
        if answer[0]:
            raise MlsError(Failure(answer[0]), answer[1:].decode())
        return answer[1:]
