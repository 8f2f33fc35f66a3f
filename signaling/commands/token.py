"""`ting token`: print a room token."""

from __future__ import annotations

import argparse

from sfu.api import TrackSource
from signaling.commands.options import add_key_options, read_settings, say
from signaling.errors import ConfigError
from signaling.grants import KINDS, Grants
from signaling.rooms import calls as rooms
from signaling.tokens import TokenService


def add_options(parser: argparse.ArgumentParser) -> None:
    add_key_options(parser)
    add = parser.add_argument
    add("--room", required=True, help="room that the token is for")
    add("--identity", required=True, help="who the bearer is in the room; unique there")
    add("--name", default="", help="name that the others see")
    add("--metadata", default="", help="text that goes with the participant")
    add("--kind", default="standard", choices=sorted(KINDS), help="kind of participant (default standard)")
    add("--ttl", type=_seconds, default=21_600, metavar="SECONDS", help="validity in seconds (default 21600)")
    add("--no-publish", action="store_true", help="the bearer may not publish tracks")
    add("--no-subscribe", action="store_true", help="the bearer may not receive tracks")
    add("--no-data", action="store_true", help="the bearer may not send data")
    add(
        "--publish-source", action="append", default=[], choices=[str(source) for source in TrackSource],
        help="the bearer may publish these sources only; may be repeated",
    )  # fmt: skip
    add("--update-own-metadata", action="store_true", help="the bearer may change its own name and metadata")
    add("--room-admin", action="store_true", help="the bearer may moderate the room")
    add("--room-create", action="store_true", help="the bearer may create rooms")
    add("--room-list", action="store_true", help="the bearer may list rooms")


def _seconds(text: str) -> int:
    value = int(text)
    if not 0 < value < 2**31:
        raise ValueError
    return value


def run(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    if not rooms.is_clean(options.room, rooms.MAX_ROOM_NAME_LENGTH):
        raise ConfigError("--room: no acceptable room name")
    if not rooms.is_clean(options.identity, rooms.MAX_IDENTITY_LENGTH):
        raise ConfigError("--identity: no acceptable identity")
    if options.name and not rooms.is_clean(options.name, rooms.MAX_NAME_LENGTH):
        raise ConfigError("--name: no acceptable name")
    if options.ttl > settings.tokens.max_token_ttl_s:
        raise ConfigError(f"--ttl: the server takes at most max_token_ttl_s ({settings.tokens.max_token_ttl_s:.0f})")
    grants = Grants(
        identity=options.identity,
        name=options.name,
        room=options.room,
        room_join=True,
        room_create=options.room_create,
        room_list=options.room_list,
        room_admin=options.room_admin,
        can_publish=not options.no_publish,
        can_subscribe=not options.no_subscribe,
        can_publish_data=not options.no_data,
        can_publish_sources=frozenset(TrackSource(source) for source in options.publish_source),
        can_update_own_metadata=options.update_own_metadata,
        kind=KINDS[options.kind],
        metadata=options.metadata,
    )
    say(TokenService(settings.tokens.keys).issue(grants, options.ttl))
    return 0
