"""The ceremonies of passkeys (Web Authentication Level 2), with py_webauthn, which is loaded with the first of them.

Passkeys are discoverable and verify their user; what made them is not asked for (attestation `none`).
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from typing import Any

from signaling.accounts.records import AccountRow, PasskeyRow
from signaling.errors import ApiError

MAX_CREDENTIAL_ID_BYTES = 1023
"""Web Authentication Level 2, 4, "Credential ID"."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where the page is that talks to the passkey, as its browser says it."""

    host: str
    """The relying party's id."""
    origins: tuple[str, ...]
    name: str
    """What people know it by."""

    @property
    def can_have_passkeys(self) -> bool:
        """Browsers keep passkeys for names only, not for IP addresses (Web Authentication Level 2, 5.1.3, step 8)."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return bool(self.host)
        return False


@dataclass(frozen=True, slots=True)
class NewPasskey:
    credential_id: bytes
    public_key: bytes
    sign_count: int


def creation_options(
    site: Site, account: AccountRow, known: list[PasskeyRow], challenge: bytes, timeout_s: float
) -> dict[str, Any]:
    """PublicKeyCredentialCreationOptions as JSON (5.1.8 of Level 3)."""
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = generate_registration_options(
        rp_id=site.host,
        rp_name=site.name,
        user_id=bytes.fromhex(account.account_id),
        user_name=account.name,
        user_display_name=account.name,
        challenge=challenge,
        timeout=round(timeout_s * 1000),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=passkey.credential_id) for passkey in known],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            require_resident_key=True,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
    )
    made: dict[str, Any] = json.loads(options_to_json(options))
    return made


def request_options(site: Site, known: list[PasskeyRow], challenge: bytes, timeout_s: float) -> dict[str, Any]:
    """PublicKeyCredentialRequestOptions as JSON; without `known` ones the browser offers those that it has."""
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

    options = generate_authentication_options(
        rp_id=site.host,
        challenge=challenge,
        timeout=round(timeout_s * 1000),
        allow_credentials=[PublicKeyCredentialDescriptor(id=passkey.credential_id) for passkey in known],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    made: dict[str, Any] = json.loads(options_to_json(options))
    return made


def verify_creation(site: Site, credential: dict[str, Any], challenge: bytes) -> NewPasskey:
    """Raises `ApiError` sign_in_failed."""
    from webauthn import verify_registration_response

    try:
        made = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=list(site.origins),
            require_user_verification=True,
        )
    except Exception:  # what the library raises for strange input is not only its own
        raise _refused() from None
    if not 0 < len(made.credential_id) <= MAX_CREDENTIAL_ID_BYTES:
        raise _refused()
    return NewPasskey(made.credential_id, made.credential_public_key, made.sign_count)


def credential_id_of(credential: dict[str, Any]) -> bytes:
    """Which passkey an answer says it comes from. Raises `ApiError` sign_in_failed."""
    from webauthn.helpers import base64url_to_bytes

    named = credential.get("rawId")
    try:
        found = base64url_to_bytes(named) if isinstance(named, str) else b""
    except ValueError:
        found = b""
    if not 0 < len(found) <= MAX_CREDENTIAL_ID_BYTES:
        raise _refused()
    return found


def verify_request(
    site: Site, credential: dict[str, Any], challenge: bytes, passkey: PasskeyRow, *, says_whose: bool
) -> int:
    """The new count of signatures. With `says_whose` it must name the account, as it does when it was chosen in the
    browser (7.2, step 6). Raises `ApiError` sign_in_failed."""
    from webauthn import verify_authentication_response
    from webauthn.helpers import parse_authentication_credential_json

    try:
        answer = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=list(site.origins),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
        handle = parse_authentication_credential_json(credential).response.user_handle
    except Exception:  # what the library raises for strange input is not only its own
        raise _refused() from None
    if (handle is None and says_whose) or (handle is not None and handle != bytes.fromhex(passkey.account_id)):
        raise _refused()
    return answer.new_sign_count


def _refused() -> ApiError:
    return ApiError("sign_in_failed", "The passkey could not be verified.")
