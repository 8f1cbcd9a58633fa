"""`rigorous ls`: the collections below a folder, or the experiments of one collection."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any

import typer

from rigorous_recorder import ExperimentCollection, ExperimentOverview
from rigorous_recorder._display.text import bytes_text
from rigorous_recorder._store.near import SUFFIX, place_of, require_place
from rigorous_recorder._store.union import unique_names
from rigorous_recorder.errors import RigorousError

from .chosen import Since, began_since, records_since
from .output import (
    duration_text,
    print_json,
    print_message,
    print_table,
    time_text,
)
from .target import Json, complete_folder, open_collection

__all__ = ["EXAMPLES", "ls"]

EXAMPLES = """\
Examples: `rigorous ls data`, `rigorous ls data/my_study`, `rigorous ls data --json`,
`rigorous ls data/old data/new`
"""

#: Maximum length of an experiment's error.
_WIDEST_ERROR = 60
_COLLECTION = (
    "collection",
    "experiments",
    "running",
    "failed",
    "crashed",
    "stopped",
    "pruned",
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
    "name",
    "tags",
    "keys",
)
#: Columns that are shown if any collection has such experiments.
_SELDOM = ("stopped", "pruned")
#: Columns that are shown if any experiment has a value in them.
_SPARSE = ("collection", "error", "name", "tags")


def ls(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER_OR_COLLECTION",
            help="A folder or a collection; its suffix '.collection' can be omitted.",
            autocompletion=complete_folder,
        ),
    ] = [Path()],
    *,
    show_all: Annotated[
        bool, typer.Option("--all", help="List archived experiments, too.")
    ] = False,
    since: Since = None,
    as_json: Json = False,
) -> None:
    """List the collections below a folder, or the experiments of a collection.

    The status of an experiment is running, finished, failed (it ended with an error), crashed (its
    process died before the end), stopped or pruned (it was ended on purpose). Runs that share a
    number, because some failed and were restarted, differ in `error_number`: 1, 2, ... for failed ones,
    0 for one that ended without an error; until it ends, a run counts as failed.
    `attempts` is above 1 if it was resumed. If there are several collections, a column `collection`
    has their names.
    """
    if any(map(_is_folder, paths)):
        _list_collections(paths, since, as_json=as_json)
    else:
        found = _overviews(paths, since)
        listed = [(name, each) for name, each in found if show_all or not each.is_archived]
        _list_experiments(listed, as_json=as_json)
        if len(listed) < len(found) and not as_json:
            print_message(f"{len(found) - len(listed)} archived; --all lists them, too")


def _is_folder(path: Path) -> bool:
    """Whether it is a folder but not a collection, even if a collection has the same name."""
    return path.is_dir() and place_of(path) != path


def _overviews(
    paths: Sequence[Path], since: str | None
) -> list[tuple[str | None, ExperimentOverview]]:
    """The experiments of all collections, each with its collection's name if there are several."""
    places = [require_place(path).absolute() for path in paths]
    names = unique_names(places) if len(places) > 1 else [None]
    found = []
    for name, place in zip(names, places, strict=True):
        with closing(open_collection(place)) as collection:
            found += [(name, each) for each in began_since(collection.overview(), since)]
    return found


def _list_experiments(
    experiments: list[tuple[str | None, ExperimentOverview]], *, as_json: bool
) -> None:
    if as_json:
        print_json(
            ({} if name is None else {"collection": name}) | asdict(each)
            for name, each in experiments
        )
        return
    rows = [{"collection": name} | _experiment_row(each) for name, each in experiments]
    names = ("collection", *_EXPERIMENT)
    columns = [name for name in names if name not in _SPARSE or any(row[name] for row in rows)]
    cells = ([row[name] for name in columns] for row in rows)
    last = ("attempts", "error_number")
    print_table(columns, cells, empty="no experiments yet", last=last)


def _experiment_row(each: ExperimentOverview) -> dict[str, Any]:
    error = ": ".join(filter(None, (each.error_type, each.error_message)))
    return {
        "experiment": each.experiment_number,
        "error_number": each.error_number,
        "attempts": each.attempts,
        "status": str(each.status),
        "start": time_text(each.start),
        "duration": duration_text(each.duration),
        "records": each.records,
        "error": shorten(error, _WIDEST_ERROR),
        "name": each.name or "",
        "tags": ", ".join(each.tags),
        "keys": ", ".join(each.keys),
    }


def _list_collections(paths: Sequence[Path], since: str | None, *, as_json: bool) -> None:
    is_one = len(paths) == 1
    summaries = chain.from_iterable(_summaries(path, since, is_one=is_one) for path in paths)
    if as_json:
        print_json(summaries)
    else:
        rows = [_collection_row(each) for each in summaries]
        columns = [n for n in _COLLECTION if n not in _SELDOM or any(row[n] for row in rows)]
        cells = ([row[name] for name in columns] for row in rows)
        folders = " and ".join(map(str, paths))
        empty = f"no collections in {folders}{_beside(paths)}"
        print_table(columns, cells, empty=empty, last=("size",))


def _beside(paths: Sequence[Path]) -> str:
    """How to list collections that have the names of folders, as ``SummaryWriter`` makes them."""
    found = [path.with_name(path.name + SUFFIX) for path in paths if path.name]
    places = " ".join(str(each) for each in found if place_of(each) == each)
    return (
        f"; `rigorous ls {places}` lists the experiments of the collection beside" if places else ""
    )


def _summaries(folder: Path, since: str | None, *, is_one: bool) -> Iterator[dict[str, Any]]:
    """The collections at or below a folder, by relative name."""
    place = folder if folder.is_dir() else require_place(folder)
    for path in ExperimentCollection.find(place):
        try:
            summary = _summary(path, path.relative_to(folder) if is_one else path, since)
            if since is None or summary["experiments"]:
                yield summary
        except RigorousError as error:  # the others can still be listed
            print_message(f"rigorous: {error}")


def _summary(path: Path, name: Path, since: str | None) -> dict[str, Any]:
    with closing(open_collection(path)) as collection:
        experiments = began_since(collection.overview(), since)
        count = Counter(str(each.status) for each in experiments)
        return {
            "collection": str(name),
            "experiments": len(experiments),
            "running": count["running"],
            "failed": count["failed"],
            "crashed": count["crashed"],
            "stopped": count["stopped"],
            "pruned": count["pruned"],
            "records": len(records_since(collection.records, since if experiments else None)),
            "size": collection.size_on_disk(),
            "last_start": max((each.start for each in experiments if each.start), default=None),
        }


def _collection_row(summary: dict[str, Any]) -> dict[str, Any]:
    size, last = bytes_text(summary["size"]), time_text(summary["last_start"])
    return {**summary, "size": size, "last start": last}
