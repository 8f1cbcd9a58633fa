"""The runs with the highest number there ever was, without a look at all others.

Whoever begins an experiment asks for them. Of sealed files it is remembered what the highest number in
them is, so that the cost depends on what was logged since, and not on how many experiments there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from ._arrow import pa, pc
from ._live.column import NODE, PARENT_COLUMN, TIME_COLUMN, Column
from ._runs import NUMBER, Runs, last_deleted
from ._store.fragments import Fragment, InMemoryFragment
from ._store.node_ids import DELETED, ROOT
from ._store.parquet_fragment import ParquetFragment
from ._store.store import FolderStore
from ._tree.columns import column_in
from ._tree.nodes import Nodes
from ._values.chunks import one_array
from ._values.kinds import INT

__all__ = ["Latest", "latest_runs"]

_COLUMN: Final = Column(NUMBER, INT)


class Latest(NamedTuple):
    """The highest numbers, and who has them.

    Attributes:
        runs: at least those with the highest number of those that are there.
        deleted: the highest number of an experiment that was deleted, if no other one is higher.
    """

    runs: Runs
    deleted: int


class _Seen(NamedTuple):
    """What is remembered of the rows of a fragment.

    Attributes:
        highest: the highest number of an experiment; 0 where there is none.
        nodes: ids of the nodes that have it.
        last_time: of the last row, in microseconds since the epoch.
        low, high: bounds of the ids of the nodes and of the parents, but those that all have.
    """

    highest: int
    nodes: pa.Array
    last_time: int
    low: int
    high: int


_SEEN: Final[WeakKeyDictionary[Fragment, _Seen]] = WeakKeyDictionary()


def latest_runs(store: FolderStore) -> Latest:
    """The runs with the highest number, as they are now."""
    fragments = store.reader.node_fragments()
    seen = [_seen(each) for each in fragments]
    store.clock.observe(max((each.last_time for each in seen), default=0))
    highest = max((each.highest for each in seen), default=0)
    named = [each.nodes for each in seen if each.highest == highest]
    ids = pc.unique(pa.concat_arrays([pa.array([], pa.int64()), *named]))
    found = _found(list(_rows_about(ids, fragments, seen)))
    # The number can be that of a recorder below an experiment, as old collections may have it.
    is_whole = highest in {found.runs.highest, found.deleted}
    return found if is_whole else _found(fragments)


def _found(fragments: Sequence[Fragment]) -> Latest:
    nodes = Nodes(fragments)
    return Latest(Runs(nodes), last_deleted(nodes))


def _seen(fragment: Fragment) -> _Seen:
    known = _SEEN.get(fragment)
    if known is None:
        tables = list(fragment.tables([_COLUMN, TIME_COLUMN, PARENT_COLUMN]))
        known = _seen_in(pa.concat_tables(tables), fragment) if tables else _nothing()
        if isinstance(fragment, ParquetFragment) and len(tables) == len(fragment.group_rows):
            _SEEN[fragment] = known
    return known


def _nothing() -> _Seen:
    return _Seen(0, pa.array([], pa.int64()), 0, 0, 0)


def _seen_in(rows: pa.Table, fragment: Fragment) -> _Seen:
    numbers, node = column_in(rows, fragment, _COLUMN), one_array(rows.column(NODE))
    highest = max(pc.max(numbers).as_py() or 0, 0)
    times = column_in(rows, fragment, TIME_COLUMN).cast(pa.int64())
    parents = column_in(rows, fragment, PARENT_COLUMN)
    bounds = [pc.min_max(ids).as_py() for ids in (node, parents.filter(_is_own(parents)))]
    return _Seen(
        highest,
        node.filter(pc.equal(numbers, highest)) if highest else node.slice(0, 0),
        pc.max(times).as_py() or 0,
        min((each["min"] for each in bounds if each["min"] is not None), default=0),
        max((each["max"] for each in bounds if each["max"] is not None), default=0),
    )


def _is_own(parents: pa.Array) -> pa.Array:
    """Which parents are no node that all collections have."""
    return pc.invert(pc.is_in(parents, value_set=pa.array([ROOT, DELETED], pa.int64())))


def _rows_about(
    ids: pa.Array, fragments: Sequence[Fragment], seen: Sequence[_Seen]
) -> Iterator[Fragment]:
    """The rows of nodes and of those directly below them."""
    span = pc.min_max(ids).as_py() if len(ids) else {"min": 1, "max": 0}
    for fragment, known in zip(fragments, seen, strict=True):
        if known.low > span["max"] or known.high < span["min"]:
            continue
        for rows in fragment.tables(list(fragment.columns)):
            is_about = pc.is_in(rows.column(NODE), value_set=ids)
            above = column_in(rows, fragment, PARENT_COLUMN)
            found = rows.filter(pc.or_(is_about, pc.is_in(above, value_set=ids)))
            for batch in found.combine_chunks().to_batches():
                yield InMemoryFragment(fragment.origin.number, batch)
