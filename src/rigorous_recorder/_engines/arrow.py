"""Arrow: the flat table as a stream of record batches, or whole."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from .._arrow import pa
from .._live.column import described
from .._prefetch import ahead
from .._values.kinds import NULL, Kind
from .._values.promote import meet
from .mixed import Flat, flat_column
from .piece import Group, Piece
from .scan import Scan
from .snapshot import Snapshot
from .widths import fits, parts_of, require_memory

__all__ = [
    "batch_of",
    "flat_schema",
    "flat_table",
    "flat_type",
    "resolved_table",
    "stream",
    "without_columns",
]


def flat_type(kind: Kind) -> pa.DataType:
    """The Arrow type of a flat column."""
    return pa.null() if kind == NULL else kind.sealed_type


def flat_schema(scan: Scan) -> pa.Schema:
    """The Arrow schema of the flat table; a field named differently has its key as metadata."""
    if (known := scan.cache.get("schema")) is None:
        known = pa.schema([_field(each, scan.flat_kind(each.name)) for each in scan.flats.values()])
        scan.cache["schema"] = known
    return known


def _field(flat: Flat, kind: Kind) -> pa.Field:
    field = pa.field(flat.name, flat_type(kind))
    return field if flat.name == flat.key else field.with_metadata(described(flat.key, kind))


def stream(scan: Scan) -> pa.RecordBatchReader:
    """The flat table in batches of bounded rows and bytes, in bounded memory."""
    schema, columns = flat_schema(scan), scan.columns_for(None)

    def read(group: Group) -> Iterable[pa.RecordBatch]:
        pieces = scan.read(group, columns)
        if all(fits(scan, piece.rows) for piece in pieces):
            return [batch_of(piece, scan, schema) for piece in pieces]
        # Lazy: several of them, made ahead in threads, may take too much memory.
        parts = (part for piece in pieces for part in parts_of(piece, scan))
        return (batch_of(part, scan, schema) for part in parts)

    batches = chain.from_iterable(ahead(read, scan.groups))
    return pa.RecordBatchReader.from_batches(schema, batches)


def flat_table(scan: Scan) -> pa.Table:
    """The flat table.

    Raises:
        TooLargeError: it would exceed memory, since rows repeat what they inherit.
    """
    require_memory(scan)
    return stream(scan).read_all()


def batch_of(piece: Piece, scan: Scan, schema: pa.Schema) -> pa.RecordBatch:
    """The rows of a piece as a batch of the flat table with this schema."""
    arrays = piece.flat(list(scan.flats.values()))
    if not arrays:
        return without_columns(piece.rows)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def resolved_table(snapshot: Snapshot, positions: pa.Array, paths: Iterable[str] = ()) -> pa.Table:
    """The flat own and inherited attributes of the recorders at these positions."""
    nodes = snapshot.nodes
    arrays, fields, flats = [], [], []
    for key in [*nodes.keys_above(positions), *paths]:
        kinds = nodes.kinds(key, positions) - {NULL}
        found = nodes.resolved(key, positions)
        for flat in snapshot.mixed.flats_of(key, kinds):
            kind = meet(filter(flat.takes, kinds))
            arrays.append(flat_column(found, kind, len(positions)))
            fields.append(_field(flat, kind))
            flats.append(flat)
    snapshot.mixed.warn(flats, [flat.name for flat in flats])
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def without_columns(rows: int) -> pa.RecordBatch:
    """A batch of rows without columns."""
    return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))
