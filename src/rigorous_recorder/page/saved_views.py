"""Named views: addresses of the page as JSON files in the folder ``views`` of a collection."""

from __future__ import annotations

import json
import re
import time
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .._durable import make_folder, sync_folder, write_whole
from ..errors import ArgumentError
from .editing import Editing
from .plain import json_bytes
from .workspace import Workspace

__all__ = ["SavedView", "ViewRoutes", "delete_view", "find_view", "save_view", "views_of"]

_FOLDER: Final = "views"
_FORMAT: Final = "rigorous-recorder view"
_VERSION: Final = 1
_LARGEST: Final = 1 << 18
_MOST_VIEWS: Final = 1_000
#: Names that are names of files on every system: no separator, no dot or space at an end.
_NAME: Final = re.compile(r"[\w(](?:[\w ().,+=-]{0,78}[\w)])?")


class SavedView(NamedTuple):
    """A view.

    Attributes:
        collection: the name of the collection in the page.
        name: its name, which is that of the file without the suffix.
        address: the part of the page's address behind ``#``.
    """

    collection: str
    name: str
    address: str


def _path(folder: Path, name: Any) -> Path:
    """The file of a view.

    Raises:
        ArgumentError: it is not a valid name.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(unicodedata.normalize("NFC", name)):
        message = (
            f"{name!r:.100} is not a valid name of a view: expected 1 to 80 letters, digits, spaces and"
            " ().,+=-_, of which a letter, digit or parenthesis is at both ends"
        )
        raise ArgumentError(message)
    return folder / _FOLDER / f"{unicodedata.normalize('NFC', name)}.json"


def save_view(folder: Path, name: Any, address: Any) -> None:
    """Write a view into a collection; one of the same name is replaced.

    Raises:
        ArgumentError: the name or the address is not valid.
        OSError: it can't be written.
    """
    path = _path(folder, name)
    if not isinstance(address, str) or len(address) > _LARGEST // 8:
        message = f"{address!r:.60} is not a valid view: expected what is behind # in an address"
        raise ArgumentError(message)
    make_folder(path.parent)
    found = {"format": _FORMAT, "version": _VERSION, "view": address, "saved": time.time()}
    write_whole(path, json_bytes(found))


def delete_view(folder: Path, name: Any) -> None:
    """Delete a view of a collection, if it has one of this name.

    Raises:
        ArgumentError: the name is not valid.
        OSError: it can't be deleted.
    """
    path = _path(folder, name)
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync_folder(path.parent)


def views_of(workspace: Workspace) -> list[SavedView]:
    """The views of all collections; files that are not valid ones are left out."""
    found = []
    for opened in workspace.opened:
        paths = sorted((opened.path / _FOLDER).glob("*.json"))[:_MOST_VIEWS]
        for path in paths:
            address = _read(path) if _NAME.fullmatch(path.stem) else None
            if address is not None:
                found.append(SavedView(opened.name, path.stem, address))
    return found


def find_view(workspace: Workspace, name: str) -> SavedView:
    """The view of a name, of the first collection that has it.

    Raises:
        ArgumentError: there is none; the message lists those that are there.
    """
    views = views_of(workspace)
    for each in views:
        if each.name == unicodedata.normalize("NFC", name):
            return each
    names = ", ".join(repr(each.name) for each in views[:20]) or "none yet"
    message = (
        f"there is no view {name!r:.100}; there are: {names}. Save one on the page of `rigorous view"
        " --edit`, or give an address of the page, with its #"
    )
    raise ArgumentError(message)


def _read(path: Path) -> str | None:
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    is_view = isinstance(found, dict) and found.get("format") == _FORMAT
    address = found.get("view") if is_view and found.get("version") == _VERSION else None
    return address if isinstance(address, str) else None


class ViewRoutes:
    """The addresses of views; they are only changed where the page can edit."""

    def __init__(self, workspace: Workspace, editing: Editing | None) -> None:
        self._workspace, self._editing = workspace, editing

    def routes(self) -> list[Route]:
        """The addresses."""
        found = [Route("/api/views", self._list)]
        if self._editing is not None:
            found.append(Route("/api/views/save", self._save, methods=["POST"]))
            found.append(Route("/api/views/delete", self._delete, methods=["POST"]))
        return found

    async def _list(self, _: Request) -> Response:
        views = await run_in_threadpool(views_of, self._workspace)
        token = self._editing.token if self._editing else None
        found = {"views": [each._asdict() for each in views], "edit_token": token}
        return Response(json_bytes(found), media_type="application/json")

    async def _save(self, request: Request) -> Response:
        assert self._editing is not None
        return await self._editing.change(
            request,
            lambda given: save_view(self._folder(given), given.get("name"), given.get("view")),
        )

    async def _delete(self, request: Request) -> Response:
        assert self._editing is not None
        return await self._editing.change(
            request, lambda given: delete_view(self._folder(given), given.get("name"))
        )

    def _folder(self, given: Any) -> Path:
        name = given.get("collection") if isinstance(given, Mapping) else None
        return self._workspace.named(str(name)).path
