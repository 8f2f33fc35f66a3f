"""Build the web app (`web/dist`) when it is missing or older than its sources. Needs nothing but the standard library.

What the app is built with are the `dependencies` of web/package.json; what checks and tests it are its
`devDependencies`, which come with `make lint` and `make test`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_GENERATED = {"node_modules", "dist", "screenshots", "coverage", "test-results"}
STAMP = ".sources"
_INSTALLED = ".ting-installed"
MINIMUM_NODE = 20


class WebBuildError(Exception):
    """The web app is not built and cannot be; the message says what to do."""


def build_web(root: Path, *, development: bool = False, tell: Callable[[str], None] = lambda _doing: None) -> Path:
    """Return `web/dist`, built from the sources that are there now. Does nothing when it is up to date.

    `development`: have what lint and tests need in node_modules, too. Raises `WebBuildError` with a sentence for the
    user. A stale build without npm is used as it is.
    """
    web, dist = root / "web", root / "web" / "dist"
    if not (web / "package.json").is_file():
        raise WebBuildError(f"The web app's sources are missing: {web} has no package.json.")
    wanted = _digest(web, _sources(web))
    built = (dist / "index.html").is_file()
    up_to_date = built and _read(dist / STAMP) == wanted
    if up_to_date and not development:
        return dist
    npm = shutil.which("npm")
    if npm is None or not _node_is_new_enough():
        if built and not development:
            print("The web app is older than its sources; there is no npm to build it anew.", file=sys.stderr)
            return dist
        raise WebBuildError(
            f"The web app is not built, and building it needs Node.js {MINIMUM_NODE} or newer with npm. "
            "Install them (for example from your distribution's packages nodejs and npm) and run this again."
        )
    _install_packages(web, npm, development, tell)
    if up_to_date:
        return dist
    tell("building")
    _run([npm, "run", "--silent", "build"], web)
    if not (dist / "index.html").is_file():
        raise WebBuildError("`npm run build` in web/ ended well, but web/dist/index.html is not there.")
    (dist / STAMP).write_text(wanted + "\n", encoding="ascii")
    return dist


def _install_packages(web: Path, npm: str, development: bool, tell: Callable[[str], None]) -> None:
    """`npm ci`, unless node_modules already comes from this very lock file and has at least what is wanted."""
    stamp = web / "node_modules" / _INSTALLED
    lock = _digest(web, [web / "package-lock.json"])
    installed = _read(stamp).split()
    if installed[:1] == [lock] and (not development or installed[1:] == ["development"]):
        return
    tell("installing packages")
    omit = [] if development else ["--omit=dev"]
    _run([npm, "ci", "--no-audit", "--no-fund", "--loglevel=error", *omit], web)
    stamp.write_text(f"{lock} {'development' if development else ''}\n", encoding="ascii")


def _sources(web: Path) -> list[Path]:
    found = []
    for folder, folders, files in os.walk(web):
        folders[:] = sorted(name for name in folders if name not in _GENERATED and not name.startswith("."))
        found += [Path(folder, name) for name in sorted(files) if not name.endswith((".tsbuildinfo", ".png"))]
    return found


def _digest(web: Path, paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(web).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip() if path.is_file() else ""


def _node_is_new_enough() -> bool:
    node = shutil.which("node")
    if node is None:
        return False
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = version.strip().removeprefix("v").partition(".")[0]
    return major.isdigit() and int(major) >= MINIMUM_NODE


def _run(command: list[str], folder: Path) -> None:
    """Run quietly; on failure show what the command printed. The engine, which takes longer, goes first."""
    polite = ["nice", *command] if shutil.which("nice") else command
    done = subprocess.run(
        polite, cwd=folder, text=True, check=False, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode:
        shown = " ".join(["npm", *command[1:]])
        raise WebBuildError(f"{done.stdout}\n`{shown}` in web/ failed (exit {done.returncode}); its output is above.")
