"""The columns of a Parquet file that store a column of a table: two for a map, else one."""

from __future__ import annotations

from typing import NamedTuple

from .._arrow import pa

__all__ = ["Leaf", "leaf_places", "leaves_of"]


class Leaf(NamedTuple):
    """A column of a Parquet file.

    Attributes:
        path: its path there.
        kind: the type of its values.
    """

    path: str
    kind: pa.DataType


def leaves_of(field: pa.Field) -> list[Leaf]:
    """The columns of a Parquet file for a column of a table."""
    path, kind = str(field.name), field.type
    if pa.types.is_map(kind):
        key = Leaf(f"{path}.key_value.key", kind.key_type)
        return [key, Leaf(f"{path}.key_value.value", kind.item_type)]
    while pa.types.is_list(kind):
        path, kind = f"{path}.list.element", kind.value_type
    return [Leaf(path, kind)]


def leaf_places(schema: pa.Schema) -> dict[str, range]:
    """The numbers of the columns of a Parquet file for each column of its table."""
    places: dict[str, range] = {}
    start = 0
    for field in schema:
        places[field.name] = range(start, start := start + len(leaves_of(field)))
    return places
