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

#: More points than these are reduced to one of each square of pixels.
_MOST: Final = 40_000
#: The sides of squares in pixels, of which the first is used that leaves few enough points.
_SQUARES: Final = (2, 3, 4, 6, 8)
#: Marks of NaN and infinities of a line; all are counted.
_MOST_MARKS: Final = 200


def scatter(workspace: Workspace, request: PlotRequest, stop: Event | None = None) -> Answer:
    """The points by line: ``lines``, with arrays ``0.x``, ``0.y``, ``0.mark_x``, ``0.mark_kind``, ...

    Each line has its ``key``, ``run``, ``label``, ``n`` (points that are there), ``odd`` (NaN and
    infinite y) and ``lost`` (x is). Marks are x and the kind (0 NaN, 1 inf, 2 -inf) of some odd ones.
    If there are too many, of those in a square of ``square`` pixels one is drawn, which stands for
    up to ``most`` points; the lowest and highest x and y of each line are there, too.

    Raises:
        ColumnError: no collection has both keys.
        ArgumentError: one is not given.
    """
    request.require(x=request.x, y=request.y)
    lines = together(points(workspace, request, request.x, stop), request)
    shown = [_shown(each, request) for each in lines]
    square, most = 0, 1
    if sum(len(x) for x, _ in shown) > _MOST:
        shown, square, most = _one_of_each_square(shown, request)
    arrays: dict[str, Any] = {}
    for at, (line, (x, y)) in enumerate(zip(lines, shown, strict=True)):
        odd = ~np.isfinite(line.y)
        marked = line.y[odd][:_MOST_MARKS]
        kinds = np.where(np.isnan(marked), 0.0, np.where(marked > 0, 1.0, 2.0))
        found = {"x": x, "y": y, "mark_x": line.x[odd][:_MOST_MARKS], "mark_kind": kinds}
        arrays |= {f"{at}.{name}": values for name, values in found.items()}
    reduced = {"is_reduced": square > 0, "square": square, "most": most}
    return Answer({"lines": list(map(header, lines)), **reduced}, arrays)


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


def _one_of_each_square(
    shown: Sequence[tuple[Any, Any]], request: PlotRequest
) -> tuple[list[tuple[Any, Any]], int, int]:
    """Fewer points, the side of the squares, and how many points the fullest one has."""
    pixels = [_pixels_of(pair, shown, request) for pair in shown]
    for square in _SQUARES:
        found = [_firsts(*each, square) for each in pixels]
        if sum(len(first) for first, _ in found) <= _MOST:
            break
    most = max(count for _, count in found)
    chosen = [
        np.unique(np.concatenate([first, *([f(v) for v in pair for f in (np.argmin, np.argmax)],)]))
        if len(pair[0])
        else first
        for pair, (first, _) in zip(shown, found, strict=True)
    ]
    return [(x[at], y[at]) for (x, y), at in zip(shown, chosen, strict=True)], square, most


def _pixels_of(
    pair: Any, shown: Sequence[tuple[Any, Any]], request: PlotRequest
) -> tuple[Any, Any]:
    """The column and the row of each point of a line, in a chart of all lines."""
    found = []
    for axis, size in enumerate((request.width, request.height)):
        values = [each[axis] for each in shown if len(each[axis])]
        low, high = min(each.min() for each in values), max(each.max() for each in values)
        places = ((pair[axis] - low) * (size / ((high - low) or 1.0))).astype(np.int64)
        found.append(np.clip(places, 0, size))  # also beyond the range of floats
    return found[0], found[1]


def _firsts(columns: Any, rows: Any, square: int) -> tuple[Any, int]:
    """The first point of each square, and the number of points of the fullest one."""
    if not len(columns):
        return columns, 0
    across = int(rows.max()) // square + 1
    squares = columns // square * across + rows // square
    first = np.full(int(squares.max()) + 1, -1)
    first[squares[::-1]] = np.arange(len(squares))[::-1]
    return np.sort(first[first >= 0]), int(np.bincount(squares).max())
