"""What only calls need is loaded with the first of them: OpenSSL's bindings, and for an engine without data channels of
its own aiortc, and with it FFmpeg's libraries. Those are 25 MiB and a good part of a second, which a server
without calls need not pay and no running call should wait for."""

from __future__ import annotations

import asyncio
import importlib

from sfu.transport.certificate import Certificate


class AssociationLoader:
    """For one node, whose certificate is made with it."""

    def __init__(self, certificate: Certificate, *, needs_sctp: bool) -> None:
        """`needs_sctp`: data channels are not the engine's."""
        self._certificate = certificate
        self._needs_sctp = needs_sctp
        self._loading: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Returns when associations can be made without a pause. Everything is done once, in a worker thread, or again
        after it failed; whoever comes meanwhile waits for the same."""
        if self._loading is None or (self._loading.done() and self._loading.exception() is not None):
            self._loading = asyncio.create_task(asyncio.to_thread(self._load))
        if not self._loading.done():
            await asyncio.shield(self._loading)

    def _load(self) -> None:
        importlib.import_module("sfu.transport.making")
        if self._needs_sctp:
            importlib.import_module("sfu.transport.data_channel")
        _ = self._certificate.fingerprints
