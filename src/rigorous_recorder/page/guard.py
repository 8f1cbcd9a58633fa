"""Who may use the page: the page itself, and beyond loopback only who has the token.

The page of a notebook is at a path that can't be guessed, under whatever name a proxy is reached.
"""

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

__all__ = ["LOOPBACK", "Below", "Guard", "Hidden"]

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


class Guard:
    """Refuses requests of other sites, of other names of this host, and without the token.

    Args:
        app: the application behind it.
        hosts: names by which the page is reached, without port; None for any.
        token: what a first request has to bring as ``?token=``; None for none.
        root_path: the path at which a proxy serves the page.
        origin: the origin of pages at the proxy, if it is known.
        frames: whether notebooks on this machine can show it as a frame.
    """

    def __init__(  # noqa: PLR0913 - as many as the page has
        self,
        app: ASGIApp,
        *,
        hosts: frozenset[str] | None,
        token: str | None,
        root_path: str = "",
        origin: str = "",
        frames: bool = False,
    ) -> None:
        self._app, self._hosts, self._token = app, hosts, token
        # Cookies are sent to all ports of a host: by its name each page finds its own.
        self._cookie = f"rigorous_{sha256((token or '').encode()).hexdigest()[:8]}"
        self._cookie_path, self._origin = root_path or "/", origin
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
                        f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path={self._cookie_path}",
                    )
            await send(message)

        await (refused or self._app)(scope, receive, send_guarded if not refused else send)

    def _refused(self, headers: Headers, scope: Scope) -> Response | None:
        if scope["method"] not in {"GET", "HEAD", "POST"}:
            return PlainTextResponse("The page is read-only.", 405)
        if not self._is_known(headers.get("host", "")):
            return PlainTextResponse("This host is not the page's; use the printed address.", 403)
        is_of_proxy = self._origin and headers.get("origin") == self._origin
        if not is_of_proxy and not _is_own(headers, is_page=scope["path"] == "/"):
            return PlainTextResponse("Requests of other sites are refused.", 403)
        if self._token is not None and not self._has_token(headers, scope):
            return PlainTextResponse("Use the address with the token, as it was printed.", 401)
        return None

    def _is_known(self, host: str) -> bool:
        if self._hosts is None:
            return True
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


def _is_own(headers: Headers, *, is_page: bool) -> bool:
    """Whether a request is not of another site, of which only the page itself may be opened.

    What browsers write of it (``Sec-Fetch-Site``) counts before the names: a proxy may have changed
    ``Host``.
    """
    site = headers.get("sec-fetch-site")
    if site == "same-origin":
        return True
    if site == "cross-site" and not is_page:
        return False
    origin = headers.get("origin")
    return origin is None or _place_in(origin) in {
        headers.get("host"),
        headers.get("x-forwarded-host", headers.get("host")),
    }


def _place_in(origin: str) -> str:
    """Host and port of an address; the address itself if it is not a valid one."""
    try:
        return urlsplit(origin).netloc or origin
    except ValueError:
        return origin


class Below:
    """The same below a path, for proxies that pass it on."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app, self._path = app, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if (
            scope["type"] == "http" and scope["path"] == self._path
        ):  # else what it loads is beside it
            to = f"{self._path.rpartition('/')[2]}/"
            await Response(status_code=307, headers={"location": to})(scope, receive, send)
            return
        await self._app(_without(scope, self._path) or scope, receive, send)


class Hidden:
    """The same below a path that can't be guessed, and nothing elsewhere."""

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self._app, self._secret = app, secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        given = scope["path"].split("/")[1:2]
        if given and compare_digest(given[0].encode(), self._secret.encode()):
            scope = _without(scope, f"/{self._secret}") or scope
            await self._app(scope, receive, send)
        else:
            refusal = PlainTextResponse("Use the address as it was printed.", 404)
            await refusal(scope, receive, send)


def _without(scope: Scope, path: str) -> Scope | None:
    """A request below a path, as of what is there; None if it is not below."""
    if scope["type"] != "http" or not scope["path"].startswith(f"{path}/"):
        return None
    rest = scope["path"].removeprefix(path)
    return {**scope, "path": rest, "raw_path": rest.encode()}
