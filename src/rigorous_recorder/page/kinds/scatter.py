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
#: Points of which the squares are found at once.
_AT_ONCE: Final = 1 << 18
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
    return (line.x, line.y) if inside.all() else (line.x[inside], line.y[inside])


def _one_of_each_square(
    shown: Sequence[tuple[Any, Any]], request: PlotRequest
) -> tuple[list[tuple[Any, Any]], int, int]:
    """Fewer points, the side of the squares, and how many points the fullest one has."""
    ends = [
        (min(each.min() for each in values), max(each.max() for each in values))
        for values in ([pair[axis] for pair in shown if len(pair[0])] for axis in (0, 1))
    ]
    for square in _SQUARES:
        found = [_firsts(pair, ends, request, square) for pair in shown]
        if sum(len(first) for first, _ in found) <= _MOST:
            break
    chosen = [_with_ends(first, pair) for (first, _), pair in zip(found, shown, strict=True)]
    reduced = [(x[at], y[at]) for (x, y), at in zip(shown, chosen, strict=True)]
    return reduced, square, max(most for _, most in found)


def _firsts(pair: Any, ends: Any, request: PlotRequest, square: int) -> tuple[Any, int]:
    """The first point of each square, and the number of points of the fullest one."""
    across = request.height // square + 1
    size = (request.width // square + 1) * across
    first, counts = np.full(size, -1), np.zeros(size, np.int64)
    for start in range(0, len(pair[0]), _AT_ONCE):
        some = [values[start : start + _AT_ONCE] for values in pair]
        columns = _pixels(some[0], ends[0], request.width) // square
        places = columns * across + _pixels(some[1], ends[1], request.height) // square
        counts += np.bincount(places, minlength=size)
        new = np.full(size, -1)
        new[places[::-1]] = np.arange(start, start + len(places))[::-1]
        first = np.where(first < 0, new, first)
    return np.sort(first[first >= 0]), int(counts.max())


def _pixels(values: Any, ends: tuple[Any, Any], size: int) -> Any:
    """The pixel of each value."""
    low, high = ends
    found = ((values - low) * (size / ((high - low) or 1.0))).astype(np.int64)
    return np.clip(found, 0, size)  # also beyond the range of floats


def _with_ends(first: Any, pair: Any) -> Any:
    """Some points, and those with the lowest and highest values."""
    if not len(first):
        return first
    ends = [end(values) for values in pair for end in (np.argmin, np.argmax)]
    return np.unique(np.concatenate([first, ends]))
