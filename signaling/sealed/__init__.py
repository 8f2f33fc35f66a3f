"""Sealed rooms: the delivery service of their MLS groups. It orders and keeps what it cannot read."""
