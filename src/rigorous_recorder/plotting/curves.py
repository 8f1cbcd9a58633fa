"""Curves: the numbers of a chart, which can be printed, saved as a picture, or processed."""

from __future__ import annotations

import datetime as dt
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from os import PathLike
from typing import Any, Final, Literal

from .._display.text import plural
from .._engines.duckdb import records_sql, tables_sql
from .._engines.levels import level_rows
from .._engines.scan import Scan
from .._lazy_imports import duckdb
from .._paths import path_of
from .._printable import one_line
from .._public import public
from .._values.bigints import BIGINT, BIGINT_TEXT
from .._values.kinds import INT, Kind, ZonedDatetime
from ..errors import ArgumentError, ColumnError
from .axis import Axis, axis_of, log_axis_of
from .look import Look
from .picture import save_picture, svg
from .query import (
    Band,
    Chart,
    chart_sql,
    check_chart,
    is_count,
    is_instant,
    level_source,
    ordered_sql,
    records_source,
)
from .smoothing import Smoothing
from .terminal import terminal_text

__all__ = ["MOST_CHARACTERS", "Curve", "Curves", "chart_of"]

#: The width of a printed chart, in characters, where the terminal is not narrower.
_WIDTH: Final = 80
#: Maximum number of dots in a scatter plot: more would look like an area.
_MOST_DOTS: Final = 50_000
#: Maximum width and height of a chart that is drawn with characters.
MOST_CHARACTERS: Final = 1_000
_WORDS: Final[dict[str, str]] = {
    "std": "mean ± standard deviation",
    "sem": "mean ± standard error",
    "minmax": "mean, lowest to highest",
    "quantile": "mean, middle half (25 % to 75 %)",
    "none": "mean",
}


@public
@dataclass(frozen=True, repr=False)
class Curve:
    """One line of a chart.

    Attributes:
        by: the values that its records share, by key.
        x: the x of its points, in order: int, float or datetime.
        mean: the mean of the finite y at each x; None if there are none.
        low: the lower end of the band at each x; None where mean is None.
        high: its upper end.
        count: the number of finite y at each x.
        y: the key of the y axis, if the chart has several.
        raw: the means of a smoothed curve before smoothing; mean, low and high are smoothed.
    """

    by: dict[str, Any]
    x: list[Any] = field(default_factory=list)
    mean: list[float | None] = field(default_factory=list)
    low: list[float | None] = field(default_factory=list)
    high: list[float | None] = field(default_factory=list)
    count: list[int] = field(default_factory=list)
    y: str | None = None
    raw: list[float | None] | None = None

    @property
    def label(self) -> str:
        """What distinguishes it from other curves, such as ``model=m1, lr=0.1``."""
        words = [] if self.y is None else [self.y]
        return ", ".join([*words, *(f"{key}={_shown(value)}" for key, value in self.by.items())])

    def __repr__(self) -> str:
        return f"<Curve {one_line(f'{self.label}: ' if self.label else '')}{plural(len(self.x), 'point')}>"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@public
