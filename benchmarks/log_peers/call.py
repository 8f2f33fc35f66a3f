"""A call beside the messages: one participant speaks, one listens, both with LiveKit's SDK. A process of its own.

    call.py URL SECONDS

prints `{"began": true}` when audio flows, and at the end the largest gap between two frames that the listener got.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import sys
import time

from livekit import api, rtc

_RATE_HZ = 48_000
_FRAME_S = 0.01
_SETTLED_S = 1.0


async def main(url: str, seconds: float) -> None:
    speaker, listener = rtc.Room(), rtc.Room()
    tracks: asyncio.Queue[rtc.Track] = asyncio.Queue()
    listener.on("track_subscribed", lambda track, *_: tracks.put_nowait(track))
    await listener.connect(url, _token("listener"))
    await speaker.connect(url, _token("speaker"))
    source = rtc.AudioSource(_RATE_HZ, 1)
    track = rtc.LocalAudioTrack.create_audio_track("tone", source)
    await speaker.local_participant.publish_track(track)
    speaking = asyncio.create_task(_speak(source))
    try:
        heard = await asyncio.wait_for(tracks.get(), 20)
        gaps = await _listen(heard, seconds)
    finally:
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)
        await speaker.disconnect()
        await listener.disconnect()
    print(json.dumps(gaps), flush=True)


async def _speak(source: rtc.AudioSource) -> None:
    """A square wave of 200 Hz; `capture_frame` keeps the time."""
    samples = round(_RATE_HZ * _FRAME_S)
    half = _RATE_HZ // 400
    wave = b"".join((4000 if n // half % 2 else -4000).to_bytes(2, "little", signed=True) for n in range(samples))
    while True:
        await source.capture_frame(rtc.AudioFrame(wave, _RATE_HZ, 1, samples))


async def _listen(track: rtc.Track, seconds: float) -> dict[str, float]:
    """Counted from a second after the first frame, when the jitter buffer has found its length."""
    stream = rtc.AudioStream(track)
    first = last = begin = 0.0
    largest, frames = 0.0, 0
    before = {}
    async for _ in stream:
        now = time.perf_counter()
        first = first or now
        if not begin and now - first >= _SETTLED_S:
            begin = now
            before = await _concealment(track)
            print(json.dumps({"began": True}), flush=True)
            now = time.perf_counter()
        elif begin:
            largest, frames = max(largest, now - last), frames + 1
        last = now
        if begin and now - begin >= seconds:
            break
    after = await _concealment(track)
    await stream.aclose()
    concealed = {name: after[name] - before[name] for name in after}
    return {"largest_gap_ms": 1000 * largest, "frames": frames, **concealed}


async def _concealment(track: rtc.Track) -> dict[str, float]:
    """What the decoder had to invent because nothing arrived in time."""
    for one in await track.get_stats():
        if one.HasField("inbound_rtp"):
            inbound = one.inbound_rtp.inbound
            return {"concealed_samples": inbound.concealed_samples, "concealment_events": inbound.concealment_events}
    return {}


def _token(identity: str) -> str:
    grants = api.VideoGrants(room_join=True, room="call-beside-the-log")
    token = api.AccessToken("devkey", "secret").with_identity(identity).with_grants(grants)
    return token.with_ttl(datetime.timedelta(hours=1)).to_jwt()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
