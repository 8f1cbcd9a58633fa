"""`rigorous tail`: print the last records, and new ones as they are logged."""

import sys
from contextlib import closing
from typing import Annotated

import typer

from rigorous_recorder import ExperimentCollection, Records, Row
from rigorous_recorder._engines.known_keys import no_such_key, with_advice

from . import tail_lines
from .chosen import Since, records_since
from .command import exclude
from .output import is_terminal, print_message
from .tail_lines import Changes, Columns, Lines, Whole
from .target import (
    COLUMNS,
    CollectionKey,
    Collections,
    Json,
    Where,
    open_collections,
    own_keys,
    records_of,
)

__all__ = ["EXAMPLES", "tail"]

EXAMPLES = """\
Examples: `rigorous tail data/my_study`, `rigorous tail data/my_study -n 0 --key epoch --key loss`,
`rigorous tail data/my_study --where model=m1 --json | jq .loss`
"""

#: The default number of seconds between two polls.
_INTERVAL = 0.2


def tail(
    paths: Collections,
    *,
    count: Annotated[
        int, typer.Option("--count", "-n", min=0, help="Begin with this many of the last records.")
    ] = 10,
    follow: Annotated[bool, typer.Option(help="Continue with new records, until Ctrl-C.")] = True,
    key: Annotated[
        list[str],
        typer.Option("--key", "-k", help="Print only these keys; repeat it for more.", **COLUMNS),
    ] = [],
    where: Where = [],
    since: Since = None,
    interval: Annotated[
        float | None,
        typer.Option(min=0.01, help="Seconds between two polls.", show_default="0.2"),
    ] = None,
    as_json: Json = False,
    collection_key: CollectionKey = None,
) -> None:
    """Print the last records, and follow what any process logs, each record once.

    On a terminal inherited values are printed on their own line, once and when they change, and keys
    selected by `--key` are columns. In a pipe each record is a complete line of `key=value`. JSON
    contains all keys; the other forms omit the built-in attributes of experiments except their
    number, unless `--key` names them.
    """
    exclude(no_follow=not follow, interval=interval)
    with closing(open_collections(paths, collection_key)) as collection:
        records = records_since(records_of(collection, where), since)
        _warn_of_unknown(key, collection)
        if follow:
            rows = records.follow(last=count, interval=interval or _INTERVAL)
        else:
            rows = iter(_last(records, count))
        lines = _lines(collection, key, as_json=as_json)
        for row in rows:
            sys.stdout.writelines(f"{line}\n" for line in lines.of(row))
            sys.stdout.flush()


def _warn_of_unknown(keys: list[str], collection: ExperimentCollection) -> None:
    """Report keys that no record has so far; they are printed as missing."""
    known = collection.records.columns if keys else ()
    for key in dict.fromkeys(keys):
        if known and key not in known:
            message = with_advice(no_such_key(key, known), "It may still be logged")
            print_message(f"rigorous: {message}")


def _last(records: Records, count: int) -> list[Row]:
    return records[-count:] if count else []


def _lines(collection: ExperimentCollection, keys: list[str], *, as_json: bool) -> Lines:
    """The format of records: for people only on a terminal."""
    if as_json:
        return tail_lines.JsonLines(keys)
    if not is_terminal():
        return Whole(keys)
    return Columns(keys) if keys else Changes(lambda: own_keys(collection))
