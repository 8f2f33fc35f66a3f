"""Settings of a cluster: how a node finds the others, and is found."""

from __future__ import annotations

from dataclasses import dataclass, field

MIN_SECRET_LENGTH = 32


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    cluster: str = field(default="", repr=False)
    """nats:// or tls:// URL of the NATS server that the nodes share, with JetStream; several parted by commas, with
    user:password@ or token@ where it asks for one. Empty: this node is alone, and needs nothing of all this."""
    cluster_secret: str = field(default="", repr=False)
    """What the nodes know and nobody else, at least 32 characters: with it they know each other."""
    cluster_secret_file: str = ""
    """File with cluster_secret."""
    cluster_ca: str = ""
    """PEM file with the certificates that a tls:// NATS server is trusted by. Empty: those of the system."""
    cluster_name: str = "ting"
    """Clusters that share a NATS server have different names."""
    cluster_replicas: int = 1
    """On how many NATS servers the registry is kept: 3 where NATS is a cluster of three."""
    node_name: str = ""
    """This node's name, which no other node has. Empty: the name of the host."""
    node_address: str = ""
    """Name or address under which the other nodes reach this one. Empty: the first address that this host has in a
    network, 127.0.0.1 with --dev. An address that this host does not have itself, such as the outer one of a NAT, is
    where its media over UDP is reached as well."""
    node_port: int = 7883
    """TCP port for the other nodes."""
    node_ttl_s: float = 3.0
    """A node that has not been heard of for so long is gone. It is heard of three times as often."""
    cluster_timeout_s: float = 2.0
    """How long the NATS server may take to answer before it counts as away."""