@dataclass(frozen=True, repr=False)
class Curves:
    """The numbers of a chart of records; printed, it is drawn with characters.

    Attributes:
        x, y: the keys of the axes; several y are separated by commas.
        by: the keys that separate curves.
        band: the band around each mean: ``std`` (one sample standard deviation to each side),
            ``sem`` (standard error of the mean), ``minmax``, ``quantile`` (25 % to 75 %) or
            ``none``.
        curves: in order of the values of ``by``.
        left_out: the number of records whose x or y is NaN or infinite, or whose y is of another
            kind; means exclude them.
        merged: how many values of x were merged into fewer points; 0 if all are shown.
        met: the largest number of values that share a curve and an x.
        met_least: the smallest such number.
        unit: what counts once: ``record``, or ``recorder`` if y is an attribute.
        replaced: how many values were left out because a later attempt at their experiment has the
            same x.
        is_mixed: whether y has values of other kinds than the one that is drawn.
        look: axes, limits, dots, labels and size.
        smoothed: how the curves were smoothed; empty if they are raw.
        each_y: the notes on each y, if there are several.
    """

    x: str
    y: str
    by: tuple[str, ...]
    band: Band
    curves: list[Curve]
    left_out: int = 0
    merged: int = 0
    met: int = 1
    met_least: int = 1
    unit: Literal["record", "recorder"] = "record"
    replaced: int = 0
    is_mixed: bool = False
    look: Look = field(default_factory=Look)
    smoothed: str = ""
    each_y: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        """The title of the chart."""
        return f"{self.y} over {self.x}" if self.look.title is None else self.look.title

    @property
    def notes(self) -> str:
        """One line that describes the means, and what was left out or merged."""
        if self.each_y:
            return _notes_of(self.each_y)
        words = [self._averaged]
        if self.smoothed:
            words.append(self.smoothed)
        if self.merged:
            points = sum(len(each.x) for each in self.curves)
            words.append(
                f"{self.merged:,} values of {self.x} in {points:,} points, lows and highs preserved"
            )
        if self.left_out:
            what = (
                "NaN, infinity or a value of another kind" if self.is_mixed else "NaN or infinity"
            )
            words.append(f"left out: {self.left_out:,} with {what}")
        if self.replaced:
            words.append(f"left out: {self.replaced:,} of earlier attempts")
        if lost := self._not_on_log():
            words.append(f"left out: {lost:,} that are not above 0, on a logarithmic axis")
        return "; ".join(words)

    @property
    def _averaged(self) -> str:
        """What each mean and its band is computed from."""
        what = "record" if self.unit == "record" else f"recorder with {self.y}"
        if self.look.is_scatter:
            return f"a dot for each {what}"
        if self.met == 1:
            return f"one {what} for each {self.x}"
        few = f"{self.met_least:,} to " if self.met_least < self.met else ""
        many = what.replace(self.unit, f"{self.unit}s", 1)
        return f"{_WORDS[self.band]} of {few}{self.met:,} {many} for each {self.x}"

    def x_axis(self, *, closest: float = 0.0) -> Axis:
        """The scale of the x axis; integers and times are left to the drawing library."""
        values = [x for curve in self.curves for x in curve.x]
        if "x" in self.look.log:
            return log_axis_of(values)
        is_plain = not any(isinstance(x, float) for x in values)
        return Axis() if is_plain else axis_of(values, closest=closest)

    def y_axis(self, *, closest: float = 0.0) -> Axis:
        """The scale of the y axis."""
        columns = chain.from_iterable(
            (each.mean, each.low, each.high, each.raw or ()) for each in self.curves
        )
        values = [value for column in columns for value in column if value is not None]
        if "y" in self.look.log:
            return log_axis_of(values)
        return axis_of(values, closest=closest)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every point as a dict: ``by`` (a dict), ``x``, ``mean``, ``low``, ``high``, ``count``."""
        for curve in self.curves:
            columns = zip(curve.x, curve.mean, curve.low, curve.high, curve.count, strict=True)
            for x, mean, low, high, count in columns:
                point = {"x": x, "mean": mean, "low": low, "high": high, "count": count}
                named = {} if curve.y is None else {"y": curve.y}
                yield {**named, "by": curve.by, **point}

    def text(
        self, width: int = _WIDTH, height: int = 20, *, colors: bool = False, plain: bool = False
    ) -> str:
        """The chart drawn with characters.

        Args:
            width: width of the chart in characters.
            height: height of the chart in characters.
            colors: use ANSI colors; otherwise different characters distinguish curves.
            plain: use ASCII only.

        Raises:
            ArgumentError: the width is not from 10 to 1,000, or the height not from 1 to 1,000.
            MissingPackageError: plotext is not installed.
        """
        for name, length, least in (("width", width, 10), ("height", height, 1)):
            if not is_count(length) or not least <= length <= MOST_CHARACTERS:
                expected = f"expected an int from {least} to {MOST_CHARACTERS:,}"
                message = f"{name}={length!r:.60}: {expected}"
                raise ArgumentError(message)
        return terminal_text(self, width, height, colors=colors, plain=plain)

    def save_to(self, path: str | PathLike[str]) -> None:
        """Save the chart as a picture: ``.png``, ``.svg``, ``.pdf``, ``.pgf`` or ``.html``.

        The page needs no network; ``.pgf`` is for LaTeX, and needs it installed.

        Raises:
            UnknownFileTypeError: the file has another suffix.
            MissingPackageError: matplotlib is not installed.
            OSError: the file can't be written.
        """
        save_picture(self, path_of(path, "a picture", "loss.png"))

    def drawn(self) -> Curves:
        """The part of the chart that its axes can show: above 0 if they are logarithmic."""
        if not self.look.log:
            return self
        found = [on_log_axes(curve, self.look.log) for curve in self.curves]
        found = [curve for curve in found if any(value is not None for value in curve.mean)]
        if not found:
            message = f"no value of {self.title!r} is above 0, which a logarithmic axis needs"
            raise ColumnError(message)
        return replace(self, curves=found)

    def _not_on_log(self) -> int:
        """The number of points that a logarithmic axis can't show."""
        if not self.look.log:
            return 0
        return sum(
            sum(value is not None for value in curve.mean)
            - sum(value is not None for value in on_log_axes(curve, self.look.log).mean)
            for curve in self.curves
        )

    def __str__(self) -> str:
        """The chart drawn with characters, no wider than the terminal."""
        return self.text(min(_WIDTH, shutil.get_terminal_size((_WIDTH, 0)).columns))

    def __repr__(self) -> str:
        curves = plural(len(self.curves), "curve")
        points = plural(sum(len(each.x) for each in self.curves), "point")
        return f"<Curves {one_line(self.title)}: {curves}, {points}>"

    def _repr_html_(self) -> str:
        """The picture, in a notebook."""
        return svg(self)


