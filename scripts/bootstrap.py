"""Make `.venv` and keep it up to date. Run with any Python 3.11 or newer; needs nothing but the standard library.

    bootstrap.py            .venv with everything of requirements.lock, this project in editable form, and where cargo
                            is the Rust engine
    bootstrap.py browser    what the browser tests need besides: Chromium and a font with Chinese glyphs
    bootstrap.py servers    what some tests run: coturn, PostgreSQL and GStreamer; without them those tests are skipped

Each does nothing when nothing is missing. On Debian as root, missing system packages are installed; elsewhere one
sentence says what to install.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / ".ting-installed"
LOCK = ROOT / "requirements.lock"
OLDEST = (3, 11)
ENGINE = ROOT / "sfu" / "rust"
ENGINE_STAMP = VENV / ".ting-engine"
GSTREAMER = [
    "gir1.2-gst-plugins-bad-1.0", "gir1.2-gstreamer-1.0", "gstreamer1.0-nice", "gstreamer1.0-plugins-bad",
    "gstreamer1.0-plugins-base", "gstreamer1.0-plugins-good", "python3-gi",
]  # fmt: skip
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def main(arguments: list[str]) -> None:
    if arguments == ["browser"]:
        ensure_browser()
    elif arguments == ["servers"]:
        ensure_servers()
    elif not arguments:
        ensure_venv()
        ensure_engine()
    else:
        sys.exit(__doc__)


def ensure_venv() -> None:
    python = VENV / "bin" / "python"
    version = venv_version(python)
    if version < OLDEST:
        create_venv()
        version = venv_version(python)
    wanted = hashlib.sha256(
        LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes() + repr((version, str(ROOT))).encode()
    ).hexdigest()
    if STAMP.is_file() and STAMP.read_text(encoding="ascii") == wanted:
        return
    say(f"Installing Python packages into .venv (Python {version[0]}.{version[1]})")
    STAMP.unlink(missing_ok=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    run([*pip, "--require-hashes", "-r", str(LOCK)])
    run([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    STAMP.write_text(wanted, encoding="ascii")


def ensure_engine() -> None:
    """Build the Rust engine into .venv when it is not there or its sources have changed.

    Without cargo, and when the build fails, a sentence says what runs instead; in CI both are errors.
    """
    python = VENV / "bin" / "python"
    wanted = engine_hash(python)
    if ENGINE_STAMP.is_file() and ENGINE_STAMP.read_text(encoding="ascii") == wanted:
        return
    cargo = find_cargo()
    if cargo is None or not sys.platform.startswith("linux"):
        need = "Linux" if cargo else "cargo (https://rustup.rs)"
        without_engine(f"The Rust engine is not built: it needs {need}.")
        return
    say("Building the Rust engine (the first time takes some minutes)")
    maturin = [str(VENV / "bin" / "maturin"), "develop", "--release", "-m", str(ENGINE / "py" / "Cargo.toml")]
    path = os.pathsep.join([str(cargo.parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "VIRTUAL_ENV": str(VENV), "PATH": path}
    done = subprocess.run(
        maturin, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        print(done.stdout)
        without_engine("The Rust engine could not be built; what cargo said is above.")
        return
    ENGINE_STAMP.write_text(wanted, encoding="ascii")


def engine_hash(python: Path) -> str:
    """Over everything that the extension is made from, and the interpreter that it is for."""
    digest = hashlib.sha256(repr(venv_version(python)).encode())
    files = [ENGINE / "Cargo.toml", ENGINE / "Cargo.lock", *(ENGINE / "core").rglob("*"), *(ENGINE / "py").rglob("*")]
    for path in sorted(path for path in files if path.is_file()):
        digest.update(f"{path.relative_to(ENGINE)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def find_cargo() -> Path | None:
    """In PATH, or where rustup puts it."""
    found = shutil.which("cargo") or shutil.which("cargo", path=str(Path.home() / ".cargo" / "bin"))
    return Path(found) if found else None


def without_engine(sentence: str) -> None:
    if os.environ.get("CI"):
        sys.exit(sentence)
    say(f"{sentence} The Python engine does the same work with many times the CPU per packet.")


def venv_version(python: Path) -> tuple[int, ...]:
    """(major, minor) of the venv's interpreter; (0, 0) when it is missing or no longer runs."""
    if not python.exists():
        return (0, 0)
    code = "import pip, sys; print(*sys.version_info[:2])"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    return tuple(int(part) for part in done.stdout.split()) if done.returncode == 0 else (0, 0)


def create_venv() -> None:
    if importlib.util.find_spec("ensurepip") is None:
        # Debian splits it from the interpreter.
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        install_packages([package], f"This Python cannot make virtual environments. Install the package {package}.")
    say(f"Making .venv with Python {sys.version_info[0]}.{sys.version_info[1]}")
    run([sys.executable, "-m", "venv", "--clear", str(VENV)])


def ensure_browser() -> None:
    missing = []
    if not any(shutil.which(name) for name in CHROMIUM):
        missing.append("chromium")
    fonts = shutil.which("fc-list") and subprocess.check_output(["fc-list", ":lang=zh-cn", "family"])
    if not fonts:
        missing.append("fonts-noto-cjk")
    if missing:
        names = " ".join(missing)
        install_packages(missing, f"The browser tests need {names}. Install with: apt-get install {names}")


def ensure_servers() -> None:
    missing = [] if shutil.which("turnserver") else ["coturn"]
    missing += [] if has_gstreamer() else GSTREAMER
    missing += [] if shutil.which("firefox-esr") or shutil.which("firefox") else ["firefox-esr"]
    if not any(Path("/usr/lib/postgresql").glob("*/bin/initdb")) and not shutil.which("initdb"):
        missing.append("postgresql")
    if missing:
        names = " ".join(missing)
        sentence = f"Tests that need {names} will be skipped. Install with: apt-get install {names}"
        if can_install():
            install_packages(missing, sentence)
        else:
            say(sentence)


def has_gstreamer() -> bool:
    """Whether the system's Python can run GStreamer's webrtcbin."""
    check = ["/usr/bin/python3", str(ROOT / "tests" / "harness" / "gstreamer_peer.py"), "check"]
    return Path(check[0]).exists() and subprocess.run(check, capture_output=True, check=False).returncode == 0


def can_install() -> bool:
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def install_packages(names: list[str], sentence: str) -> None:
    """Install Debian packages when that is possible, else end with the sentence."""
    apt = shutil.which("apt-get")
    if apt is None or not can_install():
        sys.exit(sentence)
    say("Installing " + " ".join(names))
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run([apt, "update", "-qq"], quiet)
    run([apt, "install", "-y", "-qq", "--no-install-recommends", *names], quiet, sentence)


def run(command: list[str], environment: dict[str, str] | None = None, sentence: str = "") -> None:
    """Run a command; show its output only when it fails, then end."""
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{done.stdout}\nFailed (exit {done.returncode}): {' '.join(command)}\n{sentence}".rstrip())


def say(text: str) -> None:
    print(f"==> {text}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
