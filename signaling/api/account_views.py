"""What the routes of accounts take and answer with."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from signaling.accounts.devices import AccountSession
from signaling.accounts.records import AccountRow
from signaling.api.typed import Input, Struct

# Longer than anything that is accepted, short enough to be looked at.
Name = Annotated[str, msgspec.Meta(max_length=256)]
Code = Annotated[str, msgspec.Meta(max_length=4096)]
Password = Annotated[str, msgspec.Meta(max_length=8192)]


class SignInMethods(Struct):
    password: bool
    passkey: bool
    openid: str | None
    """What people know the provider by; null: there is none."""
    registration: str
    """closed, invite or open."""


class AccountView(Struct):
    account_id: str
    name: str
    is_admin: bool
    has_password: bool
    has_openid: bool
    """Whether one can sign in with the provider."""
    device_id: str
    """The device that asks."""
    is_proved: bool
    """Whether weighty things may be done without a new proof."""


class DeviceView(Struct):
    device_id: str
    name: str
    created_at_ms: int
    seen_at_ms: int
    is_this: bool
    """Whether it is the one that asks."""


class DeviceList(Struct):
    devices: list[DeviceView]


class PasskeyView(Struct):
    passkey_id: str
    name: str
    created_at_ms: int
    used_at_ms: int
    """0: never since it was added."""


class PasskeyList(Struct):
    passkeys: list[PasskeyView]


class CeremonyView(Struct):
    """For `navigator.credentials`, whose answer goes back with the ticket."""

    ticket: str
    options: dict[str, Any]


class Departure(Struct):
    url: str
    """Where to send the browser."""


class OpenidArrival(Struct):
    purpose: str
    """sign_in, prove or link."""
    account: AccountView


class OtherAccount(Struct):
    account_id: str
    name: str
    is_admin: bool
    is_disabled: bool
    has_password: bool
    created_at_ms: int


class AccountPage(Struct):
    accounts: list[OtherAccount]
    next: str | None
    """For `after` of the next page; null: there is none."""


class InvitationView(Struct):
    code: str
    expires_at_ms: int


class Credentials(Input):
    name: Name
    password: Password


class Registration(Input):
    name: Name
    password: Password
    invitation: Name = ""


class PasskeyRegistration(Input):
    name: Name
    invitation: Name = ""


class Ticket(Input):
    ticket: Name
    credential: dict[str, Any]
    """PublicKeyCredential as JSON (Web Authentication Level 3, 5.1.8)."""


class RegistrationTicket(Input):
    ticket: Name
    credential: dict[str, Any]
    invitation: Name = ""


class NamedTicket(Input):
    ticket: Name
    credential: dict[str, Any]
    name: Name = ""


class OpenidDeparture(Input):
    invitation: Name = ""


class OpenidAnswer(Input):
    """What the provider put into the address of the page that it sent the browser to."""

    state: Code
    code: Code
    iss: Code = ""


class NewName(Input):
    name: Name


class NewPassword(Input):
    password: Password


class NewOtherAccount(Input):
    name: Name
    password: Password
    is_admin: bool = False


class Change(Input):
    """What is left out stays."""

    is_admin: bool | None = None
    is_disabled: bool | None = None


class PageQuery(Input):
    after: Name = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


def account_view(account: AccountRow, session: AccountSession, *, has_openid: bool, is_proved: bool) -> AccountView:
    return AccountView(
        account_id=account.account_id,
        name=account.name,
        is_admin=account.is_admin,
        has_password=bool(account.password_hash),
        has_openid=has_openid,
        device_id=session.device_id,
        is_proved=is_proved,
    )


def other_account(row: AccountRow) -> OtherAccount:
    return OtherAccount(
        account_id=row.account_id,
        name=row.name,
        is_admin=row.is_admin,
        is_disabled=row.is_disabled,
        has_password=bool(row.password_hash),
        created_at_ms=row.created_at_ms,
    )
