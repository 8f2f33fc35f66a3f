"""FFmpeg's own WHIP client, as PyAV brings it, in a process of its own: the muxer holds the GIL while it connects.

    python -m tests.harness.ffmpeg_whip <url> <token> <source id> <tone in Hz> <options as JSON>

It prints "connected" once the server has answered, sends the pattern as H.264 and the tone as Opus until its standard
input ends, then ends its session.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import sys
import tempfile
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.harness import pattern, tone

SIZE = (320, 180)
FPS = 15
SAMPLES = 960
START_TIMEOUT_S = 15.0


class FfmpegPublisher:
    def __init__(self, url: str, token: str, source_id: int, frequency_hz: float, **options: str) -> None:
        self._arguments = (url, token, str(source_id), str(frequency_hz), json.dumps(options))
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> FfmpegPublisher:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.harness.ffmpeg_whip", *self._arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(START_TIMEOUT_S):
            line = await self._process.stdout.readline()
        if line.strip() != b"connected":
            rest = await self.stop()
            raise AssertionError(f"FFmpeg did not connect: {line.decode()}{rest}")
        return self

    async def stop(self) -> str:
        """End of stream, then what else it printed. The process must end by itself."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        output, _ = await asyncio.wait_for(self._process.communicate(), START_TIMEOUT_S)
        return output.decode()

    async def kill(self) -> None:
        """No goodbye."""
        assert self._process is not None
        self._process.kill()
        await self._process.communicate()


def make_certificate(folder: Path) -> dict[str, str]:
    """Options with a P-256 certificate: an FFmpeg with GnuTLS would make one of P-224, which OpenSSL 4 no longer knows;
    an FFmpeg with OpenSSL makes this kind by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ffmpeg")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    day = datetime.timedelta(days=1)
    certificate = builder.not_valid_before(now - day).not_valid_after(now + day).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain))
    return {"cert_file": str(folder / "cert.pem"), "key_file": str(folder / "key.pem")}


def publish(url: str, token: str, source_id: int, frequency_hz: float, options: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _publish(url, token, source_id, frequency_hz, {**make_certificate(Path(folder)), **options})


def _publish(url: str, token: str, source_id: int, frequency_hz: float, options: dict[str, str]) -> None:
    gop = int(options.pop("gop", 2 * FPS))
    output = av.open(url, "w", format="whip", options={"authorization": token, **options})
    video = output.add_stream("libx264", rate=FPS, options={"tune": "zerolatency", "preset": "ultrafast", "bf": "0"})
    video.width, video.height = SIZE
    video.pix_fmt, video.gop_size, video.bit_rate = "yuv420p", gop, 400_000
    video.profile = "Baseline"
    video.codec_context.time_base = Fraction(1, FPS)
    audio = output.add_stream("libopus", rate=tone.SAMPLE_RATE, layout="stereo")
    audio.codec_context.time_base = Fraction(1, tone.SAMPLE_RATE)
    output.start_encoding()
    print("connected", flush=True)

    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    begin, frames, chunks = time.monotonic(), 0, 0
    while not ended.is_set():
        if frames / FPS <= chunks * SAMPLES / tone.SAMPLE_RATE:
            due = begin + frames / FPS
            picture = np.frombuffer(pattern.draw(*SIZE, pattern.Mark(source_id, frames % 0x10000)), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture.reshape(SIZE[1] * 3 // 2, SIZE[0]), format="yuv420p")
            frame.pts, frame.time_base = frames, Fraction(1, FPS)
            output.mux(video.encode(frame))
            frames += 1
        else:
            due = begin + chunks * SAMPLES / tone.SAMPLE_RATE
            mono = tone.sine(frequency_hz, chunks * SAMPLES, SAMPLES)
            sound = av.AudioFrame.from_ndarray(np.repeat(mono, 2).reshape(1, -1), format="s16", layout="stereo")
            sound.sample_rate, sound.pts = tone.SAMPLE_RATE, chunks * SAMPLES
            sound.time_base = Fraction(1, tone.SAMPLE_RATE)
            output.mux(audio.encode(sound))
            chunks += 1
        ended.wait(max(0.0, due - time.monotonic()))
    output.close()


if __name__ == "__main__":
    av.logging.set_level(av.logging.ERROR)
    publish(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), json.loads(sys.argv[5]))
