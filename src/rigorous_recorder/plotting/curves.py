"""Curves: what a chart shows, as numbers; it can be printed, saved as a picture, or taken apart."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .._lazy import lazy_module
from .._values.kinds import Kind, ZonedDatetime
from ..errors import ColumnError
from .picture import save_picture, svg
from .query import Band, Chart, chart_sql, is_instant
from .terminal import terminal_text

if TYPE_CHECKING:
    import duckdb
else:
    duckdb = lazy_module("duckdb")

__all__ = ["Curve", "Curves", "curves_of"]

_WORDS: Final[dict[str, str]] = {
    "std": "mean ± standard deviation",
    "sem": "mean ± standard error",
    "minmax": "mean, lowest to highest",
    "quantile": "mean, middle half (25 % to 75 %)",
    "none": "mean",
}


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
        by: the values that its records share, by key.
        x: where its points are, in order: int, float or datetime.
        mean: of the finite values of y at each x; None where there is none.
        low: lower end of the band at each x; None where there is no mean.
        high: upper end of it.
        count: how many finite values of y each mean is of.
    """

    by: dict[str, Any]
    x: list[Any] = field(default_factory=list)
    mean: list[float | None] = field(default_factory=list)
    low: list[float | None] = field(default_factory=list)
    high: list[float | None] = field(default_factory=list)
    count: list[int] = field(default_factory=list)

    @property
    def label(self) -> str:
        """What tells it from the others, such as ``model=m1, lr=0.1``."""
        return ", ".join(f"{key}={_shown(value)}" for key, value in self.by.items())


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Curves:
    """What a chart of records shows; printed, it is drawn with characters.

    Attributes:
        x, y: the keys of the axes.
        by: the keys that tell the curves apart.
        band: what the band around each mean is: ``std`` (one standard deviation of the sample to
            each side), ``sem`` (standard error of the mean), ``minmax``, ``quantile`` (25 % to
            75 %) or ``none``.
        curves: in order of the values of ``by``.
        left_out: how many records have x and y, but NaN or infinite ones; no mean has them in it.
        merged: how many values of x were brought together to fewer points; 0 where all are shown.
        met: how many records share one curve and one value of x, where they are the most.
    """

    x: str
    y: str
    by: tuple[str, ...]
    band: Band
    curves: list[Curve]
    left_out: int = 0
    merged: int = 0
    met: int = 1

    @property
    def title(self) -> str:
        """What is drawn, in one line."""
        return f"{self.y} over {self.x}"

    @property
    def notes(self) -> str:
        """How the numbers came about, in one line: what the band is, what was left out or merged."""
        words = [_WORDS[self.band] if self.met > 1 else f"one record for each {self.x}"]
        if self.merged:
            points = sum(len(each.x) for each in self.curves)
            words.append(
                f"{self.merged:,} values of {self.x} in {points:,} points, lows and highs kept"
            )
        if self.left_out:
            words.append(f"left out: {self.left_out:,} with NaN or infinity")
        return "; ".join(words)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every point as a dict: ``by`` (a dict), ``x``, ``mean``, ``low``, ``high``, ``count``."""
        for curve in self.curves:
            columns = zip(curve.x, curve.mean, curve.low, curve.high, curve.count, strict=True)
            for x, mean, low, high, count in columns:
                said = {"x": x, "mean": mean, "low": low, "high": high, "count": count}
                yield {"by": curve.by, **said}

    def text(
        self, width: int = 80, height: int = 20, *, colors: bool = False, plain: bool = False
    ) -> str:
        """The chart drawn with characters.

        Args:
            width, height: in characters.
            colors: color it with the codes of terminals; otherwise characters tell curves apart.
            plain: use ASCII alone.

        Raises:
            MissingPackageError: plotext is not installed.
        """
        return terminal_text(self, width, height, colors=colors, plain=plain)

    def save_to(self, path: str | PathLike[str]) -> None:
        """Save the chart as a picture: ``.png``, ``.svg`` or ``.html``, which needs no network.

        Raises:
            UnknownFileTypeError: another suffix.
            MissingPackageError: matplotlib is not installed.
            OSError: the file can't be written.
        """
        save_picture(self, Path(path))

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        """The picture, in a notebook."""
        return svg(self)


def curves_of(
    chart: Chart, kinds: Mapping[str, Kind], ask: Callable[[str], duckdb.DuckDBPyRelation]
) -> Curves:
    """The curves of a chart, found by one query.

    Args:
        kinds: the columns of the records.
        ask: runs a query over the table ``records``.

    Raises:
        ColumnError: a column is not there, can't be drawn, or no record has both x and y.
        ArgumentError: there is no such band, or ``points`` is below 1.
    """
    x, y, by, band, _ = chart
    query = chart_sql(chart, kinds)
    try:
        rows = ask(query).fetchall()
    except duckdb.OutOfRangeException as error:
        raise ColumnError(_too_large(chart)) from error
    found = _curves(rows, by, kinds[x])
    if not all(map(_is_finite, found)):  # what one version of DuckDB refuses is infinite to another
        raise ColumnError(_too_large(chart))
    if not found:
        message = f"no record has a finite {x!r} and {y!r} at once"
        raise ColumnError(message)
    odd, shared, met = zip(*(row[-3:] for row in rows), strict=True)
    merged = sum(shared) if max(shared) > 1 else 0
    return Curves(x, y, by, band, found, left_out=sum(odd), merged=merged, met=max(met))


def _too_large(chart: Chart) -> str:
    return f"{chart.y!r} has values too large for a mean and the band {chart.band!r}; try 'minmax'"


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
