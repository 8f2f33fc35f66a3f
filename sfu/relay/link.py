"""The media connection of two nodes: one transport of the engine, for all rooms that they share.

What goes over it is RTP in SRTP (AEAD_AES_256_GCM) between the UDP ports on which both take media anyway, without ICE:
each knows from the other's greeting where it is. The keys come over the mesh, which is mutual TLS.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from sfu.control.subscribe.subscription import new_ssrc
from sfu.engine.api import Address, EngineCommands, Extension, Path, SrtpKeys, SrtpProfile, TransportConfig
from sfu.ids import TransportHandle
from sfu.relay.messages import LinkKeys

EXTENSIONS = {
    Extension.AUDIO_LEVEL: 1,
    Extension.ABS_CAPTURE_TIME: 2,
    Extension.VIDEO_ORIENTATION: 3,
    Extension.PLAYOUT_DELAY: 4,
    Extension.DEPENDENCY_DESCRIPTOR: 5,
}
"""Ids on every link. No transport-wide numbers: between nodes nothing is estimated or paced."""
_PROFILE = SrtpProfile.AEAD_AES_256_GCM
_KEY_BYTES, _SALT_BYTES = 32, 12


class Ssrcs:
    """Those that media of this node has on its links."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def take(self) -> int:
        ssrc = new_ssrc(self._taken)
        self._taken.add(ssrc)
        return ssrc

    def free(self, ssrcs: Iterable[int]) -> None:
        self._taken.difference_update(ssrcs)


class Link:
    def __init__(self, engine: EngineCommands, group: int, local: Address, remote: Address, max_ssrcs: int) -> None:
        self._engine = engine
        config = TransportConfig(group=group, max_ssrcs=max_ssrcs, max_packets_per_s=0)
        self.handle: TransportHandle = engine.add_transport(config)
        engine.set_path(self.handle, Path("udp", local, remote))
        self.ready = False
        """The other end can read what is sent."""
        self._offered: LinkKeys | None = None
        self._number = 0

    def offer_keys(self) -> LinkKeys:
        """New ones, to be told to the other end. The first are in use at once for what comes."""
        self._number += 1
        keys = [secrets.token_bytes(size) for size in (_KEY_BYTES, _SALT_BYTES) * 2]
        self._offered = LinkKeys(self._number, *keys)
        if not self.ready:
            self._install(self._offered)
        return self._offered

    def handle_taken(self, number: int) -> None:
        """The other end uses the keys of that number."""
        if self._offered is not None and self._offered.number == number:
            if self.ready:
                self._install(self._offered)
            self._offered = None
            self.ready = True

    def take(self, keys: LinkKeys) -> None:
        """Keys that the other end has offered, its way round."""
        self._install(LinkKeys(keys.number, keys.rx_key, keys.rx_salt, keys.tx_key, keys.tx_salt))
        self.ready = True

    def _install(self, keys: LinkKeys) -> None:
        self._engine.set_srtp(
            self.handle,
            SrtpKeys(
                profile=_PROFILE,
                rx_key=keys.rx_key,
                rx_salt=keys.rx_salt,
                tx_key=keys.tx_key,
                tx_salt=keys.tx_salt,
            ),
        )

    def close(self) -> None:
        self._engine.remove_transport(self.handle)
