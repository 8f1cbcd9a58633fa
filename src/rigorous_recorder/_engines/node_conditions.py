"""Evaluation of conditions on own and inherited attributes of nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from .._arrow import pa, pc
from .._tree.columns import ColumnsByKind
from .._tree.nodes import Nodes
from .._values.chunks import count_to
from .conditions import Choice, Condition
from .mixed import flat_column
from .sql_conditions import BoundSql

__all__ = ["PIECE_ROWS", "Bound", "matches", "met", "nodes_that_meet", "rows_at_once"]

Bound = Condition | Choice | BoundSql

#: How many rows are processed at a time, so that memory stays bounded.
PIECE_ROWS: Final = 262_144
#: Maximum bytes of inherited values copied at a time to evaluate a SQL expression.
_CONDITION_BYTES: Final = 64 << 20


def nodes_that_meet(
    nodes: Nodes, conditions: Iterable[Bound], positions: pa.Array | None = None
) -> pa.Array:
    """Positions of the nodes whose own and inherited attributes meet all conditions.

    Args:
        positions: the nodes to look at; None for all.
    """
    for each in conditions:
        mask = _mask_of_nodes(nodes, each, positions)
        if positions is None:
            positions = pc.indices_nonzero(mask).cast(pa.int64())
        else:
            positions = positions.filter(mask)
    return count_to(nodes.count) if positions is None else positions


def _mask_of_nodes(nodes: Nodes, condition: Bound, positions: pa.Array | None) -> pa.Array:
    if not isinstance(condition, BoundSql):
        return matches(nodes, condition, positions)
    every = count_to(nodes.count) if positions is None else positions
    rows = rows_at_once(nodes, condition)
    parts = [every.slice(start, rows) for start in range(0, len(every), rows)]
    found = [met(condition, partial(nodes.resolved, positions=part), len(part)) for part in parts]
    return pa.concat_arrays(found) if found else pa.array([], pa.bool_())


def matches(nodes: Nodes, condition: Condition | Choice, positions: pa.Array | None) -> pa.Array:
    """Which nodes meet a condition; each large value is compared once."""
    rows = nodes.count if positions is None else len(positions)
    if rows * nodes.widest(condition.key) <= _CONDITION_BYTES:
        return condition.matches(nodes.resolved(condition.key, positions), rows)
    every = count_to(rows) if positions is None else positions
    found, places = nodes.shared(condition.key, every)
    met = condition.matches(found, len(next(iter(found.values()), ()))).take(places)
    return pc.coalesce(met, condition.matches({}, rows))  # null for nodes without a value


def met(condition: BoundSql, by_kind: Callable[[str], ColumnsByKind], rows: int) -> pa.Array:
    columns = [flat_column(by_kind(flat.key), kind, rows) for _, flat, kind in condition.columns]
    return condition.holds(columns, rows)


def rows_at_once(nodes: Nodes, condition: BoundSql) -> int:
    """How many rows to evaluate a SQL expression on at a time, given what they inherit."""
    width = sum(map(nodes.widest, filter(nodes.has_key, condition.keys)))
    return max(1, min(PIECE_ROWS, _CONDITION_BYTES // max(1, width)))
