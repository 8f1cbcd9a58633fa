"""Fragments: immutable ranges of rows, in memory or as parts of others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from .._arrow import pa, pc
from .._live.column import NODE, Column
from .._once import once
from .._prefetch import ALL_CORES, ahead
from .._values.chunks import int64_array, int64_scalar, one_array
from ..errors import DeletedError
from .densify import densified
from .footer import (
    ColumnNames,
    FileColumns,
    Origin,
    SegmentRange,
    columns_in,
    metadata_of,
    with_sparse_keys,
)

__all__ = [
    "Fragment",
    "InMemoryFragment",
    "Spans",
    "Stretch",
    "between",
    "is_lost",
    "names_of",
    "places_between",
    "stored_tables",
]

#: From this many fragments on, reading uses threads.
_FRAGMENTS_OF_A_THREAD: Final = 64
#: The nodes of a group are cached if on average at least this many contiguous rows share one.
_LEAST_RUN: Final = 8


class Stretch(NamedTuple):
    """A range of rows of a segment, by position in it, wherever they are stored."""

    segment: SegmentRange
    start: int
    stop: int


class Fragment(ABC):
    """Some rows of a table, in logged order, in groups.

    Attributes:
        segments: the segments of the rows, in order.
        file_columns: the columns of the file.
        group_rows: the number of rows of each group.
        rows: the total number of rows.
    """

    def __init__(
        self,
        segments: Sequence[SegmentRange],
        columns: FileColumns,
        group_rows: Sequence[int],
    ) -> None:
        self.segments = list(segments)
        self.file_columns = columns
        # A tuple of numbers is not tracked by Python's garbage collector, important for many files.
        self.group_rows = tuple(group_rows)
        self.rows = sum(group_rows)
        self._runs: dict[int, pa.RunEndEncodedArray] = {}
        self._nodes_of: dict[int, pa.Array] = {}

    @property
    def columns(self) -> ColumnNames:
        """The columns, each with its name in tables of this fragment."""
        return self.file_columns.names

    @property
    def origin(self) -> Origin:
        """The position of the first row among all rows."""
        return self.segments[0].origin

    def stretches(self, start: int, stop: int) -> list[Stretch]:
        """The rows from ``start`` to ``stop``, as ranges of segments."""
        return [
            Stretch(segment, max(start - first, 0), min(stop - first, segment.rows))
            for first, segment in _placed(self.segments)
            if max(start - first, 0) < min(stop - first, segment.rows)
        ]

    def places(self, stretches: Iterable[Stretch]) -> list[range]:
        """The positions in this file of ranges of segments, in order.

        Raises:
            DeletedError: some rows of a segment were deleted since.
        """
        there = {segment.origin: (first, segment) for first, segment in _placed(self.segments)}
        spans: list[range] = []
        for segment, start, stop in stretches:
            at, found = there.get(segment.origin, (0, None))
            if found != segment:
                message = (
                    "records were deleted and compacted away while they were being read. Read again:"
                    " all other records are there"
                )
                raise DeletedError(message)
            first = at + start
            if spans and spans[-1].stop == first:
                first = spans.pop().start
            spans.append(range(first, at + stop))
        return spans

    @abstractmethod
    def stored(
        self, group: int, columns: Sequence[Column], *, nodes: bool = True
    ) -> pa.Table | None:
        """The rows of a group as they are stored: a sparse column has a map for each row.

        Args:
            columns: columns of ``file_columns.stored``; others are left out.
            nodes: whether ``_node`` is needed if there is any other column.
        """

    def table(
        self, group: int, columns: Sequence[Column], *, nodes: bool = True
    ) -> pa.Table | None:
        """The rows of a group, with ``_node`` and those of ``columns`` that exist here, in order.

        A column that can't be read has Arrow's null type (``is_lost``), with a warning. None, with a
        warning, if ``_node`` is needed and can't be read.

        Args:
            nodes: whether ``_node`` is needed if there is any other column.
        """
        there = self.file_columns
        if there.sparse.keys().isdisjoint(columns):
            return self.stored(group, columns, nodes=nodes)
        here = [column for column in columns if column in there.names]
        found = self.stored(group, there.storing(here), nodes=nodes)
        return None if found is None else densified(found, there, here)

    def tables(self, columns: Sequence[Column]) -> Iterator[pa.Table]:
        """The rows, a group at a time; what can't be read is left out with a warning."""
        for group in range(len(self.group_rows)):
            if (table := self.table(group, columns)) is not None:
                yield table

    def stored_tables(self) -> Iterator[pa.Table]:
        """The same for all columns, as they are stored."""
        for group in range(len(self.group_rows)):
            if (table := self.stored(group, list(self.file_columns.stored))) is not None:
                yield table

    def is_placed(self, group: int) -> bool:  # noqa: ARG002 - rows in memory always are
        """Whether the nodes of a group's rows can be read, as far as known."""
        return True

    def nulls(
        self,
        group: int,  # noqa: ARG002 - nothing is known without reading the values
        columns: Sequence[Column],  # noqa: ARG002
    ) -> dict[Column, int]:
        """How many rows of a group have no value in each of some columns, where it is known."""
        return {}

    def count(self, column: Column) -> int:
        """How many rows have a value in a column of this fragment; for arrays, non-empty ones."""
        stored = (each.column(self.columns[column]) for each in self.tables([column]))
        return sum(0 if is_lost(each) else _count(one_array(each)) for each in stored)

    def runs_of(self, group: int) -> pa.RunEndEncodedArray:
        """The node of each row of a group, run-end encoded; cached if small.

        Empty if it can't be read.
        """
        if group in self._runs:
            return self._runs[group]
        table = self.table(group, [])
        if table is None:  # each call warns, which may be an error to the next caller
            return pc.run_end_encode(int64_array([]))
        ids = one_array(table.column(NODE))
        runs = pc.run_end_encode(ids)
        if _LEAST_RUN * len(runs.values) <= len(ids):
            self._runs[group] = runs
        return runs

    def nodes_of(self, group: int) -> pa.Array:
        """The distinct ids of the nodes of a group's rows; empty if they can't be read."""
        if group in self._nodes_of:
            return self._nodes_of[group]
        found = pc.unique(self.runs_of(group).values)
        if len(found):  # else it can't be read, of which each call warns
            self._nodes_of[group] = found
        return found

    def nodes_among(self, group: int, ids: pa.Array) -> pa.Array:
        """The nodes of a group that are among some sorted ids."""
        nodes = self.nodes_of(group)
        return nodes.filter(pc.is_in(nodes, value_set=ids))

    def has_any(self, group: int, ids: pa.Array) -> bool:
        """Whether a group has rows of any of some nodes with sorted ids."""
        return len(self.nodes_among(group, ids)) > 0

    @property
    def node_ranges(self) -> list[tuple[int, int]]:
        """The smallest and largest node id of each group, or bounds of them."""
        found = [pc.min_max(self.nodes_of(group)).as_py() for group in range(len(self.group_rows))]
        return [(each["min"], each["max"]) for each in found if each["min"] is not None]

    @once
    def nodes(self) -> pa.Array:
        """The distinct ids of the rows' nodes, without those that can't be read."""
        found = [self.nodes_of(group) for group in range(len(self.group_rows))]
        return (
            found[0] if len(found) == 1 else pc.unique(pa.concat_arrays([int64_array([]), *found]))
        )


