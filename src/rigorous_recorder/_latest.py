"""The runs with the highest number ever used, without reading all others.

Beginning an experiment needs them. For sealed files the highest number is cached, so that the cost
depends on what was logged since, and not on the number of experiments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from ._arrow import pa, pc
from ._live.column import NODE, PARENT_COLUMN, TIME_COLUMN, Column
from ._runs import NUMBER, Runs, last_deleted
from ._store.fragments import Fragment, InMemoryFragment, is_lost
from ._store.node_ids import DELETED, ROOT
from ._store.parquet_fragment import ParquetFragment
from ._store.store import FolderStore
from ._tree.columns import column_in
from ._tree.nodes import Nodes
from ._values.chunks import int64_array, int64_scalar, one_array
from ._values.kinds import INT

__all__ = ["Latest", "latest_runs"]

_COLUMN: Final = Column(NUMBER, INT)


class Latest(NamedTuple):
    """The highest numbers, and the runs that have them.

    Attributes:
        runs: at least all existing runs with the highest number.
        deleted: the number of a deleted experiment, if it is higher than all existing ones.
    """

    runs: Runs
    deleted: int


class _Summary(NamedTuple):
    """A cached summary of the rows of a fragment.

    Attributes:
        highest: the highest number of an experiment; 0 if there is none.
        nodes: ids of the nodes that have it.
        last_time: the time of the last row, in microseconds since the epoch.
        low, high: bounds of the ids of nodes and parents, except those that all collections have.
    """

    highest: int
    nodes: pa.Array
    last_time: int
    low: int
    high: int


_SUMMARIES: Final[WeakKeyDictionary[Fragment, _Summary]] = WeakKeyDictionary()


def latest_runs(store: FolderStore) -> Latest:
    """The current runs with the highest number."""
    fragments = store.reader.node_fragments()
    summaries = [_summary(each) for each in fragments]
    store.clock.observe(max((each.last_time for each in summaries), default=0))
    highest = max((each.highest for each in summaries), default=0)
    named = [each.nodes for each in summaries if each.highest == highest]
    ids = pc.unique(pa.concat_arrays([int64_array([]), *named]))
    found = _found(list(_rows_about(ids, fragments, summaries)))
    # In old collections a recorder below an experiment can have the number.
    is_whole = highest in {found.runs.highest, found.deleted}
    return found if is_whole else _found(fragments)


def _found(fragments: Sequence[Fragment]) -> Latest:
    nodes = Nodes(fragments)
    return Latest(Runs(nodes), last_deleted(nodes))


def _summary(fragment: Fragment) -> _Summary:
    known = _SUMMARIES.get(fragment)
    if known is None:
        tables = list(fragment.tables([_COLUMN, TIME_COLUMN, PARENT_COLUMN]))
        known = _summary_of_rows(pa.concat_tables(tables), fragment) if tables else _nothing()
        if isinstance(fragment, ParquetFragment) and len(tables) == len(fragment.group_rows):
            _SUMMARIES[fragment] = known
    return known


def _nothing() -> _Summary:
    return _Summary(0, int64_array([]), 0, 0, 0)


def _summary_of_rows(rows: pa.Table, fragment: Fragment) -> _Summary:
    numbers, node = column_in(rows, fragment, _COLUMN), one_array(rows.column(NODE))
    highest = max(pc.max(numbers).as_py() or 0, 0)
    times = column_in(rows, fragment, TIME_COLUMN).cast(pa.int64())
    parents = column_in(rows, fragment, PARENT_COLUMN)
    bounds = [pc.min_max(ids).as_py() for ids in (node, parents.filter(_is_own(parents)))]
    return _Summary(
        highest,
        node.filter(pc.equal(numbers, int64_scalar(highest))) if highest else node.slice(0, 0),
        pc.max(times).as_py() or 0,
        min((each["min"] for each in bounds if each["min"] is not None), default=0),
        max((each["max"] for each in bounds if each["max"] is not None), default=0),
    )


def _is_own(parents: pa.Array) -> pa.Array:
    """Which parents are not among the nodes that all collections have."""
    return pc.invert(pc.is_in(parents, value_set=int64_array([ROOT, DELETED])))


def _rows_about(
    ids: pa.Array, fragments: Sequence[Fragment], summaries: Sequence[_Summary]
) -> Iterator[Fragment]:
    """The rows of nodes and of those directly below them."""
    span = pc.min_max(ids).as_py() if len(ids) else {"min": 1, "max": 0}
    for fragment, known in zip(fragments, summaries, strict=True):
        if known.low > span["max"] or known.high < span["min"]:
            continue
        for rows in fragment.stored_tables():
            is_about = pc.is_in(rows.column(NODE), value_set=ids)
            above = column_in(rows, fragment, PARENT_COLUMN)
            found = rows.filter(pc.or_(is_about, pc.is_in(above, value_set=ids)))
            readable = [name for name in found.column_names if not is_lost(found.column(name))]
            for batch in found.select(readable).combine_chunks().to_batches():
                yield InMemoryFragment(fragment.origin.number, batch)
