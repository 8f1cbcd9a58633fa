"""Streaming: the rows that any process logs, each exactly once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, Final

from pyspark.sql.datasource import DataSourceStreamReader, InputPartition
from pyspark.sql.streaming.datasource import (
    ReadAllAvailable,
    ReadLimit,
    ReadMaxRows,
    SupportsTriggerAvailableNow,
)
from pyspark.sql.types import StructType

from .._arrow import pa
from .._engines.visible_rows import ready_rows
from .._store.fragments import Fragment
from .._store.parquet_fragment import ParquetFragment
from ..errors import ArgumentError, ColumnError, NotACollectionError
from .driver_snapshot import DriverSnapshot
from .offsets import Offset, SegmentProgress, between, onwards
from .options import Options
from .partitions import QueryPartition, read
from .plan import GroupSlice, Plan

__all__ = ["StreamReader"]

#: Taking snapshots uses at most this fraction of the time, however large the collection is.
_SHARE: Final = 5
#: Minimum number of seconds between two snapshots.
_PAUSE: Final = 0.1


class StreamReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Follows a collection.

    Args:
        schema: the columns, which stay the same.
        is_all: whether these were all columns at the start, so that new ones are reported.

    Raises:
        ArgumentError: the experiment is given relative to the last one.
        ColumnError: the schema names a column that does not exist.
    """

    def __init__(self, options: Options, schema: StructType, *, is_all: bool) -> None:
        if (number := options.experiment) is not None and number < 0:
            message = (
                f"experiment={number}: a stream needs a fixed number, because the last one changes"
            )
            raise ArgumentError(message)
        self._options = options
        self._schema = schema
        self._is_all = is_all and not options.ignores_new
        self._source = DriverSnapshot(options)
        self._plan = self._planned()
        self._target: Offset | None = None
        self._next_refresh = 0.0

    def _planned(self) -> Plan:
        if self._is_all and (new := self._source.names_besides(self._schema)):
            names = ", ".join(map(repr, new[:5])) + (", ..." if len(new) > 5 else "")
            message = (
                f"new columns appeared that the stream does not have: {names}. Start it again with the"
                " same checkpoint to continue with them; or, to continue without them, with"
                " option('newColumns', 'ignore')"
            )
            raise ColumnError(message)
        return Plan(self._source, self._source.wanted(self._schema))

    def _refresh(self) -> None:
        """Take a new snapshot, unless the last one is too recent."""
        wait = self._next_refresh - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        start = time.monotonic()
        self._source.refresh()
        self._plan = self._planned()
        end = time.monotonic()
        self._next_refresh = end + max(_PAUSE, (end - start) * (_SHARE - 1))

    # --- offsets -------------------------------------------------------------------------------

    def initialOffset(self) -> dict[str, Any]:  # noqa: N802 - Spark's
        """The offset before the first row."""
        return self._to_json(Offset())

    def latestOffset(self, start: dict[str, Any], limit: ReadLimit) -> dict[str, Any]:  # noqa: N802
        """The offset at the end of the next batch; ``start`` if there are no new rows."""
        given = self._from_json(start)
        self._refresh()
        most = limit.max_rows if isinstance(limit, ReadMaxRows) else None
        found = onwards(given, self._held(), most, self._target)
        return start if found is given else self._to_json(found)

    def getDefaultReadLimit(self) -> ReadLimit:  # noqa: N802
        """The row limit that the user set."""
        most = self._options.most_rows
        return ReadAllAvailable() if most is None else ReadMaxRows(most)

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802
        """Stop the stream at the rows that exist now."""
        self._source.refresh()
        self._plan = self._planned()
        self._target = Offset()
        for held in self._held():
            self._target.give(held, held.rows)

    def _to_json(self, offset: Offset) -> dict[str, Any]:
        return {"collection": self._source.identity, "writers": offset.texts()}

    def _from_json(self, offset: dict[str, Any]) -> Offset:
        if offset["collection"] != self._source.identity:
            message = (
                f"the checkpoint belongs to another collection than the one that is at"
                f" {self._options.path} now: use another checkpoint for it"
            )
            raise NotACollectionError(message)
        return Offset.of(offset["writers"])

    def _held(self) -> list[SegmentProgress]:
        """The segments so far, those of each writer in order, with their rows that are ready.

        Rows that wait to be counted, and those behind them, are delivered once they count.
        """
        fragments = self._source.snapshot.fragments.records
        ready = ready_rows(fragments, self._source.snapshot.nodes.deletion.waiting)
        found = []
        for fragment, counts in zip(fragments, ready, strict=True):
            for (origin, rows, deleted), some in zip(fragment.segments, counts, strict=True):
                is_final = isinstance(fragment, ParquetFragment) and some == rows
                there = rows + deleted if some == rows else some
                found.append(SegmentProgress(origin.writer, origin.number, there, is_final))
        return sorted(found)

    # --- the rows ------------------------------------------------------------------------------

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> Sequence[InputPartition]:
        """The partitions of the rows between two offsets."""
        return self._plan.parts(self._slices(self._from_json(start), self._from_json(end)))

    def _slices(self, start: Offset, end: Offset) -> Iterator[GroupSlice]:
        for fragment in self._source.snapshot.fragments.records:
            first, spans = 0, []
            for segment in fragment.segments:
                if span := between(start, end, segment):
                    spans.append(range(first + span.start, first + span.stop))
                first += segment.rows
            yield from _grouped(fragment, spans)

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The rows of a partition, in batches."""
        return read(partition) if isinstance(partition, QueryPartition) else iter(())

    def __getstate__(self) -> dict[str, Any]:
        return {}


def _grouped(fragment: Fragment, spans: Sequence[range]) -> Iterator[GroupSlice]:
    """Divide rows of a fragment by its row groups."""
    starts = accumulate(fragment.group_rows, initial=0)
    for (group, rows), first in zip(enumerate(fragment.group_rows), starts, strict=False):
        for span in spans:
            low, high = max(span.start - first, 0), min(span.stop - first, rows)
            if low < high:
                yield GroupSlice(fragment, group, low, high)
