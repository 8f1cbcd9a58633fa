"""Rows of a collection in a union, whose root gets an id that is unique in the union."""

from __future__ import annotations

from collections.abc import Sequence

from .._arrow import pa, pc
from .._live.column import NODE, PARENT_COLUMN, Column
from .._values.chunks import int64_array, int64_scalar
from .fragments import Fragment, InMemoryFragment, is_lost
from .node_ids import ROOT

__all__ = ["rerooted_nodes", "rerooted_records"]


def rerooted_nodes(fragment: Fragment, root: int) -> Fragment:
    """Rows of the nodes table with another id of the root, as a node and as a parent."""
    return (
        _loose(fragment, root)
        if isinstance(fragment, InMemoryFragment)
        else _Rerooted(fragment, root)
    )


def rerooted_records(fragment: Fragment, root: int) -> Fragment:
    """Records with another id of the root; the same fragment if none are the root's.

    Engines that open files natively would not find the id in them: they use what is read here.
    """
    return rerooted_nodes(fragment, root) if _has_root(fragment) else fragment


def _has_root(fragment: Fragment) -> bool:
    # By bounds first, which need no reading: ids of other nodes are random numbers, far away.
    if not any(low <= ROOT <= high for low, high in fragment.node_ranges):
        return False
    ids = int64_array([ROOT])
    return any(fragment.has_any(group, ids) for group in range(len(fragment.group_rows)))


def _loose(fragment: InMemoryFragment, root: int) -> InMemoryFragment:
    batches = _table(fragment, fragment.whole, root).combine_chunks().to_batches()
    if not batches:
        return fragment
    found = InMemoryFragment(fragment.origin.number, batches[0], has_gap=fragment.has_gap)
    found.segments = fragment.segments
    return found


def _table(fragment: Fragment, table: pa.Table, root: int) -> pa.Table:
    for name in (NODE, fragment.columns.get(PARENT_COLUMN)):
        at = table.schema.get_field_index(name) if name else -1
        if at < 0 or is_lost(table.column(at)):
            continue
        is_root = pc.equal(table.column(at), int64_scalar(ROOT))
        if pc.any(is_root).as_py():
            values = pc.if_else(is_root, int64_scalar(root), table.column(at))
            table = table.set_column(at, table.schema.field(at), values)
    return table


class _Rerooted(Fragment):
    """Rows of a sealed file, read as if the root had another id."""

    def __init__(self, whole: Fragment, root: int) -> None:
        super().__init__(whole.segments, whole.file_columns, whole.group_rows)
        self._whole = whole
        self._root = root

    def stored(
        self, group: int, columns: Sequence[Column], *, nodes: bool = True
    ) -> pa.Table | None:
        """The rows of a group; None, with a warning, if they can't be read."""
        table = self._whole.stored(group, columns, nodes=nodes)
        return None if table is None else _table(self, table, self._root)

    def is_placed(self, group: int) -> bool:
        """Whether the nodes of a group's rows can be read, as far as known."""
        return self._whole.is_placed(group)

    def count(self, column: Column) -> int:
        """How many rows have a value in a column of this fragment; for arrays, non-empty ones."""
        return self._whole.count(column)
