"""Columns of tables as single arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["one_array"]


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """A column of a table as one array; not copied where it is one, as by ``combine_chunks``."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
