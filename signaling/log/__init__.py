"""The log of a room: everything that happened in it, in one order, for everybody the same."""
