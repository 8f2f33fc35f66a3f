"""One participant of a call, with the real `livekit` SDK (libwebrtc): joins, publishes, and checks what arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, get_args

from livekit import rtc
from livekit.rtc.room import EventTypes

from tests.harness import tone
from tests.harness.media import PatternReader, PatternSource, SoundReader, SoundSource
from tests.harness.server import make_token

EVENT_TIMEOUT_S = 30.0

Event = tuple[str, tuple[Any, ...]]


class Caller:
    """Wraps an `rtc.Room`. Every event is kept in order in `events`; `wait_for` looks at those too."""

    def __init__(self, url: str, room: str, identity: str) -> None:
        self.url = url.replace("http", "ws", 1)
        self.room_name = room
        self.identity = identity
        self.room = rtc.Room()
        self.events: list[Event] = []
        self._changed = asyncio.Event()
        self._sources: list[PatternSource | SoundSource] = []
        self._readers: list[PatternReader | SoundReader] = []
        for name in get_args(EventTypes):
            self.room.on(name, self._recorder(name))

    async def join(
        self,
        *,
        auto_subscribe: bool = True,
        token: str = "",
        rtc_config: rtc.RtcConfiguration | None = None,
        single_connection: bool = True,
        encryption: rtc.E2EEOptions | None = None,
        dynacast: bool = False,
        **grants: object,
    ) -> Caller:
        """`single_connection=False` takes the dialect with two peer connections."""
        token = token or make_token(self.room_name, self.identity, **grants)
        options = rtc.RoomOptions(
            auto_subscribe=auto_subscribe,
            connect_timeout=15.0,
            rtc_config=rtc_config,
            single_peer_connection=single_connection,
            encryption=encryption,
            dynacast=dynacast,
        )
        await self.room.connect(self.url, token, options)
        return self

    async def leave(self) -> None:
        """Stop everything that this caller publishes or reads, then leave the room."""
        await self.close_readers()
        for source in self._sources:
            await source.close()
        self._sources.clear()
        await self.room.disconnect()

    async def close_readers(self) -> None:
        for reader in self._readers:
            await reader.close()
        self._readers.clear()

    # --- publishing -------------------------------------------------------------------------------

    async def publish_pattern(
        self,
        source_id: int,
        *,
        size: tuple[int, int] = (320, 180),
        fps: int = 15,
        codec: rtc.VideoCodec.ValueType = rtc.VideoCodec.VP8,
        simulcast: bool = False,
        bitrate_bps: int = 400_000,
        noisy: bool = False,
        **options: Any,
    ) -> rtc.LocalTrackPublication:
        """Publish a camera that shows the pattern of `source_id`."""
        source = PatternSource(source_id, size, fps, noisy=noisy)
        self._sources.append(source)
        track = rtc.LocalVideoTrack.create_video_track("camera", source.source)
        encoding = rtc.VideoEncoding(max_bitrate=bitrate_bps, max_framerate=fps)
        return await self.room.local_participant.publish_track(
            track,
            rtc.TrackPublishOptions(
                source=rtc.TrackSource.SOURCE_CAMERA, video_codec=codec, simulcast=simulcast,
                video_encoding=encoding, **options,
            ),
        )  # fmt: skip

    async def publish_tone(self, *frequencies_hz: float, **options: Any) -> rtc.LocalTrackPublication:
        """Publish a microphone that hears a sine tone, one per channel."""
        return await self._publish_sound(SoundSource.tones(*frequencies_hz), **options)

    async def publish_melody(self, **options: Any) -> rtc.LocalTrackPublication:
        """Publish a microphone that hears the melody of `tests.harness.tone`, whose gaps can be measured."""
        return await self._publish_sound(SoundSource(tone.melody), **options)

    async def _publish_sound(self, source: SoundSource, **options: Any) -> rtc.LocalTrackPublication:
        self._sources.append(source)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source.source)
        return await self.room.local_participant.publish_track(
            track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, **options)
        )

    async def unpublish_newest(self, publication: rtc.LocalTrackPublication) -> None:
        """Take back what was published last, and end its source: many of those would keep the event loop busy."""
        await self.room.local_participant.unpublish_track(publication.sid)
        await self._sources.pop().close()

    # --- receiving --------------------------------------------------------------------------------

    async def watch(self, identity: str, timeout: float = EVENT_TIMEOUT_S, *, keeps_all: bool = False) -> PatternReader:
        track, _ = await self.subscribed(identity, rtc.TrackKind.KIND_VIDEO, timeout)
        reader = PatternReader(track, keeps_all=keeps_all)
        self._readers.append(reader)
        return reader

    def watch_track(self, track_id: str) -> PatternReader:
        """Of a track that this caller is subscribed to."""
        publications = (p for one in self.room.remote_participants.values() for p in one.track_publications.values())
        track = next(one.track for one in publications if one.sid == track_id)
        reader = PatternReader(track)
        self._readers.append(reader)
        return reader

    async def listen(self, identity: str, timeout: float = EVENT_TIMEOUT_S, channels: int = 1) -> SoundReader:
        track, _ = await self.subscribed(identity, rtc.TrackKind.KIND_AUDIO, timeout)
        reader = SoundReader(track, channels)
        self._readers.append(reader)
        return reader

    async def subscribed(
        self, identity: str, kind: rtc.TrackKind.ValueType, timeout: float = EVENT_TIMEOUT_S
    ) -> tuple[rtc.Track, rtc.RemoteTrackPublication]:
        """The track of that kind that this caller is subscribed to now, or will be within `timeout` seconds."""

        def find() -> tuple[rtc.Track, rtc.RemoteTrackPublication] | None:
            publication = self.publication(identity, kind)
            return (publication.track, publication) if publication and publication.track else None

        return await self.until(find, f"{identity}'s track of kind {kind} to be subscribed", timeout)

    def publication(self, identity: str, kind: rtc.TrackKind.ValueType) -> rtc.RemoteTrackPublication | None:
        participant = self.room.remote_participants.get(identity)
        publications = participant.track_publications.values() if participant else ()
        return next((one for one in publications if one.kind == kind), None)

    # --- events -----------------------------------------------------------------------------------

    def count(self, name: str) -> int:
        return sum(event == name for event, _ in self.events)

    async def wait_for(
        self,
        name: str,
        matches: Callable[..., bool] = lambda *_: True,
        *,
        after: int = 0,
        timeout: float = EVENT_TIMEOUT_S,
    ) -> tuple[Any, ...]:
        """The arguments of the first event of that name that matches, at or behind position `after` of `events`."""

        def find() -> tuple[Any, ...] | None:
            return next((args for event, args in self.events[after:] if event == name and matches(*args)), None)

        return await self.until(find, f"event {name}", timeout, none_is_missing=True)

    async def until(
        self,
        probe: Callable[[], Any],
        what: str,
        timeout: float = EVENT_TIMEOUT_S,
        *,
        none_is_missing: bool = False,
    ) -> Any:
        """Evaluate `probe` at every event until it gives something; AssertionError names `what` did not come."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    self._changed.clear()
                    value = probe()
                    if value is not None if none_is_missing else value:
                        return value
                    await self._changed.wait()
        except TimeoutError:
            seen = ", ".join(event for event, _ in self.events[-12:])
            raise AssertionError(
                f"{self.identity} waited {timeout} s in vain for {what}; last events: {seen}"
            ) from None

    def _recorder(self, name: str) -> Callable[..., None]:
        def record(*args: Any) -> None:
            self.events.append((name, args))
            self._changed.set()

        return record
