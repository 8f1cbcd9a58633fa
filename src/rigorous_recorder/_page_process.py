"""The page of a collection, opened from Python: served by a process of its own."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from contextlib import suppress
from typing import IO, Final, Self
from urllib.parse import quote, urlsplit

from . import errors
from ._lazy_imports import html
from ._proxied import proxied
from ._public import public
from ._store.store import FolderStore, Store
from ._store.union import UnionStore
from .errors import ArgumentError, RigorousError

__all__ = ["View", "view_of"]

#: Modules of which one is loaded where the value of a cell is shown as HTML.
_MARIMO: Final = "marimo._runtime.runtime"
_NOTEBOOKS: Final = ("ipykernel", _MARIMO)
#: Where Jupyter's server has jupyter-server-proxy, the frame is shown through it: the machine of the
#: browser may be another one.
_THROUGH_JUPYTER: Final = """<script>
(async (place) => {
  const config = JSON.parse(document.getElementById("jupyter-config-data")?.textContent || "{}");
  const frame = place.querySelector("iframe"), link = place.querySelector("a"), { port, pathname, hash } = new URL(frame.src);
  if (!config.baseUrl) return;
  const found = `${config.baseUrl}proxy/${port}${pathname}`;
  if ((await fetch(`${found}static/icon.svg`)).ok) link.textContent = link.href = frame.src = found + hash;
})(document.currentScript.parentElement).catch(() => {});
</script>"""


@public
class View:
    """The page of collections, in a process of its own, as long as this process lives.

    In Jupyter, marimo and VS Code it is shown as a frame. What is logged in this process is shown
    live, and not slowed: the page reads the folder.

    Attributes:
        address: where the page is, for a browser on this machine. Its path can't be guessed by
            other users of the machine.

    Examples:
        >>> page = collection.view()  # doctest: +SKIP
        >>> page.address  # doctest: +SKIP
        'http://127.0.0.1:40123/kq2Zxw4nS9Y/'
        >>> page.close()  # doctest: +SKIP
    """

    def __init__(self, process: _Process, part: str = "") -> None:
        self._process, self._part = process, part
        self.address = f"{process.address}{part}"

    @property
    def is_open(self) -> bool:
        """Whether the page can be reached."""
        return self._process.is_running

    def close(self) -> None:
        """End the page, for all views of these collections; records are not affected."""
        self._process.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<View {self.address if self.is_open else 'closed'}>"

    def _repr_html_(self) -> str:
        if not self.is_open:
            return "<p>The page is closed; call <code>view()</code> again.</p>"
        place = urlsplit(self._process.address)
        proxy = proxied(place.port or 0)
        address = f"{proxy}{place.path.lstrip('/')}{self._part}" if proxy else self.address
        shown = html.escape(address, quote=True)
        frame = (
            f'<iframe src="{shown}" title="rigorous view" loading="lazy" allow="clipboard-write"'
            ' style="width: 100%; height: 640px; border: 1px solid #8884"></iframe>'
            f'<p><a href="{shown}" target="_blank" rel="noopener">{shown}</a></p>'
        )
        if proxy or _MARIMO in sys.modules:  # which puts scripts into a frame of their own
            return frame
        return f"<div>{frame}{_THROUGH_JUPYTER}</div>"


#: The running processes by what they show, so that each is started once.
_OPEN: dict[str, _Process] = {}


def view_of(
    store: Store, *, where: str = "", edit: bool = False, opens_browser: bool | None = None
) -> View:
    """The page of a collection, or of all collections of a union.

    Args:
        where: a SQL condition on the rows to show; empty for the charts of all.
        edit: whether the page can change experiments.
        opens_browser: whether to open it in the browser; None for outside of notebooks only.

    Raises:
        ArgumentError: the records are in memory only.
        MissingPackageError: the extra is not installed.
        NotACollectionError: nothing was logged to the collection yet.
    """
    if opens_browser is None:
        opens_browser = not any(name in sys.modules for name in _NOTEBOOKS)
    part = f"#tab=rows&where={quote(where, safe='')}" if where else ""
    wanted = json.dumps({"paths": _paths_of(store), "edit": edit})
    found = _OPEN.get(wanted)
    if found is None or not found.is_running:
        found = _OPEN[wanted] = _Process(wanted)
        atexit.register(found.end)
    if opens_browser:
        found.open_browser(part)
    return View(found, part)


def _paths_of(store: Store) -> list[str]:
    if isinstance(store, UnionStore):
        return [place.path for _, place in store.place.members]
    if isinstance(store, FolderStore):
        return [str(store.folder.path)]
    message = (
        "these records are in memory only, and the page reads folders: log to an ExperimentCollection,"
        " or move the recorder into one by set_parent()"
    )
    raise ArgumentError(message)


class _Process:
    """A process that serves a page.

    Args:
        wanted: the first line of its input: see ``page.__main__``.

    Raises:
        RigorousError: what it raised at its start.
    """

    def __init__(self, wanted: str) -> None:
        self._owner = os.getpid()
        # A session of its own: Ctrl-C in the terminal is not for it. -P: no file of the working
        # folder takes the place of a module.
        self._child = subprocess.Popen(  # noqa: S603 - Python itself
            [sys.executable, "-P", "-m", f"{__package__}.page"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        try:
            self._send(wanted)
            self.address = self._address()
        except BaseException:
            self.end()
            raise

    @property
    def is_running(self) -> bool:
        """Whether it runs, and is a child of this process."""
        return self._owner == os.getpid() and self._child.poll() is None

    def open_browser(self, part: str) -> None:
        """Open the page in the browser of this machine, at a part of it."""
        self._send(part)

    def end(self) -> None:
        """End it, unless it is that of the process that this one was forked from."""
        if self._owner != os.getpid():
            return
        for pipe in (self._child.stdin, self._child.stdout):
            with suppress(OSError):
                _pipe(pipe).close()
        try:
            self._child.wait(5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _send(self, line: str) -> None:
        with suppress(BrokenPipeError):  # it has ended, and may have sent the error
            _pipe(self._child.stdin).write(f"{line}\n")
            _pipe(self._child.stdin).flush()

    def _address(self) -> str:
        line = _pipe(self._child.stdout).readline()
        if not line:
            message = (
                f"the page's process ended with code {self._child.wait()}; `rigorous view` in a"
                " terminal shows why"
            )
            raise RigorousError(message)
        found = json.loads(line)
        if "address" in found:
            return str(found["address"])
        kind = getattr(errors, found["type"], RigorousError)
        raise kind(found["error"])


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
