"""The page of a collection, opened from Python: served by a process of its own."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from contextlib import suppress
from typing import IO, Any, Final, Self
from urllib.parse import quote

from . import errors
from ._lazy_imports import html
from ._public import public
from ._store.store import FolderStore, Store
from ._store.union import UnionStore
from .errors import ArgumentError, RigorousError

__all__ = ["View", "view_of"]

#: Modules of which one is loaded where the value of a cell is shown as HTML.
_NOTEBOOKS: Final = ("ipykernel", "marimo._runtime.runtime")


@public
class View:
    """The page of collections, in a process of its own, as long as this process lives.

    In Jupyter, marimo and VS Code it is shown as a frame. What is logged in this process is shown
    live, and not slowed: the page reads the folder.

    Attributes:
        address: where the page is, for a browser on this machine.

    Examples:
        >>> page = collection.view()  # doctest: +SKIP
        >>> page.address  # doctest: +SKIP
        'http://127.0.0.1:40123/'
        >>> page.close()  # doctest: +SKIP
    """

    def __init__(self, process: subprocess.Popen[str], address: str, part: str = "") -> None:
        self._process, self._owner, self._part = process, os.getpid(), part
        self.address = f"{address}{part}"

    @property
    def is_open(self) -> bool:
        """Whether the page can be reached."""
        if self._owner != os.getpid():  # a forked child, whose child it is not
            return False
        return self._process.poll() is None

    def close(self) -> None:
        """End the page; records and collections are not affected."""
        if self._owner == os.getpid():
            _end(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<View {self.address if self.is_open else 'closed'}>"

    def _repr_html_(self) -> str:
        address = html.escape(self.address, quote=True)
        if not self.is_open:
            return "<p>The page is closed; call <code>view()</code> again.</p>"
        return (
            f'<iframe src="{address}" title="rigorous view" loading="lazy"'
            ' style="width: 100%; height: 640px; border: 1px solid #8884"></iframe>'
            f'<p><a href="{address}" target="_blank" rel="noopener">{address}</a></p>'
        )


#: The running pages by what they show, so that each is started once.
_OPEN: dict[str, View] = {}


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
    wanted = {"paths": _paths_of(store), "edit": edit, "part": part}
    known = json.dumps(wanted)
    found = _OPEN.get(known)
    if found is None or not found.is_open:
        found = _OPEN[known] = _started({**wanted, "opens_browser": opens_browser})
        atexit.register(found.close)
    return found


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


def _started(wanted: dict[str, Any]) -> View:
    # A session of its own: Ctrl-C in the terminal is not for it. -P: no file of the working folder
    # takes the place of a module.
    process = subprocess.Popen(  # noqa: S603 - Python itself
        [sys.executable, "-P", "-m", f"{__package__}.page"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        return View(process, _address(process, wanted), wanted["part"])
    except BaseException:
        _end(process)
        raise


def _address(process: subprocess.Popen[str], wanted: dict[str, Any]) -> str:
    with suppress(BrokenPipeError):
        _pipe(process.stdin).write(f"{json.dumps(wanted)}\n")
        _pipe(process.stdin).flush()
    line = _pipe(process.stdout).readline()
    if not line:
        message = (
            f"the page's process ended with code {process.wait()}; `rigorous view` in a terminal shows"
            " why"
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


def _end(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            _pipe(pipe).close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
