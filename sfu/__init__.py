"""Ting's selective forwarding unit: ends ICE, DTLS and SCTP, forwards SRTP without decoding it."""
