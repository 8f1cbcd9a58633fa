"""Charts as the browser draws them, several at once where they share x and lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import product
from threading import Event
from typing import Any, Final, NamedTuple

from .._lazy_imports import np
from ..errors import ColumnError
from .chart_request import ChartRequest, Cursors
from .keys import MOST_BESIDE, keys_beside, likely_keys
from .levels import Level, RecorderPoints, level_keys, mean_of_recorders, points_of
from .lines import lines_of, same_label
from .merged import Merged, has_times, merged, start_of
from .packing import Packed
from .points import Points
from .reduce import Band, Pixels, by_column, mean_by_x, smoothed, window
from .runs import run_key
from .series import INDEX, RUN, Cancelled, Line, State, Tail, metric_keys
from .workspace import Opened, Workspace

__all__ = ["charts", "tails"]

#: Points of all lines of a chart together; with many lines each is drawn by fewer pixels.
_MOST_POINTS: Final = 400_000
_FEWEST_PIXELS: Final = 16
#: Marks of NaN and infinities of a line; all are counted.
_MOST_MARKS: Final = 200
#: A tail with more points is drawn anew.
_LONGEST_TAIL: Final = 20_000

_States = list[tuple[Opened, State]]


def charts(workspace: Workspace, request: ChartRequest, stop: Event | None = None) -> bytes:
    """The charts of some keys; see ``Packed.message``.

    The header has ``names`` of all lines, and ``charts``, in which each has ``y``, its key, ``x``,
    ``others`` (if nothing has both, what has y has these in place of x), and ``cursor`` and
    ``is_tail``; lists with an entry for each line: ``line``, its place among the names, ``n``
    (points that are there), ``points`` (those that are sent), ``band`` (whether it has one),
    ``odd`` (NaN and infinities that are there) and ``marks`` (those that are sent); and the types
    of its arrays, in each of which all lines follow each other: ``x``, ``y``, ``low`` and ``high``
    of the bands, ``smooth`` or None, ``mark_x`` and ``mark_kind`` (0 NaN, 1 inf, 2 -inf).
    Or a chart has ``error``.

    Raises:
        ColumnError: no collection has any of the keys.
        Cancelled: ``stop`` was set.
    """
    with np.errstate(all="ignore"):  # a mean beyond the range of floats is infinite
        return _Answer(workspace, request, stop).message()


def tails(workspace: Workspace, request: ChartRequest) -> tuple[bytes, ChartRequest | None]:
    """The new points of charts, and the request of those that come after these.

    The message is like that of ``charts``, without the charts that have none, or b"" if all are so.
    ``is_stale`` has a chart that has to be requested whole; it is left out of the next request,
    which is None once no chart is left.
    """
    with np.errstate(all="ignore"):
        return _Answer(workspace, request, None).following()


class _Answer:
    """The charts of one request."""

    def __init__(self, workspace: Workspace, request: ChartRequest, stop: Event | None) -> None:
        self._workspace, self._request, self._stop = workspace, request, stop
        self._packed = Packed()
        self._names: dict[tuple[str, Any], int] = {}
        self._names_sent: list[dict[str, Any]] = []

    def message(self) -> bytes:
        """All charts."""
        tails, request = self._tails(), self._request
        levels = self._levels()
        found = self._found([key for key in request.y if key not in tails and key not in levels])
        charts = [
            self._tail(key, *tails[key])
            if key in tails
            else self._of_recorders(key, levels[key])
            if key in levels
            else self._merged(key, found[key][0])
            if self._is_joined or (request.levels_once and _has_equal(found[key][1]))
            else self._chart(key, *found[key])
            for key in request.y
        ]
        if all("error" in each for each in charts):
            raise ColumnError(charts[0]["error"])
        return self._packed.message({"names": self._names_sent, "charts": charts})

    def _check(self) -> None:
        if self._stop is not None and self._stop.is_set():
            raise Cancelled

    # --- whole charts ----------------------------------------------------------------------------

    @property
    def _is_joined(self) -> bool:
        """Whether lines are read anew for the request."""
        return self._request.is_merged and bool(self._request.by)

    def _found(self, keys: Sequence[str]) -> dict[str, tuple[ChartRequest, _States]]:
        """The request of each chart, with the first x that its records have, and its lines."""
        request = self._request
        if self._is_joined and not request.is_likely:
            return {key: (request, []) for key in keys}
        found: dict[str, tuple[ChartRequest, _States]] = {}
        for x in self._xs():
            rest = [
                key for key in keys if key not in found and not (request.is_likely and key == x)
            ]
            is_last = x == INDEX or not request.is_likely
            for key, states in self._states(rest, x).items():
                if is_last or any(map(_has_points, states)):
                    found[key] = request.over(x), states
            if len(found) == len(keys):
                break
        return found

    def _xs(self) -> Iterator[str]:
        """What x may be, the most likely first."""
        request = self._request
        yield request.x
        if request.is_likely and request.x != INDEX:
            yield from (x for x in likely_keys(self._workspace.opened) if x != request.x)
            yield INDEX

    def _states(self, keys: Sequence[str], x: str) -> dict[str, _States]:
        found: dict[str, _States] = {key: [] for key in keys}
        request = self._request
        by = None if self._is_joined else request.by or None
        if by and (request.runs is not None or x == INDEX):
            by = (*by, *RUN)
        for opened in self._workspace.opened if keys else ():
            states = self._workspace.states(opened, keys, x, by, self._stop)
            for key, state in states.items():
                found[key].append((opened, state))
        return found

    def _chart(self, key: str, request: ChartRequest, found: _States) -> dict[str, Any]:
        if not found:
            return self._missing(key, request)
        lines = lines_of(found, len(request.by), request.runs)
        pixels = max(_FEWEST_PIXELS, min(request.pixels, _MOST_POINTS // (4 * (len(lines) or 1))))
        starts = {opened.name: _starts(opened, request) for opened, _ in found}
        drawn = []
        for opened, line in lines:
            self._check()
            points, first, (odd_x, odd_y) = line.points, starts[opened.name](line), line.points.odd
            some = _drawn(points, request, pixels, first, self._check)
            odd = odd_x - first if first else odd_x, odd_y
            drawn.append(_Entry(self._name(opened, line), points.count, some, *odd))
        cursor = {opened.name: state.cursor for opened, state in found}
        return self._packed_chart(key, request.x, drawn, cursor) | self._others(key, request, drawn)

    def _merged(self, key: str, request: ChartRequest) -> dict[str, Any]:
        try:
            found = merged(
                self._workspace.opened,
                key,
                request.x,
                request.by,
                band=request.band,
                from_start=request.from_start,
                levels_once=request.levels_once,
                runs=request.runs if request.by else None,
                stop=self._stop,
            )
        except ColumnError:
            return self._missing(key, request)
        pixels = max(_FEWEST_PIXELS, min(request.pixels, _MOST_POINTS // (4 * (len(found) or 1))))
        drawn = [
            _Entry(
                self._name(line.opened, line),
                line.there,
                _of_band(line.band, request, pixels),
                *line.odd,
            )
            for line in found
        ]
        return self._packed_chart(key, request.x, drawn, {}) | self._others(key, request, drawn)

    # --- charts in which a recorder is a point ---------------------------------------------------

    def _levels(self) -> dict[str, list[tuple[Opened, Level]]]:
        """The requested keys that only recorders have, with where they are."""
        found: dict[str, list[tuple[Opened, Level]]] = {}
        of_records: set[str] = set()
        for opened in self._workspace.opened:
            keys = set(metric_keys(opened.collection))
            of_records |= keys
            if keys.issuperset(self._request.y):
                continue
            for key, level in level_keys(opened.collection).items():
                found.setdefault(key, []).append((opened, level))
        return {key: found[key] for key in self._request.y if key in found.keys() - of_records}

    def _of_recorders(self, key: str, found: Sequence[tuple[Opened, Level]]) -> dict[str, Any]:
        request, x = self._request, self._request.x
        if request.is_likely and not any(x in level.others for _, level in found):
            x = found[0][1].x
        request = request.over(x)
        lines: dict[Any, tuple[Opened, list[RecorderPoints]]] = {}
        has_keys = False
        for opened, level in found:
            if x != INDEX and x not in level.others:
                continue
            with suppress(ColumnError):  # another collection may have the keys of lines
                for name, each in self._lines_of_recorders(opened, key, x):
                    lines.setdefault(name, (opened, []))[1].append(each)
                has_keys = True
        others = sorted({each for _, level in found for each in level.others if each != key})
        if not has_keys and (x == INDEX or x in others):
            return self._missing(key, request)
        pixels = max(_FEWEST_PIXELS, min(request.pixels, _MOST_POINTS // (4 * (len(lines) or 1))))
        drawn = []
        for opened, some in lines.values():
            there, band, odd = mean_of_recorders(
                some,
                request.band,
                from_start=request.from_start and x != INDEX,
                levels_once=request.levels_once,
            )
            run, labels = (None, some[0].labels) if request.by else (some[0].run, ())
            name = self._name(opened, Line(run, labels, Points()))
            drawn.append(_Entry(name, there, _of_band(band, request, pixels), *odd))
        chart = self._packed_chart(key, x, drawn, {})
        return chart if drawn else {**chart, "others": others[:MOST_BESIDE]}

    def _lines_of_recorders(
        self, opened: Opened, key: str, x: str
    ) -> Iterator[tuple[Any, RecorderPoints]]:
        """The points of each run that is drawn, with what all of a line have in common."""
        by, runs = self._request.by, self._request.runs
        for each in points_of(opened.collection, key, x, by):
            self._check()
            if not by:
                yield (opened.name, each.run), each
            elif runs is None or (each.run and run_key(opened.name, *each.run) in runs):
                yield tuple(map(same_label, each.labels)), each

    def _missing(self, key: str, request: ChartRequest) -> dict[str, Any]:
        keys = dict.fromkeys([key, *([request.x] if request.x else []), *(request.by or ())])
        return {"y": key, "error": f"no collection has all of {', '.join(map(repr, keys))}"}

    def _others(
        self, key: str, request: ChartRequest, drawn: Sequence[_Entry]
    ) -> dict[str, list[str]]:
        """What records with a key have in place of x, if none has both."""
        return {} if drawn else {"others": keys_beside(self._workspace.opened, key, request.x)}

    def _packed_chart(
        self,
        key: str,
        x: str,
        drawn: Sequence[_Entry],
        cursor: Mapping[str, Any],
        *,
        is_tail: bool = False,
    ) -> dict[str, Any]:
        packed, bands = self._packed, [each.drawn.band for each in drawn]
        odd = [(each.odd_x[:_MOST_MARKS], each.odd_y[:_MOST_MARKS]) for each in drawn]
        soft = [each.drawn.smooth for each in drawn]
        return {
            "y": key,
            "x": x,
            "is_tail": is_tail,
            "cursor": cursor,
            "line": [each.line for each in drawn],
            "n": [each.there for each in drawn],
            "points": [len(each.drawn.x) for each in drawn],
            "band": [each is not None for each in bands],
            "odd": [len(each.odd_x) for each in drawn],
            "marks": [len(x) for x, _ in odd],
            "types": {
                "x": packed.rising([each.drawn.x for each in drawn]),
                "y": packed.exact([each.drawn.y for each in drawn]),
                "low": packed.about([each[0] for each in bands if each]),
                "high": packed.about([each[1] for each in bands if each]),
                "smooth": packed.exact(soft) if self._request.smooth else None,
                "mark_x": packed.exact([x for x, _ in odd]),
                "mark_kind": packed.exact([_mark_kinds(y) for _, y in odd]),
            },
        }

    def _name(self, opened: Opened, line: Line | Merged) -> int:
        of = "" if self._request.by else opened.name
        name = of, line.labels if line.run is None else line.run
        if name not in self._names:
            self._names[name] = len(self._names)
            self._names_sent.append(_name(of, line))
        return self._names[name]

    # --- tails -----------------------------------------------------------------------------------

    def following(self) -> tuple[bytes, ChartRequest | None]:
        """See ``tails``."""
        request, found = self._request, self._tails()
        fresh = {key: each for key, each in found.items() if each[0]}
        stale = [{"y": key, "is_stale": True} for key in request.y if key not in found]
        charts = [*(self._tail(key, *each) for key, each in fresh.items()), *stale]
        message = self._packed.message({"names": self._names_sent, "charts": charts})
        cursors = {key: {**request.cursors[key], **each[1]} for key, each in found.items()}
        following = request._replace(y=tuple(found), cursors=cursors) if found else None
        return message if charts else b"", following

    def _tails(self) -> dict[str, tuple[list[tuple[Opened, Tail]], dict[str, tuple[int, int]]]]:
        """Only the points since the cursors, of keys that need not be drawn anew."""
        request, opened = self._request, self._workspace.opened
        if request.by or request.smooth or request.is_merged:
            return {}
        wanted = {key: each for key, each in request.cursors.items() if self._is_whole(key, each)}
        found: dict[str, Any] = {key: ([], {}) for key in wanted if key in request.y}
        xs = {key: request.xs.get(key, request.x) for key in found}
        for each, x in product(opened, dict.fromkeys(xs.values())):
            some = [key for key in found if xs[key] == x and each.name in wanted[key]]
            cursors = {key: wanted[key][each.name] for key in some}
            tails = self._workspace.tails(each, cursors, x, self._stop)
            for key in cursors:
                if (new := tails.get(key)) is None:
                    del found[key]
                    continue
                tail = found[key]
                tail[0].extend((each, one) for one in new[0])
                tail[1][each.name] = new[1]
        return {key: each for key, each in found.items() if _length(each[0]) <= _LONGEST_TAIL}

    def _is_whole(self, key: str, cursors: Cursors) -> bool:
        """Whether collections without a cursor have no points of a key."""
        names = {each.name for each in self._workspace.opened}
        x = {key, self._request.xs.get(key, self._request.x)} - {INDEX}
        others = [each for each in self._workspace.opened if each.name not in cursors]
        has_points = any(x.issubset(each.collection.records.columns) for each in others)
        return bool(cursors) and cursors.keys() <= names and not has_points

    def _tail(
        self, key: str, tails: Sequence[tuple[Opened, Tail]], cursor: Mapping[str, Any]
    ) -> dict[str, Any]:
        drawn = [
            _Entry(
                self._name(opened, new.line),
                len(new.y) + len(new.odd_y),
                _Drawn(new.x, new.y, None, None),
                new.odd_x,
                new.odd_y,
            )
            for opened, new in tails
        ]
        x = self._request.xs.get(key, self._request.x)
        return self._packed_chart(key, x, drawn, cursor, is_tail=True)


class _Drawn(NamedTuple):
    """The points of a line to draw, of which only some have smoothed values or a band."""

    x: Any
    y: Any
    smooth: Any
    band: tuple[Any, Any] | None


class _Entry(NamedTuple):
    """What is sent of a line: its place, how many points are there, and those to draw."""

    line: int
    there: int
    drawn: _Drawn
    odd_x: Any
    odd_y: Any


def _mark_kinds(y: Any) -> Any:
    return y if not len(y) else np.where(np.isnan(y), 0.0, np.where(y > 0, 1.0, 2.0))


def _length(tails: Sequence[tuple[Opened, Tail]]) -> int:
    return sum(len(new.y) for _, new in tails)


def _name(of: str, line: Line | Merged) -> dict[str, Any]:
    if line.run is not None:
        return {"run": run_key(of, *line.run)}
    label = ", ".join(line.labels)
    return {"key": f"{of}\0{label}", "label": label}


def _has_points(found: tuple[Opened, State]) -> bool:
    return any(line.points.count for line in found[1].lines)


def _starts(opened: Opened, request: ChartRequest) -> Callable[[Line], float]:
    """From where x is counted in a line."""
    if not request.from_start or request.x == INDEX:
        return lambda _: 0.0
    return partial(start_of, is_time=has_times(opened.collection, request.x))


def _has_equal(found: _States) -> bool:
    """Whether x may occur several times in a line."""
    return any(not line.points.is_rising for _, state in found for line in state.lines)


def _drawn(
    points: Points, request: ChartRequest, pixels: int, start: float, check: Callable[[], None]
) -> _Drawn:
    """The points to draw, of which x is counted from a start."""
    if points.is_rising:
        ends = (None if each is None else each + start for each in (request.low, request.high))
        found = points.drawn(
            points.window(*ends),
            pixels,
            is_log=request.log_x,
            weight=request.smooth,
            start=start,
            check=check,
        )
        x = found[0] - start if start else found[0]
        return _Drawn(x, found[1], found[2] if request.smooth else None, None)
    x, y = points.arrays()
    x = x - start
    if (x[1:] == x[:-1]).any():
        return _of_band(mean_by_x(x, y, request.band), request, pixels)
    return _of_band(Band(x, y, y, y), request, pixels)


def _of_band(band: Band, request: ChartRequest, pixels: int) -> _Drawn:
    x, y = band.x, band.mean
    has_band = request.band != "none" and band.low is not band.mean
    smooth = smoothed(x, y, request.smooth) if request.smooth else None
    part = window(x, request.low, request.high)
    lines = (y, *((band.low, band.high) if has_band else ()), smooth)
    picked = [each[part] for each in lines if each is not None]
    places = part.start + _places(x[part], picked, request, pixels)
    ends = (band.low[places], band.high[places]) if has_band else None
    return _Drawn(x[places], y[places], None if smooth is None else smooth[places], ends)


def _places(x: Any, picked: Sequence[Any], request: ChartRequest, pixels: int) -> Any:
    if len(x) <= 4 * pixels:
        return np.arange(len(x))
    above = x[x > 0] if request.log_x else x[:0]
    least = float(above[0]) if len(above) else None
    return by_column(Pixels.between(x[0], x[-1], pixels, least=least).of(x), picked)
