"""The page, `rigorous view`: charts and tables of what is logged, in the browser.

It needs the extra ``[page]``. Nothing of it is loaded before ``view`` is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .._durable import write_whole
from .._lazy import lazy_module
from ..errors import MissingPackageError

if TYPE_CHECKING:
    from . import report, server
else:
    report = lazy_module(f"{__name__}.report")
    server = lazy_module(f"{__name__}.server")

__all__ = ["require_installed", "save_report", "view"]

_PACKAGES: Final = ("starlette", "uvicorn", "youplot", "numpy")


def view(  # noqa: PLR0913 - a page has this many options
    paths: Sequence[str | PathLike[str]] = (".",),
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    root_path: str = "",
    opens_browser: bool = True,
    edit: bool = False,
) -> None:
    """Serve the page of collections until Ctrl-C; print its address.

    Args:
        paths: collections, or folders with collections.
        host: the address to listen at. Another one than loopback needs the token that is printed as
            a part of the page's address.
        port: the port; 0 for any free one.
        root_path: the path, or the whole address, at which a proxy serves the page. Requests by
            another name of the machine than those of an address are refused.
        opens_browser: whether to open the page in the browser of this machine.
        edit: whether the page can name, tag, annotate, archive and delete experiments. Otherwise it
            is read-only.

    Raises:
        MissingPackageError: the extra is not installed.
        NotACollectionError: there is no collection at a path.
        ArgumentError: the port is in use, the host is not an address of this machine, or the root
            path is not one.
    """
    require_installed()
    server.serve(
        paths, host=host, port=port, root_path=root_path, opens_browser=opens_browser, edits=edit
    )


def save_report(
    path: str | PathLike[str],
    view: str = "",
    paths: Sequence[str | PathLike[str]] = (".",),
    *,
    static: bool = False,
) -> None:
    """Write a view of collections to one HTML file, which opens from disk and makes no request.

    It has the page, interactive, with the charts of the view (with all lows and highs, at 1,000
    pixels each, up to 24 MB) and the first 1,000 rows of each collection.

    Args:
        path: the file; an existing one is replaced.
        view: the name of a saved view, or an address of the page with its ``#``; empty for the page
            as it is at first.
        paths: collections, or folders with collections.
        static: write pictures of the charts (SVG) alone, without any script.

    Raises:
        MissingPackageError: the extra is not installed.
        NotACollectionError: there is no collection at a path.
        ArgumentError: there is no view of this name.
        OSError: the file can't be written.
    """
    require_installed()
    write_whole(Path(path), report.report(view, paths, static=static).encode("utf-8", "replace"))


def require_installed() -> None:
    """Raise unless all packages of the page are installed.

    Raises:
        MissingPackageError: the message has the line to install them.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        message = (
            f"the page needs packages that are not installed ({', '.join(missing)}):"
            " pip install 'rigorous-recorder[page]'"
        )
        raise MissingPackageError(message)
