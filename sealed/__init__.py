"""For programs that take part in sealed rooms: bots, tools, tests. The server imports nothing of it."""