def chart_of(
    chart: Chart, ys: Sequence[str], scan: Scan, look: Look, smoothing: tuple[Smoothing, str] | None
) -> Curves:
    """A chart of one or several y.

    Raises:
        ColumnError: a column does not exist, can't be drawn, or no record has both x and y.
        ArgumentError: no y is given, or see ``curves_of``.
    """
    if not ys:
        message = "a chart needs a key of the y axis"
        raise ArgumentError(message)
    found = [
        _smoothed(replace(curves_of(chart._replace(y=y), scan), look=look), smoothing) for y in ys
    ]
    if len(found) == 1:
        return found[0]
    return replace(
        found[0],
        y=", ".join(ys),
        curves=[replace(curve, y=each.y) for each in found for curve in each.curves],
        each_y=tuple((each.y, each.notes) for each in found),
        merged=sum(each.merged for each in found),
    )


def _smoothed(curves: Curves, smoothing: tuple[Smoothing, str] | None) -> Curves:
    if smoothing is None:
        return curves
    smooth, words = smoothing
    found = [
        replace(
            curve,
            mean=smooth(curve.mean),
            low=smooth(curve.low),
            high=smooth(curve.high),
            raw=curve.mean,
        )
        for curve in curves.curves
    ]
    return replace(curves, curves=found, smoothed=words)


def _notes_of(each_y: Sequence[tuple[str, str]]) -> str:
    """The notes on several y, shown once if they are equal."""
    if len({notes for _, notes in each_y}) == 1:
        return each_y[0][1]
    return "; ".join(f"{y}: {notes}" for y, notes in each_y)


def on_log_axes(curve: Curve, axes: Sequence[str]) -> Curve:
    """The points of a curve that are above 0 on these axes."""
    drawable = [at for at, x in enumerate(curve.x) if "x" not in axes or _is_above_0(x)]
    columns = (curve.mean, curve.low, curve.high, curve.raw)
    mean, low, high, raw = (
        None if column is None else [column[at] for at in drawable] for column in columns
    )
    if "y" in axes:
        mean, low, high, raw = (
            None if column is None else [each if _is_above_0(each) else None for each in column]
            for column in (mean, low, high, raw)
        )
    return replace(
        curve,
        x=[curve.x[at] for at in drawable],
        mean=mean or [],
        low=low or [],
        high=high or [],
        raw=raw,
        count=[curve.count[at] for at in drawable],
    )


def _is_above_0(value: Any) -> bool:
    return isinstance(value, (int, float)) and value > 0


def curves_of(chart: Chart, scan: Scan) -> Curves:
    """The curves of a chart, from one query over the records of a scan.

    Raises:
        ColumnError: a column does not exist, can't be drawn, or no record has both x and y.
        ArgumentError: ``band``, ``attempts`` or ``points`` is not valid.
    """
    scan = scan.naming((chart.x, chart.y, *chart.by))
    kinds = scan.flat_kinds
    is_named = all(key in kinds for key in (chart.x, chart.y, *chart.by))
    check_chart(chart, kinds if is_named else scan.unnested().flat_kinds)
    columns = [_columns_of(name, scan) for name in chart.by]
    resolved = chart._replace(
        by=tuple(dict.fromkeys(chain.from_iterable(columns))), others=_columns_of(chart.y, scan)[1:]
    )
    try:
        rows, values = _points(resolved, scan, kinds)
    except duckdb.OutOfRangeException as error:
        raise ColumnError(_too_large(chart)) from error
    found = [
        replace(curve, by={each[0]: _first(by, each, kinds) for each in columns})
        for curve in _curves(rows, resolved.by, kinds[chart.x])
        for by in [curve.by | {key: values[key].get(curve.by[key]) for key in values}]
    ]
    if not all(map(_is_finite, found)):  # what one version of DuckDB refuses is infinite to another
        raise ColumnError(_too_large(chart))
    if not found:
        raise ColumnError(_nothing(chart, scan))
    if chart.is_scatter and len(rows) > _MOST_DOTS:
        message = (
            f"{len(rows):,} dots can't be distinguished, nor drawn; narrow the records by where, or draw"
            " lines"
        )
        raise ColumnError(message)
    odd, replaced, shared, least, most = zip(*(row[-5:] for row in rows), strict=True)
    return Curves(
        chart.x,
        chart.y,
        chart.by,
        chart.band,
        found,
        left_out=sum(odd),
        merged=sum(shared) if max(shared) > 1 else 0,
        met=max(most),
        met_least=min(each for each in least if each),
        unit="record" if scan.flats[chart.y].key in scan.own_keys else "recorder",
        replaced=sum(replaced),
        is_mixed=bool(resolved.others),
    )


