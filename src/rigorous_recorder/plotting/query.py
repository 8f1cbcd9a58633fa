"""The query behind a chart: one pass that groups records by curve and x, with mean and band."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import index
from typing import Final, Literal, NamedTuple, get_args

from .._engines.known_keys import no_such_key
from .._engines.levels import LevelRows
from .._engines.sql import identifier, sql_names
from .._values.bigints import BIGINT
from .._values.kinds import BOOL, DATE, DATETIME, FLOAT, INT, TIMEDELTA, Kind, ZonedDatetime
from ..errors import ArgumentError, ArgumentTypeError, ColumnError

__all__ = [
    "ATTEMPTS",
    "BANDS",
    "Attempts",
    "Band",
    "Chart",
    "RowSource",
    "chart_sql",
    "check_chart",
    "is_count",
    "is_instant",
    "keys_of",
    "level_source",
    "ordered_sql",
    "records_source",
]

Band = Literal["std", "sem", "minmax", "quantile", "none"]
BANDS: Final[tuple[Band, ...]] = get_args(Band)
Attempts = Literal["last", "all"]
ATTEMPTS: Final[tuple[Attempts, ...]] = get_args(Attempts)

#: Lower and upper end of the band of the finite y at each x.
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
    """The definition of a chart.

    Attributes:
        x, y: keys of the axes.
        by: keys that separate curves.
        band: the band around the mean.
        points: the maximum number of points of a curve; None for no limit. Beyond it, neighbours
            are merged: their mean weighted by counts, their lowest low and highest high.
        attempts: of resumed experiments, use the last attempt that has an x, or all.
        others: columns with values of y of other kinds: they are counted, not drawn.
        is_scatter: whether each y is a point of its own instead of being averaged.
    """

    x: str
    y: str
    by: tuple[str, ...]
    band: Band
    points: int | None
    attempts: Attempts = "last"
    others: tuple[str, ...] = ()
    is_scatter: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns to read, without duplicates, y first."""
        return tuple(dict.fromkeys([self.y, self.x, *self.by, *self.others]))


class RowSource(NamedTuple):
    """The rows of a chart.

    Attributes:
        sql: what to select from.
        columns: the column of each key.
        has_owner: whether rows with the same ``owner`` share one y, which counts once.
        has_attempts: whether ``is_last`` flags rows that no later attempt replaces.
    """

    sql: str
    columns: Mapping[str, str]
    has_owner: bool = False
    has_attempts: bool = False


def records_source(kinds: Mapping[str, Kind]) -> RowSource:
    """The rows of the table ``records`` with columns of these kinds."""
    return RowSource("records", sql_names(kinds))


def level_source(chart: Chart, rows: LevelRows) -> RowSource:
    """The rows of a level, in the tables ``rows`` and ``resumed``."""
    columns = {key: f"c{number}" for number, key in enumerate(chart.keys)}
    if rows.resumed is None:
        return RowSource("rows", columns, rows.has_owner)
    named = ", ".join(columns.values()) + (", owner" if rows.has_owner else "")
    curve = ", ".join(["place", *(columns[key] for key in (chart.x, *chart.by))])
    resumed = f"""
        SELECT {named}, attempt = max(attempt) OVER (PARTITION BY {curve}) AS is_last
        FROM resumed WHERE {_has_both(chart, columns)}
    """
    both = f"SELECT {named}, true AS is_last FROM rows UNION ALL ({resumed})"
    return RowSource(f"({both})", columns, rows.has_owner, has_attempts=True)


def chart_sql(chart: Chart, kinds: Mapping[str, Kind], source: RowSource) -> str:
    """The SQL that returns one row for each point of each curve, in order.

    Its columns: one for each key of ``by``, then x, mean, low, high, the number of finite y, the
    number of rows left out because x or y is NaN or infinite or y is of another kind, the number of
    rows that a later attempt replaced, the number of x merged into the point, and the smallest and
    largest number of y at one of these.

    Args:
        kinds: the columns of the flat table.
        source: the rows.

    Raises:
        ColumnError: a column is of a kind that can't be drawn.
    """
    groups = [f"b{number}" for number in range(len(chart.by))]
    values = _values(chart, kinds, groups, source)
    if source.has_owner:
        is_last = ", bool_or(is_last) AS is_last" if source.has_attempts else ""
        values = f"""
            SELECT {_listing(groups)}x, any_value(v) AS v{is_last}
            FROM ({values}) GROUP BY {_listing(groups)}x, owner
        """
    points = _grouped(chart, groups, values, has_attempts=source.has_attempts)
    counts = "1 AS merged, nullif(n, 0) AS least, n AS most"
    if chart.points is not None:
        points = _reduced(points, groups, chart.points, has_attempts=source.has_attempts)
        counts = "merged, least, most"
    replaced = "replaced" if source.has_attempts else "0 AS replaced"
    return f"""
        SELECT {_listing(groups)}x, mean, low, high, n, odd, {replaced}, {counts}
        FROM ({points}) ORDER BY {_listing(groups)}x NULLS LAST, mean
    """


def ordered_sql(chart: Chart, numbered: Collection[str]) -> str:
    """The SQL that orders ``points`` by the values behind numbers.

    Args:
        numbered: the keys of ``by`` with tables ``values_of_0`` and so on.
    """
    joins, order = "", []
    for number, key in enumerate(chart.by):
        order.append(f"p{number}.place" if key in numbered else f"b{number}")
        if key in numbered:
            places = f"SELECT number, row_number() OVER (ORDER BY value) AS place FROM values_of_{number}"
            joins += f" LEFT JOIN ({places}) AS p{number} ON b{number} = p{number}.number"
    return f"SELECT points.* FROM points{joins} ORDER BY {_listing(order)}x NULLS LAST, mean"


