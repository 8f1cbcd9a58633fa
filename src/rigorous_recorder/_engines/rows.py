"""Rows in Python: read-only dicts with the exact values that were logged."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NoReturn

from .._lazy import lazy_module
from .._tree import Nodes, keys_of, values_of
from .scan import Moment, Piece, Scan, experiment_positions

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pa = lazy_module("pyarrow")
    pc = lazy_module("pyarrow.compute")

__all__ = ["Row", "experiment_rows", "rows_of"]

_ROWS_AT_ONCE: Final = 8_192


class Row(dict[str, Any]):
    """One record with all that its ancestors know. Read-only; a missing key reads as None.

    Everything else is as of a dict: ``row.get(key, default)``, ``key in row`` and ``dict(row)``
    see only the keys that have a value.
    """

    __slots__ = ()

    def __missing__(self, key: str) -> None:
        return None

    def _refuse(self, *_args: Any, **_named: Any) -> NoReturn:
        message = "a row is read-only; change a copy: dict(row)"
        raise TypeError(message)

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def copy(self) -> dict[str, Any]:
        """A plain dict that can be changed."""
        return dict(self)

    def __reduce__(self) -> tuple[type[Row], tuple[dict[str, Any]]]:
        return Row, (dict(self),)


def rows_of(piece: Piece, scan: Scan) -> Iterator[Row]:
    """The rows of a piece, in order; memory is bounded by a few thousand of them."""
    for start in range(0, piece.rows, _ROWS_AT_ONCE):
        yield from _rows(piece.slice(start, _ROWS_AT_ONCE), scan)


def experiment_rows(moment: Moment, root: int) -> list[Row]:
    """One row for each experiment, in order of start, with what it has or inherits."""
    positions = experiment_positions(moment, root)
    keys = moment.nodes.keys_above(positions)
    return [Row(values) for values in _node_values(moment.nodes, keys, positions)]


def _node_values(nodes: Nodes, keys: list[str], positions: pa.Array) -> list[dict[str, Any]]:
    """For each position what the node has or inherits, without what is missing."""
    columns = [values_of(nodes.resolved(key, positions), len(positions)) for key in keys]
    return [_present(keys, values) for values in _transposed(columns, len(positions))]


def _rows(piece: Piece, scan: Scan) -> Iterator[Row]:
    ids = piece.node_ids.to_pylist()
    above = _inherited(piece, scan)
    keys = [key for key in keys_of(scan.record_columns) if piece.own(key)]
    columns = [values_of(piece.own(key), piece.rows) for key in keys]
    records = _transposed(columns, piece.rows)
    for node, group in groupby(zip(ids, records, strict=True), key=lambda pair: pair[0]):
        base = above[node]
        for _, values in group:
            yield Row(base | _present(keys, values))


def _inherited(piece: Piece, scan: Scan) -> dict[int, dict[str, Any]]:
    """For each node of the piece, by id, what it has or inherits."""
    ids = pc.unique(piece.node_ids)
    positions = scan.moment.nodes.positions(ids)
    return dict(
        zip(
            ids.to_pylist(),
            _node_values(scan.moment.nodes, scan.node_keys, positions),
            strict=True,
        )
    )


def _present(keys: list[str], values: tuple[Any, ...]) -> dict[str, Any]:
    return {key: value for key, value in zip(keys, values, strict=True) if value is not None}


def _transposed(columns: list[list[Any]], rows: int) -> Iterator[tuple[Any, ...]]:
    return zip(*columns, strict=True) if columns else iter([()] * rows)
