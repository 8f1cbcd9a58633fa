"""Scatter: points of any two keys."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import Any, Final

from ..._lazy_imports import np
from ..workspace import Workspace
from .answer import Answer
from .points import Points, header, points, together
from .request import PlotRequest

__all__ = ["scatter"]

#: More points than these are reduced to one of each pixel.
_MOST: Final = 40_000
#: Marks of NaN and infinities of a line; all are counted.
_MOST_MARKS: Final = 200


def scatter(workspace: Workspace, request: PlotRequest, stop: Event | None = None) -> Answer:
    """The points by line: ``lines``, with arrays ``0.x``, ``0.y``, ``0.mark_x``, ``0.mark_kind``, ...

    Each line has its ``key``, ``run``, ``label``, ``n`` (points that are there), ``odd`` (NaN and
    infinite y) and ``lost`` (x is). Marks are x and the kind (0 NaN, 1 inf, 2 -inf) of some odd ones.
    If there are too many, of those in one pixel one is drawn, and ``is_reduced``.

    Raises:
        ColumnError: no collection has both keys.
        ArgumentError: one is not given.
    """
    request.require(x=request.x, y=request.y)
    lines = together(points(workspace, request, request.x, stop), request)
    shown = [_shown(each, request) for each in lines]
    is_reduced = sum(len(x) for x, _ in shown) > _MOST
    if is_reduced:
        shown = _one_of_each_pixel(shown, request)
    arrays: dict[str, Any] = {}
    for at, (line, (x, y)) in enumerate(zip(lines, shown, strict=True)):
        odd = ~np.isfinite(line.y)
        marked = line.y[odd][:_MOST_MARKS]
        kinds = np.where(np.isnan(marked), 0.0, np.where(marked > 0, 1.0, 2.0))
        found = {"x": x, "y": y, "mark_x": line.x[odd][:_MOST_MARKS], "mark_kind": kinds}
        arrays |= {f"{at}.{name}": values for name, values in found.items()}
    return Answer({"lines": list(map(header, lines)), "is_reduced": is_reduced}, arrays)


def _shown(line: Points, request: PlotRequest) -> tuple[Any, Any]:
    """The finite points inside the ends."""
    inside = np.isfinite(line.y)
    for values, low, high in (
        (line.x, request.low, request.high),
        (line.y, request.bottom, request.top),
    ):
        if low is not None:
            inside &= values >= low
        if high is not None:
            inside &= values <= high
    return line.x[inside], line.y[inside]


def _one_of_each_pixel(shown: Sequence[tuple[Any, Any]], request: PlotRequest) -> list[Any]:
    ends = [
        (min(each.min() for each in values), max(each.max() for each in values))
        for values in ([pair[axis] for pair in shown if len(pair[0])] for axis in (0, 1))
    ]
    found = []
    for x, y in shown:
        columns, rows = (
            ((values - low) * (size / ((high - low) or 1.0))).astype(np.int64)
            for values, (low, high), size in zip(
                (x, y), ends, (request.width, request.height), strict=True
            )
        )
        _, first = np.unique(columns * (request.height + 1) + rows, return_index=True)
        first.sort()
        found.append((x[first], y[first]))
    return found
