"""Settings: sources and their order, types, limits, keys, and the sample that documents them all."""

from __future__ import annotations

import contextlib
import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.api import RoomOptions
from sfu.config import SfuConfig
from signaling.config import Settings, load_settings
from signaling.errors import ConfigError
from signaling.tokens import SAMPLE_SECRETS
from tests.signaling.harness import relaxed

SAMPLE = Path(__file__).resolve().parents[2] / "ting.sample.toml"
KEYS = {"TING_KEYS": "k: " + "s" * 32}


def load(
    flags: dict[str, str | bool] | None = None, environment: dict[str, str] | None = None, toml: Path | None = None
):
    return load_settings(flags or {}, {**KEYS, **(environment or {})}, toml)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "ting.toml"
    path.write_text(text, "utf-8")
    return path


def flat(settings: Settings) -> dict[str, Any]:
    """Every key of signaling with its value."""
    values: dict[str, Any] = {}
    for part in dataclasses.fields(settings):
        if part.name != "sfu":
            entries = flat_part(getattr(settings, part.name))
            assert not values.keys() & entries.keys(), "two parts have a key of the same name"
            values |= entries
    return values


def flat_part(part: Any) -> dict[str, Any]:
    return {entry.name: getattr(part, entry.name) for entry in dataclasses.fields(part)}


def test_the_sample_has_every_key_with_its_default_and_a_comment() -> None:
    text = SAMPLE.read_text("utf-8")
    document = tomllib.loads(text)
    sfu = document.pop("sfu")
    defaults = flat(Settings())
    assert set(document) == set(defaults)
    assert set(sfu) == {f.name for f in dataclasses.fields(SfuConfig)}
    for known, values in ((defaults, document), (flat_part(SfuConfig()), sfu)):
        for key, value in values.items():
            default = known[key]
            assert value == (list(default) if isinstance(default, tuple) else default), key
            assert type(value) is (list if isinstance(default, tuple) else type(default)), key
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if " = " in line and not line.startswith("#"):
            assert lines[number - 1].startswith("# "), f"{line} has no comment"


def test_the_sample_can_be_loaded_and_changes_nothing() -> None:
    assert load(toml=SAMPLE) == load()


def test_sample_secrets_in_the_sample_are_refused() -> None:
    shown = SAMPLE.read_text("utf-8")
    assert any(secret in shown for secret in SAMPLE_SECRETS if len(secret) >= 32)


def test_flags_beat_environment_beats_file_beats_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, "port = 1001\nlog_level = 'debug'\nguests = false\n[sfu]\nrtc_udp_port = 2001\n")
    settings = load(
        {"port": "1003"}, {"TING_PORT": "1002", "TING_LOG_LEVEL": "error", "TING_RTC_UDP_PORT": "2002"}, path
    )
    assert (settings.listener.port, settings.logs.log_level, settings.rooms.guests) == (1003, "error", False)
    assert (settings.sfu.rtc_udp_port, settings.listener.host) == (2002, "127.0.0.1")


def test_environment_values_take_the_type_of_their_key() -> None:
    settings = load(
        environment={
            "TING_GUESTS": "no", "TING_TOKEN_LEEWAY_S": "2.5", "TING_ADVERTISE": "192.0.2.1, 2001:db8::1",
            "TING_MAX_ROOMS": "7", "OTHER": "x",
        }
    )  # fmt: skip
    assert (settings.rooms.guests, settings.tokens.token_leeway_s) == (False, 2.5)
    assert (settings.sfu.advertise, settings.sfu.max_rooms) == (("192.0.2.1", "2001:db8::1"), 7)


