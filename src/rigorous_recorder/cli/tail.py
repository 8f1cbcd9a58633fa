"""`rigorous tail`: the last records, and those that come, as they are logged."""

import sys
from contextlib import closing
from typing import Annotated

import typer

from rigorous_recorder import ExperimentCollection, Records, Row
from rigorous_recorder._engines.known_keys import no_such_key

from .command import exclude
from .output import cell, json_line, say
from .target import COLUMNS, Collection, Json, Where, open_collection, records_of

__all__ = ["EXAMPLES", "tail"]

EXAMPLES = """\
Examples: `rigorous tail data/my_study`, `rigorous tail data/my_study -n 0 --key epoch --key loss`,
`rigorous tail data/my_study --where model=m1 --json | jq .loss`
"""

#: Seconds between two looks where nothing else is asked for.
_INTERVAL = 0.2
#: What a collection says of every experiment, besides its number: too much for each line.
_LEFT_OUT = frozenset(
    {
        "error_number",
        "had_error",
        "experiment_start_time",
        "experiment_end_time",
        "experiment_duration",
        "experiment_attempt_start_time",
        "experiment_job",
        "experiment_job_restarts",
        "experiment_error_type",
        "experiment_error_message",
        "experiment_error_traceback",
    }
)


def tail(
    path: Collection,
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
    interval: Annotated[
        float | None,
        typer.Option(min=0.01, help="Seconds between two looks for more.", show_default="0.2"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the last records, and follow what any process logs, each record once.

    A record is a line of `key=value`. All keys are there in JSON; else what a collection says of
    every experiment is left out, but for its number, unless `--key` asks for it.
    """
    exclude(no_follow=not follow, interval=interval)
    with closing(open_collection(path)) as collection:
        records = records_of(collection, where)
        _warn_of_unknown(key, collection)
        if follow:
            rows = records.follow(last=count, interval=interval or _INTERVAL)
        else:
            rows = iter(_last(records, count))
        for row in rows:
            sys.stdout.write(_line(row, key, as_json=as_json) + "\n")
            sys.stdout.flush()


def _warn_of_unknown(keys: list[str], collection: ExperimentCollection) -> None:
    """Keys that are printed as missing, for now or for ever, are told."""
    known = collection.records.columns if keys else ()
    for key in dict.fromkeys(keys):
        if known and key not in known:
            say(f"rigorous: {no_such_key(key, known)}. It may still be logged")


def _last(records: Records, count: int) -> list[Row]:
    return records[-count:] if count else []


def _line(row: Row, keys: list[str], *, as_json: bool) -> str:
    shown = {key: row[key] for key in keys} if keys else row
    if as_json:
        return json_line(shown)
    return " ".join(
        f"{cell(key)}={cell(value)}" for key, value in shown.items() if keys or key not in _LEFT_OUT
    )
