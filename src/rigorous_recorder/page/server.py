"""Serving the page: a port, its address, the browser, and the end by Ctrl-C."""

from __future__ import annotations

import secrets
import socket
import sys
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from os import PathLike
from threading import Event, Thread
from urllib.parse import SplitResult, urlsplit

import uvicorn
from starlette.types import ASGIApp

from ..errors import ArgumentError
from .app import application
from .guard import LOOPBACK, Hidden
from .keys import prepare
from .workspace import Workspace

__all__ = ["serve", "serve_while"]


def serve(  # noqa: PLR0913 - a page has this many options
    paths: Sequence[str | PathLike[str]],
    *,
    host: str,
    port: int,
    root_path: str,
    opens_browser: bool,
    edits: bool,
) -> None:
    """Serve the page until Ctrl-C: see ``view``."""
    public = _public(root_path)
    workspace, ends = Workspace(paths), Event()
    try:
        with _listening(host, port) as listening:
            token = None if host in LOOPBACK else secrets.token_urlsafe(24)
            address = _address(host, listening.getsockname()[1], public, token)
            app = application(
                workspace,
                hosts=_names_of(host) | ({public.hostname} if public.hostname else set()),
                token=token,
                root_path=public.path,
                origin=f"{public.scheme}://{public.netloc}" if public.netloc else "",
                edits=edits,
                ends=ends,
            )
            sys.stdout.write(f"{address}\nCtrl-C ends it.\n")
            sys.stdout.flush()
            Thread(target=prepare, args=(workspace, ends), daemon=True).start()
            if opens_browser:
                Thread(target=webbrowser.open, args=(address,), daemon=True).start()
            with suppress(KeyboardInterrupt):
                _Server(app, ends).run(sockets=[listening])
    finally:
        ends.set()
        workspace.close()


def serve_while(
    paths: Sequence[str],
    is_needed: Callable[[], bool],
    report: Callable[[str], None],
    *,
    edits: bool,
) -> None:
    """Serve the page on this machine as long as another process needs it.

    Args:
        is_needed: returns within about a second, repeatedly.
        report: called with the address.
    """
    workspace, ends, secret = Workspace(paths), Event(), secrets.token_urlsafe(24)
    with closing(workspace), _listening("127.0.0.1", 0) as listening:
        app = application(workspace, hosts=None, frames=True, edits=edits, ends=ends)
        server = _Server(Hidden(app, secret), ends)

        def wait() -> None:
            while is_needed():
                pass
            server.should_exit = True

        Thread(target=wait, daemon=True).start()
        report(f"http://127.0.0.1:{listening.getsockname()[1]}/{secret}/")
        server.run(sockets=[listening])


class _Server(uvicorn.Server):
    """A server that reports its end to open pages, whose streams it would else cut off with errors."""

    def __init__(self, app: ASGIApp, ends: Event) -> None:
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
            lifespan="off",
            ws="none",
        )
        super().__init__(config)
        self._ends = ends

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all answers, and then all connections."""
        self._ends.set()
        await super().shutdown(sockets)


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ArgumentError: it can't.
    """
    try:
        return socket.create_server((host, port), family=_family(host), reuse_port=False)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        advice = "omit --port for any free one" if port else "expected an address of this machine"
        message = f"can't listen at {host}, port {port}: {reason}; {advice}"
        raise ArgumentError(message) from None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _names_of(host: str) -> frozenset[str]:
    """The names by which the page may be reached."""
    if host in LOOPBACK:
        return LOOPBACK
    own = {host, socket.gethostname(), socket.getfqdn()}
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not listened at
        own |= {str(each[4][0]) for each in socket.getaddrinfo(socket.gethostname(), None)}
    return LOOPBACK | own


def _public(root_path: str) -> SplitResult:
    """Where a proxy serves the page: the parts of a path, or of a whole address.

    Raises:
        ArgumentError: it is neither.
    """
    try:
        found = urlsplit(root_path.rstrip("/"))
        is_valid = found.hostname if found.scheme in {"http", "https"} else not found.scheme
    except ValueError:
        is_valid = False
    if is_valid and not (found.query or found.fragment) and found.path[:1] in {"", "/"}:
        return found
    message = f"root_path={root_path!r:.80}: expected a path such as /study, or an address such as https://example.org/study"
    raise ArgumentError(message)


def _address(host: str, port: int, public: SplitResult, token: str | None) -> str:
    query = f"?token={token}" if token else ""
    if public.netloc:
        return f"{public.geturl()}/{query}"
    name = socket.gethostname() if host in {"0.0.0.0", "::"} else host  # noqa: S104 - see above
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{port}{public.path}/{query}"
