"""The LiveKit signalling protocol: protobuf in and out, one small handler per message."""
