"""The collection that a command is about: how it is named, found, opened and completed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from rigorous_recorder import ExperimentCollection, Records
from rigorous_recorder._engines.conditions import Typed
from rigorous_recorder.errors import NotACollectionError

from .near import collections_near
from .output import say

__all__ = [
    "COLUMNS",
    "Collection",
    "Json",
    "Where",
    "complete_column",
    "complete_experiment",
    "complete_folder",
    "folder_of",
    "open_collection",
    "place_of",
    "records_of",
]

_SUFFIX: Final = ".collection"
#: Of the collections near a path that is none, so many are named.
_NAMED: Final = 10


# --- opening -------------------------------------------------------------------------------------


def open_collection(path: Path, *, quiet: bool = False) -> ExperimentCollection:
    """The collection at ``path``, with or without ``.collection`` behind it; none is made.

    Raises:
        NotACollectionError: there is none; the message names those that are near.
    """
    place = place_of(path)
    if place is None:
        raise NotACollectionError(_what_is_there(path))
    return ExperimentCollection(place, extension="", quiet=quiet)


def place_of(path: Path) -> Path | None:
    """Where the collection is; None where there is none."""
    for place in _places(path):
        if (place / "collection.json").is_file():
            return place
    return None


def folder_of(path: Path) -> Path:
    """The folder of a collection that may be damaged, with or without ``.collection`` behind it.

    Raises:
        NotACollectionError: there is none.
    """
    place = place_of(path) or _place_with(path, any)
    if place is None:
        raise NotACollectionError(_what_is_there(path))
    return place


def _places(path: Path) -> tuple[Path, ...]:
    return (path, path.with_name(path.name + _SUFFIX)) if path.name else (path,)


def _place_with(path: Path, which: Callable[[Iterable[bool]], bool]) -> Path | None:
    """Where any, or all, of the folders of a collection are."""
    for place in _places(path):
        if which((place / name).is_dir() for name in ("records", "nodes", "live")):
            return place
    return None


def _what_is_there(path: Path) -> str:
    if (lost := _place_with(path, all)) is not None:
        return (
            f"{lost} has all folders of a collection, but no collection.json: `rigorous repair"
            f" {lost} NEW` makes a new collection of what they hold"
        )
    if path.is_dir():
        found = f"{path} is a folder without a collection.json"
    elif path.exists():
        found = f"{path} is a file"
    else:
        found = f"there is neither {path} nor {path.name}{_SUFFIX} beside it"
    return f"{found}; expected the folder of a collection, such as data/my_study. {_near(path)}"


def _near(path: Path) -> str:
    """The collections at or below that folder, or the one that it would be in."""
    folder = next((each.absolute() for each in (path, path.parent) if each.is_dir()), None)
    if folder is None:
        return f"There is no folder {path.parent.absolute()} either"
    found, is_all = collections_near(folder)
    if not found:
        none = f"There are no collections in {folder}"
        return none if is_all else f"{none}, as far as a short look goes; {_looking_on(folder)}"
    lines = [f"  {each}" for each in found[:_NAMED]]
    if len(found) > _NAMED or not is_all:
        lines.append(f"  ... {_looking_on(folder)}")
    return "\n".join([f"Collections in {folder}:", *lines])


def _looking_on(folder: Path) -> str:
    return f"rigorous ls {folder} looks for more"


# --- which records -------------------------------------------------------------------------------


def records_of(collection: ExperimentCollection, where: list[str]) -> Records:
    """The records that meet all conditions.

    Raises:
        typer.BadParameter: a condition is not ``key=value``.
    """
    records, wanted = collection.records, {}
    for each in where:
        key, equals, value = each.partition("=")
        if not equals:
            message = f"{each!r} is not a valid condition; expected key=value, such as model=m1"
            raise typer.BadParameter(message, param_hint="--where")
        wanted[key] = value
        records = records.where(**{key: None if value == "null" else Typed(value)})
    if "experiment_number" in wanted and "error_number" not in wanted:
        _tell_of_runs(collection, wanted["experiment_number"])
    return records


def _tell_of_runs(collection: ExperimentCollection, number: str) -> None:
    """Say so where several runs share the number of an experiment."""
    runs = [row for row in collection.experiments if str(row["experiment_number"]) == number]
    if len(runs) > 1:
        which = ", ".join(str(row["error_number"]) for row in runs)
        say(
            f"{len(runs)} runs are experiment {number}, and this is of all of them; --where"
            f" error_number=N takes one (N is one of {which})"
        )


# --- completion ----------------------------------------------------------------------------------


def complete_folder(incomplete: str) -> Iterator[str]:
    """Folders that begin as typed: collections as such, others to be gone into."""
    above, slash, start = incomplete.rpartition("/")
    with suppress(OSError, RuntimeError):  # a folder that is not there, a user who is not known
        for each in sorted(Path(above + slash).expanduser().iterdir()):
            is_hidden = each.name.startswith(".") and not start
            if each.name.startswith(start) and not is_hidden and each.is_dir():
                end = "" if place_of(each) == each else "/"
                yield f"{above}{slash}{each.name}{end}"


def complete_column(context: typer.Context, incomplete: str) -> list[str]:
    """Columns of the collection that was typed before, where there is one."""
    with suppress(Exception), closing(_typed(context)) as collection:
        return [each for each in collection.records.columns if each.startswith(incomplete)]
    return []


def complete_experiment(context: typer.Context, incomplete: str) -> list[str]:
    """Numbers of the experiments of the collection that was typed before, where there is one."""
    with suppress(Exception), closing(_typed(context)) as collection:
        numbers = map(str, collection.experiment_numbers)
        return [each for each in numbers if each.startswith(incomplete)]
    return []


def _typed(context: typer.Context) -> ExperimentCollection:
    """The collection that was typed before.

    Raises:
        NotACollectionError: there is none.
    """
    # Behind an option that waits for its value, arguments are not assigned yet.
    typed = context.params.get("path") or next(iter(context.args), "")
    return open_collection(Path(typed).expanduser(), quiet=True)


# --- what several commands are given ---------------------------------------------------------------

Collection = Annotated[
    Path,
    typer.Argument(
        metavar="COLLECTION",
        help="The collection; '.collection' behind its name may be left out.",
        autocompletion=complete_folder,
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
Where = Annotated[
    list[str],
    typer.Option(
        "--where",
        metavar="KEY=VALUE",
        help="Only records with this value, typed as --json prints it; repeat it to ask for more. 'KEY=null' is a missing one.",
        show_default=False,
    ),
]
COLUMNS: Final = {"metavar": "KEY", "autocompletion": complete_column, "show_default": False}
