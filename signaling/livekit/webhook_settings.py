"""Settings of webhooks, and what they must hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from signaling.config_values import is_url, one_line
from signaling.errors import ConfigError

WEBHOOK_FORMATS = ("livekit", "cloudevents")
WEBHOOK_EVENTS = frozenset(
    {
        "room_started", "room_finished", "participant_joined", "participant_left", "participant_connection_aborted",
        "track_published", "track_unpublished",
    }
)  # fmt: skip
MAX_WEBHOOKS = 16


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """`format` is livekit or cloudevents; `events` names the wanted ones (empty: all); `api_key` signs (empty: the
    first one)."""

    url: str = ""
    format: str = "livekit"
    events: tuple[str, ...] = ()
    api_key: str = ""


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    webhooks: tuple[WebhookTarget, ...] = ()
    """URLs that are told what happens in rooms; each has url, and may have format, events and api_key."""
    webhook_timeout_s: float = 5.0
    """How long one delivery may take."""
    webhook_connections: int = 4
    """Deliveries to one URL at the same time; those of one room always go one after another."""
    webhook_max_queued: int = 10_000
    """Deliveries that wait for one URL; more are dropped, and the next one says how many."""
    webhook_max_attempts: int = 100
    """A delivery that failed this often is given up."""
    webhook_max_age_s: float = 86_400.0
    """A delivery that is older is given up."""
    webhook_retry_initial_s: float = 1.0
    """Wait after the first failure; each further failure doubles it."""
    webhook_retry_max_s: float = 300.0
    """Longest wait between two attempts."""
    webhook_lease_s: float = 15.0
    """A process that shows no life in the database for this long loses its deliveries to others on the same one."""


def check_webhooks(targets: Sequence[WebhookTarget], keys: Mapping[str, str]) -> None:
    """Raises `ConfigError`."""
    if len(targets) > MAX_WEBHOOKS:
        raise ConfigError(f"webhooks: at most {MAX_WEBHOOKS} tables")
    if len({target.url for target in targets}) < len(targets):
        raise ConfigError("webhooks: a url stands there twice")
    for number, target in enumerate(targets, start=1):
        place = f"webhooks, table {number}"
        if not is_url(target.url, ("http", "https")):
            raise ConfigError(f"{place}: url must be an http or https URL without a password")
        if target.format not in WEBHOOK_FORMATS:
            raise ConfigError(f"{place}: format is none of {', '.join(WEBHOOK_FORMATS)}")
        for name in target.events:
            if name not in WEBHOOK_EVENTS:
                known = ", ".join(sorted(WEBHOOK_EVENTS))
                raise ConfigError(f"{place}: {one_line(name)} is no event; there are {known}")
        if target.api_key and target.api_key not in keys:
            raise ConfigError(f"{place}: {one_line(target.api_key)} is no API key of this server")
