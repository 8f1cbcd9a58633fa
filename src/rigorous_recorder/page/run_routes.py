"""The addresses of the table of runs: its lines, courses, names, and what differs between runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import ArgumentError
from .body import json_of, unless_left
from .plain import json_bytes
from .table import CourseRequest, RunTable, TableRequest
from .workspace import Workspace

__all__ = ["RunRoutes"]


class RunRoutes:
    """What the table of runs requests of a workspace.

    Args:
        edit_token: what the page sends with changes; None if it can't make any.
    """

    def __init__(self, workspace: Workspace, edit_token: str | None) -> None:
        self._table, self._edit_token = RunTable(workspace), edit_token

    def routes(self) -> list[Route]:
        """The addresses."""
        return [
            Route("/api/table", self._page, methods=["POST"]),
            Route("/api/courses", self._courses, methods=["POST"]),
            Route("/api/names", self._names, methods=["POST"]),
            Route("/api/compare", self._compare, methods=["POST"]),
        ]

    async def _page(self, request: Request) -> Response:
        wanted = TableRequest.of(await json_of(request))
        return await _answered(lambda: {**self._table.page(wanted), "edit_token": self._edit_token})

    async def _courses(self, request: Request) -> Response:
        wanted = CourseRequest.of(await json_of(request))

        def read(stop: Any) -> bytes:
            return json_bytes(self._table.courses(wanted, stop))

        return await unless_left(request, read, "application/json")

    async def _names(self, request: Request) -> Response:
        return await _answered(partial(self._table.names, _runs_of(await json_of(request))))

    async def _compare(self, request: Request) -> Response:
        return await _answered(partial(self._table.compared, _runs_of(await json_of(request))))


async def _answered(read: Callable[[], Any]) -> Response:
    found = await run_in_threadpool(lambda: json_bytes(read()))
    return Response(found, media_type="application/json")


def _runs_of(given: Any) -> list[str]:
    """The keys of runs in a request.

    Raises:
        ArgumentError: there are none.
    """
    runs = given.get("runs") if isinstance(given, dict) else None
    if not isinstance(runs, list) or not all(isinstance(each, str) for each in runs):
        message = "runs: expected a list of keys of runs"
        raise ArgumentError(message)
    return runs
