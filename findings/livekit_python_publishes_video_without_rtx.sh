#!/bin/sh
# livekit 1.2.1 (Python, with libwebrtc inside): the section with which it sends a camera has VP8 and nothing else, although the
# sections beside it, with which it would receive, have RTX (RFC 4588) for every codec. NACK and transport-wide feedback are
# there. What follows from it, seen by a server: libwebrtc then probes the line with packets of padding in the numbers of the
# picture itself, and never sends those again, so that who asks for every number that is missing asks in vain. The peer here is
# aiortc with a few lines of signalling.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv new
new/bin/pip install -q livekit==1.2.1 livekit-protocol==1.1.29 aiortc==1.16.0 aiohttp==3.14.5
cat >try.py <<'PY'
import asyncio
import re

from aiohttp import WSMsgType, web
from aiortc import RTCPeerConnection, RTCSessionDescription
from livekit import rtc
from livekit.protocol import models
from livekit.protocol import rtc as signal

offers = asyncio.Queue()


async def serve(request):
    socket = web.WebSocketResponse(protocols=())
    await socket.prepare(request)
    me = models.ParticipantInfo(sid="PA_me", identity="me", state=models.ParticipantInfo.State.JOINED)
    room = models.Room(sid="RM_den", name="den")
    joined = signal.JoinResponse(
        room=room,
        participant=me,
        server_version="1.9.11",
        subscriber_primary=False,
        ping_interval=10,
        ping_timeout=60,
    )
    await socket.send_bytes(signal.SignalResponse(join=joined).SerializeToString())
    peer = RTCPeerConnection()
    async for message in socket:
        if message.type is not WSMsgType.BINARY:
            continue
        wish = signal.SignalRequest.FromString(message.data)
        if wish.HasField("add_track"):
            track = models.TrackInfo(sid="TR_cam", type=wish.add_track.type, name=wish.add_track.name)
            done = signal.TrackPublishedResponse(cid=wish.add_track.cid, track=track)
            await socket.send_bytes(signal.SignalResponse(track_published=done).SerializeToString())
        elif wish.HasField("offer"):
            await offers.put(wish.offer.sdp)
            await peer.setRemoteDescription(RTCSessionDescription(wish.offer.sdp, "offer"))
            await peer.setLocalDescription(await peer.createAnswer())
            answer = signal.SessionDescription(type="answer", sdp=peer.localDescription.sdp, id=wish.offer.id)
            await socket.send_bytes(signal.SignalResponse(answer=answer).SerializeToString())
    await peer.close()
    return socket


async def video_section():
    """With which it sends, of the first offer that has one."""
    while True:
        for section in re.split(r"\r?\n(?=m=)", await offers.get()):
            if section.startswith("m=video") and "a=sendonly" in section:
                return section


async def main():
    app = web.Application()
    app.router.add_get("/rtc", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    room = rtc.Room()
    connecting = asyncio.create_task(room.connect(f"ws://127.0.0.1:{port}", "a.b.c"))
    async with asyncio.timeout(40):
        await connecting
        track = rtc.LocalVideoTrack.create_video_track("camera", rtc.VideoSource(320, 180))
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, video_codec=rtc.VideoCodec.VP8)
        publishing = asyncio.create_task(room.local_participant.publish_track(track, options))
        section = await video_section()
    for line in section.splitlines():
        if line.startswith(("m=video", "a=rtpmap", "a=rtcp-fb", "a=ssrc-group", "a=fmtp")):
            print(line)
    publishing.cancel()
    print("RTX is offered:", "rtx" in section.lower())


asyncio.run(main())
PY
timeout 90 new/bin/python try.py 2>errors >out || { cat errors out; exit 1; }
cat out
grep -qi "a=rtpmap:.* VP8/90000" out
grep -q "RTX is offered: False" out
