"""Make `.venv` and keep it up to date. Run with any Python 3.11 or newer; needs nothing but the standard library.

    bootstrap.py            .venv with everything of requirements.lock, and this project in editable form
    bootstrap.py browser    what the browser tests need besides: Chromium and a font with Chinese glyphs

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
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def main(arguments: list[str]) -> None:
    if arguments == ["browser"]:
        ensure_browser()
    elif not arguments:
        ensure_venv()
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


def install_packages(names: list[str], sentence: str) -> None:
    """Install Debian packages when that is possible, else end with the sentence."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
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
