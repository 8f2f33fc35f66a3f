"""Groups as Python programs have them; the page's tests hold the same of the same library."""

from __future__ import annotations

import pytest

from sealed.mls import (
    Changes,
    Committed,
    Device,
    Failure,
    Group,
    Library,
    MlsError,
    Proposed,
    new_device,
    new_key_package,
    read_header,
)

LINK = b"the secret of the link, 32 bytes"


def room(library: Library) -> tuple[Device, Group]:
    device = new_device(library, "ada", "laptop")
    return device, Group.create(library, device, b"room", LINK, b"sealed")


def join(library: Library, group: Group, identity: str = "bob") -> tuple[Device, Group, bytes]:
    device = new_device(library, identity, "phone")
    joined, commit = Group.external(library, device, group.group_info(), LINK)
    return device, joined, commit


def failure(error: pytest.ExceptionInfo[MlsError]) -> Failure:
    return error.value.failure


def test_a_newcomer_with_the_link_is_a_member_and_all_see_who_it_is(library: Library) -> None:
    ada, group = room(library)
    bob, joined, commit = join(library, group)
    event = group.process(commit)
    assert isinstance(event, Committed)
    assert event.is_external
    assert event.by is not None
    assert (event.by.identity, event.by.device, event.by.public_key) == ("bob", "phone", bob.public_key)
    assert [member.leaf for member in event.added] == [1]
    assert event.removed == []
    assert group.authenticator() == joined.authenticator()
    assert group.exporter("ting media", b"x", 16) == joined.exporter("ting media", b"x", 16)
    assert [member.public_key for member in joined.members()] == [ada.public_key, bob.public_key]


def test_a_newcomer_without_the_link_is_refused(library: Library) -> None:
    _, group = room(library)
    device = new_device(library, "eve", "anything")
    with pytest.raises(MlsError) as error:
        Group.external(library, device, group.group_info(), b"")
    assert failure(error) is Failure.NO_LINK
    _, commit = Group.external(library, device, group.group_info(), b"guessed")
    with pytest.raises(MlsError) as error:
        group.process(commit)
    assert failure(error) is Failure.BAD_MESSAGE
    assert group.state().epoch == 0


def test_a_welcome_admits_several_and_hands_the_link_on(library: Library) -> None:
    _, group = room(library)
    devices = [new_device(library, name, "bot") for name in ("one", "two")]
    packages = [new_key_package(library, device) for device in devices]
    commit = group.commit(Changes(adds=[package.message for package in packages], note=b"two bots"))
    event = group.apply()
    assert ([member.identity for member in event.added], event.note) == (["one", "two"], b"two bots")
    for device, package in zip(devices, packages, strict=True):
        added, spent = Group.welcome(library, device, commit.welcome, [package.secret])
        assert (spent, added.link) == (package.id, LINK)
        assert added.authenticator() == group.authenticator()
        assert added.state().agreed == b"sealed"


def test_who_is_removed_has_no_more_secrets(library: Library) -> None:
    _, group = room(library)
    _, joined, commit = join(library, group)
    group.process(commit)
    removal = group.commit(Changes(removes=[1]))
    group.apply()
    event = joined.process(removal.message)
    assert isinstance(event, Committed)
    assert event.is_removed
    for act in (joined.authenticator, joined.members, joined.group_info, joined.commit):
        with pytest.raises(MlsError) as error:
            act()
        assert failure(error) is Failure.NOT_MEMBER
    assert joined.state().is_removed


def test_a_goodbye_is_carried_out_by_another(library: Library) -> None:
    _, group = room(library)
    _, joined, commit = join(library, group)
    group.process(commit)
    event = group.process(joined.propose_removal(1))
    assert isinstance(event, Proposed)
    assert event.removes is not None
    assert (event.removes.identity, event.by, event.adds) == ("bob", event.removes, None)
    group.commit()
    assert [member.identity for member in group.apply().removed] == ["bob"]


def test_what_was_saved_goes_on_where_it_was(library: Library) -> None:
    _, group = room(library)
    _, joined, commit = join(library, group)
    group.process(commit)
    sent = group.commit()
    saved = group.save()
    group.forget()
    with pytest.raises(MlsError) as error:
        group.authenticator()
    assert failure(error) is Failure.UNKNOWN_GROUP
    restored = Group.restore(Library(), saved)
    restored.process(sent.message)
    joined.process(sent.message)
    assert restored.authenticator() == joined.authenticator()


def test_messages_of_other_epochs_are_told_apart(library: Library) -> None:
    _, group = room(library)
    _, joined, commit = join(library, group)
    group.process(commit)
    group.commit()
    group.apply()
    ahead = group.commit(Changes(agreed=b"open"))
    header = read_header(library, ahead.message)
    assert (header.kind, header.group, header.epoch) == ("commit", b"room", 2)
    with pytest.raises(MlsError) as error:
        joined.process(ahead.message)
    assert failure(error) is Failure.FUTURE_EPOCH
    group.apply()
    assert group.state().agreed == b"open"
    with pytest.raises(MlsError) as error:
        group.process(ahead.message)
    assert failure(error) is Failure.STALE_EPOCH


def test_secrets_do_not_show_when_something_is_printed(library: Library) -> None:
    device, _ = room(library)
    package = new_key_package(library, device)
    assert str(device.secret_key) not in repr(device)
    assert str(package.secret) not in repr(package)


def test_a_name_with_a_nul_is_no_name(library: Library) -> None:
    with pytest.raises(ValueError, match="NUL"):
        new_device(library, "ada\0mallory", "laptop")
