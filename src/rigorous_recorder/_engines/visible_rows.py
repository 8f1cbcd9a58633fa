"""Which rows are ready to be delivered in order: none that comes after one that still waits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from .._arrow import pa, pc
from .._store.footer import SegmentRange
from .._store.fragments import Fragment

__all__ = ["ready_rows"]


def ready_rows(fragments: Sequence[Fragment], waiting: pa.Array | None) -> list[list[int]]:
    """How many rows are ready, from the first on, for each segment of each fragment.

    A reader that tracks its position by a row count would miss rows that still wait when it passes
    them, so it stops before the first. If rows of a segment were dropped, all of it is ready or none.

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
                stops[segment.key] = min(rows, stops.get(segment.key, rows))
    return [
        [
            _up_to(stops.get(segment.key, segment.end), segment, rows)
            for segment, rows in zip(fragment.segments, ready, strict=True)
        ]
        for fragment, ready in zip(fragments, found, strict=True)
    ]


def _up_to(stop: int, segment: SegmentRange, ready: int) -> int:
    rows = min(ready, stop)
    return 0 if segment.deleted and rows < segment.rows else rows


def _before_the_first(fragment: Fragment, waiting: pa.Array) -> list[int]:
    """For each segment how many rows come before the first one that waits."""
    rows = [segment.rows for segment in fragment.segments]
    starts = list(accumulate(rows, initial=0))
    for start, stop in _runs_of(fragment, waiting):
        for number, (first, end) in enumerate(pairwise(starts)):
            if start < end and first < stop:
                rows[number] = min(rows[number], max(start - first, 0))
    return rows


def _runs_of(fragment: Fragment, nodes: pa.Array) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each run of rows of some nodes."""
    found: list[tuple[int, int]] = []
    for group, base in enumerate(accumulate(fragment.group_rows[:-1], initial=0)):
        if not fragment.has_any(group, nodes):
            continue
        runs = fragment.runs_of(group)
        at = pc.indices_nonzero(pc.is_in(runs.values, value_set=nodes)).to_pylist()
        ends = [0, *runs.run_ends.to_pylist()]
        found += [(base + ends[each], base + ends[each + 1]) for each in at]
    return found
