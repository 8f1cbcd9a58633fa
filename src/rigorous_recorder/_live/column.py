"""What a column of a table is: a key and a kind, and the name that it has in files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from .._arrow import pa
from .._once import remembered
from .._values.classify import kind_named
from .._values.kinds import BOOL, INT, NULL, UTC_DATETIME, Kind
from ..errors import DamagedFileError

__all__ = [
    "DELETION",
    "DELETION_COLUMN",
    "INTERNAL_COLUMNS",
    "META",
    "NODE",
    "PARENT",
    "PARENT_COLUMN",
    "TIME",
    "TIME_COLUMN",
    "Column",
    "InternalKey",
    "Key",
    "column_of",
    "described",
    "field_metadata",
    "file_names",
]

#: Name of the first column of every file: whose record the row is; 0 is "not written yet".
NODE: Final = "_node"
#: Key of the metadata of a file's schema, and of a field's.
META: Final = b"rigorous"


class InternalKey:
    """Keys of the columns that the library writes itself; no user's key can equal one."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        #: Name of the column in files.
        self.name = name

    def __repr__(self) -> str:
        return self.name


PARENT: Final = InternalKey("_parent")
TIME: Final = InternalKey("_time")
#: True where the parent that is said is that of all that was deleted. A file without the column has
#: no such row, which is known without reading any.
DELETION: Final = InternalKey("_deleted")


Key = str | InternalKey


class Column(NamedTuple):
    """One physical column: the values of one kind that were logged under one key."""

    key: Key
    kind: Kind


PARENT_COLUMN: Final = Column(PARENT, INT)
TIME_COLUMN: Final = Column(TIME, UTC_DATETIME)
DELETION_COLUMN: Final = Column(DELETION, BOOL)
#: The column of each mark.
INTERNAL_COLUMNS: Final = {
    PARENT: PARENT_COLUMN,
    TIME: TIME_COLUMN,
    DELETION: DELETION_COLUMN,
}


def file_names(columns: Iterable[Column]) -> list[str]:
    """A unique name for each column: the key where it is free, else ``key:kind``."""
    used = {NODE, *(mark.name for mark in INTERNAL_COLUMNS)}
    return [_claim(column, used) for column in columns]


def _claim(column: Column, used: set[str]) -> str:
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
    """What a file says of a column, so that its key and kind are known again."""
    if isinstance(column.key, InternalKey):
        return None
    return described(column.key, column.kind)


def described(key: Key, kind: Kind) -> dict[bytes, bytes]:
    """Metadata of a field with values of a key."""
    return {META: json.dumps({"key": key, "kind": kind.name}).encode()}


def column_of(field: pa.Field) -> Column | None:
    """The column that a file's field is; None for ``_node``.

    Raises:
        DamagedFileError: the field is not one that this library wrote.
    """
    if field.name == NODE:
        return None
    said = (field.metadata or {}).get(META)
    if said is None:
        return _marked(field.name)
    return _described(field.name, said)


@remembered(4096)  # many files have the same columns
def _described(name: str, said: bytes) -> Column:
    described: Mapping[str, Any] = json.loads(said)
    key, kind = described["key"], kind_named(described["kind"])
    if kind is None or not isinstance(key, str):
        message = f"column {name!r} is of an unknown kind {described['kind']!r}, or has no key"
        raise DamagedFileError(message)
    return Column(sys.intern(key), kind)


def _marked(name: str) -> Column:
    for mark, column in INTERNAL_COLUMNS.items():
        if mark.name == name:
            return column
    message = f"column {name!r} has no metadata of its key and kind"
    raise DamagedFileError(message)
