"""Charts as the browser draws them: a header in JSON, and the points of all lines as float64."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from threading import Event
from typing import Any, Final, NamedTuple

from .._lazy_imports import np
from ..errors import ArgumentError, ColumnError
from .plain import json_bytes
from .reduce import Band, by_pixel, mean_by_x, smoothed, window
from .runs import run_key
from .series import Line
from .workspace import Opened, Wanted, Workspace

__all__ = ["ChartRequest", "chart"]

_MOST_PIXELS: Final = 4_000
#: Points of all lines together; with many lines each is drawn by fewer pixels.
_MOST_POINTS: Final = 400_000
_FEWEST_PIXELS: Final = 16
#: Marks of NaN and infinities of a line; all are counted.
_MOST_MARKS: Final = 200
_BANDS: Final = ("std", "sem", "minmax", "none")
#: A tail with more points is drawn anew.
_LONGEST_TAIL: Final = 20_000


class ChartRequest(NamedTuple):
    """What the browser requests.

    Attributes:
        y, x: keys; no x is the number of a point.
        by: keys that separate lines; none for one line for each run.
        band: around the mean of points with the same x, or ``none``.
        pixels: the width of the chart.
        low, high: the ends of x that are shown.
        smooth: the weight of the moving average, or 0.
        log_x: whether pixels are even on a logarithmic axis.
        cursor: what an earlier answer had, for the points since; by collection.
    """

    y: str
    x: str
    by: tuple[str, ...]
    band: str
    pixels: int
    low: float | None
    high: float | None
    smooth: float
    log_x: bool
    cursor: Mapping[str, tuple[int, int]] | None

    @classmethod
    def of(cls, given: Any) -> ChartRequest:
        """The request in JSON of the browser.

        Raises:
            ArgumentError: it is not a valid one.
        """
        try:
            return cls(
                y=_text(given["y"]),
                x=_text(given.get("x") or ""),
                by=tuple(_text(each) for each in given.get("by") or ()),
                band=_one_of(given.get("band") or "std", _BANDS),
                pixels=min(max(int(given.get("pixels") or 600), 1), _MOST_PIXELS),
                low=_end(given.get("low")),
                high=_end(given.get("high")),
                smooth=min(max(float(given.get("smooth") or 0), 0.0), 0.9999),
                log_x=bool(given.get("log_x")),
                cursor=_cursor(given.get("cursor")),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            message = f"not a valid request of a chart: {error!r}"
            raise ArgumentError(message) from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        message = f"{value!r:.60}: expected a key"
        raise TypeError(message)
    return value


def _one_of(value: Any, values: Sequence[str]) -> str:
    if value not in values:
        message = f"{value!r:.60}: expected one of {', '.join(values)}"
        raise ValueError(message)
    return str(value)


def _end(value: Any) -> float | None:
    return None if value is None else float(value)


def _cursor(value: Any) -> dict[str, tuple[int, int]] | None:
    if value is None:
        return None
    return {str(name): (int(each[0]), int(each[1])) for name, each in value.items()}


class _Found(NamedTuple):
    """The lines of a collection, and its cursor."""

    opened: Opened
    lines: list[Line]
    cursor: tuple[int, int]


def chart(workspace: Workspace, request: ChartRequest, stop: Event | None = None) -> bytes:
    """A chart, as the length of the header in 8 bytes, the header padded to 8, and float64.

    The header's ``lines`` have ``key``, ``label``, ``n`` (points that are there), ``points``,
    ``band`` (whether low and high follow), ``smooth`` (whether the smoothed values follow), ``marks``
    and ``odd`` (NaN and infinities: those drawn, and all). For each line there follow x and y of
    its points, low and high of its band, its smoothed y, and x and kind (0 NaN, 1 inf, 2 -inf) of
    its marks.

    Raises:
        ColumnError: no collection has the key.
        Cancelled: ``stop`` was set.
    """
    if (tail := _tail(workspace, request)) is not None:
        return tail
    found = list(_found(workspace, request, stop))
    if not found:
        message = f"no collection has both keys {request.y!r} and {request.x or request.y!r}"
        raise ColumnError(message)
    total = max(1, sum(len(each.lines) for each in found))
    pixels = max(_FEWEST_PIXELS, min(request.pixels, _MOST_POINTS // (4 * total)))
    drawn = [
        _drawn(each.opened, line, request, pixels)
        for each in found
        for line in each.lines
        if stop is None or not stop.is_set()
    ]
    return _packed(drawn, {each.opened.name: each.cursor for each in found}, is_tail=False)


def _found(workspace: Workspace, request: ChartRequest, stop: Event | None) -> Iterator[_Found]:
    wanted = Wanted(request.y, request.x, request.by or None)
    for opened in workspace.opened:
        try:
            series = workspace.series(opened, wanted)
            lines, generation, count = series.lines(renew=request.by != (), stop=stop)
        except ColumnError:
            continue  # another collection may have it
        yield _Found(opened, lines, (generation, count))


def _tail(workspace: Workspace, request: ChartRequest) -> bytes | None:
    """Only the points since the cursor; None if the chart has to be drawn anew."""
    if request.cursor is None or request.by or request.smooth:
        return None
    drawn, cursor = [], {}
    for opened in workspace.opened:
        if opened.name not in request.cursor:
            return None
        generation, count = request.cursor[opened.name]
        series = workspace.series(opened, Wanted(request.y, request.x, None))
        tail = series.tail(generation, count)
        if tail is None or tail.position - count > _LONGEST_TAIL:
            return None
        cursor[opened.name] = generation, tail.position
        drawn += [_whole(opened, line) for line in tail.lines]
    return _packed(drawn, cursor, is_tail=True)


class _Drawn(NamedTuple):
    """A line's entry in the header, and its arrays."""

    header: dict[str, Any]
    arrays: list[Any]


