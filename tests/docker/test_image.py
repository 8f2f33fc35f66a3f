"""The image and its compose file, as far as they can be tried without a container engine: what the stages run is run
here, and what comes out of it is started as the container would."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.harness.server import free_ports

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the stage `packages` leaves in /opt/ting; the stages before it are those that `make` has run already."""
    if not (ROOT / "sfu" / "rust" / "target" / "release" / "libting_engine.so").is_file():
        pytest.skip("needs the Rust engine")
    prefix = tmp_path_factory.mktemp("image") / "ting"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [str(DOCKER / "steps.sh"), "packages", str(prefix)]
    subprocess.run(command, cwd=ROOT, check=True, env=environment, capture_output=True)
    yield prefix
    shutil.rmtree(prefix)


def entrypoint(prefix: Path, data: Path, *arguments: str, **more: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment as the Dockerfile has them, with compose's empty settings."""
    compose = dict.fromkeys(("TING_ADVERTISE", "TING_PUBLIC_URL", "TING_DATABASE_URL"), "")
    environment = {
        "PATH": f"{prefix / 'bin'}:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TING_DATA_DIR": str(data),
        "TING_API_KEY": "ting",
        "TING_API_SECRET_FILE": str(data / "secrets" / "api-secret"),
        "TING_TURN": "[]",
        "SHARED_SECRETS": str(data.parent / "shared"),
        **compose,
        **more,
    }
    return [str(prefix / "bin" / "python"), str(DOCKER / "entrypoint.py"), *arguments], environment


async def test_the_first_start_makes_its_secrets_and_serves_and_the_next_keeps_them(
    installed: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    free = free_ports()
    ports = {"TING_PORT": str(free.http), "TING_RTC_UDP_PORT": str(free.udp), "TING_RTC_TCP_PORT": str(free.tcp)}
    command, environment = entrypoint(installed, data, "serve", **ports)
    found = []
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=tmp_path)
        try:
            assert await until_ready(f"http://127.0.0.1:{ports['TING_PORT']}", process)
            assert await healthcheck(installed, environment) == 0
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 0
        found.append((data / "secrets" / "api-secret").read_text())
    assert found[0] == found[1]
    assert len(found[0]) >= 32
    assert stat.S_IMODE((data / "secrets" / "api-secret").stat().st_mode) == 0o600
    assert await healthcheck(installed, environment) == 1


async def healthcheck(prefix: Path, environment: dict[str, str]) -> int:
    command = [str(prefix / "bin" / "python"), str(DOCKER / "healthcheck.py")]
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    return await asyncio.wait_for(process.wait(), 15)


async def until_ready(url: str, process: asyncio.subprocess.Process) -> bool:
    """With the Rust engine and the web app inside."""
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while process.returncode is None:
            try:
                async with session.get(f"{url}/readyz") as answer:
                    if answer.status == 200:
                        break
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
        assert process.returncode is None, "it has ended"
        async with session.get(url) as page:
            return page.status == 200 and "<script" in await page.text()


def test_the_engine_inside_is_the_rust_engine(installed: Path, tmp_path: Path) -> None:
    code = "from sfu.engine import engine_name; print(engine_name('auto'))"
    command = [str(installed / "bin" / "python"), "-P", "-c", code]
    assert subprocess.check_output(command, cwd=tmp_path, text=True).strip() == "rust"


def test_secrets_of_the_other_containers_are_theirs_alone(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    for name in ("postgres", "turn"):
        (shared / name).mkdir(parents=True)
    command, environment = entrypoint(tmp_path, tmp_path / "data", "secrets")
    (tmp_path / "data").mkdir()
    command[0] = sys.executable
    for _ in range(2):
        subprocess.run(command, env=environment, check=True)
    own = tmp_path / "data" / "secrets"
    assert {path.name for path in own.iterdir()} == {"api-secret", "pgpass", "postgres-password", "turn-secret"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in own.iterdir())
    password = (own / "postgres-password").read_text()
    assert (shared / "postgres" / "password").read_text() == password
    assert (own / "pgpass").read_text().strip().split(":")[-1] == password
    turn = (shared / "turn" / "turnserver.conf").read_text()
    assert f"static-auth-secret={(own / 'turn-secret').read_text()}" in turn
    assert len({path.read_text() for path in own.iterdir()}) == 4


def test_compose_starts_ting_alone_and_the_rest_by_profile() -> None:
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == {"ting", "secrets"}
    assert {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service} == {
        "postgres": ["postgres"],
        "turn": ["turn"],
    }


@pytest.mark.parametrize("name", ["ting", "secrets", "turn"])
def test_containers_have_no_rights_that_they_do_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")


def test_compose_names_what_there_is() -> None:
    declared = set(COMPOSE["volumes"])
    for service in SERVICES.values():
        assert {volume.split(":")[0] for volume in service.get("volumes", [])} <= declared
        assert set(service.get("depends_on", {})) <= set(SERVICES)
    build = SERVICES["ting"]["build"]
    assert (DOCKER / build["context"] / build["dockerfile"]).resolve() == DOCKER / "Dockerfile"


def test_the_context_holds_what_the_dockerfile_copies_and_no_secret() -> None:
    kept = [line[1:].rstrip("/") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        word.rstrip("/")
        for line in (DOCKER / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    assert all(word == "." or any(word == one or word.startswith(f"{one}/") for one in kept) for word in copied)
    assert all((ROOT / one).exists() for one in kept)


def test_each_stage_runs_a_step_that_there_is() -> None:
    steps = (DOCKER / "steps.sh").read_text()
    ran = [
        line.split()[2] for line in (DOCKER / "Dockerfile").read_text().splitlines() if "RUN docker/steps.sh" in line
    ]
    assert ran == ["web", "engine", "packages"]
    assert all(f"\n{name}() {{" in steps for name in ran)
