"""A member in Node with the page's code and a member in Python share a room."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sealed.mls import Changes, Group, Library, new_device, new_key_package

ROOT = Path(__file__).resolve().parents[2]
LINK = b"the secret of the link, 32 bytes"


class PageMember:
    """The page's member, in a process of its own."""

    def __init__(self, node: str) -> None:
        self._process = subprocess.Popen(
            [node, str(Path(__file__).with_name("page_member.mjs"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, verb: str, **request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"verb": verb, **request}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "failure" not in answer, answer
        return answer["result"]

    def close(self) -> None:
        self._process.communicate(timeout=30)


@pytest.fixture
def page() -> Iterator[PageMember]:
    node = shutil.which("node")
    if node is None or not (ROOT / "web" / "node_modules").is_dir():
        pytest.skip("needs Node.js and the web app's packages")
    member = PageMember(node)
    yield member
    member.close()


def agree(page: PageMember, group: Group) -> None:
    assert page.ask("secrets") == [group.authenticator().hex(), group.exporter("ting media", b"\0\xff", 16).hex()]


def test_python_comes_to_the_pages_room_and_both_commit(page: PageMember, library: Library) -> None:
    page.ask("create", id=b"room".hex(), link=LINK.hex(), agreed=b"sealed".hex())
    device = new_device(library, "bot", "server")
    group, commit = Group.external(library, device, bytes.fromhex(page.ask("info")), LINK)
    assert page.ask("process", message=commit.hex()) == "commit"
    assert page.ask("names") == [[0, "page", "browser"], [1, "bot", "server"]]
    agree(page, group)
    message, _ = page.ask("commit", adds=[], removes=[])
    group.process(bytes.fromhex(message))
    agree(page, group)
    sent = group.commit()
    page.ask("process", message=sent.message.hex())
    group.apply()
    agree(page, group)


def test_the_page_comes_to_pythons_room_by_link_and_is_replaced_by_welcome(page: PageMember, library: Library) -> None:
    group = Group.create(library, new_device(library, "bot", "server"), b"room", LINK, b"sealed")
    commit = page.ask("external", info=group.group_info().hex(), link=LINK.hex())
    group.process(bytes.fromhex(commit))
    agree(page, group)
    removal = group.commit(Changes(removes=[1]))
    group.apply()
    page.ask("process", message=removal.message.hex())
    sent = group.commit(Changes(adds=[bytes.fromhex(page.ask("keyPackage"))]))
    group.apply()
    page.ask("welcome", message=sent.welcome.hex())
    agree(page, group)


def test_the_page_admits_python(page: PageMember, library: Library) -> None:
    page.ask("create", id=b"room".hex(), link=LINK.hex(), agreed=b"sealed".hex())
    device = new_device(library, "bot", "server")
    package = new_key_package(library, device)
    message, welcome = page.ask("commit", adds=[package.message.hex()], removes=[])
    assert message
    group, _ = Group.welcome(library, device, bytes.fromhex(welcome), [package.secret])
    assert group.link == LINK
    agree(page, group)
