"""Settings of accounts."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from signaling.config_values import is_url, read_secret
from signaling.errors import ConfigError

REGISTRATION = ("closed", "invite", "open")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
MIN_HASH_MEMORY_KIB = 8
"""Argon2's own least for one lane (RFC 9106, 3.1)."""


@dataclass(frozen=True, slots=True)
class AccountSettings:
    accounts: bool = False
    """Whether people can have accounts. Guests need none, ever."""
    registration: str = "closed"
    """Who may make an account: closed (an admin makes it), invite (whoever has an admin's invitation) or open."""
    passkey_sign_in: bool = True
    """Whether accounts may have passkeys. Their page must be reached over HTTPS, or on localhost."""
    password_sign_in: bool = True
    """Whether accounts may have passwords."""
    openid_issuer: str = ""
    """URL of an OpenID provider that people may sign in with; public_url is needed then. Empty: none."""
    openid_client_id: str = ""
    """What the provider calls this server."""
    openid_client_secret: str = field(default="", repr=False)
    """The secret that belongs to it."""
    openid_client_secret_file: str = ""
    """File with openid_client_secret."""
    openid_name: str = "OpenID Connect"
    """What people know the provider by."""
    openid_registration: bool = False
    """Whether whoever signs in with the provider gets an account, whatever `registration` says."""
    openid_timeout_s: float = 5.0
    """How long the provider may take for one answer."""
    openid_max_bytes: int = 65_536
    """A larger answer of the provider is refused."""
    openid_refresh_s: float = 3600.0
    """How long the provider's configuration and keys are kept; an unknown key makes them be fetched again."""
    sign_in_timeout_s: float = 600.0
    """How long a sign-in may take that waits for a passkey or for the provider."""
    max_pending_sign_ins: int = 10_000
    """Sign-ins that wait for a passkey or for the provider; of more, the oldest are forgotten."""
    session_idle_s: float = 1_209_600.0
    """A device that was not seen for this long is signed out."""
    session_max_s: float = 7_776_000.0
    """A device is signed out this long after it signed in, whatever it did."""
    session_refresh_s: float = 5.0
    """How long what is known of a device is believed before the database is asked again."""
    session_seen_s: float = 60.0
    """How often it is written down that a device was seen."""
    device_watch_s: float = 0.5
    """How often the database is asked which devices others have ended: other processes and `ting account`."""
    max_cached_devices: int = 10_000
    """Devices that are kept in memory."""
    step_up_s: float = 300.0
    """How long after a proof (password, passkey or a fresh sign-in with the provider) weighty things may be done."""
    sign_in_tries_per_minute: float = 20.0
    """Tries to sign in, to register or to prove who one is, per address (IPv6: per /64)."""
    account_tries_per_minute: float = 10.0
    """The same per account, from wherever they come."""
    min_password_length: int = 8
    """Characters of a password at least."""
    max_password_length: int = 1024
    """Characters of a password at most."""
    password_memory_kib: int = 19_456
    """Memory of one password hash (argon2id)."""
    password_passes: int = 2
    """Passes over that memory."""
    max_waiting_passwords: int = 100
    """Passwords that wait to be hashed; as many as there are CPUs are hashed at once."""
    max_accounts: int = 100_000
    """Accounts of this server."""
    max_passkeys_per_account: int = 20
    """Passkeys of one account."""
    max_devices_per_account: int = 50
    """Devices of one account that are signed in; one more ends the one that was not seen for longest."""
    account_invitation_ttl_s: float = 604_800.0
    """How long an invitation to make an account is good for."""
    max_account_invitations: int = 1000
    """Invitations that nobody has used yet."""


def openid_secret(settings: AccountSettings) -> str:
    """The provider's secret, from its file if there is one. Raises `ConfigError`."""
    if settings.openid_client_secret_file:
        return read_secret(settings.openid_client_secret_file, "openid_client_secret_file")
    return settings.openid_client_secret


def check_accounts(settings: AccountSettings, public_url: str) -> None:
    """Raises `ConfigError`."""
    if settings.registration not in REGISTRATION:
        raise ConfigError(f"registration: one of {', '.join(REGISTRATION)} is needed")
    if settings.min_password_length > settings.max_password_length:
        raise ConfigError("min_password_length: must not be more than max_password_length")
    if settings.password_memory_kib < MIN_HASH_MEMORY_KIB:
        raise ConfigError(f"password_memory_kib: at least {MIN_HASH_MEMORY_KIB}")
    if not settings.openid_issuer:
        return
    if not is_provider_url(settings.openid_issuer):
        raise ConfigError("openid_issuer: an https URL without a password is needed (http on loopback)")
    if not settings.openid_client_id:
        raise ConfigError("openid_client_id: is needed with openid_issuer")
    if settings.openid_client_secret and settings.openid_client_secret_file:
        raise ConfigError("openid_client_secret and openid_client_secret_file: set one of them")
    openid_secret(settings)
    if urlsplit(public_url).scheme not in ("http", "https"):
        raise ConfigError("openid_issuer: public_url is needed too (http or https): the provider sends people there")


def is_provider_url(text: str) -> bool:
    """Whether this server may be sent there: https, or http on loopback."""
    return is_url(text, ("https",)) or (is_url(text, ("http",)) and urlsplit(text).hostname in _LOOPBACK)
