"""WHIP (RFC 9725) and WHEP: publish into a room and play from it with plain HTTP and one offer/answer exchange."""
