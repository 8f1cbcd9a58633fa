"""`rigorous verify`: every file of a collection is read to its end, and what is wrong is listed."""

import warnings
from contextlib import closing

import typer

from rigorous_recorder.errors import DamagedFileWarning

from .output import print_json, print_table, say
from .target import Collection, Json, open_collection

__all__ = ["EXAMPLES", "verify"]

EXAMPLES = "Examples: `rigorous verify data/my_study`, `rigorous verify data/my_study --json`"


def verify(path: Collection, *, as_json: Json = False) -> None:
    """Read every file to its end, checksums included, and list what is damaged.

    Nothing is changed. The exit code is 1 where anything is damaged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedFileWarning)  # listed below
        with closing(open_collection(path)) as collection:
            problems = collection.verify()
    rows = [{"path": str(each.path), "reason": each.reason} for each in problems]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(("damaged file", "reason"), [list(row.values()) for row in rows])
    else:
        say(f"every file of {path} is as it was written")
    if problems:
        raise typer.Exit(1)
