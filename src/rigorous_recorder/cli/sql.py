"""`rigorous sql`: the answer to a query, as a table, JSON lines or CSV."""

import csv
import datetime as dt
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rigorous_recorder.errors import RigorousError

from .output import is_terminal, print_json, print_table, say
from .target import Collection, Json, open_collection

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["EXAMPLES", "sql"]

EXAMPLES = """\
Examples: `rigorous sql data/my_study "SELECT model, min(loss) FROM records GROUP BY model"`,
`rigorous sql data/my_study "FROM experiments" --json`, `rigorous sql data/my_study - < query.sql`
"""

#: Rows that are shown on a terminal where nothing else is asked for.
_SHOWN = 1_000

_Rows = Iterator[tuple[Any, ...]]


class QueryError(RigorousError):
    """DuckDB can't answer the query."""


def sql(
    path: Collection,
    query: Annotated[
        str,
        typer.Argument(metavar="QUERY", help="In DuckDB's SQL; - reads it from standard input."),
    ],
    *,
    limit: Annotated[
        int | None,
        typer.Option(
            min=0, help="Rows to print.", show_default=f"{_SHOWN:,} on a terminal, else all"
        ),
    ] = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Answer a query over the tables `records`, `experiments` and `nodes`.

    `records` is the flat table, `experiments` has a row for each attempt at one, `nodes` a row for
    each recorder. What is cut by the limit is told on standard error.
    """
    import duckdb  # noqa: PLC0415 - slow to load, and most commands do without

    text = sys.stdin.read() if query == "-" else query
    if limit is None and is_terminal() and not as_json and not as_csv:
        limit = _SHOWN
    with closing(open_collection(path)) as collection:
        try:
            answer = collection.sql(text)
            if answer is None:
                say("done; it has no answer to print")
                return
            rows = _rows(answer)
            shown = rows if limit is None else islice(rows, limit)
            _print(answer.columns, shown, as_json=as_json, as_csv=as_csv)
        except duckdb.Error as error:
            raise QueryError(str(error)) from error
        if limit is not None and next(rows, None) is not None:
            say(f"only the first {limit:,} rows are shown; --limit asks for more")


def _rows(answer: "duckdb.DuckDBPyRelation") -> _Rows:
    """The rows as they come, in bounded memory."""
    for batch in answer.to_arrow_reader():
        yield from zip(*map(_values, batch.columns), strict=True)


def _values(column: "pa.Array") -> list[Any]:
    values: list[Any] = column.to_pylist()
    if str(column.type) == "month_day_nano_interval":
        return [None if each is None else _duration(each) for each in values]
    return values


def _duration(each: "pa.MonthDayNano") -> dt.timedelta:
    """A month is 30 days, as DuckDB has it."""
    return dt.timedelta(30 * each.months + each.days, microseconds=each.nanoseconds // 1_000)


def _print(columns: list[str], rows: _Rows, *, as_json: bool, as_csv: bool) -> None:
    if as_json:
        names = _unique(columns)
        print_json(dict(zip(names, row, strict=True)) for row in rows)
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    else:
        print_table(columns, rows, empty="no rows")


def _unique(names: Iterable[str]) -> list[str]:
    """Names of which no two are equal: an object has each key once."""
    found: dict[str, None] = {}
    for name in names:
        unique, count = name, 1
        while unique in found:
            count += 1
            unique = f"{name}_{count}"
        found[unique] = None
    return list(found)
