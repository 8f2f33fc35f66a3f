"""Packages of the system that tests need. On Debian as root they are installed; else a sentence says how."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from progress import SetupError, Step, run

ROOT = Path(__file__).resolve().parent.parent
MISSING = ROOT / ".run" / "left-out"
"""What `make test` cannot run for want of a package, a line each."""

_apt = threading.Lock()
_updated = False


@dataclass(frozen=True)
class Need:
    """`tests` are left out where `packages` are not there."""

    tests: str
    packages: tuple[str, ...]
    is_there: Callable[[], bool]


def has_chromium() -> bool:
    return any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))


def has_cjk_font() -> bool:
    if not shutil.which("fc-list"):
        return False
    return bool(subprocess.run(["fc-list", ":lang=zh-cn", "family"], capture_output=True, check=False).stdout.strip())


def has_gstreamer() -> bool:
    """Whether the system's Python can run GStreamer's webrtcbin."""
    check = ["/usr/bin/python3", str(ROOT / "tests" / "harness" / "gstreamer_peer.py"), "check"]
    return Path(check[0]).exists() and subprocess.run(check, capture_output=True, check=False).returncode == 0


def has_postgresql() -> bool:
    return bool(shutil.which("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb")))


def has_nats_server() -> bool:
    """The system's; .venv has a newer one."""
    return any(Path(folder, "nats-server").exists() for folder in ("/usr/sbin", "/usr/bin"))


NEEDS = (
    Need("browser tests", ("chromium",), has_chromium),
    Need("screenshots with Chinese text", ("fonts-noto-cjk",), has_cjk_font),
    Need("a test in Firefox", ("firefox-esr",), lambda: bool(shutil.which("firefox-esr") or shutil.which("firefox"))),
    Need("tests with TURN", ("coturn",), lambda: shutil.which("turnserver") is not None),
    Need("tests with Debian's NATS server", ("nats-server",), has_nats_server),
    Need("tests with PostgreSQL", ("postgresql",), has_postgresql),
    Need(
        "tests with GStreamer's WHIP",
        (
            "gir1.2-gst-plugins-bad-1.0", "gir1.2-gstreamer-1.0", "gstreamer1.0-nice", "gstreamer1.0-plugins-bad",
            "gstreamer1.0-plugins-base", "gstreamer1.0-plugins-good", "python3-gi",
        ),
        has_gstreamer,
    ),
)  # fmt: skip


def provide(step: Step) -> bool:
    """Install what is missing, each need for itself: one that fails does not take the others along. What stays missing
    is noted for the summary of the tests."""
    missing = [need for need in NEEDS if not need.is_there()]
    left_out = []
    for need in missing:
        step.tell(f"installing {' '.join(need.packages)}")
        try:
            install(need.packages)
        except SetupError as error:
            left_out.append(f"{need.tests}: {str(error).splitlines()[-1]}")
    MISSING.parent.mkdir(parents=True, exist_ok=True)
    MISSING.write_text("".join(f"{line}\n" for line in left_out), encoding="utf-8")
    return bool(missing)


def install(packages: tuple[str, ...]) -> None:
    """Raises `SetupError`; its last line says what to do."""
    global _updated
    names = " ".join(packages)
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise SetupError(f"install {names} (on Debian, as root: apt-get install {names})")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with _apt:
        try:
            if not _updated:
                run([apt, "update", "-qq"], environment=quiet)
                _updated = True
            run([apt, "install", "-y", "-qq", "--no-install-recommends", *packages], environment=quiet)
        except SetupError as error:
            raise SetupError(f"{error}\n{names} could not be installed; try: apt-get install {names}") from None
