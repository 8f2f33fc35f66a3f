"""Routes for whoever is not signed in yet: the ways to sign in, and to make an account."""

from __future__ import annotations

from aiohttp import web

from signaling.accounts.openid import Purpose
from signaling.api.account_context import AccountContext
from signaling.api.account_views import (
    AccountView,
    CeremonyView,
    Credentials,
    Departure,
    OpenidAnswer,
    OpenidArrival,
    OpenidDeparture,
    PasskeyRegistration,
    Registration,
    RegistrationTicket,
    SignInMethods,
    Ticket,
)
from signaling.api.typed import Access, route

_TRY = ("forbidden", "not_found", "rate_limited", "unavailable")
_REGISTRATION = ("registration_closed", "invitation_over", "invalid_name", "name_taken", "limit_reached")


class SignInEndpoint:
    def __init__(self, context: AccountContext) -> None:
        self._context = context
        self._accounts = context.accounts

    @route("GET", "/api/v1/account/sign-in", access=Access.ANYONE)
    async def list_sign_in_methods(self, request: web.Request) -> SignInMethods:
        """How one can sign in here, and whether one can make an account.

        Passkeys are for names only: under an IP address there are none.
        """
        settings = self._accounts.settings
        return SignInMethods(
            password=settings.password_sign_in,
            passkey=settings.passkey_sign_in and self._context.sessions.site_of(request).can_have_passkeys,
            openid=settings.openid_name if self._accounts.openid is not None else None,
            registration=settings.registration,
        )

    @route("POST", "/api/v1/account/sign-in/password", access=Access.ANYONE, errors=("sign_in_failed", *_TRY))
    async def sign_in_with_password(self, request: web.Request, body: Credentials) -> AccountView:
        """Sign in with name and password."""
        self._context.begin_try(request)
        self._context.require_passwords()
        account = await self._accounts.sign_in(body.name, body.password)
        return await self._context.sign_in(request, account, self._accounts.now_s())

    @route("POST", "/api/v1/account/sign-in/passkey/options", access=Access.ANYONE, errors=_TRY)
    async def begin_passkey_sign_in(self, request: web.Request) -> CeremonyView:
        """Begin to sign in with a passkey."""
        self._context.begin_try(request)
        self._context.require_passkeys()
        ceremony = await self._accounts.passkeys.begin_sign_in(self._context.sessions.site_of(request))
        return CeremonyView(ticket=ceremony.ticket, options=ceremony.options)

    @route(
        "POST", "/api/v1/account/sign-in/passkey", access=Access.ANYONE,
        errors=("sign_in_expired", "sign_in_failed", *_TRY),
    )  # fmt: skip
    async def sign_in_with_passkey(self, request: web.Request, body: Ticket) -> AccountView:
        """Sign in with what the passkey has answered."""
        self._context.begin_try(request)
        self._context.require_passkeys()
        account = await self._accounts.passkeys.finish_sign_in(body.ticket, body.credential)
        return await self._context.sign_in(request, account, self._accounts.now_s())

    @route("POST", "/api/v1/account/sign-in/openid", access=Access.ANYONE, errors=_TRY)
    async def begin_openid_sign_in(self, request: web.Request, body: OpenidDeparture) -> Departure:
        """Begin to sign in with the provider."""
        self._context.begin_try(request)
        departure = await self._context.require_openid().begin(Purpose.SIGN_IN, invitation=body.invitation)
        self._context.keep_openid(request, departure)
        return Departure(url=departure.url)

    @route(
        "POST", "/api/v1/account/sign-in/openid/finish", access=Access.ANYONE,
        errors=("sign_in_expired", "sign_in_failed", "taken", *_REGISTRATION, *_TRY),
    )  # fmt: skip
    async def finish_openid(self, request: web.Request, body: OpenidAnswer) -> OpenidArrival:
        """Finish what was begun with the provider: signing in, proving who one is, or linking it to the account."""
        self._context.begin_try(request)
        sessions = self._context.sessions
        session = await sessions.session_of(request)
        arrival = await self._context.require_openid().finish(
            body.state,
            body.code,
            body.iss,
            browser_secret=sessions.openid_secret_of(request),
            account_id=session.account_id if session is not None else "",
        )
        sessions.drop(request, sessions.cookies.openid)
        if arrival.purpose is Purpose.SIGN_IN:
            view = await self._context.sign_in(request, arrival.account, arrival.signed_in_at)
            return OpenidArrival(purpose=arrival.purpose, account=view)
        assert session is not None  # `finish` has compared the accounts
        if arrival.purpose is Purpose.PROVE:
            session = await self._accounts.devices.prove(session, arrival.signed_in_at)
        return OpenidArrival(purpose=arrival.purpose, account=await self._context.view(arrival.account, session))

    @route("POST", "/api/v1/account/register", access=Access.ANYONE, errors=(*_REGISTRATION, "invalid_password", *_TRY))
    async def register_with_password(self, request: web.Request, body: Registration) -> AccountView:
        """Make an account with a password, and sign in."""
        self._context.begin_try(request)
        self._context.require_passwords()
        account = await self._accounts.register(body.name, body.password, body.invitation)
        return await self._context.sign_in(request, account, self._accounts.now_s())

    @route("POST", "/api/v1/account/register/passkey/options", access=Access.ANYONE, errors=(*_REGISTRATION, *_TRY))
    async def begin_passkey_registration(self, request: web.Request, body: PasskeyRegistration) -> CeremonyView:
        """Begin to make an account with a passkey."""
        self._context.begin_try(request)
        self._context.require_passkeys()
        site = self._context.sessions.site_of(request)
        ceremony = await self._accounts.begin_passkey_registration(site, body.name, body.invitation)
        return CeremonyView(ticket=ceremony.ticket, options=ceremony.options)

    @route(
        "POST", "/api/v1/account/register/passkey", access=Access.ANYONE,
        errors=("sign_in_expired", "sign_in_failed", *_REGISTRATION, *_TRY),
    )  # fmt: skip
    async def register_with_passkey(self, request: web.Request, body: RegistrationTicket) -> AccountView:
        """Make the account with what the new passkey has answered, and sign in."""
        self._context.begin_try(request)
        self._context.require_passkeys()
        account = await self._accounts.finish_passkey_registration(body.ticket, body.credential, body.invitation)
        return await self._context.sign_in(request, account, self._accounts.now_s())
