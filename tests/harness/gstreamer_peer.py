"""WHIP and WHEP with GStreamer's webrtcbin. Runs under the system's Python, which has GObject introspection; imports
nothing of ours.

    gstreamer_peer.py publish|play <url> <token>
    gstreamer_peer.py check

`publish` sends a moving picture of 320x180 (VP8) and a tone of 587 Hz (Opus). `play` writes what it receives to
standard output, as 8-bit grey pictures. Both end their session when standard input ends, and exit with 0.
`check` exits with 0 where all that is needed is installed.
"""

from __future__ import annotations

import sys
import threading
import urllib.parse
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

PUBLISH = """
webrtcbin name=peer bundle-policy=max-bundle
videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=180,framerate=15/1
  ! vp8enc deadline=1 keyframe-max-dist=30 target-bitrate=400000 ! rtpvp8pay pt=96
  ! application/x-rtp,media=video,encoding-name=VP8,payload=96 ! peer.
audiotestsrc is-live=true freq=587 ! audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay pt=111
  ! application/x-rtp,media=audio,encoding-name=OPUS,payload=111 ! peer.
"""
PLAY = "webrtcbin name=peer bundle-policy=max-bundle"
RECEIVED = {
    "VP8": "rtpvp8depay ! vp8dec ! videoconvert ! video/x-raw,format=GRAY8 ! fdsink fd=1 sync=false",
    "OPUS": "rtpopusdepay ! opusdec ! fakesink sync=false",
}
CAPS = {
    "video": "application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000",
    "audio": "application/x-rtp,media=audio,encoding-name=OPUS,payload=111,clock-rate=48000,encoding-params=(string)2",
}


class Peer:
    def __init__(self, playing: bool, url: str, token: str) -> None:
        self._url, self._token = url, token
        self._location = ""
        self._loop = GLib.MainLoop()
        self.failed = False
        self._pipeline = Gst.parse_launch(PLAY if playing else PUBLISH)
        self._peer = self._pipeline.get_by_name("peer") or self._pipeline
        if playing:
            pipeline = Gst.Pipeline.new("player")
            pipeline.add(self._peer)
            self._pipeline = pipeline
            self._peer.connect("pad-added", self._handle_pad)
            for caps in CAPS.values():
                direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
                self._peer.emit("add-transceiver", direction, Gst.Caps.from_string(caps))
        self._peer.connect("on-negotiation-needed", self._negotiate)
        self._peer.connect("notify::ice-gathering-state", self._handle_gathering)

    def run(self) -> None:
        self._pipeline.set_state(Gst.State.PLAYING)
        threading.Thread(target=self._wait_for_end, daemon=True).start()
        self._loop.run()
        if self._location:
            self._request("DELETE", self._location)
        self._pipeline.set_state(Gst.State.NULL)

    def _wait_for_end(self) -> None:
        sys.stdin.read()
        GLib.idle_add(self._loop.quit)

    def _negotiate(self, peer: Gst.Element) -> None:
        def offered(promise: Gst.Promise, *_: object) -> None:
            # The reply owns the offer: it must live as long.
            reply = promise.get_reply()
            offer = reply.get_value("offer")
            peer.emit("set-local-description", offer, Gst.Promise.new())

        peer.emit("create-offer", None, Gst.Promise.new_with_change_func(offered))

    def _handle_gathering(self, peer: Gst.Element, _: object) -> None:
        if peer.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            GLib.idle_add(self._exchange)

    def _exchange(self) -> bool:
        if self._location:
            return False
        try:
            offer = self._peer.get_property("local-description").sdp.as_text()
            status, headers, text = self._request("POST", self._url, offer.encode())
            if status != 201:
                raise OSError(f"status {status}")
            self._location = urllib.parse.urljoin(self._url, headers["Location"])
            _, message = GstSdp.SDPMessage.new_from_text(text)
            answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
            self._peer.emit("set-remote-description", answer, Gst.Promise.new())
        except OSError as error:
            print(error, file=sys.stderr)
            self.failed = True
            self._loop.quit()
        return False

    def _handle_pad(self, _: Gst.Element, pad: Gst.Pad) -> None:
        if pad.direction is not Gst.PadDirection.SRC:
            return
        name = pad.get_current_caps().get_structure(0).get_string("encoding-name")
        branch = Gst.parse_bin_from_description(RECEIVED[name], True)
        self._pipeline.add(branch)
        branch.sync_state_with_parent()
        pad.link(branch.get_static_pad("sink"))

    def _request(self, method: str, url: str, body: bytes | None = None) -> tuple[int, dict[str, str], str]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/sdp"}
        request = urllib.request.Request(url, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, dict(reply.headers), reply.read().decode()


if __name__ == "__main__":
    Gst.init(None)
    if sys.argv[1] == "check":
        sys.exit(not all(map(Gst.ElementFactory.find, ("webrtcbin", "nicesrc", "vp8enc", "opusenc"))))
    one = Peer(sys.argv[1] == "play", sys.argv[2], sys.argv[3])
    one.run()
    sys.exit(one.failed)