def _drawn(opened: Opened, line: Line, request: ChartRequest, pixels: int) -> _Drawn:
    is_finite = np.isfinite(line.y)
    x, y, odd_x, odd_y = line.x, line.y, line.x[:0], line.y[:0]
    if not is_finite.all():
        x, y, odd_x, odd_y = x[is_finite], y[is_finite], x[~is_finite], y[~is_finite]
    band = None
    if len(x) and (x[1:] == x[:-1]).any():
        band = mean_by_x(x, y, request.band)
        x, y = band.x, band.mean
    smooth = smoothed(x, y, request.smooth) if request.smooth else None
    shown = window(x, request.low, request.high)
    picked = _picked(y, smooth, band, shown)
    places = shown.start + _places(x[shown], picked, request, pixels)
    arrays = [x[places], y[places]]
    has_band = band is not None and request.band != "none"
    if has_band and band is not None:
        arrays += [band.low[places], band.high[places]]
    if smooth is not None:
        arrays.append(smooth[places])
    marked = odd_x[:_MOST_MARKS], odd_y[:_MOST_MARKS]
    kinds = np.where(np.isnan(marked[1]), 0.0, np.where(marked[1] > 0, 1.0, 2.0))
    header = _header(opened, line) | {
        "points": len(places),
        "band": has_band,
        "smooth": smooth is not None,
        "marks": len(kinds),
        "odd": len(odd_x),
    }
    return _Drawn(header, [*arrays, marked[0], kinds])


def _picked(y: Any, smooth: Any, band: Band | None, shown: slice) -> list[Any]:
    """The arrays whose lows and highs are to be preserved."""
    ends = () if band is None else (band.low, band.high)
    return [each[shown] for each in (y, *ends, smooth) if each is not None]


def _places(x: Any, picked: Sequence[Any], request: ChartRequest, pixels: int) -> Any:
    if request.log_x and len(x) and x[-1] > 0:
        x = np.log10(np.maximum(x, np.min(x[x > 0])))
    found = [by_pixel(x, each, pixels) for each in picked]
    return found[0] if len(found) == 1 else np.unique(np.concatenate(found))


def _whole(opened: Opened, line: Line) -> _Drawn:
    is_finite = np.isfinite(line.y)
    odd = line.y[~is_finite]
    kinds = np.where(np.isnan(odd), 0.0, np.where(odd > 0, 1.0, 2.0))
    header = _header(opened, line) | {
        "points": int(is_finite.sum()),
        "band": False,
        "smooth": False,
        "marks": len(odd),
        "odd": len(odd),
    }
    return _Drawn(header, [line.x[is_finite], line.y[is_finite], line.x[~is_finite], kinds])


def _header(opened: Opened, line: Line) -> dict[str, Any]:
    if line.run is None:
        label = ", ".join(line.labels)
        return {"key": f"{opened.name}\0{label}", "run": None, "label": label, "n": len(line.x)}
    key = run_key(opened.name, *line.run)
    return {"key": key, "run": key, "label": f"{opened.name} {line.run[0]}", "n": len(line.x)}


def _packed(drawn: Sequence[_Drawn], cursor: Mapping[str, Any], *, is_tail: bool) -> bytes:
    header = json_bytes(
        {"lines": [each.header for each in drawn], "cursor": cursor, "is_tail": is_tail}
    )
    header += b" " * (-len(header) % 8)
    arrays = [np.ascontiguousarray(each, "<f8").tobytes() for one in drawn for each in one.arrays]
    return b"".join([len(header).to_bytes(8, "little"), header, *arrays])
