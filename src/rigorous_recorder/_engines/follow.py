"""Following: each row once, as any process logs it, wherever it is stored meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from threading import TIMEOUT_MAX, Event
from typing import Final, NamedTuple

from .._store.fragments import Fragment, Spans
from .._store.reader import StoreSnapshot
from .._store.store import Store
from ..errors import ArgumentError, CompactedError, DeletedError
from .rows import Row, rows_from
from .scan import Scan
from .snapshot import Snapshot
from .visible_rows import ready_rows

__all__ = ["NewRows", "Poll", "follow"]

#: Taking snapshots uses at most this fraction of the time, however large the collection is.
_SHARE: Final = 5


class Poll(NamedTuple):
    """The state of the followed records at one poll.

    Attributes:
        store: where the rows are.
        snapshot: its snapshot.
        scan_of: selects the followed rows in a part of the snapshot.
    """

    store: Store
    snapshot: Snapshot
    scan_of: Callable[[Snapshot], Scan]


def follow(
    poll: Callable[[], Poll],
    *,
    last: int | None,
    interval: float,
    stop: Event | None,
) -> Iterator[Row]:
    """Existing rows (all, or the last few), then new ones, until ``stop``.

    Raises:
        ArgumentError: ``last`` is negative, or ``interval`` is not a valid waiting time.
    """
    if last is not None and last < 0:
        message = f"the last {last} rows can't be selected; expected 0 or more, or None for all"
        raise ArgumentError(message)
    if not 0 < interval <= TIMEOUT_MAX:
        message = (
            f"{interval} seconds between two polls are not valid; expected more than 0, and at most"
            f" {TIMEOUT_MAX:.0f}"
        )
        raise ArgumentError(message)
    return _followed(poll, last, interval, stop)


def _followed(
    poll: Callable[[], Poll], last: int | None, interval: float, stop: Event | None
) -> Iterator[Row]:
    new_rows = NewRows(poll)
    while True:
        # Stop is checked before the last poll: what was logged before it is still delivered.
        is_over = stop is not None and stop.is_set()
        start = time.perf_counter()
        fresh = new_rows.take()
        took = time.perf_counter() - start
        yield from rows_from(fresh, 0 if last is None else max(0, fresh.row_count() - last))
        last = None
        if is_over:
            return
        _wait(max(interval, took * (_SHARE - 1)), stop)


def _wait(seconds: float, stop: Event | None) -> None:
    if stop is None:
        time.sleep(seconds)
    else:
        stop.wait(seconds)


class NewRows:
    """The rows of successive snapshots, each of them in one scan only."""

    def __init__(self, poll: Callable[[], Poll]) -> None:
        self._poll = poll
        self._delivered = _Delivered()

    def take(self) -> Scan:
        """A scan of the rows that no earlier call returned.

        Raises:
            CompactedError: the records have moved, so that it is unknown which are new.
            DeletedError: rows were dropped from files, so that it is unknown which are new.
        """
        store, snapshot, scan_of = self._poll()
        self._delivered.require_same(store)
        found = scan_of(self._delivered.new_in(snapshot))
        self._delivered.add(snapshot)
        return found


class _Delivered:
    """How many rows of each segment were delivered.

    From the live file to the Parquet file of all of a writer's rows, each row keeps its writer,
    segment and position in the segment, so these identify it for good.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int], int] = {}
        self._store: Store | None = None

    def require_same(self, store: Store) -> None:
        """Raise if the rows are in another store than the delivered ones.

        Raises:
            CompactedError: the records have moved, so that it is unknown which are new.
        """
        if self._rows and store is not self._store:
            message = (
                "since the last poll the followed records have moved with their recorder, and it is"
                " unknown which of them are new. Start following again, with last=0 for new ones"
            )
            raise CompactedError(message)
        self._store = store

    def add(self, snapshot: Snapshot) -> None:
        """Count the ready rows of a snapshot as delivered."""
        for fragment, ready in self._ready(snapshot):
            for segment, rows in zip(fragment.segments, ready, strict=True):
                given = segment.end if rows == segment.rows else rows
                if given:
                    self._rows[segment.key] = max(given, self._rows.get(segment.key, 0))

    def new_in(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot, reduced to ready records that were not delivered yet."""
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
        """The new rows of a fragment.

        Args:
            ready: how many rows of each segment are ready.

        Raises:
            DeletedError: rows before or among them were dropped, so their positions are lost.
        """
        spans, first = [], 0
        for segment, some in zip(fragment.segments, ready, strict=True):
            rows, deleted = segment.rows, segment.deleted
            given = self._rows.get(segment.key, 0)
            if given and deleted and given < rows + deleted:
                message = (
                    "rows were logged since the last poll, and others in their segment were"
                    " deleted and compacted away: it is unknown which ones are new. Start following again"
                )
                raise DeletedError(message)
            if given < some:
                spans.append(range(first + given, first + some))
            first += rows
        return spans
