"""What a writing was told: options as Spark hands them over, and what a schema may not have."""

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
from .._store.store import ROOT
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
        parents: names of the columns that are parents, from the top down.
        info: what is known of a new experiment.
        others: the other options, None where they were not given.
    """

    path: Path
    parents: tuple[str, ...]
    info: dict[str, Any]
    others: Mapping[str, str | None]

    @classmethod
    def of(
        cls, options: Mapping[str, str], schema: StructType, others: Sequence[str]
    ) -> WriteOptions:
        """What was said.

        Args:
            others: names of the options there are besides ``parents`` and ``info``.

        Raises:
            ArgumentError: an option is not known, or has a value that can't be used.
            ReservedKeyError: a collection says itself what a column is named for.
            UnsupportedTypeError, UnsupportedValueError: a column can't be stored as it is.
        """
        said = {name.lower(): value for name, value in options.items()}
        path = _path(said.pop("path", ""))
        known = ("parents", "info", *others)
        given = {name: said.pop(name.lower(), None) for name in known}
        if unknown := [name for name in said if not name.startswith("__")]:
            message = f"option {unknown[0]!r} is not known; there are: {', '.join(known)}"
            raise ArgumentError(message)
        check_storable(schema)
        parents, info = _parents(given["parents"], schema), _info(given["info"])
        _check_names(schema, info)
        return cls(path, parents, info, {name: given[name] for name in others})


def _path(said: str) -> Path:
    if not said:
        message = "expected the folder of a collection: save('data/my_study')"
        raise ArgumentError(message)
    path = local_path(said)
    return path if path.exists() else collection_path(path, ".collection")


def _parents(said: str | None, schema: StructType) -> tuple[str, ...]:
    names = [] if said is None else names_in("parents", said)
    for name in names:
        if name not in schema.names:
            message = f"parents: there is no column {name!r}; there are: {', '.join(schema.names)}"
            raise ArgumentError(message)
        check_simple(schema[name])
    if len(set(names)) < len(names):
        message = f"parents={said!r}: expected each column once"
        raise ArgumentError(message)
    return tuple(names)


def _info(said: str | None) -> dict[str, Any]:
    if said is None:
        return {}
    found = json_in("info", said)
    if not isinstance(found, dict):
        message = f"info={said!r}: expected a JSON object, as '{{\"learning_rate\": 0.1}}'"
        raise ArgumentError(message)
    require_free(found)
    describe(found)
    return found


def experiment_node(nodes: Nodes, said: str) -> int:
    """The node of the experiment with a number, or of the last attempt at it.

    Raises:
        ArgumentError: there is none.
    """
    runs = Runs(nodes)
    try:
        number = int(said)
    except ValueError:
        message = f"experiment={said!r}: expected the number of an experiment, -1 for the last one"
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
                f"column {name!r}: a collection sets this attribute of experiments itself; drop the column, or"
                " rename it"
            )
            raise ReservedKeyError(message)
        if name in info:
            raise _twice(name, "info")


def check_inherited(nodes: Nodes, above: int | None, schema: StructType) -> None:
    """Refuse columns that records would inherit a value of where they have none.

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
        f"column {name!r} is known of {where}, too, and rows without a value would get that one:"
        " rename one of them, or leave it out"
    )
    return ArgumentError(message)
