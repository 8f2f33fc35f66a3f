"""Groups of sealed rooms over REST: SEALED.md, section 3. All content is base64url without padding, and opaque."""

from __future__ import annotations

from typing import Annotated

import msgspec

from signaling.api.gate import Gate, hash_of_gate
from signaling.api.typed import Access, Input, Struct, route
from signaling.errors import ApiError
from signaling.rooms.roles import Actor
from signaling.sealed.delivery import Delivery, Welcome, require_sealed, require_size
from signaling.sealed.presence import Presence
from signaling.sealed.records import NO_EPOCH, Commit, Wrapped
from signaling.sealed.settings import SealedSettings

Opaque = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]*$")]
Device = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{16,64}$")]
GroupId = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{0,64}$")]
_NOT_HERE = ("not_sealed",)


class JoinView(Struct, rename={"sender": "from"}):
    device: str
    sender: str
    """A member id."""
    name: str
    key_package: str
    proof: str


class PresentView(Struct):
    device: str
    member_id: str
    name: str


class SealView(Struct):
    group: str
    """Empty: there is no group yet."""
    epoch: int
    """-1: none yet."""
    group_info: str
    joins: list[JoinView]
    """Devices that wait to be added, oldest first."""
    present: list[PresentView]
    """Devices that have the room open; whoever came first is the first."""


class JoinList(Struct):
    joins: list[JoinView]
    """Oldest first."""


class EpochOfGroup(Struct):
    group: str
    """Empty: there is no group yet."""
    epoch: int
    """-1: none yet."""


class HistoryKeys(Input):
    wrap: Opaque
    secrets: Opaque


class NewCommit(Input):
    device: Device
    gate: Gate
    """That of the room's first commit."""
    group: GroupId
    """That it was built on; empty: none."""
    epoch: Annotated[int, msgspec.Meta(ge=NO_EPOCH, lt=2**53)]
    group_info: Opaque
    """Of the epoch that it makes."""
    commit: Opaque = ""
    """Empty only with a new group."""
    welcome: Opaque = ""
    welcomed: Annotated[tuple[Device, ...], msgspec.Meta(max_length=2000)] = ()
    """Devices that the welcome is for."""
    history: HistoryKeys | None = None
    new_group: bool = False
    """Begins another group at epoch 0, in place of the one that is named."""
    group_id: GroupId = ""
    """Of the new group."""


class CommitAnswer(Struct):
    epoch: int


