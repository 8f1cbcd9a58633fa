"""Streaming: rows as they are logged, by any process, each once."""

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
from .driver_snapshot import Sight
from .offsets import Offset, SegmentProgress, between, onwards
from .options import Options
from .partitions import QueryPartition, read
from .plan import Plan, Stretched

__all__ = ["StreamReader"]

#: Looks take at most one part of so many of the time, however much there is to look through.
_SHARE: Final = 5
#: Seconds between two looks, at least.
_PAUSE: Final = 0.1


class StreamReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Follows a collection.

    Args:
        schema: the columns, which stay the same.
        is_all: whether these are all that there were at the start, and others are to be told.

    Raises:
        ArgumentError: the experiment is not one for good.
        ColumnError: the schema asks for what is not there.
    """

    def __init__(self, options: Options, schema: StructType, *, is_all: bool) -> None:
        if (number := options.experiment) is not None and number < 0:
            message = (
                f"experiment={number}: a stream needs the number itself: which is the last changes"
            )
            raise ArgumentError(message)
        self._options = options
        self._schema = schema
        self._is_all = is_all and not options.ignores_new
        self._sight = Sight(options)
        self._plan = self._planned()
        self._target: Offset | None = None
        self._next_look = 0.0

    def _planned(self) -> Plan:
        if self._is_all and (new := self._sight.names_besides(self._schema)):
            names = ", ".join(map(repr, new[:5])) + (", ..." if len(new) > 5 else "")
            message = (
                f"columns came that the stream does not have: {names}. Start it again, with the same"
                " checkpoint, and it goes on where it was, with them; or, without them, with"
                " option('newColumns', 'ignore')"
            )
            raise ColumnError(message)
        return Plan(self._sight, self._sight.wanted(self._schema))

    def _look(self) -> None:
        """See what there is now; where nothing happens, not more often than is of use."""
        wait = self._next_look - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        start = time.monotonic()
        self._sight.look()
        self._plan = self._planned()
        end = time.monotonic()
        self._next_look = end + max(_PAUSE, (end - start) * (_SHARE - 1))

    # --- how far it is -------------------------------------------------------------------------

    def initialOffset(self) -> dict[str, Any]:  # noqa: N802 - Spark's
        """Before the first row."""
        return self._said(Offset())

    def latestOffset(self, start: dict[str, Any], limit: ReadLimit) -> dict[str, Any]:  # noqa: N802
        """How far the next batch goes; as far as the last one where there are no new rows."""
        given = self._given(start)
        self._look()
        most = limit.max_rows if isinstance(limit, ReadMaxRows) else None
        found = onwards(given, self._held(), most, self._target)
        return start if found is given else self._said(found)

    def getDefaultReadLimit(self) -> ReadLimit:  # noqa: N802
        """What the user said."""
        most = self._options.most_rows
        return ReadAllAvailable() if most is None else ReadMaxRows(most)

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802
        """What is there now is all that will be given."""
        self._sight.look()
        self._plan = self._planned()
        self._target = Offset()
        for held in self._held():
            self._target.give(held, held.rows)

    def _said(self, offset: Offset) -> dict[str, Any]:
        return {"collection": self._sight.identity, "writers": offset.said()}

    def _given(self, said: dict[str, Any]) -> Offset:
        if said["collection"] != self._sight.identity:
            message = (
                f"the checkpoint is of another collection than the one that is at"
                f" {self._options.path} now: use another checkpoint for it"
            )
            raise NotACollectionError(message)
        return Offset.of(said["writers"])

    def _held(self) -> list[SegmentProgress]:
        """The segments that there are, those of a writer in order, as far as they are ready.

        Rows that wait to be counted, and those behind them, are given when they do.
        """
        fragments = list(self._fragments())
        ready = ready_rows(fragments, self._sight.snapshot.nodes.deletion.waiting)
        found = []
        for fragment, counts in zip(fragments, ready, strict=True):
            for (origin, rows, deleted, _), some in zip(fragment.segments, counts, strict=True):
                is_final = isinstance(fragment, ParquetFragment) and some == rows
                there = rows + deleted if some == rows else some
                found.append(SegmentProgress(origin.writer, origin.number, there, is_final))
        return sorted(found)

    def _fragments(self) -> Iterator[Fragment]:
        """All that is read.

        Rows of a writer that others took for dead, behind those that these have sealed, are read
        when they are sealed too: only then they have a number for good.
        """
        for fragment in self._sight.snapshot.fragments.records:
            if isinstance(fragment, ParquetFragment) or fragment.segments[0].behind is None:
                yield fragment

    # --- the rows ------------------------------------------------------------------------------

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> Sequence[InputPartition]:
        """What each task reads of the rows between two offsets."""
        return self._plan.parts(self._stretched(self._given(start), self._given(end)))

    def _stretched(self, start: Offset, end: Offset) -> Iterator[Stretched]:
        for fragment in self._fragments():
            first, spans = 0, []
            for segment in fragment.segments:
                if span := between(start, end, segment):
                    spans.append(range(first + span.start, first + span.stop))
                first += segment.rows
            yield from _grouped(fragment, spans)

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The rows of a task, some at a time."""
        return read(partition) if isinstance(partition, QueryPartition) else iter(())

    def __getstate__(self) -> dict[str, Any]:
        return {}


def _grouped(fragment: Fragment, spans: Sequence[range]) -> Iterator[Stretched]:
    """Rows of a fragment, as rows of its groups."""
    starts = accumulate(fragment.group_rows, initial=0)
    for (group, rows), first in zip(enumerate(fragment.group_rows), starts, strict=False):
        for span in spans:
            low, high = max(span.start - first, 0), min(span.stop - first, rows)
            if low < high:
                yield Stretched(fragment, group, low, high)
