from tests.harness.fixtures import embedded, join, room, server

__all__ = ["embedded", "join", "room", "server"]
