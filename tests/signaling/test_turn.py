"""STUN and TURN servers in the join response: whose credential, for how long, and settings that are refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from pathlib import Path
from typing import Any

import pytest

from signaling.config import load_settings
from signaling.errors import ConfigError
from signaling.turn import TurnServer, ice_servers
from tests.signaling.harness import make_settings, running

SECRET = "north"
TURN = '[{"urls": ["turn:turn.example.org:3478?transport=udp"], "secret": "north"}]'


def credential(username: str) -> str:
    return base64.b64encode(hmac.new(SECRET.encode(), username.encode(), hashlib.sha1).digest()).decode()


def test_a_credential_as_coturn_works_it_out() -> None:
    settings = make_settings(turn=TURN, stun_urls="stun:a.example.org,stun:b.example.org:19302", turn_ttl_s=60).turn
    stun, turn = ice_servers(settings, "PA_x", now=1_000.9)
    assert (stun.urls, stun.username, stun.credential) == (
        ("stun:a.example.org", "stun:b.example.org:19302"),
        "",
        "",
    )
    # printf 1060:PA_x | openssl dgst -sha1 -hmac north -binary | base64
    assert (turn.username, turn.credential) == ("1060:PA_x", "N3nPwbt7Pu+e8+RBfKTkW2MzKSw=")
    assert turn.credential == credential("1060:PA_x")
    assert "north" not in repr(settings)
    assert turn.credential not in repr(turn)


async def test_everyone_gets_a_credential_of_their_own_and_a_new_one_on_reconnect() -> None:
    async with running(turn=TURN, turn_ttl_s=600) as server:
        alice, bob = await server.join("alice"), await server.join("bob")
        users = []
        for client in (alice, bob):
            (turn,) = client.join_response.ice_servers
            ends_at, _, name = turn.username.partition(":")
            assert name == client.sid
            assert time.time() + 590 < int(ends_at) <= time.time() + 600
            assert turn.credential == credential(turn.username)
            users.append(turn.username)
        assert len(set(users)) == 2
        await alice.ws.close()
        again = await server.connect(server.token("alice"), reconnect="1", sid=alice.sid)
        (turn,) = (await again.expect("reconnect")).reconnect.ice_servers
        assert turn.username.endswith(alice.sid)
        assert turn.credential == credential(turn.username)


async def test_without_settings_there_are_none() -> None:
    async with running() as server:
        assert not (await server.join("alice")).join_response.ice_servers


def test_a_secret_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("north\n")
    toml = tmp_path / "ting.toml"
    toml.write_text(f'turn = [{{ urls = ["turns:[::1]:443"], secret_file = "{tmp_path / "secret"}" }}]')
    assert load_settings({"dev": True}, {}, toml).turn.turn == (TurnServer(("turns:[::1]:443",), "north"),)


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("turn_ttl_s", "601", "at most 600"),
        ("turn_ttl_s", "0", "out of range"),
        ("stun_urls", "turn:example.org", "is not like stun"),
        ("stun_urls", "stun:a b", "is not like stun"),
        ("turn", "nonsense", "as JSON"),
        ("turn", "{}", "list of tables"),
        ("turn", "[1]", "list of tables"),
        ("turn", '[{"secret": "x"}]', "urls is needed"),
        ("turn", '[{"urls": [], "secret": "x"}]', "urls is needed"),
        ("turn", '[{"urls": "turn:a", "secret": "x"}]', "table 1, urls: a list of strings"),
        ("turn", '[{"urls": ["http://a"], "secret": "x"}]', "is not like turn"),
        ("turn", '[{"urls": ["turn:a?transport=sctp"], "secret": "x"}]', "is not like turn"),
        ("turn", '[{"urls": ["turn:a"]}]', "either secret or secret_file"),
        ("turn", '[{"urls": ["turn:a"], "secret": "x", "secret_file": "y"}]', "either secret or secret_file"),
        ("turn", '[{"urls": ["turn:a"], "secret_file": "/nonexistent/file"}]', "cannot be read"),
        ("turn", '[{"urls": ["turn:a"], "secret": 1}]', "table 1, secret: a text"),
        ("turn", '[{"urls": ["turn:a"], "secret": "x"}, {"colour": "red"}]', "table 2: unknown key colour"),
        ("turn", "[" * 100_000, "as JSON"),
    ],
)
def test_settings_that_are_refused(key: str, value: Any, word: str) -> None:
    with pytest.raises(ConfigError, match=word) as caught:
        make_settings(**{key: value})
    assert key in str(caught.value)
    assert "\n" not in str(caught.value)
