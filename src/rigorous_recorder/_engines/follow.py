"""Following: every row once, as it is logged by any process, wherever it is stored meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from threading import TIMEOUT_MAX, Event
from typing import Final, NamedTuple

from .._store.fragments import Fragment, Spans
from .._store.store import Store, StoreSnapshot
from ..errors import ArgumentError, CompactedError, DeletedError
from .rows import Row, rows_from
from .scan import Scan
from .snapshot import Snapshot
from .visible_rows import ready_rows

__all__ = ["Look", "follow"]

#: A look takes at most one part of so many of the time, however much there is to look through.
_SHARE: Final = 5


class Look(NamedTuple):
    """All there is at one moment.

    Attributes:
        store: where the rows are.
        moment: the snapshot of it.
        scan_of: those rows of a part of the snapshot that are followed.
    """

    store: Store
    snapshot: Snapshot
    scan_of: Callable[[Snapshot], Scan]


def follow(
    look: Callable[[], Look],
    *,
    last: int | None,
    interval: float,
    stop: Event | None,
) -> Iterator[Row]:
    """Rows that are there (all, or the last so many), then those that come, until ``stop``.

    Raises:
        ArgumentError: ``last`` is below 0, or ``interval`` no time that can be waited for.
    """
    if last is not None and last < 0:
        message = f"the last {last} rows can't be given; expected 0 or more, or None for all"
        raise ArgumentError(message)
    if not 0 < interval <= TIMEOUT_MAX:
        message = (
            f"{interval} seconds between two looks can't be stored; expected more than 0, and at most"
            f" {TIMEOUT_MAX:.0f}"
        )
        raise ArgumentError(message)
    return _followed(look, last, interval, stop)


def _followed(
    look: Callable[[], Look], last: int | None, interval: float, stop: Event | None
) -> Iterator[Row]:
    seen = _Seen()
    while True:
        # A stop is seen before the last look: what was logged before it is still given.
        is_over = stop is not None and stop.is_set()
        start = time.perf_counter()
        store, snapshot, scan_of = look()
        took = time.perf_counter() - start
        seen.require_same(store)
        fresh = scan_of(seen.unseen(snapshot))
        yield from rows_from(fresh, 0 if last is None else max(0, fresh.row_count() - last))
        seen.add(snapshot)
        last = None
        if is_over:
            return
        _wait(max(interval, took * (_SHARE - 1)), stop)


def _wait(seconds: float, stop: Event | None) -> None:
    if stop is None:
        time.sleep(seconds)
    else:
        stop.wait(seconds)


class _Seen:
    """How many rows of each segment were given.

    It is known of a row, from the live file to the Parquet file of all of a writer's rows, in which
    segment of which writer it was logged, as which row: so these tell for good which row it is.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int], int] = {}
        self._store: Store | None = None

    def require_same(self, store: Store) -> None:
        """Check that the rows are where those are that were given, if any were.

        Raises:
            CompactedError: they have moved, and which of them are new is not known there.
        """
        if self._rows and store is not self._store:
            message = (
                "since the last look the records that are followed have moved with their recorder;"
                " which of them are new is not known there. Follow anew, with last=0 for new ones"
            )
            raise CompactedError(message)
        self._store = store

    def add(self, snapshot: Snapshot) -> None:
        """Count all rows of a moment as given that are ready."""
        for fragment, ready in self._ready(snapshot):
            for segment, rows in zip(fragment.segments, ready, strict=True):
                given = segment.end if rows == segment.rows else segment.start + rows
                if given > segment.start:
                    key = segment.logged_in
                    self._rows[key] = max(given, self._rows.get(key, 0))

    def unseen(self, snapshot: Snapshot) -> Snapshot:
        """A moment with only those records that are ready and were not given yet."""
        fresh = [
            Spans(fragment, spans)
            for fragment, ready in self._ready(snapshot)
            if (spans := self._spans(fragment, ready))
        ]
        return Snapshot(
            StoreSnapshot(fresh, snapshot.fragments.nodes), snapshot.nodes, whole=snapshot.whole
        )

    @staticmethod
    def _ready(snapshot: Snapshot) -> Iterator[tuple[Fragment, list[int]]]:
        fragments = snapshot.fragments.records
        return zip(fragments, ready_rows(fragments, snapshot.nodes.deletion.waiting), strict=True)

    def _spans(self, fragment: Fragment, ready: Sequence[int]) -> list[range]:
        """Which rows of a fragment are new.

        Args:
            ready: how many rows of each segment are ready.

        Raises:
            DeletedError: nobody knows, for some that stood among them were dropped.
        """
        spans, first = [], 0
        for segment, some in zip(fragment.segments, ready, strict=True):
            rows, deleted = segment.rows, segment.deleted
            given = max(0, self._rows.get(segment.logged_in, 0) - segment.start)
            if given and deleted and given < rows + deleted:
                message = (
                    "since the last look the rows that follow were logged, and others beside them"
                    " deleted and compacted away: which ones are new is not known. Follow anew"
                )
                raise DeletedError(message)
            if given < some:
                spans.append(range(first + given, first + some))
            first += rows
        return spans
