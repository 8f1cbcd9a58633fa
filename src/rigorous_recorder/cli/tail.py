"""`rigorous tail`: the last records, and those that come, as they are logged."""

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
from .target import COLUMNS, CollectionKey, Collections, Json, Where, open_collections, records_of

__all__ = ["EXAMPLES", "tail"]

EXAMPLES = """\
Examples: `rigorous tail data/my_study`, `rigorous tail data/my_study -n 0 --key epoch --key loss`,
`rigorous tail data/my_study --where model=m1 --json | jq .loss`
"""

#: Seconds between two looks where nothing else is asked for.
_INTERVAL = 0.2


def tail(
    paths: Collections,
    *,
    count: Annotated[
        int, typer.Option("--count", "-n", min=0, help="Begin with the last so many records.")
    ] = 10,
    follow: Annotated[
        bool, typer.Option(help="Go on with what is logged from now on, until Ctrl-C.")
    ] = True,
    key: Annotated[
        list[str],
        typer.Option("--key", "-k", help="Print only these keys; repeat it for more.", **COLUMNS),
    ] = [],
    where: Where = [],
    since: Since = None,
    interval: Annotated[
        float | None,
        typer.Option(min=0.01, help="Seconds between two looks for more.", show_default="0.2"),
    ] = None,
    as_json: Json = False,
    collection_key: CollectionKey = None,
) -> None:
    """Print the last records, and follow what any process logs, each record once.

    On a terminal what records inherit is in a line of its own, once and where it changes, and keys
    chosen by `--key` are columns. In a pipe each record is a whole line of `key=value`. All keys
    are there in JSON; else the bookkeeping of experiments is left out, but for their numbers, unless
    `--key` names it.
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
    """Keys that are printed as missing, for now or for ever, are told."""
    known = collection.records.columns if keys else ()
    for key in dict.fromkeys(keys):
        if known and key not in known:
            message = with_advice(no_such_key(key, known), "It may still be logged")
            print_message(f"rigorous: {message}")


def _last(records: Records, count: int) -> list[Row]:
    return records[-count:] if count else []


def _lines(collection: ExperimentCollection, keys: list[str], *, as_json: bool) -> Lines:
    """How records are printed: for people only on a terminal."""
    if as_json:
        return tail_lines.Json(keys)
    if not is_terminal():
        return Whole(keys)
    return Columns(keys) if keys else Changes(lambda: _own_keys(collection))


def _own_keys(collection: ExperimentCollection) -> set[str]:
    """The keys that records have themselves."""
    return {str(column.key) for column in collection.records._scan().record_columns}
