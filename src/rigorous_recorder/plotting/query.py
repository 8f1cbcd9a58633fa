"""The query behind a chart: one pass that groups records by curve and x, with mean and band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, get_args

from .._engines.known_keys import no_such_key
from .._engines.sql import identifier, sql_names
from .._values.kinds import BOOL, DATE, DATETIME, FLOAT, INT, TIMEDELTA, Kind, ZonedDatetime
from ..errors import ArgumentError, ColumnError

__all__ = ["BANDS", "Band", "Chart", "chart_sql", "is_instant"]

Band = Literal["std", "sem", "minmax", "quantile", "none"]
BANDS: Final[tuple[Band, ...]] = get_args(Band)

#: Lower and upper end of the band, of the finite values of y that meet at one x.
_ENDS: Final[dict[Band, tuple[str, str]]] = {
    "std": ("avg(y) - coalesce(stddev_samp(y), 0)", "avg(y) + coalesce(stddev_samp(y), 0)"),
    "sem": (
        "avg(y) - coalesce(stddev_samp(y), 0) / sqrt(count(y))",
        "avg(y) + coalesce(stddev_samp(y), 0) / sqrt(count(y))",
    ),
    "minmax": ("min(y)", "max(y)"),
    "quantile": ("quantile_cont(y, 0.25)", "quantile_cont(y, 0.75)"),
    "none": ("avg(y)", "avg(y)"),
}


class Chart(NamedTuple):
    """What is to be drawn.

    Attributes:
        x, y: keys of the axes.
        by: keys that tell curves apart.
        band: what is drawn around the mean.
        points: of how many points a curve consists at most; None is no limit. Neighbours are
            brought together where there are more: their mean weighted by counts, their lowest low
            and their highest high.
    """

    x: str
    y: str
    by: tuple[str, ...]
    band: Band
    points: int | None


def chart_sql(chart: Chart, kinds: Mapping[str, Kind]) -> str:
    """SQL that gives one row for each point of each curve, in order.

    Its columns: one for each key of ``by``, then x, mean, low, high, the number of finite values
    of y, the number of rows that were left out because x or y is NaN or infinite, the number of
    values of x that share the point, and how many values of y met at most at one of these.

    Args:
        kinds: the columns of the table ``records``.

    Raises:
        ColumnError: a column is not there, or is of a kind that can't be drawn.
        ArgumentError: there is no such band, or ``points`` is below 1.
    """
    _check(chart, kinds)
    groups = [f"b{number}" for number in range(len(chart.by))]
    grouped = _grouped(chart.band, groups, _values(chart, kinds, groups))
    if chart.points is not None:
        grouped = _reduced(grouped, groups, chart.points)
    return f"SELECT * FROM ({grouped}) ORDER BY {_listing(groups)}x NULLS LAST"


def _check(chart: Chart, kinds: Mapping[str, Kind]) -> None:
    if chart.band not in _ENDS:
        message = f"there is no band {chart.band!r}; expected one of {', '.join(BANDS)}"
        raise ArgumentError(message)
    if chart.points is not None and chart.points < 1:
        message = f"a curve of {chart.points} points can't be drawn; expected 1 or more, or None"
        raise ArgumentError(message)
    for key in (chart.x, chart.y, *chart.by):
        _require_column(key, kinds)


def _listing(names: Sequence[str]) -> str:
    return "".join(f"{name}, " for name in names)


def _values(chart: Chart, kinds: Mapping[str, Kind], groups: Sequence[str]) -> str:
    """The rows that have both x and y, as numbers, with what tells curves apart."""
    names = sql_names(kinds)
    x, y = names[chart.x], names[chart.y]
    keys = [
        f"{_group(names[key], kinds[key])} AS {group}"
        for key, group in zip(chart.by, groups, strict=True)
    ]
    return f"""
        SELECT {_listing(keys)}{_position(chart.x, x, kinds[chart.x])} AS x,
               {_value(chart.y, y, kinds[chart.y])} AS v
        FROM records WHERE {identifier(x)} IS NOT NULL AND {identifier(y)} IS NOT NULL
    """


def _grouped(band: Band, groups: Sequence[str], values: str) -> str:
    """One row for each curve and x; what can't stand on an axis is counted, and in no mean."""
    low, high = _ENDS[band]
    named = _listing(groups)
    return f"""
        SELECT {named}x, avg(y) AS mean, {low} AS low, {high} AS high, count(y) AS n,
               count(*) - count(y) AS odd, 1 AS merged, n AS met
        FROM (
            SELECT {named}x, CASE WHEN x IS NOT NULL AND isfinite(v) THEN v END AS y
            FROM ({values})
        )
        GROUP BY ALL
    """


def _reduced(grouped: str, groups: Sequence[str], points: int) -> str:
    named = _listing(groups)
    curve = ", ".join([*groups, "x IS NULL"])
    return f"""
        SELECT {named}min(x) AS x,
               CASE WHEN count(*) = 1 THEN first(mean) ELSE sum(mean * n) / sum(n) END AS mean,
               min(CASE WHEN total > {points} THEN least(low, mean) ELSE low END) AS low,
               max(CASE WHEN total > {points} THEN greatest(high, mean) ELSE high END) AS high,
               sum(n)::BIGINT AS n, sum(odd)::BIGINT AS odd, count(*) AS merged, max(n) AS met
        FROM (
            SELECT *, count(*) OVER (PARTITION BY {curve}) AS total,
                   row_number() OVER (PARTITION BY {curve} ORDER BY x) - 1 AS place
            FROM ({grouped})
        )
        GROUP BY {named}x IS NULL, CASE WHEN total > {points} THEN place * {points} // total ELSE place END
    """


def is_instant(kind: Kind) -> bool:
    """Whether values are points in time."""
    return kind in {DATE, DATETIME} or isinstance(kind, ZonedDatetime)


def _require_column(key: str, kinds: Mapping[str, Kind]) -> None:
    if key not in kinds:
        raise ColumnError(no_such_key(key, kinds))


def _group(name: str, kind: Kind) -> str:
    return f"CAST({identifier(name)} AS VARCHAR)" if is_instant(kind) else identifier(name)


def _position(key: str, name: str, kind: Kind) -> str:
    """A place on the x axis: instants in microseconds since the epoch, durations in seconds."""
    column = identifier(name)
    if kind == INT:
        return column
    if is_instant(kind):
        return f"epoch_us({column})"
    number = _number(column, kind)
    if number is None:
        message = f"x is {key!r}, whose values are {kind.name}; expected numbers, times or dates"
        raise ColumnError(message)
    return f"CASE WHEN isfinite({number}) THEN {number} END"


def _value(key: str, name: str, kind: Kind) -> str:
    number = _number(identifier(name), kind)
    if number is None:
        message = (
            f"y is {key!r}, whose values are {kind.name}; expected numbers, of which a mean can be"
            " taken"
        )
        raise ColumnError(message)
    return number


def _number(column: str, kind: Kind) -> str | None:
    if kind in {BOOL, INT, FLOAT}:
        return f"CAST({column} AS DOUBLE)"
    if kind == TIMEDELTA:
        return f"epoch({column})"
    return None
