"""Following: every row once, as it is logged by any process, wherever it is stored meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from threading import TIMEOUT_MAX, Event
from typing import Final

from .._store.fragments import Fragment, Spans
from .._store.store import Snapshot
from ..errors import ArgumentError, DeletedError
from .ready import ready_rows
from .rows import Row, rows_from
from .scan import Moment, Scan, Source

__all__ = ["follow"]

#: A look takes at most one part of so many of the time, however much there is to look through.
_SHARE: Final = 5


def follow(
    source: Source,
    scan_of: Callable[[Moment], Scan],
    *,
    last: int | None,
    interval: float,
    stop: Event | None,
) -> Iterator[Row]:
    """Rows that are there (all, or the last so many), then those that come, until ``stop``.

    Args:
        scan_of: those rows of a moment that are followed.

    Raises:
        ArgumentError: ``last`` is below 0, or ``interval`` no time that can be waited for.
    """
    if last is not None and last < 0:
        message = f"the last {last} rows can't be given; expected 0 or more, or None for all"
        raise ArgumentError(message)
    if not 0 < interval <= TIMEOUT_MAX:
        message = (
            f"{interval} seconds between two looks can't be kept; expected more than 0, and at most"
            f" {TIMEOUT_MAX:.0f}"
        )
        raise ArgumentError(message)
    return _followed(source, scan_of, last, interval, stop)


def _followed(
    source: Source,
    scan_of: Callable[[Moment], Scan],
    last: int | None,
    interval: float,
    stop: Event | None,
) -> Iterator[Row]:
    seen = _Seen()
    while True:
        # A stop is seen before the last look: what was logged before it is still given.
        is_over = stop is not None and stop.is_set()
        start = time.perf_counter()
        moment = source.now()
        took = time.perf_counter() - start
        fresh = scan_of(seen.unseen(moment))
        yield from rows_from(fresh, 0 if last is None else max(0, fresh.row_count() - last))
        seen.add(moment)
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

    A row keeps its writer, its segment's number and its place in the segment from the live file to
    the Parquet file of all of a writer's rows, so these tell for good which row it is.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int], int] = {}

    def add(self, moment: Moment) -> None:
        """Count all rows of a moment as given that are ready."""
        waiting = moment.nodes.waiting
        for fragment in moment.snapshot.records:
            ready = ready_rows(fragment, waiting)
            for (origin, rows, deleted), some in zip(fragment.segments, ready, strict=True):
                key = (origin.writer, origin.number)
                given = rows + deleted if some == rows else some
                self._rows[key] = max(given, self._rows.get(key, 0))

    def unseen(self, moment: Moment) -> Moment:
        """A moment with only those records that are ready and were not given yet."""
        waiting = moment.nodes.waiting
        fresh = [
            Spans(fragment, spans)
            for fragment in moment.snapshot.records
            if (spans := self._spans(fragment, ready_rows(fragment, waiting)))
        ]
        return Moment(Snapshot(fresh, moment.snapshot.nodes), moment.nodes)

    def _spans(self, fragment: Fragment, ready: Sequence[int]) -> list[range]:
        """Which rows of a fragment are new.

        Args:
            ready: how many rows of each segment are ready.

        Raises:
            DeletedError: nobody knows, for some that stood among them were dropped.
        """
        spans, first = [], 0
        for (origin, rows, deleted), some in zip(fragment.segments, ready, strict=True):
            given = self._rows.get((origin.writer, origin.number), 0)
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
