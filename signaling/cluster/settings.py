"""What the settings of a cluster have to say."""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

from sfu.api import ClusterPlace
from sfu.bus.settings import MIN_SECRET_LENGTH, ClusterSettings
from signaling.config_values import one_line, read_secret
from signaling.errors import ConfigError

_NODE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62})")


def place_of(settings: ClusterSettings, *, dev: bool) -> ClusterPlace:
    """Of this node, as the settings say or by itself. Raises `ConfigError`."""
    name = settings.node_name or socket.gethostname()
    if not _NODE_NAME.fullmatch(name):
        raise ConfigError(f"node_name: {one_line(name)} is no name of letters, digits, dots, dashes, underscores")
    secret = settings.cluster_secret or read_secret(settings.cluster_secret_file, "cluster_secret_file")
    if len(secret) < MIN_SECRET_LENGTH:
        raise ConfigError(f"cluster_secret: at least {MIN_SECRET_LENGTH} characters are needed")
    return ClusterPlace(name, secret, "127.0.0.1" if dev else "", settings.node_port, settings.node_address)


def check_cluster(settings: ClusterSettings, database_url: str, *, dev: bool) -> None:
    """Raises `ConfigError`."""
    if not settings.cluster:
        return
    for url in settings.cluster.split(","):
        try:
            parts = urlsplit(url.strip())
            good = parts.scheme in ("nats", "tls") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise ConfigError("cluster: nats://host:port of the NATS server is needed, or several parted by commas")
    if not database_url.startswith(("postgresql", "postgres")):
        raise ConfigError("database_url: the nodes of a cluster share one database: postgresql://… is needed")
    if settings.cluster_secret and settings.cluster_secret_file:
        raise ConfigError("cluster_secret and cluster_secret_file: set one of them")
    if not settings.cluster_secret and not settings.cluster_secret_file:
        raise ConfigError("cluster_secret: the nodes of a cluster know each other by one; none is set")
    place_of(settings, dev=dev)