class CommitsQuery(Input):
    group: GroupId
    since: Annotated[int, msgspec.Meta(ge=NO_EPOCH, lt=2**53)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


class CommitView(Struct, rename={"sender": "from"}):
    epoch: int
    """That it has made."""
    commit: str
    sender: str
    device: str


class CommitList(Struct):
    commits: list[CommitView]
    more: bool


class Wish(Input):
    """To be added to the group."""

    key_package: Annotated[str, msgspec.Meta(min_length=1, pattern="^[A-Za-z0-9_-]*$")]
    proof: Annotated[str, msgspec.Meta(max_length=128, pattern="^[A-Za-z0-9_-]*$")]


class NewJoin(Wish):
    device: Device


class JoinAnswer(Struct):
    ttl_s: float
    """How long it waits at most."""


class HistoryQuery(Input):
    since: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] = 0
    """The `n` of the newest one that is known."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 500


class EpochView(Struct):
    n: int
    group: str
    epoch: int
    wrap: str
    secrets: str


class EpochList(Struct):
    epochs: list[EpochView]
    more: bool


class Backup(Struct):
    blob: str


class NewBackup(Input):
    blob: Annotated[str, msgspec.Meta(min_length=1, pattern="^[A-Za-z0-9_-]*$")]


class SealedEndpoint:
    def __init__(self, delivery: Delivery, presence: Presence, settings: SealedSettings) -> None:
        self._delivery = delivery
        self._presence = presence
        self._settings = settings
        self.max_body_bytes = settings.max_request_bytes

    @route("GET", "/api/v1/rooms/{room}/seal", access=Access.GUEST, errors=_NOT_HERE)
    async def get_seal(self, actor: Actor) -> SealView:
        """The group of a sealed room, and who is there and waits.

        With `group_info` a device comes in by an external commit where nobody is there to add it.
        """
        group = await self._delivery.group(actor)
        present = [
            PresentView(device=one.device, member_id=one.member_id, name=one.name)
            for one in self._presence.present(actor.room_key)
        ]
        return SealView(
            group=group.group_id,
            epoch=group.epoch,
            group_info=group.group_info,
            joins=self._joins(actor),
            present=present,
        )

    def _joins(self, actor: Actor) -> list[JoinView]:
        return [
            JoinView(device=j.device, sender=j.member_id, name=j.name, key_package=j.key_package, proof=j.proof)
            for j in self._presence.joins(actor.room_key)
        ]

    @route("GET", "/api/v1/rooms/{room}/seal/epoch", access=Access.GUEST, errors=_NOT_HERE)
    async def get_epoch(self, actor: Actor) -> EpochOfGroup:
        """Which group a sealed room has, and its epoch.

        For whoever comes where others are: the whole of `seal` has some hundred bytes for each of them.
        """
        group, epoch = await self._delivery.epoch(actor)
        return EpochOfGroup(group=group, epoch=epoch)

    @route("GET", "/api/v1/rooms/{room}/seal/joins", access=Access.GUEST, errors=_NOT_HERE)
    async def get_joins(self, actor: Actor) -> JoinList:
        """The devices that wait to be added, for whoever adds them."""
        require_sealed(actor)
        return JoinList(joins=self._joins(actor))

    @route(
        "POST", "/api/v1/rooms/{room}/seal/commits", access=Access.GUEST, status=201,
        errors=(*_NOT_HERE, "epoch_conflict", "link_required", "taken"),
    )  # fmt: skip
    async def commit(self, actor: Actor, body: NewCommit) -> CommitAnswer:
        """Make the next epoch of the group, or a new group.

        Of those who try at once one is first, and the others get `epoch_conflict`. The same again is the same commit.
        """
        self._check(body)
        commit = Commit(
            after_group=body.group,
            after_epoch=body.epoch,
            group_id=body.group_id if body.new_group else body.group,
            epoch=0 if body.new_group else body.epoch + 1,
            member_id=actor.member_id,
            device=body.device,
            message=body.commit,
            group_info=body.group_info,
            history=None if body.history is None else Wrapped(body.history.wrap, body.history.secrets),
            gate_hash=hash_of_gate(body.gate),
        )
        welcome = Welcome(body.welcome, frozenset(body.welcomed))
        return CommitAnswer(epoch=await self._delivery.commit(actor, commit, welcome))

    def _check(self, body: NewCommit) -> None:
        settings = self._settings
        require_size(body.commit, settings.max_commit_bytes)
        require_size(body.group_info, settings.max_group_info_bytes)
        require_size(body.welcome, settings.max_welcome_bytes)
        if body.history is not None:
            self._check_keys(body.history.wrap, body.history.secrets)
        if body.new_group != bool(body.group_id) or body.group_id == body.group:
            raise ApiError("invalid_body", "A new group, and only that, has a group_id of its own.")
        if bool(body.group) != (body.epoch > NO_EPOCH) or not (body.new_group or (body.group and body.commit)):
            raise ApiError("invalid_body", "A commit is built on an epoch of a group, a first group on none.")

    def _check_keys(self, wrap: str, secrets: str) -> None:
        for part in (wrap, secrets):
            require_size(part, self._settings.max_history_bytes)

    @route("GET", "/api/v1/rooms/{room}/seal/commits", access=Access.GUEST, errors=(*_NOT_HERE, "epoch_gone"))
    async def get_commits(self, actor: Actor, query: CommitsQuery) -> CommitList:
        """The commits after an epoch, for whoever missed them."""
        found, more = await self._delivery.commits(actor, query.group, query.since, query.limit)
        commits = [CommitView(epoch=c.epoch, commit=c.message, sender=c.member_id, device=c.device) for c in found]
        return CommitList(commits=commits, more=more)

    @route(
        "POST", "/api/v1/rooms/{room}/seal/joins", access=Access.GUEST, status=202,
        errors=(*_NOT_HERE, "not_present", "taken", "limit_reached"),
    )  # fmt: skip
    async def wait(self, actor: Actor, body: NewJoin) -> JoinAnswer:
        """Ask those who are in the group to add a device, which has the room open.

        It waits until somebody welcomes it, until it leaves, or for a minute.
        """
        await self._delivery.wait(actor, body.device, body.key_package, body.proof)
        return JoinAnswer(ttl_s=self._settings.waiting_join_s)

    @route("GET", "/api/v1/rooms/{room}/seal/history", access=Access.GUEST, errors=_NOT_HERE)
    async def get_history(self, actor: Actor, query: HistoryQuery) -> EpochList:
        """The wrapped keys of epochs, oldest first, for those who may read what was said before they came."""
        found, more = await self._delivery.history(actor, query.since, query.limit)
        epochs = [EpochView(n=e.n, group=e.group_id, epoch=e.epoch, wrap=e.wrap, secrets=e.secrets) for e in found]
        return EpochList(epochs=epochs, more=more)

    @route("DELETE", "/api/v1/rooms/{room}/seal/gate", access=Access.OWNER, errors=_NOT_HERE)
    async def forget_gate(self, actor: Actor) -> None:
        """Forget which link is the room's.

        For a room whose first commit came from somebody without it: whoever commits next decides.
        """
        await self._delivery.forget_gate(actor)

    @route("GET", "/api/v1/rooms/{room}/seal/backup", access=Access.GUEST, errors=(*_NOT_HERE, "not_found"))
    async def get_backup(self, actor: Actor) -> Backup:
        """What one keeps for one's other devices, encrypted with the recovery key."""
        return Backup(blob=await self._delivery.backup(actor))

    @route("PUT", "/api/v1/rooms/{room}/seal/backup", access=Access.GUEST, errors=(*_NOT_HERE, "limit_reached"))
    async def put_backup(self, actor: Actor, body: NewBackup) -> None:
        """Keep something for one's other devices, in place of what was kept before."""
        require_size(body.blob, self._settings.max_seal_backup_bytes)
        await self._delivery.put_backup(actor, body.blob)

    @route("DELETE", "/api/v1/rooms/{room}/seal/backup", access=Access.GUEST, errors=_NOT_HERE)
    async def remove_backup(self, actor: Actor) -> None:
        """Keep nothing any more."""
        await self._delivery.remove_backup(actor)
