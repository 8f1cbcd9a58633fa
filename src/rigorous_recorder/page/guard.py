"""Who may use the page: requests of the page itself, and beyond loopback only with the token."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LOOPBACK", "Guard", "place_in"]

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {frames}"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


#: Where notebooks of this machine are: Jupyter, marimo and VS Code.
_NOTEBOOKS: Final = (
    "'self' http://localhost:* http://127.0.0.1:* https://localhost:* https://127.0.0.1:*"
    " vscode-webview: https://*.vscode-cdn.net"
)


def place_in(origin: str) -> str | None:
    """Host and port of an address; None if it is not a valid one."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


class Guard:
    """Refuses requests of other sites, of other names of this host, and without the token.

    Args:
        app: the application behind it.
        hosts: names by which the page is reached, without port.
        token: what a first request has to bring as ``?token=``; None for none.
        frames: whether notebooks on this machine can show it as a frame.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: frozenset[str], token: str | None, frames: bool = False
    ) -> None:
        self._app, self._hosts, self._token = app, hosts, token
        # Cookies are sent to all ports of a host: by its name each page finds its own.
        self._cookie = f"rigorous_{sha256((token or '').encode()).hexdigest()[:8]}"
        allowed = _NOTEBOOKS if frames else "'self'"
        self._headers = {
            name: value.replace("{frames}", allowed) for name, value in _HEADERS.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._refused(headers, scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    sent[name] = value
                if self._token is not None and self._has_query_token(scope):
                    sent.append(
                        "set-cookie",
                        f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/",
                    )
            await send(message)

        await (refused or self._app)(scope, receive, send_guarded if not refused else send)

    def _refused(self, headers: Headers, scope: Scope) -> Response | None:
        if scope["method"] not in {"GET", "HEAD", "POST"}:
            return PlainTextResponse("The page is read-only.", 405)
        if not self._is_known(headers.get("host", "")):
            return PlainTextResponse("This host is not the page's; use the printed address.", 403)
        origin = headers.get("origin")
        if origin is not None and place_in(origin) != headers.get("host"):
            return PlainTextResponse("Requests of other sites are refused.", 403)
        if headers.get("sec-fetch-site", "same-origin") == "cross-site" and scope["path"] != "/":
            return PlainTextResponse("Requests of other sites are refused.", 403)
        if self._token is not None and not self._has_token(headers, scope):
            return PlainTextResponse("Use the address with the token, as it was printed.", 401)
        return None

    def _is_known(self, host: str) -> bool:
        try:
            return urlsplit(f"//{host}").hostname in self._hosts
        except ValueError:  # such as "["
            return False

    def _has_token(self, headers: Headers, scope: Scope) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            cookie = None
        if cookie is not None and self._is_token(cookie.value):
            return True
        return self._has_query_token(scope)

    def _has_query_token(self, scope: Scope) -> bool:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        return any(self._is_token(each) for each in given)

    def _is_token(self, given: str) -> bool:
        return self._token is not None and compare_digest(given.encode(), self._token.encode())
