"""The collection that a command is about: naming, opening and completing it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._engines.conditions import Typed
from rigorous_recorder._store.near import place_of
from rigorous_recorder.errors import ArgumentError

from .output import print_message

if TYPE_CHECKING:  # most commands read no record
    from rigorous_recorder import Records

__all__ = [
    "COLUMNS",
    "Collection",
    "CollectionKey",
    "Collections",
    "Json",
    "Where",
    "complete_column",
    "complete_experiment",
    "complete_folder",
    "open_collection",
    "open_collections",
    "own_keys",
    "records_of",
]

#: A typical key, and a value without SQL quotes.
_KEY_AND_VALUE: Final = re.compile(r"[^\s=<>!'\"()]+=(?![='])(?P<value>.*)", re.DOTALL)
#: Words that join two SQL comparisons.
_JOINED: Final = re.compile(r"\s(and|or)\s[^'\"]*[=<>]|\s(and|or)\s.*\slike\s", re.IGNORECASE)


# --- opening -------------------------------------------------------------------------------------


def open_collection(
    path: Path, *, quiet: bool = False, read_only: bool = True
) -> ExperimentCollection:
    """Open the collection at ``path``, with or without its suffix; never create one.

    Raises:
        NotACollectionError: there is none; the message lists similar paths.
    """
    return ExperimentCollection.open(path, read_only=read_only, quiet=quiet)


def open_collections(
    paths: Sequence[Path], key: str | None = None, *, quiet: bool = False
) -> ExperimentCollection:
    """Open the collection at a path; several paths as one read-only collection.

    Args:
        key: the name of the column that has the collection's name; None is ``collection`` if there
            are several paths.

    Raises:
        NotACollectionError: there is none; the message lists similar paths.
    """
    if len(paths) == 1 and key is None:
        return open_collection(paths[0], quiet=quiet)
    return ExperimentCollection.union(paths, key=key or "collection")


# --- selecting records ---------------------------------------------------------------------------


def records_of(collection: ExperimentCollection, where: list[str]) -> Records:
    """The records that meet all conditions: each ``key=value``, or a SQL expression.

    Raises:
        typer.BadParameter: a condition is neither.
    """
    records, wanted = collection.records, {}
    for each in where:
        key, _, value = each.partition("=")
        if _is_sql(each, collection):
            records = _where_sql(records, each)
        else:
            wanted[key] = value
            records = records.where(**{key: None if value == "null" else Typed(value)})
    if "experiment_number" in wanted and "error_number" not in wanted:
        _list_runs(collection, wanted["experiment_number"])
    return records


def _is_sql(condition: str, collection: ExperimentCollection) -> bool:
    """Whether a condition is a SQL expression rather than ``key=value``.

    ``model=m1`` is a key and a value, ``model = 'm1'`` and ``loss<=0.1`` are SQL.
    """
    if (parts := _KEY_AND_VALUE.fullmatch(condition)) is not None:
        return _JOINED.search(parts["value"]) is not None
    key, equals, value = condition.partition("=")
    is_quoted = value.startswith(("'", "="))
    return not equals or is_quoted or key not in collection.records.columns  # of any character


def _where_sql(records: Records, condition: str) -> Records:
    try:
        return records.where(condition)
    except ArgumentError as error:
        message = f"{error}; or key=value, such as model=m1"
        raise typer.BadParameter(message, param_hint="--where") from None


def _list_runs(collection: ExperimentCollection, number: str) -> None:
    """Report if several runs share the number of an experiment."""
    runs = [row for row in collection.experiments if str(row["experiment_number"]) == number]
    errors = [row["error_number"] for row in runs]
    if len(set(errors)) == len(errors) > 1:  # otherwise they are in several collections
        which = ", ".join(map(str, errors))
        print_message(
            f"{len(runs)} runs share the number {number}, and this is from all of them; --where"
            f" error_number=N selects one (N is one of {which})"
        )


# --- completion ----------------------------------------------------------------------------------


def complete_folder(incomplete: str) -> Iterator[str]:
    """Folders that begin as typed: collections, and others to descend into."""
    above, slash, start = incomplete.rpartition("/")
    with suppress(OSError, RuntimeError):  # a folder or user that does not exist
        for each in sorted(Path(above + slash).expanduser().iterdir()):
            is_hidden = each.name.startswith(".") and not start
            if each.name.startswith(start) and not is_hidden and each.is_dir():
                end = "" if place_of(each) == each else "/"
                yield f"{above}{slash}{each.name}{end}"


def complete_column(context: typer.Context, incomplete: str) -> list[str]:
    """Columns of the collection that was typed before, if it exists."""
    with suppress(Exception), closing(_typed(context)) as collection:
        return [each for each in collection.records.columns if each.startswith(incomplete)]
    return []


def complete_experiment(context: typer.Context, incomplete: str) -> list[str]:
    """Numbers of the experiments of the collection that was typed before, if it exists."""
    with suppress(Exception), closing(_typed(context)) as collection:
        numbers = map(str, collection.experiment_numbers)
        return [each for each in numbers if each.startswith(incomplete)]
    return []


def _typed(context: typer.Context) -> ExperimentCollection:
    """The collection that was typed before, or the union of several.

    Raises:
        NotACollectionError: there is none.
    """
    # After an option that waits for its value, arguments are not assigned yet.
    typed = context.params.get("paths") or context.params.get("path") or context.args[:1] or [""]
    paths = [typed] if isinstance(typed, (str, Path)) else typed
    return open_collections([Path(each).expanduser() for each in paths], quiet=True)


# --- shared parameters -----------------------------------------------------------------------------

Collection = Annotated[
    Path,
    typer.Argument(
        metavar="COLLECTION",
        help="The collection; its suffix '.collection' can be omitted.",
        autocompletion=complete_folder,
        show_default=False,
    ),
]
Collections = Annotated[
    list[Path],
    typer.Argument(
        metavar="COLLECTION",
        help="The collection; its suffix '.collection' can be omitted. Several are read as one table, with a column `collection`.",
        autocompletion=complete_folder,
        show_default=False,
    ),
]
CollectionKey = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        help="Name of the column with the collection's name.",
        show_default="collection, if there are several",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]
Where = Annotated[
    list[str],
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="Only records with this value, as KEY=VALUE ('KEY=null' for a missing value), or for which this SQL is true, such as \"loss < 0.1 and model like 'cnn%'\"; repeat it to combine conditions.",
        show_default=False,
    ),
]
COLUMNS: Final = {"metavar": "KEY", "autocompletion": complete_column, "show_default": False}


def own_keys(collection: ExperimentCollection) -> set[str]:
    """The keys that records have themselves."""
    return {str(column.key) for column in collection.records._scan().record_columns}
