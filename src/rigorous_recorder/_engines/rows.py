"""Rows in Python: read-only dicts with the exact values that were logged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NoReturn

from .._lazy import lazy_module
from .._tree import Nodes, Variants, keys_of, values_of
from .scan import Moment, Piece, Scan, experiment_positions

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pa = lazy_module("pyarrow")
    pc = lazy_module("pyarrow.compute")

__all__ = ["Row", "all_rows", "experiment_rows", "rows_from", "rows_of"]

_ROWS_AT_ONCE: Final = 8_192
#: Dicts made at once: so few stay in the processor's cache, and don't set off Python's collector.
_ROWS_ALIVE: Final = 256


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
    return chain.from_iterable(_batches(piece, scan))


def all_rows(scan: Scan) -> Iterator[Row]:
    """All rows of a scan, in order; memory is bounded by a few thousand of them."""
    return chain.from_iterable(rows for piece in scan.pieces() for rows in _batches(piece, scan))


def rows_from(scan: Scan, start: int) -> Iterator[Row]:
    """The rows of a scan from that one on; what comes before them is read as little as can be."""
    for first, piece in scan.located(start):
        skip = max(0, start - first)
        yield from rows_of(piece.slice(skip, piece.rows), scan)


def experiment_rows(moment: Moment, root: int) -> list[Row]:
    """One row for each experiment, in order of start, with what it has or inherits."""
    positions = experiment_positions(moment, root)
    keys = moment.nodes.keys_above(positions)
    return [Row(values) for values in _node_values(moment.nodes, keys, positions)]


def _node_values(nodes: Nodes, keys: list[str], positions: pa.Array) -> list[dict[str, Any]]:
    """For each position what the node has or inherits, without what is missing."""
    columns = [values_of(nodes.resolved(key, positions), len(positions)) for key in keys]
    return [_present(keys, values) for values in _transposed(columns, len(positions))]


def _batches(piece: Piece, scan: Scan) -> Iterator[list[Row]]:
    above = _inherited(piece, scan)
    for start in range(0, piece.rows, _ROWS_AT_ONCE):
        yield from _rows(piece.slice(start, _ROWS_AT_ONCE), above, scan)


def _rows(piece: Piece, above: dict[int, dict[str, Any]], scan: Scan) -> Iterator[list[Row]]:
    found = {key: own for key in keys_of(scan.record_columns) if (own := piece.own(key))}
    columns = {key: values_of(own, piece.rows) for key, own in found.items()}
    gapless = {key for key, own in found.items() if _count(own) == piece.rows}
    runs = pc.run_end_encode(piece.node_ids)
    start = 0
    for node, stop in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        for first in range(start, stop, _ROWS_ALIVE):
            last = min(first + _ROWS_ALIVE, stop)
            said = {key: values[first:last] for key, values in columns.items()}
            yield _rows_of_node(above[node], said, last - first, gapless)
        start = stop


def _count(variants: Variants) -> int:
    return sum(len(values) - values.null_count for values in variants.values())


def _rows_of_node(
    base: dict[str, Any], said: dict[str, list[Any]], rows: int, gapless: Collection[str]
) -> list[Row]:
    """Rows of one node, by what it has or inherits and its records' values under each key."""
    gaps = {key: [v is None for v in said[key]] for key in said if key not in gapless}
    present = {key: values for key, values in said.items() if key not in gaps or not all(gaps[key])}
    if not present:
        return [Row(base) for _ in range(rows)]
    lines = zip(*present.values(), strict=True)
    if any(any(gaps[key]) for key in gaps if key in present):
        return [Row(base | _present(list(present), line)) for line in lines]
    filled: list[Row] = _filler(len(present))(Row, base | dict.fromkeys(present), lines, *present)
    return filled


@cache
def _filler(keys: int) -> Callable[..., list[Row]]:
    """Copies of one dict, each with other values under its last keys.

    That each value goes where it belongs in the ``for`` itself costs half of a call of ``update``;
    it has to be spelled for each number of keys. Nothing but their number is in the text.
    """
    names = [f"key_{number}" for number in range(keys)]
    targets = ", ".join(f"row[{name}]" for name in names)
    text = f"lambda copy, row, rows, {', '.join(names)}: [copy(row) for ({targets},) in rows]"
    return eval(text)  # type: ignore[no-any-return]  # noqa: S307


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