def _columns_of(name: str, scan: Scan) -> tuple[str, ...]:
    """A column, followed by those with the key's values of other families."""
    key = scan.flats[name].key
    others = [each.name for each in scan.flats.values() if each.key == key and each.name != name]
    return (name, *others) if name == key else (name,)


def _first(by: Mapping[str, Any], names: Sequence[str], kinds: Mapping[str, Kind]) -> Any:
    """The first column that has a value; None if none has."""
    for name in names:
        if (value := by[name]) is not None:
            return int(value) if kinds[name] in {BIGINT, BIGINT_TEXT} else value
    return None


def _points(
    chart: Chart, scan: Scan, kinds: Mapping[str, Kind]
) -> tuple[list[tuple[Any, ...]], dict[str, Mapping[int, Any]]]:
    """The points of all curves, and the values behind numbers, for keys that are numbered."""
    read = {chart.x, chart.y}
    rows = level_rows(scan, chart.keys, chart.y, read, has_attempts=chart.attempts == "last")
    if rows is None:
        query = chart_sql(chart, kinds, records_source(kinds))
        return records_sql(scan, query, names_as_shown=True).fetchall(), {}
    scan.warn_of_mixed(chart.keys)
    tables = {"rows": rows.rows, "resumed": rows.resumed}
    source = level_source(chart, rows)
    numbered = {
        key: rows.numbered[column]
        for key in chart.by
        if (column := source.columns[key]) in rows.numbered
    }
    query = chart_sql(chart, {**kinds, **dict.fromkeys(numbered, INT)}, source)
    points = tables_sql({name: each for name, each in tables.items() if each is not None}, query)
    if not numbered:
        return points.fetchall(), {}
    # Numbered values are complete only after all rows are read.
    ordered = {"points": points.to_arrow_table()}
    ordered |= {f"values_of_{chart.by.index(key)}": each.table() for key, each in numbered.items()}
    found = tables_sql(ordered, ordered_sql(chart, numbered)).fetchall()
    return found, {key: each.values for key, each in numbered.items()}


def _nothing(chart: Chart, scan: Scan) -> str:
    if scan.conditions and not scan.row_count():
        keys = ", ".join(dict.fromkeys(key for each in scan.bound for key in each.keys))
        return f"no record meets all conditions, which are on {keys}"
    return f"no record has a finite {chart.x!r} and {chart.y!r} at once"


def _too_large(chart: Chart) -> str:
    hint = "try 'minmax'" if chart.band in {"std", "sem"} else "log them divided by some number"
    return f"{chart.y!r} has values too large for a mean and the band {chart.band!r}; {hint}"


def _is_finite(curve: Curve) -> bool:
    values = chain(curve.mean, curve.low, curve.high)
    return all(map(math.isfinite, (each for each in values if each is not None)))


def _curves(rows: list[tuple[Any, ...]], by: Sequence[str], kind: Kind) -> list[Curve]:
    width = len(by)
    curves = []
    for _, group in groupby(rows, key=lambda row: repr(row[:width])):  # NaN is not equal to NaN
        points = list(group)
        curve = Curve(dict(zip(by, points[0], strict=False)))
        for x, mean, low, high, count, *_ in (row[width:] for row in points):
            if x is not None:
                curve.x.append(_instant(x, kind) if is_instant(kind) else x)
                curve.mean.append(mean)
                curve.low.append(low)
                curve.high.append(high)
                curve.count.append(count)
        if any(curve.count):
            curves.append(curve)
    return curves


def _instant(microseconds: int, kind: Kind) -> dt.datetime:
    zone = dt.UTC if isinstance(kind, ZonedDatetime) else None
    return dt.datetime(1970, 1, 1, tzinfo=zone) + dt.timedelta(microseconds=microseconds)
