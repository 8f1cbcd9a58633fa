"""Pairs of values of any two keys, each once: of records, or of the recorders that have them.

Where records have one of the keys themselves, each record is a point. Otherwise the flat table
would repeat them in all records, so a point is a recorder of the lowest level that has both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from threading import Event
from typing import Any, NamedTuple

from ..._lazy_imports import np
from ...errors import ColumnError
from ..levels import points_of
from ..reading import RUN
from ..runs import run_key
from ..series import Line, metric_keys
from ..workspace import Opened, Workspace
from .request import PlotRequest

__all__ = ["Points", "header", "points", "together"]


class Points(NamedTuple):
    """The points of one run with the same values of the keys that separate them.

    Attributes:
        run: the run; None for records of none.
        labels: the values of those keys as text.
        x, y: float64; y can be NaN or infinite.
        lost: how many points have no finite x, and are in neither.
    """

    run: str | None
    labels: tuple[str, ...]
    x: Any
    y: Any
    lost: int = 0


def points(workspace: Workspace, request: PlotRequest, x: str, stop: Event | None) -> list[Points]:
    """All points of y over x, of the runs that are drawn, in order of the collections and runs.

    Args:
        x: the key of x, or ``INDEX`` for the number of the point.

    Raises:
        ColumnError: no collection has both keys.
        Cancelled: ``stop`` was set.
    """
    found, has_keys = [], False
    for opened in workspace.opened:
        try:
            found += list(_of(workspace, opened, request, x, stop))
        except ColumnError:
            continue  # another collection may have them
        has_keys = True
    if not has_keys:
        named = " and ".join(repr(key) for key in (request.y, x, *request.by) if key)
        message = f"no collection has {named}"
        raise ColumnError(message)
    wanted = request.runs
    return [each for each in found if wanted is None or each.run is None or each.run in wanted]


def _of(
    workspace: Workspace, opened: Opened, request: PlotRequest, x: str, stop: Event | None
) -> Iterator[Points]:
    own = metric_keys(opened.collection)
    if request.y not in own and x not in own:
        return _of_level(opened, request, x)
    by = (*request.by, *RUN) if request.by else None
    states = workspace.states(opened, [request.y], x, by, stop)
    if request.y not in states:
        message = f"{opened.name} has no such keys"
        raise ColumnError(message)
    return _of_lines(opened, states[request.y].lines, request)


def _of_lines(opened: Opened, lines: Iterable[Line], request: PlotRequest) -> Iterator[Points]:
    for line in lines:
        run = line.run
        if request.by and line.labels[-1]:
            run = int(line.labels[-2]), float(line.labels[-1])
        key = None if run is None else run_key(opened.name, *run)
        (x, y), (odd_x, odd_y) = line.points.arrays(), line.points.odd
        if len(odd_y):
            x, y = np.concatenate([x, odd_x]), np.concatenate([y, odd_y])
            order = np.argsort(x, kind="stable")
            x, y = x[order], y[order]
        yield Points(key, line.labels[: len(request.by)], x, y, line.points.lost)


def _of_level(opened: Opened, request: PlotRequest, x: str) -> Iterator[Points]:
    for each in points_of(opened.collection, request.y, x, request.by):
        run = None if each.run is None else run_key(opened.name, *each.run)
        yield Points(run, each.labels, each.x, each.y, each.lost)


def together(found: Iterable[Points], request: PlotRequest) -> list[Points]:
    """The points of each line: of each run, or of all runs with the same values of ``by``."""
    groups: dict[tuple[str | None, tuple[str, ...]], list[Points]] = {}
    for each in found:
        run = None if request.by else each.run
        groups.setdefault((run, each.labels), []).append(each._replace(run=run))
    return [
        some[0]
        if len(some) == 1
        else Points(
            run,
            labels,
            np.concatenate([each.x for each in some]),
            np.concatenate([each.y for each in some]),
            sum(each.lost for each in some),
        )
        for (run, labels), some in groups.items()
    ]


def header(found: Points) -> dict[str, Any]:
    """The entry of a line: its key in the page, run, label, and numbers of points."""
    label = ", ".join(found.labels)
    odd = int((~np.isfinite(found.y)).sum())
    key = found.run or f"\0{label}"
    return {
        "key": key,
        "run": found.run,
        "label": label,
        "n": len(found.y),
        "odd": odd,
        "lost": found.lost,
    }
