"""What a cluster needs in the settings, and the sentence for what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from signaling.cluster.settings import place_of
from signaling.config import Settings, load_settings
from signaling.errors import ConfigError

SECRET = "s" * 32
GOOD = {
    "TING_CLUSTER": "nats://127.0.0.1:4222",
    "TING_CLUSTER_SECRET": SECRET,
    "TING_DATABASE_URL": "postgresql://ting@127.0.0.1/ting",
    "TING_NODE_NAME": "berlin-1",
}


def load(**changes: str) -> Settings:
    return load_settings({"dev": True}, {**GOOD, **changes})


def test_a_whole_one_is_taken() -> None:
    place = place_of(load().cluster, dev=True)
    assert (place.name, place.secret, place.host, place.port) == ("berlin-1", SECRET, "127.0.0.1", 7883)
    assert SECRET not in repr(place)
    assert SECRET not in repr(load())


def test_the_secret_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    settings = load(TING_CLUSTER_SECRET="", TING_CLUSTER_SECRET_FILE=str(file))
    assert place_of(settings.cluster, dev=False).secret == SECRET


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"TING_DATABASE_URL": ""}, "database_url"),
        ({"TING_DATABASE_URL": "sqlite:///ting.db"}, "database_url"),
        ({"TING_CLUSTER": "http://127.0.0.1"}, "cluster"),
        ({"TING_CLUSTER": "nats://"}, "cluster"),
        ({"TING_CLUSTER_SECRET": ""}, "cluster_secret"),
        ({"TING_CLUSTER_SECRET": "short"}, "cluster_secret"),
        ({"TING_CLUSTER_SECRET": "", "TING_CLUSTER_SECRET_FILE": "/nowhere"}, "cluster_secret_file"),
        ({"TING_CLUSTER_SECRET_FILE": "/nowhere"}, "cluster_secret and cluster_secret_file"),
        ({"TING_NODE_NAME": "a/b"}, "node_name"),
        ({"TING_NODE_PORT": "70000"}, "node_port"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, str], key: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: ") as refused:
        load(**changes)
    assert SECRET not in str(refused.value)