class InMemoryFragment(Fragment):
    """Rows in memory.

    Attributes:
        whole: the rows.
        has_gap: whether they are from a live file with rows after an unwritten one.
    """

    def __init__(
        self,
        number: int,
        batch: pa.RecordBatch,
        *,
        has_gap: bool = False,
    ) -> None:
        batch = with_sparse_keys(batch)
        file_metadata = metadata_of(batch.schema)
        origin = Origin(file_metadata.get("started", 0), file_metadata.get("writer", ""), number)
        segments = [SegmentRange(origin, batch.num_rows)]
        super().__init__(segments, columns_in(batch.schema), [batch.num_rows])
        self.whole = pa.Table.from_batches([batch])
        self.has_gap = has_gap

    def stored(
        self,
        group: int,  # noqa: ARG002 - there is only one
        columns: Sequence[Column],
        *,
        nodes: bool = True,  # noqa: ARG002 - always included
    ) -> pa.Table:
        """The rows, with ``_node`` and those of ``columns`` that are stored here, in order."""
        return self.whole.select([NODE, *names_of(self.file_columns.stored, columns)])


class Spans(Fragment):
    """Some rows of a fragment, as a fragment.

    Args:
        spans: ranges of rows, in order.
    """

    def __init__(self, whole: Fragment, spans: Sequence[range]) -> None:
        self._whole = whole
        starts = list(accumulate(whole.group_rows, initial=0))
        #: The number of each group in the whole fragment, and the selected range of its rows.
        self._parts = [
            (group, slice(max(span.start - first, 0), min(span.stop, stop) - first))
            for group, (first, stop) in enumerate(pairwise(starts))
            for span in spans
            if max(span.start, first) < min(span.stop, stop)
        ]
        rows = [part.stop - part.start for _, part in self._parts]
        super().__init__(whole.segments, whole.file_columns, rows)

    def whole_group(self, group: int) -> tuple[Fragment, int] | None:
        """The fragment and the number of a group of which all rows are selected."""
        number, part = self._parts[group]
        is_whole = part.stop - part.start == self._whole.group_rows[number]
        return (self._whole, number) if is_whole else None

    def nodes_among(self, group: int, ids: pa.Array) -> pa.Array:
        """The nodes of a group that are among these; none if the whole group has none."""
        here = self._whole.nodes_among(self._parts[group][0], ids)
        return super().nodes_among(group, here) if len(here) else here

    def stored(
        self, group: int, columns: Sequence[Column], *, nodes: bool = True
    ) -> pa.Table | None:
        """The rows of a group; None, with a warning, if they can't be read."""
        number, part = self._parts[group]
        table = self._whole.stored(number, columns, nodes=nodes)
        return None if table is None else table.slice(part.start, part.stop - part.start)

    def is_placed(self, group: int) -> bool:
        """Whether the nodes of a group's rows can be read, as far as known."""
        return self._whole.is_placed(self._parts[group][0])


