"""Who asks: tokens, the cookie, origins and hosts. Closed by default; every answer of "no" says what to do."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from headway.access import ensure_token, installation_id
from headway.api.attempts import FailedAttempts
from headway.api.route import ANYBODY, Access, Identity
from headway.errors import ForbiddenError, UnauthorizedError
from headway.services.tokens import TokenView
from headway.settings import Settings

SESSION_SECONDS = 30 * 24 * 3600
REMEMBERED_SECONDS = 5.0
MOST_REMEMBERED = 1000
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_BROWSERS_SEND = ("Origin", "Sec-Fetch-Site")
_MAIN = "main"
_SIGN_IN = "run `headway open` for the dashboard's address, or send `Authorization: Bearer <token>`"

#: Looks a token up by `("secret", token)` or `("id", id)`.
TokenFinder = Callable[[str, str], Awaitable[TokenView | None]]


class Gate:
    """Decides who a request comes from and whether it may."""

    def __init__(self, settings: Settings, find_token: TokenFinder) -> None:
        self._token = ensure_token(settings)
        self._key = hashlib.sha256(b"headway session\0" + self._token.encode()).digest()
        self._settings = settings
        self._find_token = find_token
        self._remembered: dict[tuple[str, str], tuple[float, TokenView | None]] = {}
        self._failed = FailedAttempts()
        self.installation = installation_id(settings)
        self.cookie = f"headway_{self.installation}"
        self.open_to_all = settings.headway_auth == "off"

    async def admit(self, request: web.Request, access: Access) -> Identity:
        """The identity behind a request. Raises UnauthorizedError or ForbiddenError when it may not do this."""
        self.check_host(request)
        if access == "open":
            return ANYBODY
        identity, by_browser = await self._identify(request)
        if by_browser and request.method not in _SAFE:
            self._check_own_page(request)
        if not identity.may(access):
            raise ForbiddenError(f"This needs the role {access}; this token has {identity.role}.")
        return identity

    async def admit_socket(self, request: web.Request, token: object) -> Identity | None:
        """The identity behind a Socket.IO handshake: its `auth` token, else the cookie; None when it has neither."""
        if self.open_to_all:
            return Identity("admin")
        if isinstance(token, str) and token:
            try:
                return await self.sign_in(request, token)
            except UnauthorizedError:
                return None
        return await self._from_cookie(request)

    async def sign_in(self, request: web.Request, token: str) -> Identity:
        """Whose a presented token is. Raises UnauthorizedError; after too many wrong ones TooManyAttemptsError."""
        self._failed.check(request)
        if hmac.compare_digest(token.encode(), self._token.encode()):
            return Identity("admin")
        found = await self._find("secret", token)
        if found is None:
            self._failed.note(request)
            raise UnauthorizedError(f"This token is not valid: {_SIGN_IN}.")
        return Identity(found.role, found.name, found.id)

    def forget_tokens(self) -> None:
        """Look every token up again: one was revoked."""
        self._remembered.clear()

    def check_host(self, request: web.Request) -> None:
        """Without access control, refuse names that are not ours: a page elsewhere may point its name at us."""
        if self.open_to_all and _host_of(f"//{request.host}") not in self._own_hosts():
            raise ForbiddenError(f"HEADWAY_AUTH=off answers only to localhost, not to {request.host!r}.")

    def allows_origin(self, request: web.Request) -> bool:
        """Whether the page that asks is ours or one of HEADWAY_ALLOWED_ORIGINS; no Origin means no page."""
        origin = request.headers.get("Origin")
        return origin is None or _netloc(origin) == request.host or origin in self._settings.allowed_origins

    def set_cookie(self, request: web.Request, response: web.StreamResponse, identity: Identity) -> None:
        """Keep the browser signed in; the cookie holds no token, only a signed statement of which."""
        statement = f"{identity.token_id or _MAIN}.{int(time.time()) + SESSION_SECONDS}"
        value = f"{statement}.{self._sign(statement)}"
        response.set_cookie(
            self.cookie, value, max_age=SESSION_SECONDS, path="/", httponly=True, samesite="Strict",
            secure=request.headers.get("X-Forwarded-Proto", request.scheme) == "https",
        )  # fmt: skip

    def drop_cookie(self, response: web.StreamResponse) -> None:
        """Sign the browser out."""
        response.del_cookie(self.cookie, path="/", httponly=True, samesite="Strict")

    async def _identify(self, request: web.Request) -> tuple[Identity, bool]:
        if self.open_to_all:
            # nobody shows a token: what browsers add to every change tells their pages from a script
            return Identity("admin"), any(name in request.headers for name in _BROWSERS_SEND)
        header = request.headers.get("Authorization")
        if header is not None:
            scheme, _, token = header.partition(" ")
            if scheme.lower() != "bearer" or not token:
                raise UnauthorizedError("Send the token as `Authorization: Bearer <token>`.")
            return await self.sign_in(request, token.strip()), False
        identity = await self._from_cookie(request)
        if identity is None:
            raise UnauthorizedError(f"Not signed in: {_SIGN_IN}.")
        return identity, True

    async def _from_cookie(self, request: web.Request) -> Identity | None:
        statement, _, signature = request.cookies.get(self.cookie, "").rpartition(".")
        token_id, _, until = statement.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(statement).encode()) or float(until) < time.time():
            return None
        if token_id == _MAIN:
            return Identity("admin")
        found = await self._find("id", token_id)
        return Identity(found.role, found.name, found.id) if found else None

    async def _find(self, by: str, value: str) -> TokenView | None:
        key = (by, hashlib.sha256(value.encode()).hexdigest())
        now = time.monotonic()
        known = self._remembered.get(key)
        if known is None or known[0] < now:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            known = self._remembered[key] = now + REMEMBERED_SECONDS, await self._find_token(by, value)
        return known[1]

    def _check_own_page(self, request: web.Request) -> None:
        # browsers send one or the other with everything that changes something
        if "Origin" not in request.headers and request.headers.get("Sec-Fetch-Site") != "same-origin":
            raise ForbiddenError("No Origin came with the cookie: scripts use `Authorization: Bearer <token>`.")
        if not self.allows_origin(request):
            raise ForbiddenError(
                f"The origin {request.headers['Origin']} is not this server's: add it to HEADWAY_ALLOWED_ORIGINS."
            )

    def _sign(self, statement: str) -> str:
        return hmac.new(self._key, f"{self.installation}.{statement}".encode(), "sha256").hexdigest()

    def _own_hosts(self) -> frozenset[str]:
        return frozenset({"localhost", "127.0.0.1", "::1", self._settings.headway_host.lower()})


def _netloc(url: str) -> str | None:
    try:
        return urlsplit(url).netloc or None
    except ValueError:
        return None


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
