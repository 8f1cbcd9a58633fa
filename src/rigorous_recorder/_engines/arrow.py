"""Arrow: the flat table as a stream of record batches, or whole."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from .._lazy import lazy_module
from .._values.kinds import NULL, Kind
from .ahead import ahead
from .scan import Group, Piece, Scan

if TYPE_CHECKING:
    import pyarrow as pa
else:
    pa = lazy_module("pyarrow")

__all__ = ["flat_schema", "flat_table", "flat_type", "stream", "without_columns"]


def flat_type(kind: Kind) -> pa.DataType:
    """Arrow type of a flat column."""
    return pa.null() if kind == NULL else kind.sealed_type


def flat_schema(scan: Scan) -> pa.Schema:
    """Arrow schema of the flat table."""
    return pa.schema([pa.field(key, flat_type(kind)) for key, kind in scan.flat_kinds.items()])


def stream(scan: Scan) -> pa.RecordBatchReader:
    """The flat table, batch by batch, in bounded memory."""
    schema, columns = flat_schema(scan), scan.columns_for(None)

    def read(group: Group) -> list[pa.RecordBatch]:
        return [_batch(piece, scan, schema) for piece in scan.read(group, columns)]

    batches = chain.from_iterable(ahead(read, scan.groups))
    return pa.RecordBatchReader.from_batches(schema, batches)


def flat_table(scan: Scan) -> pa.Table:
    """The flat table."""
    return stream(scan).read_all()


def _batch(piece: Piece, scan: Scan, schema: pa.Schema) -> pa.RecordBatch:
    arrays = [piece.flat(key, kind) for key, kind in scan.flat_kinds.items()]
    if not arrays:
        return without_columns(piece.rows)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def without_columns(rows: int) -> pa.RecordBatch:
    """So many rows of nothing."""
    return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))
