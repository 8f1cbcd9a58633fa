"""Which rows are ready to be given one by one: none that stands behind one that still waits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from .._arrow import pa, pc
from .._store.footer import SegmentRange
from .._store.fragments import Fragment

__all__ = ["ready_rows"]


def ready_rows(fragments: Sequence[Fragment], waiting: pa.Array | None) -> list[list[int]]:
    """For each fragment, for each of its segments, how many rows are ready, from the first on.

    Who remembers by a count which rows it was given would miss those that wait when it passed them:
    it stops before the first. Of a segment of which rows were dropped it is given all, or none.

    Args:
        waiting: sorted ids of the nodes that wait for a parent (``Deletion.waiting``); None for none.
    """
    if waiting is None:
        return [[segment.rows for segment in fragment.segments] for fragment in fragments]
    found = [_before_the_first(fragment, waiting) for fragment in fragments]
    stops: dict[tuple[str, int], int] = {}
    for fragment, ready in zip(fragments, found, strict=True):
        for segment, rows in zip(fragment.segments, ready, strict=True):
            if rows < segment.rows:
                stop = segment.start + rows
                stops[segment.logged_in] = min(stop, stops.get(segment.logged_in, stop))
    return [
        [
            _up_to(stops.get(segment.logged_in, segment.end), segment, rows)
            for segment, rows in zip(fragment.segments, ready, strict=True)
        ]
        for fragment, ready in zip(fragments, found, strict=True)
    ]


def _up_to(stop: int, segment: SegmentRange, ready: int) -> int:
    rows = min(ready, max(0, stop - segment.start))
    return 0 if segment.deleted and rows < segment.rows else rows


def _before_the_first(fragment: Fragment, waiting: pa.Array) -> list[int]:
    """For each segment how many rows stand before the first that waits."""
    rows = [segment.rows for segment in fragment.segments]
    starts = list(accumulate(rows, initial=0))
    for start, stop in _runs_of(fragment, waiting):
        for number, (first, end) in enumerate(pairwise(starts)):
            if start < end and first < stop:
                rows[number] = min(rows[number], max(start - first, 0))
    return rows


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
