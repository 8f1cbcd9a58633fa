"""Named views on the page: of all its collections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .. import ExperimentCollection, SavedViews
from ..errors import ArgumentError, UnknownViewError
from .editing import Editing
from .plain import json_bytes
from .workspace import Workspace

__all__ = ["SavedView", "ViewRoutes", "find_view", "views_of"]


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


def views_of(workspace: Workspace) -> list[SavedView]:
    """The views of all collections; files that are not valid ones are left out."""
    return [
        SavedView(opened.name, name, address)
        for opened in workspace.opened
        for name, address in opened.collection.views.items()
    ]


def find_view(workspace: Workspace, name: str) -> SavedView:
    """The view of a name, of the first collection that has it.

    Raises:
        UnknownViewError: there is none; the message lists those that are there.
        ArgumentError: its file, or the name, is not valid.
    """
    for opened in workspace.opened:
        try:
            return SavedView(opened.name, name, opened.collection.views[name])
        except UnknownViewError:
            continue
    names = ", ".join(repr(each.name) for each in views_of(workspace)[:20]) or "none yet"
    message = (
        f"there is no view {name!r:.100}; there are: {names}. Save one on the page of `rigorous view"
        " --edit` or by `rigorous views`, or give an address of the page, with its #"
    )
    raise UnknownViewError(message)


class ViewRoutes:
    """The addresses of views; they are only changed where the page can edit."""

    def __init__(self, workspace: Workspace, editing: Editing | None) -> None:
        self._workspace, self._editing = workspace, editing

    def routes(self) -> list[Route]:
        """The addresses."""
        found = [Route("/api/views", self._list)]
        if self._editing is not None:
            found.append(Route("/api/views/save", self._save, methods=["POST"]))
            found.append(Route("/api/views/rename", self._rename, methods=["POST"]))
            found.append(Route("/api/views/delete", self._delete, methods=["POST"]))
        return found

    async def _list(self, _: Request) -> Response:
        found = await run_in_threadpool(self._listed)
        return Response(json_bytes(found), media_type="application/json")

    def _listed(self) -> dict[str, Any]:
        invalid = [
            f"{opened.name}: {reason}"
            for opened in self._workspace.opened
            for reason in opened.collection.views.invalid.values()
        ]
        return {
            "views": [each._asdict() for each in views_of(self._workspace)],
            "invalid": invalid,
            "edit_token": self._editing.token if self._editing else None,
        }

    async def _save(self, request: Request) -> Response:
        return await self._change(request, _save, {"name", "view"})

    async def _rename(self, request: Request) -> Response:
        return await self._change(request, _rename, {"name", "new"})

    async def _delete(self, request: Request) -> Response:
        return await self._change(request, _delete, {"name"})

    async def _change(
        self,
        request: Request,
        change: Callable[[SavedViews, Mapping[str, Any]], None],
        wanted: set[str],
    ) -> Response:
        assert self._editing is not None

        def make(given: Any) -> None:
            if not isinstance(given, Mapping) or not wanted <= given.keys():
                message = f"not a valid request of a view: expected {', '.join(sorted(wanted))}"
                raise ArgumentError(message)
            path = self._workspace.named(str(given.get("collection"))).path
            with closing(ExperimentCollection.open(path, quiet=True)) as collection:
                change(collection.views, given)

        return await self._editing.change(request, make)


def _rename(views: SavedViews, given: Mapping[str, Any]) -> None:
    views.rename(given["name"], given["new"])


def _delete(views: SavedViews, given: Mapping[str, Any]) -> None:
    """Delete a view that another page may have deleted already."""
    with suppress(UnknownViewError):
        del views[given["name"]]


def _save(views: SavedViews, given: Mapping[str, Any]) -> None:
    """Save a view, in place of one of the same name if that is confirmed."""
    name = given["name"]
    if not given.get("replaces") and isinstance(name, str) and name in views:
        message = f"there is a view {name!r:.100} already"
        raise ArgumentError(message)
    views[name] = given["view"]
