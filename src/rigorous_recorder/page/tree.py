"""The tree of recorders, of which the recorders below one are requested once it is opened."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, Final, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .._display.tree import Child, Listing
from .._engines.sql import identifier, literal
from .._keys import RESERVED
from .._values.chunks import int64_array
from ..errors import ArgumentError
from .body import json_of
from .given import LAST, count_in, id_in, requested, text_in
from .plain import json_bytes, plain
from .runs import run_key
from .series import same_deleted
from .values import Values
from .workspace import Opened, Workspace

__all__ = ["RecorderTree"]

_ROOT: Final = 1
_OF_RUN: Final = ("experiment_number", "experiment_start_time")
_MOST_CHILDREN: Final = 500
_MOST_IN_LABEL: Final = 300
#: Numbers of records are counted anew at most after so many seconds, and so many times what it took.
_SECONDS: Final = 2.0
_SHARE: Final = 20


class _Known(NamedTuple):
    """A listing, its snapshot, and until when it is used for later ones, too."""

    snapshot: Any
    listing: Listing
    until: float


class RecorderTree:
    """The recorders of a workspace."""

    def __init__(self, workspace: Workspace, values: Values) -> None:
        self._workspace, self._values = workspace, values
        self._lock = Lock()
        self._known: dict[str, _Known] = {}

    def routes(self) -> list[Route]:
        """The addresses of the tree."""
        return [
            Route("/api/tree", self._below, methods=["POST"]),
            Route("/api/tree/recorder", self._recorder, methods=["POST"]),
        ]

    async def _below(self, request: Request) -> Response:
        wanted = _Wanted.of(await json_of(request))
        return await self._found(wanted, self._page)

    async def _recorder(self, request: Request) -> Response:
        wanted = _Wanted.of(await json_of(request))
        return await self._found(wanted, self._attributes)

    async def _found(self, wanted: _Wanted, find: Any) -> Response:
        opened = self._workspace.named(wanted.collection)
        found = await run_in_threadpool(lambda: json_bytes(find(opened, wanted)))
        return Response(found, media_type="application/json")

    def _page(self, opened: Opened, wanted: _Wanted) -> dict[str, Any]:
        count, children = self._listing(opened).below(wanted.node, wanted.first, wanted.most)
        return {"count": count, "children": list(map(_line, children))}

    def _attributes(self, opened: Opened, wanted: _Wanted) -> dict[str, Any]:
        snapshot, _ = opened.collection.records._now()
        if (at := snapshot.nodes.position(wanted.node)) is None:
            message = "there is no such recorder any more"
            raise ArgumentError(message)
        nodes = snapshot.nodes
        path = nodes.own_data(nodes.with_ancestors(int64_array([at])))  # itself first
        whole = self._values.whole({key: each for key, each in path[0].items() if each is not None})
        return whole | _links(opened.name, path)

    def _listing(self, opened: Opened) -> Listing:
        with self._lock:
            snapshot, _ = opened.collection.records._now()
            known, now = self._known.get(opened.name), time.monotonic()
            if known is None or _is_old(known, snapshot, now):
                listing = Listing(snapshot)
                took = time.monotonic() - now
                known = _Known(snapshot, listing, now + max(_SECONDS, _SHARE * took))
                self._known[opened.name] = known
            return known.listing


def _is_old(known: _Known, snapshot: Any, now: float) -> bool:
    """Whether a listing is made anew: at once where recorders were deleted."""
    if known.snapshot is snapshot:
        return False
    before, nodes = known.snapshot.nodes, snapshot.nodes
    return now > known.until or nodes.count < before.count or not same_deleted(before, nodes)


class _Wanted(NamedTuple):
    """Which recorders: those below one, from the first on."""

    collection: str
    node: int
    first: int
    most: int

    @classmethod
    def of(cls, given: Any) -> _Wanted:
        """The request in JSON of the browser; ids of recorders are text there.

        Raises:
            ArgumentError: it is not a valid one.
        """
        try:
            given = requested(given)
            return cls(
                text_in(given, "collection"),
                id_in(given, "node", default=_ROOT),
                count_in(given, "first", 0, LAST, default=0),
                count_in(given, "count", 0, _MOST_CHILDREN, default=100),
            )
        except ValueError as error:
            message = f"not a valid request of recorders: {error}"
            raise ArgumentError(message) from None


def _links(name: str, path: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The run of a recorder, and the SQL condition of the records with its attributes."""
    known = {key: each for own in reversed(path) for key, each in own.items() if each is not None}
    number, start = (known.get(key) for key in _OF_RUN)
    is_of_run = isinstance(number, int) and isinstance(start, float)
    terms = (
        f"{identifier(key)} = {text}"
        for key, each in known.items()
        if (key in _OF_RUN or key not in RESERVED) and (text := _literal(each)) is not None
    )
    run = run_key(name, number, start) if is_of_run else None  # type: ignore[arg-type]
    return {"run": run, "where": " AND ".join(terms)}


def _literal(value: Any) -> str | None:
    """A value in SQL; None for those that SQL compares otherwise."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"'{value!r}'::DOUBLE" if math.isfinite(value) else None
    return literal(value) if isinstance(value, str) and "\0" not in value else None


def _line(child: Child) -> Mapping[str, Any]:
    return {
        "id": str(child.node),
        "label": plain(child.tree.label, _MOST_IN_LABEL),
        "records": child.tree.records,
        "all_records": child.tree.all_records,
        "children": child.children,
    }
