"""The read options, as Spark passes them: text, with case-insensitive names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import ArgumentError
from .option_parsing import local_path, names_in

__all__ = ["Options"]

_KNOWN: Final = (
    "columns",
    "experiment",
    "damaged",
    "missing",
    "minPartitions",
    "oneQuery",
    "newColumns",
    "maxRowsPerBatch",
)


@dataclass(frozen=True)
class Options:
    """What is read, and how.

    Attributes:
        path: the folder of the collection.
        columns: names of the columns that are read, in order; None for all.
        experiment: the number of the experiment that is read, -1 being the last; None for all.
        skips_damaged: whether damaged files are skipped.
        fills_missing: whether a requested column that does not exist is null.
        least_parts: the minimum number of tasks, if there are as many row groups; None lets the
            planner decide.
        is_for_one_query: whether the frame serves a single query, whose filters may be pushed down.
        ignores_new: whether a stream ignores columns that appeared after its start.
        most_rows: the maximum number of rows in a batch of a stream; None for no limit.
    """

    path: Path
    columns: tuple[str, ...] | None = None
    experiment: int | None = None
    skips_damaged: bool = False
    fills_missing: bool = False
    least_parts: int | None = None
    is_for_one_query: bool = False
    ignores_new: bool = False
    most_rows: int | None = None

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Options:
        """Parse the options.

        Raises:
            ArgumentError: an option is not known, or has a value that can't be used.
        """
        left = {name.lower(): value for name, value in options.items()}
        path = _path(left.pop("path", None), left.pop("paths", None))
        given = {name: left.pop(name.lower(), None) for name in _KNOWN}
        if unknown := [name for name in left if not name.startswith("__")]:
            message = f"option {unknown[0]!r} is not known; there are: {', '.join(_KNOWN)}"
            raise ArgumentError(message)
        return cls(
            path,
            columns=_names(given["columns"]),
            experiment=_number("experiment", given["experiment"]),
            skips_damaged=_choice("damaged", given["damaged"], "fail", "skip"),
            fills_missing=_choice("missing", given["missing"], "fail", "null"),
            least_parts=_number("minPartitions", given["minPartitions"], least=1),
            is_for_one_query=_choice("oneQuery", given["oneQuery"], "false", "true"),
            ignores_new=_choice("newColumns", given["newColumns"], "fail", "ignore"),
            most_rows=_number("maxRowsPerBatch", given["maxRowsPerBatch"], least=1),
        )


def _path(path: str | None, paths: str | None) -> Path:
    if path is None and paths is not None:
        found = json.loads(paths)
        path = found[0] if len(found) == 1 else None
    if not path:
        message = "expected the folder of one collection: load('data/my_study.collection')"
        raise ArgumentError(message)
    folder = local_path(path)
    with_suffix = folder.with_name(f"{folder.name}.collection")
    return with_suffix if not folder.exists() and with_suffix.exists() else folder


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(dict.fromkeys(names_in("columns", text)))


def _number(name: str, text: str | None, least: int | None = None) -> int | None:
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError:
        number = None
    if number is None or (least is not None and number < least):
        expected = "a whole number" if least is None else f"a whole number, at least {least}"
        message = f"{name}={text!r}: expected {expected}"
        raise ArgumentError(message)
    return number


def _choice(name: str, text: str | None, usual: str, other: str) -> bool:
    if text is not None and text.lower() not in {usual, other}:
        message = f"{name}={text!r}: expected {usual!r} (the default) or {other!r}"
        raise ArgumentError(message)
    return text is not None and text.lower() == other