def is_lost(column: pa.ChunkedArray) -> bool:
    """Whether a column of a fragment's table represents values that can't be read."""
    return bool(pa.types.is_null(column.type))


def stored_tables(fragments: Sequence[Fragment]) -> list[tuple[Fragment, pa.Table]]:
    """All rows of fragments as they are stored, in order, each table with its fragment."""

    def read(some: Sequence[Fragment]) -> list[tuple[Fragment, pa.Table]]:
        return [(each, table) for each in some for table in each.stored_tables()]

    if len(fragments) <= _FRAGMENTS_OF_A_THREAD:
        return read(fragments)
    starts = range(0, len(fragments), _FRAGMENTS_OF_A_THREAD)
    parts = [fragments[start : start + _FRAGMENTS_OF_A_THREAD] for start in starts]
    return [found for part in ahead(read, parts, threads=ALL_CORES) for found in part]


def _placed(segments: Sequence[SegmentRange]) -> Iterator[tuple[int, SegmentRange]]:
    """The segments of a file, each with its first row."""
    starts = accumulate((each.rows for each in segments), initial=0)
    return zip(starts, segments, strict=False)


def _count(values: pa.Array) -> int:
    """The number of values; of lists, the number of non-empty ones."""
    if pa.types.is_list(values.type):
        has_any = pc.greater(pc.list_value_length(values), int64_scalar(0))
        return int(pc.sum(has_any).as_py() or 0)
    return len(values) - int(values.null_count)


def between(ids: pa.Array, low: int, high: int) -> pa.Array:
    """The sorted ids in a range, including its ends."""
    found = places_between(ids, low, high)
    return ids.slice(found.start, len(found))


def places_between(ids: pa.Array, low: int, high: int) -> range:
    """The positions of the sorted ids in a range, including its ends."""
    places = range(len(ids))
    start = bisect_left(places, low, key=lambda at: ids[at].as_py())
    return range(start, bisect_right(places, high, key=lambda at: ids[at].as_py(), lo=start))


def names_of(here: Mapping[Column, str], wanted: Sequence[Column]) -> list[str]:
    """The file names of those columns that exist here."""
    return [here[column] for column in wanted if column in here]
