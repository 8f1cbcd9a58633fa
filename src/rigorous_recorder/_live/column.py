"""Columns of tables: a key and a kind, and the name in files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from .._arrow import pa
from .._once import remembered
from .._values.classify import kind_named
from .._values.kinds import BOOL, INT, NULL, UTC_DATETIME, Kind
from .._values.sparse import SPARSE_KINDS
from ..errors import DamagedFileError

__all__ = [
    "DELETION",
    "DELETION_COLUMN",
    "INTERNAL_COLUMNS",
    "META",
    "NODE",
    "PARENT",
    "PARENT_COLUMN",
    "SPARSE_COLUMNS",
    "TIME",
    "TIME_COLUMN",
    "Column",
    "InternalKey",
    "Key",
    "claim",
    "column_of",
    "described",
    "field_metadata",
    "file_names",
]

#: The first column of every file: the node of the row; 0 means "not written yet".
NODE: Final = "_node"
#: The key of the metadata of schemas and fields.
META: Final = b"rigorous"


class InternalKey:
    """Keys of columns that the library writes itself; they never equal a user's key."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        #: The name of the column in files.
        self.name = name

    def __repr__(self) -> str:
        return self.name


PARENT: Final = InternalKey("_parent")
TIME: Final = InternalKey("_time")
#: True if the parent that is set is ``DELETED`` for good. A file without the column has no such rows,
#: which is known without reading any.
DELETION: Final = InternalKey("_deleted")


Key = str | InternalKey


class Column(NamedTuple):
    """A physical column: the values of one kind under one key."""

    key: Key
    kind: Kind


PARENT_COLUMN: Final = Column(PARENT, INT)
TIME_COLUMN: Final = Column(TIME, UTC_DATETIME)
DELETION_COLUMN: Final = Column(DELETION, BOOL)
_SPARSE_KEYS: Final = {kind: InternalKey(f"_sparse_{kind.name}") for kind in SPARSE_KINDS}
#: The sparse column for the values of each kind that can be in one.
SPARSE_COLUMNS: Final[dict[Kind, Column]] = {
    kind: Column(key, SPARSE_KINDS[kind]) for kind, key in _SPARSE_KEYS.items()
}
#: The columns of internal keys.
INTERNAL_COLUMNS: Final = {
    PARENT: PARENT_COLUMN,
    TIME: TIME_COLUMN,
    DELETION: DELETION_COLUMN,
    **{key: SPARSE_COLUMNS[kind] for kind, key in _SPARSE_KEYS.items()},
}


def file_names(columns: Iterable[Column]) -> list[str]:
    """A unique name for each column: the key where it is free, else ``key:kind``."""
    used = {NODE, *(internal.name for internal in INTERNAL_COLUMNS)}
    return [claim(column, used) for column in columns]


def claim(column: Column, used: set[str]) -> str:
    """A name for a column that is not among the used ones, to which it is added."""
    if isinstance(column.key, InternalKey):
        return column.key.name
    name = column.key
    if column.kind == NULL or name in used:
        name = f"{name}:{column.kind.name}"
    while name in used:
        name += "_"
    used.add(name)
    return name


def field_metadata(column: Column) -> dict[bytes, bytes] | None:
    """The metadata of a column's field, from which its key and kind can be restored."""
    if isinstance(column.key, InternalKey):
        return None
    return described(column.key, column.kind)


def described(key: Key, kind: Kind) -> dict[bytes, bytes]:
    """The metadata of a field with values of a key."""
    return {META: json.dumps({"key": key, "kind": kind.name}).encode()}


def column_of(field: pa.Field) -> Column | None:
    """The column of a file's field; None for ``_node``.

    Raises:
        DamagedFileError: this library never writes such a field.
    """
    if field.name == NODE:
        return None
    metadata = (field.metadata or {}).get(META)
    if metadata is None:
        return _internal(field.name)
    return _described(field.name, metadata)


@remembered(4096)  # many files have the same columns
def _described(name: str, metadata: bytes) -> Column:
    described: Mapping[str, Any] = json.loads(metadata)
    key, kind = described["key"], kind_named(described["kind"])
    if kind is None or not isinstance(key, str):
        message = f"column {name!r} is of an unknown kind {described['kind']!r}, or has no key"
        raise DamagedFileError(message)
    return Column(sys.intern(key), kind)


def _internal(name: str) -> Column:
    for internal, column in INTERNAL_COLUMNS.items():
        if internal.name == name:
            return column
    message = f"column {name!r} has no metadata with its key and kind"
    raise DamagedFileError(message)
