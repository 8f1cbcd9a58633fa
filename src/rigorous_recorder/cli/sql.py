"""`rigorous sql`: run a query and print its result as a table, JSON lines or CSV."""

import csv
import importlib
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

import typer

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._display.table import FIRST_TO_GO
from rigorous_recorder._engines.result_rows import rows_of
from rigorous_recorder._engines.sql import sql_names
from rigorous_recorder._keys import EXPERIMENT_KEYS
from rigorous_recorder._values.kinds import JSON
from rigorous_recorder.errors import RigorousError

from .chosen import Since, records_since
from .command import exclude
from .output import csv_cell, is_terminal, print_json, print_message, print_table, print_text
from .target import CollectionKey, Collections, Json, open_collections, own_keys

__all__ = ["EXAMPLES", "sql"]

EXAMPLES = """\
Examples: `rigorous sql data/my_study "SELECT model, min(loss) FROM records GROUP BY model"`,
`rigorous sql data/my_study "FROM experiments" --json`,
`rigorous sql data/old data/new "SELECT collection, min(loss) FROM records GROUP BY collection"`,
`rigorous sql data/my_study - < query.sql`
"""

#: The default number of rows on a terminal.
_SHOWN = 1_000
#: Lines that end the prompt, as in other programs.
_ENDS = frozenset({"exit", "quit", ".exit", ".quit", r"\q"})

_ResultRows = Iterator[tuple[Any, ...]]


class QueryError(RigorousError):
    """DuckDB can't run the query."""


def sql(
    paths: Collections = [],
    query: Annotated[
        str | None,
        typer.Argument(
            metavar="QUERY",
            help="A query in DuckDB's SQL; - reads it from standard input. Without one, a prompt opens.",
            show_default=False,
        ),
    ] = None,
    *,
    since: Since = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=0, help="Rows to print.", show_default=f"{_SHOWN:,} on a terminal, else all"
        ),
    ] = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    collection_key: CollectionKey = None,
) -> None:
    """Run a query over the tables `records`, `experiments` and `recorders`.

    `records` is the flat table, `experiments` has a row for each experiment, `recorders` a row for
    each recorder. If there are several collections, all tables have a column `collection`. If the limit
    cuts the result, a message is printed on standard error. With `--since` there is only the table
    `records`, of the runs that began since then.
    """
    exclude(json=as_json, csv=as_csv)
    if not paths:  # the only word is a collection
        if query is None:
            message = "name a collection, and a query"
            raise typer.BadParameter(message, param_hint="COLLECTION")
        paths, query = [Path(query)], None
    import duckdb  # noqa: PLC0415 - slow to load, and not needed by most commands

    if limit is None and is_terminal() and not as_json and not as_csv:
        limit = _SHOWN
    with closing(open_collections(paths, collection_key)) as collection:
        ask = partial(_answer, collection, since, limit, as_json=as_json, as_csv=as_csv)
        if query is None:
            _prompt(ask)
            return
        try:
            ask(sys.stdin.read() if query == "-" else query)
        except duckdb.Error as error:
            raise QueryError(str(error)) from error


def _answer(
    collection: ExperimentCollection,
    since: str | None,
    limit: int | None,
    query: str,
    *,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Print the result of a query."""
    chosen = collection if since is None else records_since(collection.records, since)
    answer = chosen.sql(query)
    if answer is None:
        print_message("done; the statement returns no rows")
        return
    rows = rows_of(answer, _documents(collection) if as_json else ())
    own = {EXPERIMENT_KEYS[0], *own_keys(collection)} if is_terminal() else ()
    _print_first(limit, answer.columns, rows, own, as_json=as_json, as_csv=as_csv)


def _prompt(ask: Callable[[str], None]) -> None:
    """Run queries until the input ends; each ends with a semicolon and reads the latest rows.

    Errors are printed, and the next query is read.

    Raises:
        typer.Exit: a query that came through a pipe has failed.
    """
    import duckdb  # noqa: PLC0415 - slow to load, and not needed by most commands

    is_person = sys.stdin.isatty()
    if is_person:
        with suppress(ImportError):
            importlib.import_module("readline")  # line editing and history
        print_message(
            "tables: records, experiments, recorders; end a query with ; and the session with exit"
        )
    has_failed = False
    for query in _queries("sql> " if is_person else "", "...> " if is_person else ""):
        try:
            ask(query)
        except (duckdb.Error, RigorousError) as error:
            print_message(f"rigorous: {error}")
            has_failed = True
    if has_failed and not is_person:
        raise typer.Exit(1)


def _queries(first: str, further: str) -> Iterator[str]:
    """What is typed up to each semicolon, and the rest at the end; Ctrl-C drops what is typed."""
    typed: list[str] = []
    while True:
        try:
            line = input(further if typed else first)
        except EOFError:
            break
        except KeyboardInterrupt:
            if not first:
                raise
            print_message("")
            typed = []
            continue
        if not typed and line.strip().rstrip(";").rstrip().casefold() in _ENDS:
            break
        typed += [line] if line.strip() or typed else []
        if line.rstrip().endswith(";"):
            yield "\n".join(typed)
            typed = []
    if typed:
        yield "\n".join(typed)


def _documents(collection: ExperimentCollection) -> set[str]:
    """SQL names of the columns with dicts and lists, as JSON text."""
    kinds = collection.records._scan().flat_kinds
    return {name for column, name in sql_names(kinds).items() if kinds[column] == JSON}


def _print_first(
    limit: int | None,
    columns: list[str],
    rows: _ResultRows,
    own: Collection[str],
    *,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Print rows up to a limit (None: all), and report if there are more, or none."""
    first = list(islice(rows, 1))
    rows = chain(first, rows)
    empty = "" if first else "no rows"
    _print(columns, islice(rows, limit), empty, own, as_json=as_json, as_csv=as_csv)
    if limit is not None and next(rows, None) is not None:
        shown = f"only the first {limit:,} rows are shown" if limit else "no row is shown"
        print_message(f"{shown}; --limit shows more")


def _print(
    columns: list[str],
    rows: _ResultRows,
    empty: str,
    own: Collection[str],
    *,
    as_json: bool,
    as_csv: bool,
) -> None:
    if as_json:
        names = _unique(columns)
        print_json(dict(zip(names, row, strict=True)) for row in rows)
    elif as_csv:
        writer = csv.writer(_Output(), lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(map(csv_cell, row) for row in rows)
    else:
        print_table(columns, rows, empty=empty, first=own, last=FIRST_TO_GO)


class _Output:
    """The output stream of CSV."""

    def write(self, text: str) -> None:
        """Print some text."""
        print_text(text)


def _unique(names: Iterable[str]) -> list[str]:
    """Make names unique: a JSON object has each key once."""
    found: dict[str, None] = {}
    for name in names:
        unique, count = name, 1
        while unique in found:
            count += 1
            unique = f"{name}_{count}"
        found[unique] = None
    return list(found)
