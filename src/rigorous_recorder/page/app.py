"""The application: files of the page, and what they request of the collections."""

from __future__ import annotations

import asyncio
import gzip
from functools import partial
from importlib import resources
from threading import Event
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from ..errors import RigorousError
from .body import accepts_gzip, json_of, unless_left
from .chart_library import library_files
from .chart_request import ChartRequest
from .charts import charts
from .editing import Editing
from .guard import Below, Guard
from .keys import keys_of
from .kinds import PlotRequest, plot
from .live import Watcher, compressed, events
from .modules import with_modules
from .plain import json_bytes
from .rows import RowsRequest, rows
from .run_routes import RunRoutes
from .runs import runs_table
from .saved_views import ViewRoutes
from .sql import Answers
from .tree import RecorderTree
from .values import Values
from .workspace import Workspace

__all__ = ["application"]

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
#: Requests of charts that are read at once: more would only take more memory.
_AT_ONCE: Final = 2
_JSON: Final = "application/json"
#: Longer lists of keys, which repeat much, are compressed.
_LARGE: Final = 1 << 14


def application(  # noqa: PLR0913 - a page has this many options
    workspace: Workspace,
    *,
    hosts: frozenset[str] | None,
    token: str | None = None,
    root_path: str = "",
    origin: str = "",
    frames: bool = False,
    edits: bool = False,
    ends: Event | None = None,
) -> ASGIApp:
    """The page of a workspace, as an ASGI application.

    Args:
        hosts: names by which it is reached; None for any.
        token: what a first request has to bring; None for none.
        root_path: the path at which a proxy serves it.
        origin: the origin of pages at the proxy, if it is known.
        frames: whether notebooks on this machine can show it as a frame.
        edits: whether it can change and delete experiments.
        ends: set once the server ends, which waits for all answers; None for no such event.

    Raises:
        MissingPackageError: the chart library is not installed, or was changed.
    """
    editing = Editing(workspace) if edits else None
    page = _Page(workspace, editing.token if editing else None, ends or Event())
    routes = [
        Route("/", page.file),
        Route("/static/{name}", page.file),
        Route("/api/runs", page.runs),
        Route("/api/keys", page.keys),
        Route("/api/chart", page.chart, methods=["POST"]),
        Route("/api/plot", page.plot, methods=["POST"]),
        Route("/api/rows", page.rows, methods=["POST"]),
        Route("/api/live", page.live, methods=["GET", "POST"]),
        *RunRoutes(workspace, editing.token if editing else None).routes(),
        *page.values.routes(),
        *Answers(workspace, page.values).routes(),
        *ViewRoutes(workspace, editing).routes(),
        *RecorderTree(workspace, page.values).routes(),
        *(editing.routes() if editing else ()),
    ]
    app = Starlette(routes=routes, exception_handlers={RigorousError: _failed, OSError: _failed})
    app.router.redirect_slashes = False
    root_path = root_path.rstrip("/")
    guarded = Guard(
        app, hosts=hosts, token=token, root_path=root_path, origin=origin, frames=frames
    )
    return Below(guarded, root_path) if root_path else guarded


async def _failed(_: Request, error: Exception) -> Response:
    return Response(json_bytes({"error": str(error)}), 400, media_type=_JSON)


class _Page:
    def __init__(self, workspace: Workspace, edit_token: str | None, ends: Event) -> None:
        self._workspace = workspace
        self._edit_token = edit_token
        self.values = Values(workspace)
        self._watcher = Watcher(workspace, ends)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        folder = resources.files(__package__) / "static"
        self._files = {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}
        self._files["index.html"] = with_modules(self._files["index.html"], self._files)
        self._files |= library_files()

    async def file(self, request: Request) -> Response:
        """A file of the page; only those that were there at the start."""
        name = request.path_params.get("name", "index.html")
        if (content := self._files.get(name)) is None:
            return Response("There is no such file.", 404)
        return Response(content, media_type=_TYPES.get(f".{name.rpartition('.')[2]}"))

    async def runs(self, _: Request) -> Response:
        """All runs."""
        found = await run_in_threadpool(runs_table, self._workspace)
        found["edit_token"] = self._edit_token
        return Response(await run_in_threadpool(json_bytes, found), media_type=_JSON)

    async def keys(self, request: Request) -> Response:
        """The keys of charts and of x, over all collections, and the numbers of ``live`` before."""
        counts = await self._watcher.counts()
        found = await run_in_threadpool(keys_of, self._workspace)
        found["counts"] = [str(each) for each in counts]
        content, headers = json_bytes(found), {}
        if len(content) > _LARGE and accepts_gzip(request):
            content, headers = gzip.compress(content, 1), {"content-encoding": "gzip"}
        return Response(content, headers=headers, media_type=_JSON)

    async def chart(self, request: Request) -> Response:
        """The points of charts."""
        wanted = ChartRequest.of(await json_of(request))
        async with self._turns:
            return await unless_left(request, partial(charts, self._workspace, wanted))

    async def plot(self, request: Request) -> Response:
        """A chart of another kind."""
        wanted = PlotRequest.of(await json_of(request))
        async with self._turns:
            return await unless_left(request, partial(plot, self._workspace, wanted))

    async def rows(self, request: Request) -> Response:
        """A part of the flat table."""
        wanted = RowsRequest.of(await json_of(request))
        found = await run_in_threadpool(partial(rows, self._workspace, wanted, self.values.cell))
        return Response(await run_in_threadpool(json_bytes, found), media_type=_JSON)

    async def live(self, request: Request) -> Response:
        """What is new; with the new points of charts, where these are requested."""
        given = await json_of(request)
        wanted = ChartRequest.of(given) if given else None
        found = events(self._workspace, self._watcher, wanted)
        headers = {"x-accel-buffering": "no"}  # proxies such as nginx would else wait for more
        if accepts_gzip(request):
            found, headers = compressed(found), headers | {"content-encoding": "gzip"}
        return StreamingResponse(found, headers=headers, media_type="text/event-stream")
