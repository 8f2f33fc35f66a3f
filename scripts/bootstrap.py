"""Make what a command needs, and no more. Run with any Python 3.11 or newer; needs nothing but the standard library.

    bootstrap.py run     .venv with what `ting serve` needs, the Rust engine where cargo is, the web app
    bootstrap.py lint    besides that, linters and type checkers
    bootstrap.py test    besides that, test clients, and servers and a browser of the system's
    bootstrap.py bench   what the load generator and its plots need

Each does nothing when nothing is missing. Packages of Python come from the locks in requirements/ (exact versions,
hashes checked) through uv. On Debian as root, missing system packages are installed; elsewhere a sentence says what to
install.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import debian
from build_web import WebBuildError, build_web
from progress import SetupError, Step, run, run_all, say, stamp_is

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
TOOLS = ROOT / ".run" / "tools"
"""A virtual environment of its own for uv, where the system has none."""
LOCKS = ROOT / "requirements"
ENGINE = ROOT / "sfu" / "rust"
LIBRARY = ENGINE / "target" / "release" / "libting_engine.so"
BUILT = ENGINE / "target" / "release" / ".ting-built"
"""Says which sources the library is from."""
OLDEST = (3, 11)
OLDEST_UV = (0, 9)
GROUPS = {"run": ("run",), "lint": ("run", "lint"), "test": ("run", "lint", "test"), "bench": ("run", "bench")}
"""The locks that each command wants."""


def main(arguments: list[str]) -> None:
    if len(arguments) != 1 or arguments[0] not in GROUPS:
        sys.exit(__doc__)
    command = arguments[0]
    development = command in ("lint", "test")
    steps = [
        Step("Rust engine", build_engine),  # takes longest by far
        Step("Python packages", lambda step: install_packages(step, GROUPS[command])),
        Step("web app", lambda step: build_app(step, development)),
    ]
    if command == "test":
        steps.append(Step("system packages", debian.provide))
    try:
        run_all(steps)
        install_engine()
    except SetupError as error:
        sys.exit(str(error))


# --- Python ---------------------------------------------------------------------------------------------------


def ensure_venv(step: Step) -> None:
    if venv_version() >= OLDEST:
        return
    uv = find_uv(step)
    step.tell(f"making .venv with Python {sys.version_info[0]}.{sys.version_info[1]}")
    quiet = {"UV_PYTHON_DOWNLOADS": "never"}
    run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, VENV], environment=quiet)


def venv_version() -> tuple[int, ...]:
    """(major, minor) of the venv's interpreter; (0, 0) when it is missing or no longer runs."""
    if not PYTHON.exists():
        return (0, 0)
    code = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([str(PYTHON), "-S", "-c", code], capture_output=True, text=True, check=False)
    return tuple(int(part) for part in done.stdout.split()) if done.returncode == 0 else (0, 0)


def find_uv(step: Step) -> str:
    """The system's where it is new enough, else one of our own, from its lock."""
    there = shutil.which("uv")
    if there is not None and uv_version(there) >= OLDEST_UV:
        return there
    own, stamp, lock = TOOLS / "bin" / "uv", TOOLS / ".ting-installed", LOCKS / "uv.txt"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp_is(stamp, wanted) and uv_version(str(own)) >= OLDEST_UV:
        return str(own)
    if importlib.util.find_spec("ensurepip") is None:
        # Debian splits it from the interpreter.
        debian.install((f"python{sys.version_info[0]}.{sys.version_info[1]}-venv",))
    step.tell("getting uv, which installs the others")
    run([sys.executable, "-m", "venv", "--clear", TOOLS])
    pip = [TOOLS / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    run([*pip, "--no-compile", "--require-hashes", "-r", lock])
    stamp.write_text(wanted, encoding="ascii")
    return str(own)


def uv_version(uv: str) -> tuple[int, ...]:
    done = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False) if Path(uv).exists() else None
    if done is None or done.returncode:
        return (0, 0)
    return tuple(int(part) for part in done.stdout.split()[1].split(".")[:2])


