"""`rigorous ls`: the collections below a folder, or the experiments of one collection."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any

import typer

from rigorous_recorder import ExperimentCollection, ExperimentOverview
from rigorous_recorder._store.near import place_of
from rigorous_recorder.errors import RigorousError

from .output import (
    duration_text,
    print_json,
    print_table,
    say,
    size_text,
    time_text,
)
from .target import Json, complete_folder, open_collection

__all__ = ["EXAMPLES", "ls"]

EXAMPLES = "Examples: `rigorous ls data`, `rigorous ls data/my_study`, `rigorous ls data --json`"

#: The most of an error that is shown of each experiment.
_WIDEST_ERROR = 60
_COLLECTION = (
    "collection",
    "experiments",
    "running",
    "failed",
    "crashed",
    "records",
    "size",
    "last start",
)
_EXPERIMENT = (
    "experiment",
    "error_number",
    "attempts",
    "status",
    "start",
    "duration",
    "records",
    "error",
    "keys",
)


def ls(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER_OR_COLLECTION",
            help="A folder, or a collection; '.collection' behind its name may be left out.",
            autocompletion=complete_folder,
        ),
    ] = Path(),
    *,
    as_json: Json = False,
) -> None:
    """List the collections below a folder, or the experiments of a collection.

    An experiment is running, finished, failed (it ended with an error) or crashed (its process
    died before the end). Runs that share a number, since some failed and were begun anew, are told
    apart by `error_number`: how many with the number failed in a row, itself included until it ends
    without an error, and then 0. `attempts` is more than 1 where it was resumed.
    """
    if path.is_dir() and place_of(path) != path:  # also where there is a collection of that name
        _list_collections(path, as_json=as_json)
    else:
        with closing(open_collection(path)) as collection:
            _list_experiments(collection.overview(), as_json=as_json)


def _list_experiments(experiments: list[ExperimentOverview], *, as_json: bool) -> None:
    if as_json:
        print_json(map(asdict, experiments))
        return
    has_errors = any(each.error_type for each in experiments)
    columns = [name for name in _EXPERIMENT if name != "error" or has_errors]
    rows = (_experiment_row(each, has_errors=has_errors) for each in experiments)
    print_table(columns, rows, empty="no experiments yet", last=("attempts", "error_number"))


def _experiment_row(each: ExperimentOverview, *, has_errors: bool) -> list[Any]:
    error = ": ".join(filter(None, (each.error_type, each.error_message)))
    return [
        each.experiment_number,
        each.error_number,
        each.attempts,
        str(each.status),
        time_text(each.start),
        duration_text(each.duration),
        each.records,
        *([shorten(error, _WIDEST_ERROR)] if has_errors else []),
        ", ".join(each.keys),
    ]


def _list_collections(folder: Path, *, as_json: bool) -> None:
    summaries = _summaries(folder)
    if as_json:
        print_json(summaries)
    else:
        rows = map(_collection_row, summaries)
        print_table(_COLLECTION, rows, empty=f"no collections in {folder}", last=("size",))


def _summaries(folder: Path) -> Iterator[dict[str, Any]]:
    for path in ExperimentCollection.find(folder):
        try:
            yield _summary(path, path.relative_to(folder))
        except RigorousError as error:  # those beside it can be listed all the same
            say(f"rigorous: {error}")


def _summary(path: Path, name: Path) -> dict[str, Any]:
    with closing(open_collection(path)) as collection:
        experiments = collection.overview()
        count = Counter(str(each.status) for each in experiments)
        return {
            "collection": str(name),
            "experiments": len(experiments),
            "running": count["running"],
            "failed": count["failed"],
            "crashed": count["crashed"],
            "records": len(collection.records),
            "size": collection.size_on_disk(),
            "last_start": max((each.start for each in experiments if each.start), default=None),
        }


def _collection_row(summary: dict[str, Any]) -> list[Any]:
    *first, size, last = summary.values()
    return [*first, size_text(size), time_text(last)]
