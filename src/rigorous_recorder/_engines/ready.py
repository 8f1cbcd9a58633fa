"""Which rows are ready to be given one by one: none that stands behind one that still waits."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from .._lazy import lazy_module
from .._store.fragments import Fragment

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pa = lazy_module("pyarrow")
    pc = lazy_module("pyarrow.compute")

__all__ = ["ready_rows"]


def ready_rows(fragment: Fragment, waiting: pa.Array | None) -> list[int]:
    """For each segment of a fragment how many of its rows are ready, from the first on.

    Who remembers by a count which rows it was given would miss those that wait when it passed them:
    it stops before the first. Of a segment of which rows were dropped it is given all, or none.

    Args:
        waiting: sorted ids of the nodes that wait for a parent (``Nodes.waiting``); None for none.
    """
    rows = [segment.rows for segment in fragment.segments]
    if waiting is None:
        return rows
    starts = list(accumulate(rows, initial=0))
    for start, stop in _runs_of(fragment, waiting):
        for number, (first, end) in enumerate(pairwise(starts)):
            if start < end and first < stop:
                rows[number] = min(rows[number], max(start - first, 0))
    return [
        0 if segment.deleted and ready < segment.rows else ready
        for segment, ready in zip(fragment.segments, rows, strict=True)
    ]


def _runs_of(fragment: Fragment, nodes: pa.Array) -> list[tuple[int, int]]:
    """First and last place, exclusive, of neighbouring rows of some nodes."""
    found: list[tuple[int, int]] = []
    for group, base in enumerate(accumulate(fragment.group_rows[:-1], initial=0)):
        if not fragment.has_any(group, nodes):
            continue
        runs = fragment.runs_of(group)
        at = pc.indices_nonzero(pc.is_in(runs.values, value_set=nodes)).to_pylist()
        ends = [0, *runs.run_ends.to_pylist()]
        found += [(base + ends[each], base + ends[each + 1]) for each in at]
    return found