def install_packages(step: Step, groups: Sequence[str]) -> bool:
    """Add what the locks of the groups name, and this project in editable form."""
    ensure_venv(step)
    locks = [LOCKS / f"{group}.txt" for group in groups]
    missing = [lock for lock in locks if not stamp_is(VENV / f".ting-{lock.stem}", packages_hash(lock))]
    if not missing:
        return False
    step.tell("installing " + ", ".join(lock.stem for lock in missing))
    install = [find_uv(step), "pip", "install", "--quiet", "--python", PYTHON]
    run([*install, "--require-hashes", *(word for lock in missing for word in ("-r", str(lock)))])
    run([*install, "--no-deps", "--no-build-isolation", "--editable", ROOT])
    for lock in missing:
        (VENV / f".ting-{lock.stem}").write_text(packages_hash(lock), encoding="ascii")
    return True


def packages_hash(lock: Path) -> str:
    project = (ROOT / "pyproject.toml").read_bytes()
    return hashlib.sha256(lock.read_bytes() + project + repr((venv_version(), str(ROOT))).encode()).hexdigest()


# --- the Rust engine ------------------------------------------------------------------------------------------


def build_engine(step: Step) -> bool:
    """Compile the Rust engine when it is not there or its sources have changed.

    Without cargo, and when the build fails, a sentence says what runs instead; in CI both are errors.
    """
    if stamp_is(VENV / ".ting-engine", engine_hash()):
        return False
    cargo = find_cargo()
    if cargo is None or not sys.platform.startswith("linux"):
        need = "Linux" if cargo else "cargo (https://rustup.rs)"
        without_engine(f"The Rust engine is not built: it needs {need}.")
        return False
    step.tell("compiling (the first time takes a minute or more)")
    environment = {
        "PATH": os.pathsep.join([str(cargo.parent), os.environ.get("PATH", "")]),
        # For the stable ABI, and not linked to libpython: any Python will do, and none has to be there yet.
        "PYO3_NO_PYTHON": "1",
        "PYO3_BUILD_EXTENSION_MODULE": "1",
    }
    build = [cargo, "build", "--release", "--locked", "--package", "ting-engine"]

    def tell(line: str) -> None:
        if line.startswith(("Compiling", "Downloaded", "Updating")):
            step.doing = line.partition(" (")[0]

    try:
        run(build, folder=ENGINE, environment=environment, on_line=tell)
    except SetupError as error:
        print(error)
        without_engine("The Rust engine could not be built; what cargo said is above.")
        return False
    BUILT.write_text(engine_hash(), encoding="ascii")
    return True


def install_engine() -> None:
    """Put what cargo made where Python finds it, once both are there."""
    stamp, wanted = VENV / ".ting-engine", engine_hash()
    if stamp_is(stamp, wanted) or not stamp_is(BUILT, wanted):
        return
    code = "import sysconfig; print(sysconfig.get_path('platlib'))"
    folder = Path(subprocess.check_output([str(PYTHON), "-c", code], text=True).strip())
    shutil.rmtree(folder / "ting_engine", ignore_errors=True)
    # A new file, not new contents of the old one: a server that runs may have that one mapped.
    fresh = folder / "ting_engine.abi3.so.new"
    shutil.copy2(LIBRARY, fresh)
    fresh.replace(folder / "ting_engine.abi3.so")
    # The stamp too: a copy of this folder made of hard links has an engine of its own.
    stamp.unlink(missing_ok=True)
    stamp.write_text(wanted, encoding="ascii")


def engine_hash() -> str:
    """Over everything that the extension is made from."""
    digest = hashlib.sha256()
    parts = [path for part in ("association", "core", "py") for path in (ENGINE / part).rglob("*")]
    files = [ENGINE / "Cargo.toml", ENGINE / "Cargo.lock", *parts]
    for path in sorted(path for path in files if path.is_file()):
        digest.update(f"{path.relative_to(ENGINE)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def find_cargo() -> Path | None:
    """In PATH, or where rustup puts it."""
    found = shutil.which("cargo") or shutil.which("cargo", path=str(Path.home() / ".cargo" / "bin"))
    return Path(found) if found else None


def without_engine(sentence: str) -> None:
    if os.environ.get("CI"):
        raise SetupError(sentence)
    say(f"{sentence} The Python engine does the same work with many times the CPU per packet.")


# --- the web app ----------------------------------------------------------------------------------------------


def build_app(step: Step, development: bool) -> bool:
    before = step.doing
    try:
        build_web(ROOT, development=development, tell=step.tell)
    except WebBuildError as error:
        raise SetupError(str(error)) from None
    return step.doing != before


if __name__ == "__main__":
    main(sys.argv[1:])
