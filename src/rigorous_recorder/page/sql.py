"""Answers of queries: a screen at a time, single values, and as files."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping
from secrets import token_hex
from threading import Lock
from typing import Any, Final, NamedTuple
from weakref import finalize

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from .._arrow import ipc, pa
from .._engines.result_rows import column_values
from ..errors import ArgumentError
from .body import json_of
from .plain import json_bytes
from .sql_process import Query, Running, Workers
from .values import Values
from .workspace import Workspace

__all__ = ["Answers"]

_ROWS: Final = 100_000
_BYTES: Final = 32 << 20
#: Older answers are run again where they are scrolled.
_CACHE_BYTES: Final = 64 << 20
_SECONDS: Final = 30.0
_SECONDS_OF_EXPORT: Final = 3_600.0
_MOST_ROWS_AT_ONCE: Final = 500
_TYPES: Final[Mapping[str, str]] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


class _Answer(NamedTuple):
    """An answer that can be scrolled."""

    table: pa.Table
    is_cut: bool
    seconds: float


class Answers:
    """Runs queries of a page, and has their latest answers."""

    def __init__(self, workspace: Workspace, values: Values) -> None:
        self._workspace, self._values = workspace, values
        self._workers = Workers()
        finalize(self, self._workers.close)
        self._known: OrderedDict[str, _Answer] = OrderedDict()
        self._lock = Lock()

    def routes(self) -> list[Route]:
        """What the browser requests of it."""
        return [
            Route("/api/sql", self._run, methods=["POST"]),
            Route("/api/sql/rows", self._rows, methods=["POST"]),
            Route("/api/sql/cell", self._cell, methods=["POST"]),
            Route("/api/sql/export", self._export),
        ]

    async def _run(self, request: Request) -> Response:
        """Run a query: its columns, first rows, and a name for the others."""
        given = await json_of(request)
        running = self._started(given, "arrow", rows=_ROWS, size=_BYTES, seconds=_SECONDS)
        leaving = asyncio.create_task(_stop_when_left(request, running))
        try:
            found = await run_in_threadpool(self._answered, running)
        finally:
            leaving.cancel()
        return Response(found, media_type="application/json")

    def _started(self, given: Any, form: str, *, rows: int, size: int, seconds: float) -> Running:
        if not isinstance(given, Mapping):
            message = "not a valid request of a query"
            raise ArgumentError(message)
        name = str(given.get("collection") or "")  # none is all
        some = [self._workspace.named(name)] if name else self._workspace.opened
        places = {each.name: str(each.path) for each in some}
        query = Query(places, str(given.get("query") or ""), form, rows, size, seconds)
        return self._workers.run(query)

    def _answered(self, running: Running) -> bytes:
        start = time.monotonic()
        content = b"".join(running.data())
        table = ipc.open_stream(pa.py_buffer(content)).read_all()
        answer = _Answer(table, bool(running.summary["is_cut"]), time.monotonic() - start)
        name = token_hex(8)
        with self._lock:
            self._known[name] = answer
            size = sum(each.table.nbytes for each in self._known.values())
            while size > _CACHE_BYTES and len(self._known) > 1:
                size -= self._known.popitem(last=False)[1].table.nbytes
        return json_bytes(
            {
                "id": name,
                "columns": [
                    {"name": field.name, "type": str(field.type)} for field in table.schema
                ],
                "total": table.num_rows,
                "is_cut": answer.is_cut,
                "seconds": answer.seconds,
                "rows": self._page(table, 0, 200),
            }
        )

    def _page(self, table: pa.Table, first: int, count: int) -> list[list[Any]]:
        some = table.slice(first, count).combine_chunks().to_batches()
        return [
            [self._values.cell(value) for value in row]
            for batch in some
            for row in zip(*map(column_values, batch.columns), strict=True)
        ]

    async def _rows(self, request: Request) -> Response:
        """A part of an answer."""
        given = await json_of(request)
        table = self._table(given)
        first, count = _number(given, "first"), min(_number(given, "count"), _MOST_ROWS_AT_ONCE)
        rows = await run_in_threadpool(self._page, table, first, count)
        return Response(json_bytes({"rows": rows}), media_type="application/json")

    async def _cell(self, request: Request) -> Response:
        """One value, whole."""
        given = await json_of(request)
        table = self._table(given)
        row, column = _number(given, "row"), _number(given, "column")
        if row >= table.num_rows or column >= table.num_columns:
            message = "there is no such value in the answer"
            raise ArgumentError(message)
        (value,) = column_values(table.column(column).slice(row, 1).combine_chunks())
        return Response(json_bytes(self._values.whole(value)), media_type="application/json")

    def _table(self, given: Any) -> pa.Table:
        name = given.get("id") if isinstance(given, Mapping) else None
        with self._lock:
            known = self._known.get(str(name))
        if known is None:
            message = "this answer is not there any more: run the query again"
            raise ArgumentError(message)
        return known.table

    async def _export(self, request: Request) -> Response:
        """A whole answer as a file, sent while it is read."""
        form = request.query_params.get("format", "")
        if form not in _TYPES:
            message = f"{form!r:.20} is not a valid format: expected csv, jsonl or parquet"
            raise ArgumentError(message)
        running = self._started(
            request.query_params, form, rows=0, size=0, seconds=_SECONDS_OF_EXPORT
        )
        parts = running.data()
        try:  # an error that is known at once is one that the browser can show
            first = await run_in_threadpool(next, parts, b"")
        except BaseException:
            parts.close()
            raise
        headers = {"content-disposition": f'attachment; filename="answer.{form}"'}
        return StreamingResponse(
            _sent(running, first, parts), media_type=_TYPES[form], headers=headers
        )


async def _stop_when_left(request: Request, running: Running) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    running.stop()


async def _sent(running: Running, first: bytes, parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for part in iterate_in_threadpool(parts):
            yield part
    except BaseException:
        running.stop()
        raise


def _number(given: Mapping[str, Any], name: str) -> int:
    value = given.get(name)
    if not isinstance(value, int) or value < 0:
        message = f"{name} is {value!r:.40}: expected a number of 0 or more"
        raise ArgumentError(message)
    return value
