"""The write options, and the column names that a schema may not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pyspark.sql.types import StructType

from .._arrow import pa
from .._collection import collection_path
from .._keys import FIRST_KEYS, require_free
from .._live.fields import describe
from .._runs import Runs, nth_number
from .._store.node_ids import ROOT
from .._tree.nodes import Nodes
from ..errors import ArgumentError, ReservedKeyError
from .option_parsing import json_in, local_path, names_in
from .schema import check_simple, check_storable

__all__ = ["WriteOptions", "check_inherited", "experiment_node"]

_RESERVED: Final = FIRST_KEYS


@dataclass(frozen=True)
class WriteOptions:
    """Where rows are written, and as what.

    Attributes:
        path: the folder of the collection.
        parents: names of the parent columns, from the top down.
        info: attributes of a new experiment.
        others: the other options; None for each that was not given.
    """

    path: Path
    parents: tuple[str, ...]
    info: dict[str, Any]
    others: Mapping[str, str | None]

    @classmethod
    def of(
        cls, options: Mapping[str, str], schema: StructType, others: Sequence[str]
    ) -> WriteOptions:
        """Parse the options.

        Args:
            others: names of the valid options besides ``parents`` and ``info``.

        Raises:
            ArgumentError: an option is not known, or has a value that can't be used.
            ReservedKeyError: a column is named like an attribute that the collection sets itself.
            UnsupportedTypeError, UnsupportedValueError: a column can't be stored as it is.
        """
        left = {name.lower(): value for name, value in options.items()}
        path = _path(left.pop("path", ""))
        known = ("parents", "info", *others)
        given = {name: left.pop(name.lower(), None) for name in known}
        if unknown := [name for name in left if not name.startswith("__")]:
            message = f"option {unknown[0]!r} is not known; there are: {', '.join(known)}"
            raise ArgumentError(message)
        check_storable(schema)
        parents, info = _parents(given["parents"], schema), _info(given["info"])
        _check_names(schema, info)
        return cls(path, parents, info, {name: given[name] for name in others})


def _path(text: str) -> Path:
    if not text:
        message = "expected the folder of a collection: save('data/my_study')"
        raise ArgumentError(message)
    path = local_path(text)
    return path if path.exists() else collection_path(path, ".collection")


def _parents(text: str | None, schema: StructType) -> tuple[str, ...]:
    names = [] if text is None else names_in("parents", text)
    for name in names:
        if name not in schema.names:
            message = f"parents: there is no column {name!r}; there are: {', '.join(schema.names)}"
            raise ArgumentError(message)
        check_simple(schema[name])
    if len(set(names)) < len(names):
        message = f"parents={text!r}: expected each column once"
        raise ArgumentError(message)
    return tuple(names)


def _info(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    found = json_in("info", text)
    if not isinstance(found, dict):
        message = f"info={text!r}: expected a JSON object, as '{{\"learning_rate\": 0.1}}'"
        raise ArgumentError(message)
    require_free(found)
    describe(found)
    return found


def experiment_node(nodes: Nodes, text: str) -> int:
    """The node of the experiment with a number; the last attempt if there are several.

    Raises:
        ArgumentError: there is no experiment with this number.
    """
    runs = Runs(nodes)
    try:
        number = int(text)
    except ValueError:
        message = f"experiment={text!r}: expected the number of an experiment, -1 for the last one"
        raise ArgumentError(message) from None
    try:
        wanted = nth_number(runs.numbers, number)
    except KeyError as error:
        raise ArgumentError(error.args[0]) from error
    return runs.numbered(wanted)[-1].last


def _check_names(schema: StructType, info: Mapping[str, Any]) -> None:
    for name in schema.names:
        if name in _RESERVED:
            message = (
                f"column {name!r}: a collection sets this attribute of experiments itself; drop the"
                " column, or rename it"
            )
            raise ReservedKeyError(message)
        if name in info:
            raise _twice(name, "info")


def check_inherited(nodes: Nodes, above: int | None, schema: StructType) -> None:
    """Raise for columns whose missing values records would inherit.

    Raises:
        ArgumentError: naming the column.
    """
    position = nodes.position(ROOT if above is None else above)
    keys = [] if position is None else nodes.keys_above(pa.array([position], pa.int64()))
    for name in schema.names:
        if name in keys:
            raise _twice(name, "the study" if above is None else "the experiment")


def _twice(name: str, where: str) -> ArgumentError:
    message = (
        f"column {name!r} is an attribute of {where}, too, and rows without a value would inherit it:"
        " rename one of them, or leave it out"
    )
    return ArgumentError(message)
