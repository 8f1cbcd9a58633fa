"""Sorted and limited records: the indices of the selected rows, and the rows themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from .._arrow import pa, pc
from .._values.chunks import int64_scalar
from .._values.kinds import TIMEDELTA
from .._values.promote import holds_lists
from ..errors import ColumnError
from .arrow import batch_of, flat_schema
from .piece import Piece
from .rows import Row, rows_from, rows_of
from .scan import Scan

__all__ = ["Cut", "Order", "Step", "chosen_rows", "rows_in_order", "table_in_order"]


class Order(NamedTuple):
    """Rows by the values of columns; those without a value, and NaN, come last."""

    keys: tuple[str, ...]
    descending: tuple[bool, ...]


class Cut(NamedTuple):
    """The first or last rows, up to a number."""

    rows: int
    is_last: bool


Step = Order | Cut


def chosen_rows(scan: Scan, steps: Sequence[Step]) -> range | pa.Array:
    """Indices of the rows that remain after all steps, in order.

    Sorting reads only the columns to sort by.

    Raises:
        ColumnError: values of a column can't be ordered.
    """
    found: range | pa.Array = range(scan.row_count())
    for step in steps:
        if isinstance(step, Order):
            found = _sorted(scan, step, found)
        elif step.is_last:
            found = found[max(0, len(found) - step.rows) :]
        else:
            found = found[: step.rows]
    return found


def _sorted(scan: Scan, order: Order, rows: range | pa.Array) -> pa.Array:
    names = [f"c{number}" for number in range(len(order.keys))]
    columns = [_sortable(scan, key, rows) for key in order.keys]
    table = pa.table(dict(zip(names, columns, strict=True)))
    signs = ("descending" if each else "ascending" for each in order.descending)
    by = list(zip(names, signs, strict=True))
    at = pc.sort_indices(table, sort_keys=by).cast(pa.int64())
    return pc.add(at, int64_scalar(rows.start)) if isinstance(rows, range) else rows.take(at)


def _sortable(scan: Scan, key: str, rows: range | pa.Array) -> pa.Array:
    flat, kind = scan.flats[key], scan.flat_kind(key)
    if holds_lists(kind):
        message = f"sort({key!r}): its values are {kind.name}, which have no order"
        raise ColumnError(message)
    pieces = [piece.flat([flat])[0] for piece in scan.pieces([flat.key])]
    values = pa.chunked_array(pieces, kind.sealed_type) if pieces else pa.nulls(0)
    if kind == TIMEDELTA:
        values = values.cast(pa.int64())
    return values[rows.start : rows.stop] if isinstance(rows, range) else values.take(rows)


def rows_in_order(scan: Scan, rows: range | pa.Array) -> Iterator[Row]:
    """The rows at some indices; bounded memory unless they are in another order than stored."""
    if isinstance(rows, range):
        yield from islice(rows_from(scan, rows.start), len(rows))
        return
    found = [row for piece in _pieces_with(scan, rows) for row in rows_of(piece, scan)]
    for at in _places(rows).to_pylist():
        yield found[at]


def table_in_order(scan: Scan, rows: range | pa.Array) -> pa.Table:
    """The same rows as a flat table."""
    schema = flat_schema(scan)
    if isinstance(rows, range):
        pieces = _pieces_between(scan, rows)
        return pa.Table.from_batches([batch_of(each, scan, schema) for each in pieces], schema)
    batches = [batch_of(each, scan, schema) for each in _pieces_with(scan, rows)]
    return pa.Table.from_batches(batches, schema).take(_places(rows))


def _pieces_between(scan: Scan, rows: range) -> Iterator[Piece]:
    for first, piece in scan.located(rows.start) if rows else ():
        if first >= rows.stop:
            return
        start = max(0, rows.start - first)
        yield piece.slice(start, min(piece.rows, rows.stop - first) - start)


def _pieces_with(scan: Scan, rows: pa.Array) -> Iterator[Piece]:
    """The rows at some indices, in stored order."""
    wanted = rows.take(pc.sort_indices(rows))
    for first, piece in scan.located(wanted[0].as_py()) if len(wanted) else ():
        here = pc.and_(
            pc.greater_equal(wanted, int64_scalar(first)),
            pc.less(wanted, int64_scalar(first + piece.rows)),
        )
        if (found := wanted.filter(here)) and len(found):
            yield piece.taken(pc.subtract(found, int64_scalar(first)))


def _places(rows: pa.Array) -> pa.Array:
    """For each row its position among the same rows in stored order."""
    return pc.index_in(rows, value_set=rows.take(pc.sort_indices(rows)))