def check_chart(chart: Chart, kinds: Mapping[str, Kind]) -> None:
    """Raise unless a table with these columns has such a chart.

    Raises:
        ColumnError: a column does not exist.
        ArgumentError: ``band``, ``attempts`` or ``points`` is not valid.
    """
    _require_one_of("band", chart.band, BANDS)
    _require_one_of("attempts", chart.attempts, ATTEMPTS)
    if chart.points is not None and not is_count(chart.points):
        message = (
            f"a curve of {chart.points!r:.60} points can't be drawn; expected 1 or more, or None"
        )
        raise ArgumentError(message)
    for key in (chart.x, chart.y, *chart.by):
        if key not in kinds:
            raise ColumnError(no_such_key(key, kinds))


def keys_of(name: str, given: str | Collection[str]) -> tuple[str, ...]:
    """The keys that a user passed, one or several.

    Raises:
        ArgumentTypeError: they are not text.
    """
    several = (given,) if isinstance(given, str) else given
    if not (isinstance(several, Iterable) and all(isinstance(key, str) for key in several)):
        message = f"{name}={given!r:.60}: expected a key, or several, such as ['model', 'lr']"
        raise ArgumentTypeError(message)
    return tuple(several)


def is_count(value: object) -> bool:
    """Whether this is an int of any library, from 1 on."""
    try:
        return not isinstance(value, bool) and index(value) > 0  # type: ignore[arg-type]
    except TypeError:
        return False


def _require_one_of(name: str, value: str, values: Sequence[str]) -> None:
    if value not in values:
        message = f"there is no {name} {value!r}; expected one of {', '.join(values)}"
        raise ArgumentError(message)


def _listing(names: Sequence[str]) -> str:
    return "".join(f"{name}, " for name in names)


def _values(
    chart: Chart, kinds: Mapping[str, Kind], groups: Sequence[str], source: RowSource
) -> str:
    """The rows that have both x and y, as numbers, with the keys of curves."""
    x, y = source.columns[chart.x], source.columns[chart.y]
    keys = [
        f"{_group(source.columns[key], kinds[key])} AS {group}"
        for key, group in zip(chart.by, groups, strict=True)
    ]
    more = ", owner" if source.has_owner else ""
    more += ", is_last" if source.has_attempts else ""
    return f"""
        SELECT {_listing(keys)}{_position(chart.x, x, kinds[chart.x])} AS x,
               {_value(chart.y, y, kinds[chart.y])} AS v{more}
        FROM {source.sql} WHERE {_has_both(chart, source.columns)}
    """


def _has_both(chart: Chart, columns: Mapping[str, str]) -> str:
    """The condition that a row has x, and a y of any kind."""
    values = [identifier(columns[name]) for name in (chart.y, *chart.others)]
    is_given = " OR ".join(f"{name} IS NOT NULL" for name in values)
    return f"{identifier(columns[chart.x])} IS NOT NULL AND ({is_given})"


def _grouped(chart: Chart, groups: Sequence[str], values: str, *, has_attempts: bool) -> str:
    """One row for each curve and x; values that an axis can't show are only counted."""
    low, high = _ENDS["none" if chart.is_scatter else chart.band]
    named, alone = _listing(groups), ", y" if chart.is_scatter else ""
    named_too, is_drawn = "", "x IS NOT NULL AND isfinite(v)"
    rows, replaced = "count(*)", ""
    if has_attempts:
        named_too, is_drawn = "is_last, ", f"is_last AND {is_drawn}"
        rows = "count(*) FILTER (WHERE is_last)"
        replaced = ", count(*) FILTER (WHERE NOT is_last) AS replaced"
    return f"""
        SELECT {named}x, avg(y) AS mean, {low} AS low, {high} AS high, count(y) AS n,
               {rows} - count(y) AS odd{replaced}
        FROM (SELECT {named}{named_too}x, CASE WHEN {is_drawn} THEN v END AS y FROM ({values}))
        GROUP BY {named}x{alone}
    """


def _reduced(grouped: str, groups: Sequence[str], points: int, *, has_attempts: bool) -> str:
    named = _listing(groups)
    replaced = ", sum(replaced)::BIGINT AS replaced" if has_attempts else ""
    curve = ", ".join([*groups, "x IS NULL"])
    return f"""
        SELECT {named}min(x) AS x,
               CASE WHEN count(*) = 1 THEN first(mean) ELSE sum(mean * n) / sum(n) END AS mean,
               min(CASE WHEN total > {points} THEN least(low, mean) ELSE low END) AS low,
               max(CASE WHEN total > {points} THEN greatest(high, mean) ELSE high END) AS high,
               sum(n)::BIGINT AS n, sum(odd)::BIGINT AS odd{replaced},
               count(*) AS merged, min(nullif(n, 0)) AS least, max(n) AS most
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


def _group(name: str, kind: Kind) -> str:
    return f"CAST({identifier(name)} AS VARCHAR)" if is_instant(kind) else identifier(name)


def _position(key: str, name: str, kind: Kind) -> str:
    """The position on the x axis: instants in microseconds since the epoch, durations in seconds."""
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
        message = f"y is {key!r}, whose values are {kind.name}; expected numbers, which have a mean"
        raise ColumnError(message)
    return number


def _number(column: str, kind: Kind) -> str | None:
    if kind in {BOOL, INT, BIGINT, FLOAT}:
        return f"CAST({column} AS DOUBLE)"
    if kind == TIMEDELTA:
        return f"epoch({column})"
    return None
