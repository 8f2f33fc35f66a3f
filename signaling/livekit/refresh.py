"""A client in a long call needs a valid token to come back with: it gets a new one before the old one ends, and
whenever what the token says of it has changed."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable

from sfu.api import ParticipantInfo
from signaling.grants import Grants
from signaling.rooms.calls import permissions_of
from signaling.tokens import TokenService


class TokenRefresher:
    """For one connection. `send` gets each new token, which is valid for `ttl_s` or as long as the client's own one,
    whichever is longer. `clock` gives Unix time in seconds."""

    def __init__(
        self,
        tokens: TokenService,
        grants: Grants,
        ttl_s: float,
        send: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = tokens
        self._grants = grants
        self._ttl_s = ttl_s
        self._send = send
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._expires_at = grants.expires_at

    def start(self) -> None:
        """The client has its own token, which may be about to end."""
        self._schedule()

    def handle_info(self, info: ParticipantInfo) -> None:
        """What the participant is now."""
        grants = with_state(self._grants, info)
        if grants != self._grants:
            self._grants = grants
            self._refresh()

    def move_to(self, room: str) -> str:
        """A token for another room, to be sent by the caller."""
        self._grants = dataclasses.replace(self._grants, room=room)
        token = self._issue()
        self._schedule()
        return token

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _issue(self) -> str:
        ttl_s = max(self._ttl_s, self._grants.expires_at - self._clock())
        self._expires_at = self._clock() + ttl_s
        token = self._tokens.issue(self._grants, ttl_s)
        if len(token) > self._tokens.max_token_bytes:
            # Nobody would take it. What it says of the participant is the least of it.
            token = self._tokens.issue(dataclasses.replace(self._grants, metadata="", attributes={}), ttl_s)
        return token

    def _refresh(self) -> None:
        self._send(self._issue())
        self._schedule()

    def _schedule(self) -> None:
        self.stop()
        delay_s = max(0.0, self._expires_at - self._clock() - self._ttl_s / 2)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._refresh)


def with_state(grants: Grants, info: ParticipantInfo) -> Grants:
    """`grants` as a participant that is now as `info` says would have them."""
    permissions = info.permissions
    if permissions == permissions_of(grants) and (info.name, info.metadata, info.attributes) == (
        grants.name, grants.metadata, grants.attributes,
    ):  # fmt: skip
        return grants
    return dataclasses.replace(
        grants,
        name=info.name,
        metadata=info.metadata,
        attributes=dict(info.attributes),
        can_publish=permissions.can_publish,
        can_subscribe=permissions.can_subscribe,
        can_publish_data=permissions.can_publish_data,
        can_publish_sources=permissions.can_publish_sources,
        can_update_own_metadata=permissions.can_update_metadata,
        can_subscribe_metrics=permissions.can_subscribe_metrics,
        can_manage_agent_session=permissions.can_manage_agent_session,
        recorder=permissions.recorder,
        agent=permissions.agent,
    )
