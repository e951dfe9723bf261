"""Who may talk to the server: the token, Host and Origin, and the headers of all answers.

A page of another site can send requests to this machine, and with a name that resolves to it (DNS rebinding) read the
answers. So the Host must be an address or a known name, the Origin the server's, and a random token must come with
the first address; then a cookie holds it.
"""

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohttp import web

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
LOOPBACK = ("127.0.0.1", "localhost", "::1")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Guard:
    """Refuses requests.

    Args:
        host: the address that the server listens on.
        port: port of the server; a cookie serves all ports of a machine, so its name has the port.
        token: random.
    """

    host: str
    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)

    @property
    def local(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in LOOPBACK

    @property
    def cookie(self) -> str:
        return f"stylegen-{self.port}"

    def refusal(self, request: web.Request) -> str | None:
        """Why the request is refused; None if it is not."""
        if not self.knows(request.headers.get("Host", "")):
            return "unknown Host"
        origin = request.headers.get("Origin")
        if origin is not None and not self._is_own(origin, request.headers["Host"]):
            return "foreign Origin"
        if origin is None and request.headers.get("Upgrade"):
            return "no Origin"
        given = request.query.get("token") or request.cookies.get(self.cookie, "")
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.token.encode()):
            return "no token: use the address that the server printed"
        return None

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server: by an address, or by a name that no other site can have."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        if port != self.port:
            return False
        if self.local:
            return name in LOOPBACK
        if name in (*LOOPBACK, self.host.lower(), socket.gethostname().lower()):
            return True
        try:
            return bool(ipaddress.ip_address(name))
        except ValueError:
            return False

    def _is_own(self, origin: str, host: str) -> bool:
        return origin in (f"http://{host}", f"https://{host}")


@web.middleware
async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: refuses what `Guard` refuses, and adds `HEADERS` to all answers."""
    refusal = request.app[GUARD].refusal(request)
    if refusal is not None:
        response: web.StreamResponse = web.Response(status=403, text=f"{refusal}\n", headers=HEADERS)
        response.force_close()  # an upload is not read
        return response
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(HEADERS)
        raise
    if not response.prepared:
        response.headers.update(HEADERS)
    return response


GUARD: web.AppKey[Guard] = web.AppKey("guard", Guard)
