"""ICE-lite, DTLS and SCTP: everything between a datagram and the engine or a data channel."""
