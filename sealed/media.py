"""Media keys of a sealed room for the `livekit` SDK: its own frame encryption does the work, this tells it the keys.

    room = rtc.Room()
    media = MediaKeys(room)
    await room.connect(url, token, rtc.RoomOptions(encryption=media.options))
    await media.set_epoch(epoch, key_of, identities)

The token has the attribute `ting.sealed` with the value "1". What is published before the first epoch is known would be
encrypted with a key that nobody has: set the epoch first.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable

from livekit import rtc

KeyOf = Callable[[str], Awaitable[bytes]]
"""The media key (32 bytes) of a participant, by its identity, in one epoch."""

RING_SIZE = 16
SWITCH_S = 0.2
"""Between the news of an epoch and the first frame that is encrypted with it: the others have it by then."""
OLD_KEYS_S = 10.0
"""So long after our switch, frames of older epochs can still come."""


def key_index(epoch: int) -> int:
    """Where the key of an epoch is in every ring; frames carry this number."""
    return epoch % RING_SIZE


def encryption_options() -> rtc.E2EEOptions:
    """As the page has it: HKDF, no ratchet, and no key is ever given up as invalid."""
    return rtc.E2EEOptions(
        key_provider_options=rtc.KeyProviderOptions(
            ratchet_window_size=0,
            failure_tolerance=-1,
            key_ring_size=RING_SIZE,
            key_derivation_function=rtc.KeyDerivationFunction.HKDF,
        )
    )


class MediaKeys:
    """Of one `rtc.Room`, which was or will be connected with `options`."""

    def __init__(self, room: rtc.Room, switch_s: float = SWITCH_S, old_keys_s: float = OLD_KEYS_S) -> None:
        self.options = encryption_options()
        self._room = room
        self._switch_s = switch_s
        self._old_keys_s = old_keys_s
        self._held: dict[int, set[str]] = {}
        """Whose keys are in the SDK, by index."""
        self._speaking: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        room.on("local_track_published", self._handle_published)

    async def set_epoch(self, epoch: int, key_of: KeyOf, identities: Iterable[str]) -> None:
        """Others are understood with the keys of this epoch at once; we speak with ours `switch_s` later (the first one
        at once). The room must be connected. Errors of `key_of` go to the caller."""
        index, own = key_index(epoch), self._room.local_participant.identity
        wanted = {*identities, *self._room.remote_participants, own}
        keys = {identity: await key_of(identity) for identity in wanted}
        self._forget(index, self._held.get(index, set()) - wanted)
        for identity, key in keys.items():
            self._provider.set_key(identity, key, index)
        self._held[index] = wanted
        if self._speaking is None:
            self._speak(index)
        else:
            # A new track begins with the key that was given last; the old ones are told.
            self._later(self._switch_s, lambda: self._speak(index))

    def close(self) -> None:
        """Ends what was to happen later."""
        for task in self._tasks:
            task.cancel()

    @property
    def _provider(self) -> rtc.KeyProvider:
        provider = self._room.e2ee_manager.key_provider
        if provider is None:
            raise ValueError("the room was connected without the options of its MediaKeys")
        return provider

    def _speak(self, index: int) -> None:
        self._speaking = index
        self._tell_senders()
        older = {one: set(held) for one, held in self._held.items() if one != index}
        self._later(self._old_keys_s, lambda: self._forget_all(older))

    def _handle_published(self, *_: object) -> None:
        self._tell_senders()

    def _tell_senders(self) -> None:
        if self._speaking is None:
            return
        own = self._room.local_participant.identity
        for cryptor in self._room.e2ee_manager.frame_cryptors():
            if cryptor.participant_identity == own:
                cryptor.set_key_index(self._speaking)

    def _forget_all(self, older: dict[int, set[str]]) -> None:
        for index, identities in older.items():
            # A newer epoch may have taken the place.
            if self._held.get(index) == identities and index != self._speaking:
                self._forget(index, identities)
                del self._held[index]

    def _forget(self, index: int, identities: Iterable[str]) -> None:
        """The SDK has no way to forget a key: a random one takes its place."""
        for identity in identities:
            self._provider.set_key(identity, secrets.token_bytes(32), index)

    def _later(self, delay_s: float, act: Callable[[], None]) -> None:
        async def wait() -> None:
            await asyncio.sleep(delay_s)
            act()

        task = asyncio.create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