@pytest.mark.parametrize(
    ("toml", "word"),
    [
        ("nonsense = 1", "nonsense"),
        ("[sfu]\nnonsense = 1", "sfu.nonsense"),
        ("port = '80'", "port"),
        ("port = true", "port"),
        ("port = 1.5", "port"),
        ("guests = 1", "guests"),
        ("trusted_proxies = '10.0.0.0/8'", "trusted_proxies"),
        ("trusted_proxies = [1]", "trusted_proxies"),
        ("keys = 'a: b'", "keys"),
        ("[keys]\na = 1", "keys"),
        ("port = ", "not TOML"),
        ("port = 70000", "port"),
        ("port = -1", "port"),
        ("sfu = 3", "unknown key sfu"),
        ("rtc_udp_port = 1", "unknown key"),
        ("[sfu]\nfec_packets = 1", "fec_packets"),
        ("[sfu]\nfec_packets = 16", "fec_packets"),
        ("[sfu]\nfec_packets = -1", "fec_packets"),
        ("token_leeway_s = 31", "token_leeway_s"),
        ("token_leeway_s = nan", "token_leeway_s"),
        ("max_token_ttl_s = inf", "max_token_ttl_s"),
        ("max_body_bytes = 0", "max_body_bytes"),
        ("ping_timeout_s = 5", "ping_timeout_s"),
        ("guest_token_ttl_s = 100000", "guest_token_ttl_s"),
        ("port = 7881", "rtc_tcp_port"),
        ("tls_cert = 'a.pem'", "tls_key"),
        ("api_key = 'a'", "api_secret_file"),
        ("api_key = 'a'\napi_secret_file = '/nonexistent/file'", "cannot be read"),
        ("public_url = 'example.org'", "public_url"),
        ("public_url = 'ftp://example.org'", "public_url"),
        ("public_url = 'https://[bad'", "public_url"),
        ("host = '1.2.3.4.5:6'", "host"),
        ("host = ''", "host"),
        ("log_level = 'loud'", "log_level"),
        ("log_format = 'xml'", "log_format"),
        ("metrics_allow = ['10.0.0.0/33']", "metrics_allow"),
        ("frame_ancestors = ['*']", "frame_ancestors"),
        ("frame_ancestors = ['example.org']", "frame_ancestors"),
        ("frame_ancestors = [\"https://example.org; script-src 'unsafe-inline'\"]", "frame_ancestors"),
        ("trusted_proxies = ['everyone']", "trusted_proxies"),
        ("[sfu]\nengine = 'steam'", "engine"),
        ("[sfu]\nadvertise = ['example.org']", "advertise"),
        ("[sfu]\nrtc_addresses = ['fe80::1%eth0']", "rtc_addresses"),
        ("[sfu]\nrtc_udp_port = 0", "rtc_udp_port"),
        ("room_presets = 7", "room_presets"),
        ("[room_presets]\na = 7", "room_presets"),
        ("[room_presets.a]\nempty_timeout = 7", "unknown key empty_timeout"),
        ("[room_presets.a]\nempty_timeout_s = 1.5", "room_presets.a, empty_timeout_s"),
        ("[room_presets.a]\nmax_participants = -1", "room_presets.a, max_participants"),
        (f"[room_presets.a]\nmetadata = '{'m' * 9000}'", "room_presets.a, metadata"),
        ("[room_presets.'']", "1 to 128"),
        ("\n".join(f"[room_presets.p{number}]" for number in range(101)), "at most 100"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, toml: str, word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(toml=write(tmp_path, toml))
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TING_PORT", "eighty"), ("TING_PORT", ""), ("TING_GUESTS", "perhaps"), ("TING_TOKEN_LEEWAY_S", "soon"),
        ("TING_KEYS", "nocolon"), ("TING_KEYS", "key:"), ("TING_NONSENSE", "1"),
    ],
)  # fmt: skip
def test_a_wrong_environment_names_the_variable(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=name):
        load(environment={name: text})


def test_room_presets_from_file_and_environment(tmp_path: Path) -> None:
    wanted = {"a": RoomOptions(departure_timeout_s=60, max_participants=3), "b c": RoomOptions()}
    toml = "[room_presets.a]\ndeparture_timeout_s = 60\nmax_participants = 3\n[room_presets.'b c']\n"
    assert load(toml=write(tmp_path, toml)).rooms.room_presets == wanted
    text = '{"a": {"departure_timeout_s": 60, "max_participants": 3}, "b c": {}}'
    assert load(environment={"TING_ROOM_PRESETS": text}).rooms.room_presets == wanted
    for bad in ("nonsense", "[]", '{"a": 7}'):
        with pytest.raises(ConfigError, match="TING_ROOM_PRESETS"):
            load(environment={"TING_ROOM_PRESETS": bad})


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(toml=tmp_path / "missing.toml")
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not TOML"):
        load(toml=path)


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ("", "no API key"),
        ("k: short", "shorter than 32"),
        ("devkey: " + "x" * 40, "sample key"),
        ("k: secret", "sample key"),
        ("k: replace-this-with-32-or-more-random-bytes", "sample key"),
        (f"good: {'x' * 32}, k: {'x' * 31}", "secret of k"),
    ],
)
def test_weak_keys_are_refused(keys: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        load_settings({}, {"TING_KEYS": keys} if keys else {})


def test_no_message_holds_a_secret() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({}, {"TING_KEYS": "k: hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "s" * 32 not in repr(load())


def test_development_keys_work_on_loopback_only() -> None:
    settings = load_settings({"dev": True})
    assert settings.tokens.keys == {"devkey": "secret"}
    assert settings.sfu.include_loopback
    for host in ("127.0.0.2", "::1", "localhost"):
        assert load_settings({"dev": True, "host": host}).listener.host == host
    for host in ("0.0.0.0", "192.0.2.1", "::", "example.org"):
        with pytest.raises(ConfigError, match="loopback"):
            load_settings({"dev": True, "host": host})


def test_a_secret_from_a_file_goes_first(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("f" * 40 + "\n", "utf-8")
    settings = load({"api_key": "filekey", "api_secret_file": str(secret)})
    assert list(settings.tokens.keys.items()) == [("filekey", "f" * 40), ("k", "s" * 32)]


@relaxed
@given(st.dictionaries(st.sampled_from(["port", "host", "guests", "keys", "sfu", "x"]), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=5,
)))  # fmt: skip
def test_any_document_is_taken_or_refused_cleanly(document: dict[str, Any]) -> None:
    from signaling.config import _PART_OF, _SFU_KEYS, _from_toml

    for key, value in document.items():
        if key in _PART_OF or key in _SFU_KEYS:
            with contextlib.suppress(ConfigError):
                _from_toml(key, value, key)


@relaxed
@given(
    st.dictionaries(
        st.sampled_from(["TING_PORT", "TING_KEYS", "TING_HOST", "TING_ADVERTISE", "TING_PUBLIC_URL"]),
        st.text(max_size=60),
    )
)
def test_any_environment_is_taken_or_refused_with_one_line(environment: dict[str, str]) -> None:
    message = ""
    try:
        load_settings({}, environment)
    except ConfigError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1
