"""Pieces of a table as they are read: sealed files, and rows that are not sealed yet."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import accumulate, groupby, pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from .._arrow import ipc, pa, pc, pq
from .._live.backend import Behind
from .._live.column import NODE, Column, column_of
from .._once import once, remembered
from .._values.chunks import one_array
from .._values.kinds import Kind
from ..errors import DamagedFileError, DeletedError
from .checksums import check_chunks, leaves
from .corruption import (
    UNREADABLE,
    blame_file,
    require_type,
    warn_rows_left_out,
    warn_values_missing,
)
from .folder import NODES, SealedName, sealed_name
from .path_checks import check_regular
from .seal import about, segment_metadata

__all__ = [
    "BEHIND_ALL",
    "Fragment",
    "InMemoryFragment",
    "Origin",
    "ParquetFragment",
    "SegmentRange",
    "Spans",
    "Stretch",
    "between",
    "is_lost",
    "node_ranges_in",
    "open_parquet",
    "places_between",
    "tables_of",
    "writers_metadata",
]

#: So many fragments are worth a thread.
_FRAGMENTS_OF_A_THREAD: Final = 64
#: One object for all files.
_NOTHING: Final[frozenset[tuple[int, str]]] = frozenset()
_NO_GROUPS: Final[frozenset[int]] = frozenset()
#: The least and the greatest id that there can be.
_ALL_IDS: Final = (-(2**63), 2**63 - 1)
#: Added to the number of rows that stand behind all sealed ones of their writer.
BEHIND_ALL: Final = 10**18
#: Nodes of a group are kept where on average at least so many neighbouring rows are of one.
_LEAST_RUN: Final = 8


class Origin(NamedTuple):
    """Where rows stand among all rows: by writer, in the order in which writers started."""

    started: int
    writer: str
    number: int


class SegmentRange(NamedTuple):
    """Rows that were one live table.

    Attributes:
        origin: where they stand among all rows.
        rows: how many there are.
        deleted: how many were deleted: dropped, or robbed of all but that they are deleted.
        behind: where they were logged, if that was behind rows of another segment.
    """

    origin: Origin
    rows: int
    deleted: int = 0
    behind: Behind | None = None

    @property
    def logged_in(self) -> tuple[str, int]:
        """The segment that they were logged in: its writer, and its number."""
        return self.origin.writer, self.behind.number if self.behind else self.origin.number

    @property
    def start(self) -> int:
        """How many rows of that segment stood before them."""
        return self.behind.rows if self.behind else 0

    @property
    def end(self) -> int:
        """How many rows that segment had up to the last of them."""
        return self.start + self.rows + self.deleted


class Stretch(NamedTuple):
    """Some neighbouring rows of a segment, by their places in it; wherever they are stored."""

    segment: SegmentRange
    start: int
    stop: int


class Fragment(ABC):
    """Some rows of one table, in the order in which they were logged, in groups.

    Attributes:
        segments: the segments that the rows are of, in order.
        columns: the columns that are here, each with its name in the file.
        group_rows: for each group how many rows it has.
        rows: how many rows that are.
    """

    def __init__(
        self,
        segments: Sequence[SegmentRange],
        columns: Mapping[Column, str],
        group_rows: Sequence[int],
    ) -> None:
        self.segments = list(segments)
        self.columns = columns
        # A tuple of numbers is nothing that Python's collector has to look at, as of 1,000 files.
        self.group_rows = tuple(group_rows)
        self.rows = sum(group_rows)
        self._runs: dict[int, pa.RunEndEncodedArray] = {}
        self._nodes_of: dict[int, pa.Array] = {}

    @property
    def origin(self) -> Origin:
        """Where the first row stands among all rows."""
        return self.segments[0].origin

    def stretches(self, start: int, stop: int) -> list[Stretch]:
        """The rows from ``start`` to ``stop``, as rows of segments."""
        return [
            Stretch(segment, max(start - first, 0), min(stop - first, segment.rows))
            for first, segment in _placed(self.segments)
            if max(start - first, 0) < min(stop - first, segment.rows)
        ]

    def places(self, stretches: Iterable[Stretch]) -> list[range]:
        """Where rows of segments are in this file, in order.

        Raises:
            DeletedError: some rows of a segment were deleted since.
        """
        there = {segment.origin: (first, segment) for first, segment in _placed(self.segments)}
        spans: list[range] = []
        for segment, start, stop in stretches:
            at, found = there.get(segment.origin, (0, None))
            if found != segment:
                message = (
                    "records were deleted, and compacted away, while they were read. Read again:"
                    " all others are there"
                )
                raise DeletedError(message)
            first = at + start
            if spans and spans[-1].stop == first:
                first = spans.pop().start
            spans.append(range(first, at + stop))
        return spans

    @abstractmethod
    def table(
        self, group: int, columns: Sequence[Column], *, nodes: bool = True
    ) -> pa.Table | None:
        """The rows of a group, with ``_node`` and those of ``columns`` that are here, in order.

        A column that can't be read has Arrow's null type there (``is_lost``), and is warned of.
        None, and a warning, where ``_node`` is needed and can't be read.

        Args:
            nodes: whether ``_node`` is needed, where there is any other column.
        """

    def tables(self, columns: Sequence[Column]) -> Iterator[pa.Table]:
        """The rows, a group at a time; what can't be read is left out with a warning."""
        for group in range(len(self.group_rows)):
            if (table := self.table(group, columns)) is not None:
                yield table

    def is_placed(self, group: int) -> bool:  # noqa: ARG002 - so it is of rows in memory
        """Whether it is known whose rows a group has, as far as was found out so far."""
        return True

    def count(self, column: Column) -> int:
        """How many rows have a value in a column that is here; of arrays those with an element."""
        stored = (each.column(self.columns[column]) for each in self.tables([column]))
        return sum(0 if is_lost(each) else _count(one_array(each)) for each in stored)

    def runs_of(self, group: int) -> pa.RunEndEncodedArray:
        """The node of each row of a group, neighbours of one node together.

        Without a row where it can't be read. Kept, where that is little.
        """
        if group in self._runs:
            return self._runs[group]
        table = self.table(group, [])
        if table is None:  # told anew each time, and may be an error to the next one
            return pc.run_end_encode(pa.array([], pa.int64()))
        ids = one_array(table.column(NODE))
        runs = pc.run_end_encode(ids)
        if _LEAST_RUN * len(runs.values) <= len(ids):
            self._runs[group] = runs
        return runs

    def nodes_of(self, group: int) -> pa.Array:
        """Ids of the nodes whose rows a group has, each once; none where it can't be read."""
        if group in self._nodes_of:
            return self._nodes_of[group]
        found = pc.unique(self.runs_of(group).values)
        if len(found):  # else it can't be read, which is told anew each time
            self._nodes_of[group] = found
        return found

    def nodes_among(self, group: int, ids: pa.Array) -> pa.Array:
        """Those of the nodes of a group that are among these, whose ids are sorted."""
        nodes = self.nodes_of(group)
        return nodes.filter(pc.is_in(nodes, value_set=ids))

    def has_any(self, group: int, ids: pa.Array) -> bool:
        """Whether a group has rows of any of these nodes, whose ids are sorted."""
        return len(self.nodes_among(group, ids)) > 0

    @property
    def node_ranges(self) -> list[tuple[int, int]]:
        """For each group the least and the greatest id of a node, or bounds of them."""
        found = [pc.min_max(self.nodes_of(group)).as_py() for group in range(len(self.group_rows))]
        return [(each["min"], each["max"]) for each in found if each["min"] is not None]

    @once
    def nodes(self) -> pa.Array:
        """Ids of the nodes whose rows these are, each once; without those that can't be read."""
        found = [self.nodes_of(group) for group in range(len(self.group_rows))]
        return (
            found[0]
            if len(found) == 1
            else pc.unique(pa.concat_arrays([pa.array([], pa.int64()), *found]))
        )


class InMemoryFragment(Fragment):
    """Rows in memory.

    Attributes:
        whole: the rows.
        has_gap: whether they are of a live file in which rows stand behind a place without one.
    """

    def __init__(
        self,
        number: int,
        batch: pa.RecordBatch,
        *,
        has_gap: bool = False,
    ) -> None:
        file_metadata = about(batch.schema)
        origin = Origin(file_metadata.get("started", 0), file_metadata.get("writer", ""), number)
        segments = [SegmentRange(origin, batch.num_rows)]
        super().__init__(segments, _columns(batch.schema), [batch.num_rows])
        self.whole = pa.Table.from_batches([batch])
        self.has_gap = has_gap

    def after(self, rows: int) -> InMemoryFragment:
        """The rows behind so many: those that were logged after somebody sealed the others."""
        (batch,) = self.whole.slice(rows).combine_chunks().to_batches()
        number = self.origin.number
        found = InMemoryFragment(BEHIND_ALL + number, batch)
        found.segments = [SegmentRange(found.origin, batch.num_rows, behind=Behind(number, rows))]
        return found

    def table(
        self,
        group: int,  # noqa: ARG002 - there is one
        columns: Sequence[Column],
        *,
        nodes: bool = True,  # noqa: ARG002 - it costs nothing
    ) -> pa.Table:
        """The rows, with ``_node`` and those of ``columns`` that are here, in order."""
        return self.whole.select([NODE, *_names(self.columns, columns)])


class ParquetFragment(Fragment):
    """Rows in a sealed file; its row groups are the groups.

    Args:
        find_successor: the file that has the rows once this one was compacted away, or None where
            it is damaged.
        sums: the checksums of the column chunks, where the file has them.

    Attributes:
        unplaced: row groups of which ``_node`` can't be read, as far as was found out so far.
    """

    def __init__(
        self,
        path: str | Path,
        schema: pa.Schema,
        group_rows: Sequence[int],
        find_successor: Callable[[ParquetFragment], ParquetFragment | None],
        *,
        sums: Sequence[int] | None = None,
    ) -> None:
        file_metadata = about(schema)
        super().__init__(_segments(file_metadata), _columns(schema), group_rows)
        #: How many times rows were dropped from files of just these segments.
        self.rewritten = int(file_metadata.get("rewritten", 0))
        self._path = str(path)
        place, name = os.path.split(self._path)
        _, table = os.path.split(place)
        _check_name(table, name, file_metadata, self.segments)
        self.schema = schema
        self.is_of_nodes = table == NODES
        self._find_successor = find_successor
        self._sums = sums
        self.unplaced = _NO_GROUPS
        self._sound: dict[str, bool] = {}
        self._counts: dict[Column, int] | None = None
        #: Of which groups which columns were read, their checksums being right.
        self._checked = _NOTHING

    @property
    def path(self) -> Path:
        """Where the file is, or was."""
        return Path(self._path)

    @property
    def writers(self) -> set[str]:
        """Whose rows the file has."""
        return {each.origin.writer for each in self.segments}

    @once
    def ranges(self) -> list[SealedName]:
        """What the file has of each writer, as the name that a file of just that would have."""
        numbers: dict[str, list[int]] = {}
        for each in self.segments:
            numbers.setdefault(each.origin.writer, []).append(each.origin.number)
        return [SealedName(writer, min(found), max(found)) for writer, found in numbers.items()]

    def table(
        self, group: int, columns: Sequence[Column], *, nodes: bool = True
    ) -> pa.Table | None:
        """The rows of a row group: what can be read of them."""
        names = _names(self.columns, columns)
        if nodes or not names:
            names = [NODE, *names]
        try:
            found = self._try(group, names)
            return found if isinstance(found, pa.Table) else self._readable_part(group, names)
        except FileNotFoundError:
            return self._moved(group, columns)

    def _readable_part(self, group: int, names: Sequence[str]) -> pa.Table | None:
        """As ``table``, of a row group of which not all columns can be read together."""
        rows = self.group_rows[group]
        keys: dict[str, Any] = {name: column.key for column, name in self.columns.items()}
        arrays: list[Any] = []
        for name in names:
            found = self._try(group, [name])
            if isinstance(found, pa.Table):
                arrays.append(found.column(name))
            elif name == NODE:
                self.unplaced |= {group}
                warn_rows_left_out(self.path, group, rows, found)
                return None
            else:
                warn_values_missing(self.path, group, rows, keys[name], found)
                is_empty = self._has_no_value(group, name)
                lost = self.schema.field(name).type if is_empty else pa.null()
                arrays.append(pa.nulls(rows, lost))
        return pa.Table.from_arrays(arrays, names=list(names))

    def _has_no_value(self, group: int, name: str) -> bool:
        """Whether a column's statistics, which are in the footer, tell that all is missing there."""
        at, *others = self._leaf_numbers([name])
        with open_parquet(self._path) as file:
            statistics = file.metadata.row_group(group).column(at).statistics
        is_told = not others and statistics is not None and statistics.has_null_count
        return is_told and statistics.null_count == self.group_rows[group]

    def is_placed(self, group: int) -> bool:
        """Whether ``_node`` of a row group can be read, as far as was found out so far."""
        return group not in self.unplaced

    def nodes_among(self, group: int, ids: pa.Array) -> pa.Array:
        """Those of the nodes of a row group that are among these; none, where its statistics tell."""
        low, high = self.node_ranges[group]
        here = between(ids, low, high)
        return super().nodes_among(group, here) if len(here) else here

    @once
    def node_ranges(self) -> list[tuple[int, int]]:
        """For each row group what its statistics say of the nodes; all ids, where they don't."""
        try:
            with open_parquet(self._path) as file:
                return node_ranges_in(file.metadata)
        except UNREADABLE:  # damaged, or compacted away meanwhile
            return [_ALL_IDS] * len(self.group_rows)

    def count(self, column: Column) -> int:
        """How many rows have a value in a column that is here; of arrays those with an element.

        Only the footer is read, where it has that.
        """
        if self._counts is None:
            self._counts = {}
        if column not in self._counts:
            found = self._count_in_footer(self.columns[column])
            self._counts[column] = super().count(column) if found is None else found
        return self._counts[column]

    def _count_in_footer(self, name: str) -> int | None:
        (leaf,) = self._leaf_numbers([name])
        try:
            with open_parquet(self._path) as file:
                groups = [
                    file.metadata.row_group(group).column(leaf).statistics
                    for group in range(len(self.group_rows))
                ]
        except UNREADABLE:  # damaged, or compacted away meanwhile
            return None
        if not all(each is not None and each.has_null_count for each in groups):
            return None
        # A list that is empty, or not there, is one null in the footer.
        counts = zip(self.group_rows, groups, strict=True)
        return sum(max(0, rows - int(each.null_count)) for rows, each in counts)

    def begins(self, writer: str, number: int) -> bool:
        """Whether the first rows of a writer's segment are here, under whichever number."""
        return any(each.logged_in == (writer, number) and each.start == 0 for each in self.segments)

    def rows_of(self, writer: str, number: int) -> int:
        """How many rows a writer's segment had when the last of them in this file was sealed.

        Of nodes it may be fewer: some of those that lost something were dropped, some were not, and
        to say the same of a node once more changes nothing.
        """
        found = (each for each in self.segments if each.logged_in == (writer, number))
        ends = (each.end - (each.deleted if self.is_of_nodes else 0) for each in found)
        return max(ends, default=0)

    def sound_names(self, group: int) -> tuple[list[str], Exception | None]:
        """Which columns of a row group can be read, by their names, and what is wrong with others.

        Without any where ``_node`` can't be read: then nobody knows whose the rows are.
        """
        names = [NODE, *self.columns.values()]
        if not isinstance(damage := self._try(group, names), Exception):
            return names, None
        if isinstance(self._try(group, [NODE]), Exception):
            return [], damage
        parts = {name: self._try(group, [name]) for name in names}
        return [name for name in names if not isinstance(parts[name], Exception)], damage

    def _try(self, group: int, names: list[str]) -> pa.Table | Exception:
        """Some columns of a row group, or what is wrong with any of them.

        Raises:
            FileNotFoundError: the file was compacted away.
        """
        try:
            return self._read(group, names)
        except FileNotFoundError:
            raise
        except UNREADABLE as error:
            blame_file(error)
            return error

    def is_sound(self, columns: Collection[Column]) -> bool:
        """Whether these and ``_node`` can be read, their checksums being right; found out once."""
        names = [NODE, *_names(self.columns, list(columns))]
        if wanted := set(names) - self._sound.keys():
            self._sound |= dict.fromkeys(wanted, self._can_read(wanted))
        return all(self._sound[name] for name in names)

    def _can_read(self, names: Collection[str]) -> bool:
        try:
            for group in range(len(self.group_rows)):
                if unread := [name for name in names if (group, name) not in self._checked]:
                    self._read(group, unread)
        except UNREADABLE as error:
            blame_file(error)
            return False
        return True

    def _read(self, group: int, names: list[str]) -> pa.Table:
        """Some columns of a row group; checksums are looked at once."""
        wanted = {(group, name) for name in names}
        is_new = not wanted <= self._checked
        with open_parquet(self._path, checksums=is_new and self._sums is None) as file:
            if is_new and self._sums is not None:
                leaf_numbers = self._leaf_numbers(names)
                check_chunks(self._path, file.metadata, self._sums, group, leaf_numbers)
            # Names with dots select columns below them too: take just what was asked for.
            found = file.read_row_group(group, columns=names, use_threads=False).select(names)
        if is_new:
            self._check(found)
        self._checked |= wanted
        return found

    def _leaf_numbers(self, names: Collection[str]) -> list[int]:
        """The numbers that columns have in the Parquet file."""
        counts = [leaves(field.type) for field in self.schema]
        starts = accumulate(counts, initial=0)
        spans = zip(self.schema.names, starts, counts, strict=False)
        there = {name: range(first, first + count) for name, first, count in spans}
        return [at for name in names for at in there[name]]

    def _check(self, table: pa.Table) -> None:
        """Refuse what is in no file that this library wrote."""
        table.validate(full=True)
        if NODE in table.column_names and table.column(NODE).null_count:
            message = "it has rows without a node"
            raise DamagedFileError(message)
        for column, name in self.columns.items():
            if name in table.column_names:
                column.kind.check(table.column(name))

    def _moved(self, group: int, columns: Sequence[Column]) -> pa.Table | None:
        """The rows of a group in the file that they were compacted into meanwhile.

        Raises:
            DeletedError: some of them were deleted.
        """
        whole = self._find_successor(self)
        if whole is None:
            return None
        here = [column for column in columns if column in self.columns]
        start = sum(self.group_rows[:group])
        stretches = self.stretches(start, start + self.group_rows[group])
        pieces = list(Spans(whole, whole.places(stretches)).tables(here))
        if not pieces:
            return None
        # A column can have another name there, where its own was taken.
        there = _joined(pieces).select([NODE, *_names(whole.columns, here)])
        return there.rename_columns([NODE, *_names(self.columns, here)])


class Spans(Fragment):
    """Some rows of a fragment, as a fragment.

    Args:
        spans: ranges of rows, in order.
    """

    def __init__(self, whole: Fragment, spans: Sequence[range]) -> None:
        self._whole = whole
        starts = list(accumulate(whole.group_rows, initial=0))
        #: For each group its number in the whole, and the rows of it that are meant.
        self._parts = [
            (group, slice(max(span.start - first, 0), min(span.stop, stop) - first))
            for group, (first, stop) in enumerate(pairwise(starts))
            for span in spans
            if max(span.start, first) < min(span.stop, stop)
        ]
        rows = [part.stop - part.start for _, part in self._parts]
        super().__init__(whole.segments, whole.columns, rows)

    def nodes_among(self, group: int, ids: pa.Array) -> pa.Array:
        """Those of the nodes of a group that are among these; none, where the whole has none."""
        here = self._whole.nodes_among(self._parts[group][0], ids)
        return super().nodes_among(group, here) if len(here) else here

    def table(
        self, group: int, columns: Sequence[Column], *, nodes: bool = True
    ) -> pa.Table | None:
        """The rows of a group; None, and a warning, where they can't be read."""
        number, part = self._parts[group]
        table = self._whole.table(number, columns, nodes=nodes)
        return None if table is None else table.slice(part.start, part.stop - part.start)

    def is_placed(self, group: int) -> bool:
        """Whether it is known whose rows a group has, as far as was found out so far."""
        return self._whole.is_placed(self._parts[group][0])


def is_lost(column: pa.ChunkedArray) -> bool:
    """Whether a column of a fragment's table stands for values that can't be read."""
    return bool(pa.types.is_null(column.type))


def _joined(pieces: Sequence[pa.Table]) -> pa.Table:
    """Tables of the same columns end to end; what is lost in one of them counts as lost in all."""
    lost = {name for each in pieces for name in each.column_names if is_lost(each.column(name))}
    if lost:
        pieces = [_without_values(each, lost) for each in pieces]
    return pa.concat_tables(pieces)


def _without_values(table: pa.Table, names: Collection[str]) -> pa.Table:
    nothing = pa.nulls(table.num_rows)
    arrays = [nothing if n in names else table.column(n) for n in table.column_names]
    return pa.Table.from_arrays(arrays, names=table.column_names)


def tables_of(
    fragments: Sequence[Fragment], columns: Sequence[Column]
) -> list[tuple[Fragment, pa.Table]]:
    """All rows of fragments, in order, each table with the fragment that it is of."""

    def read(some: Sequence[Fragment]) -> list[tuple[Fragment, pa.Table]]:
        return [(fragment, table) for fragment in some for table in fragment.tables(columns)]

    if len(fragments) <= _FRAGMENTS_OF_A_THREAD:
        return read(fragments)
    starts = range(0, len(fragments), _FRAGMENTS_OF_A_THREAD)
    parts = [fragments[start : start + _FRAGMENTS_OF_A_THREAD] for start in starts]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return [found for part in threads.map(read, parts) for found in part]


def _placed(segments: Sequence[SegmentRange]) -> Iterator[tuple[int, SegmentRange]]:
    """The segments of a file, each with its first row."""
    starts = accumulate((each.rows for each in segments), initial=0)
    return zip(starts, segments, strict=False)


def node_ranges_in(footer: pq.FileMetaData) -> list[tuple[int, int]]:
    """For each row group what its statistics say of the nodes; all ids, where they don't."""
    groups = map(footer.row_group, range(footer.num_row_groups))
    return [_range_of(group.column(0).statistics) for group in groups]


def _range_of(statistics: pq.Statistics | None) -> tuple[int, int]:
    if statistics is None or not statistics.has_min_max:
        return _ALL_IDS
    return statistics.min, statistics.max


def _count(values: pa.Array) -> int:
    """How many values there are, of lists those that are not empty."""
    if pa.types.is_list(values.type):
        return int(pc.sum(pc.greater(pc.list_value_length(values), 0)).as_py() or 0)
    return len(values) - int(values.null_count)


def between(ids: pa.Array, low: int, high: int) -> pa.Array:
    """Those of sorted ids that are in a range, its ends included."""
    found = places_between(ids, low, high)
    return ids.slice(found.start, len(found))


def places_between(ids: pa.Array, low: int, high: int) -> range:
    """Places of those of sorted ids that are in a range, its ends included."""
    places = range(len(ids))
    start = bisect_left(places, low, key=lambda at: ids[at].as_py())
    return range(start, bisect_right(places, high, key=lambda at: ids[at].as_py(), lo=start))


@contextmanager
def open_parquet(path: str | Path, *, checksums: bool = True) -> Iterator[pq.ParquetFile]:
    """A Parquet file, whose pages are compared with their checksums as they are read.

    Raises:
        FileNotFoundError: it is not there.
        DamagedFileError: it is no regular file.
    """
    check_regular(path)
    # Opened here: to find the file system of each path takes pyarrow a quarter of all the time.
    with pa.OSFile(str(path)) as source:
        yield pq.ParquetFile(source, page_checksum_verification=checksums)


def _segments(file_metadata: dict[str, Any]) -> list[SegmentRange]:
    """The segments in a file, by what it has in its metadata: it has one writer, or several."""
    told = [
        (Origin(writer["started"], writer["writer"], number), *counts)
        for writer in file_metadata.get("writers", [file_metadata])
        for number, *counts in writer["segments"]
    ]
    numbers = [each for (start, _, n), *counts in told for each in (start, n, *counts)]
    if not told or not all(isinstance(each, int) and each >= 0 for each in numbers):
        message = "its metadata does not list its segments"
        raise DamagedFileError(message)
    return [_segment(*each) for each in told]


def _segment(origin: Origin, rows: int, deleted: int = 0, *behind: int) -> SegmentRange:
    if not behind:
        return SegmentRange(origin, rows, deleted)
    found = Behind(*behind)
    if found.number >= origin.number:
        message = f"segment {origin.number} is listed as the rest of {found.number}"
        raise DamagedFileError(message)
    return SegmentRange(origin, rows, deleted, found)


def writers_metadata(segments: Iterable[SegmentRange]) -> list[dict[str, Any]]:
    """What a file says of its segments, for each writer."""
    by_writer = groupby(segments, key=lambda each: (each.origin.started, each.origin.writer))
    return [
        {"writer": writer, "started": started, "segments": [_said(each) for each in found]}
        for (started, writer), found in by_writer
    ]


def _said(segment: SegmentRange) -> list[int]:
    return segment_metadata(segment.origin.number, *segment[1:])


def _check_name(
    table: str, file: str, file_metadata: dict[str, Any], segments: Sequence[SegmentRange]
) -> None:
    """Refuse a file that is not the one that its name says, as where two were swapped."""
    name = sealed_name(file)
    if isinstance(name, SealedName):
        numbers = [each.origin.number for each in segments]
        is_meant = {each.origin.writer for each in segments} == {name.writer} and (
            (min(numbers), max(numbers)) == (name.first, name.last)
        )
    else:
        is_meant = file_metadata.get("merged") == file.removesuffix(".parquet")
    if not is_meant or file_metadata.get("table", table) != table:
        found = segments[0].origin
        message = (
            f"what its footer says is of another file: of the {file_metadata.get('table')} of writer"
            f" {found.writer}, from segment {found.number} on"
        )
        raise DamagedFileError(message)


def _columns(schema: pa.Schema) -> Mapping[Column, str]:
    return _columns_of(schema.remove_metadata().serialize().to_pybytes())


@remembered(256)  # many files have the same columns
def _columns_of(serialized: bytes) -> Mapping[Column, str]:
    schema = ipc.read_schema(pa.py_buffer(serialized))
    found: dict[Column, str] = {}
    for field in schema:
        if (column := column_of(field)) is not None:
            require_type(field, *_types_in_files(column.kind))
            found[column] = field.name
    require_type(schema.field(NODE), pa.int64())
    return found


@remembered(4096)
def _types_in_files(kind: Kind) -> tuple[pa.DataType, pa.DataType]:
    return kind.file_type, kind.sealed_type


def _names(here: Mapping[Column, str], wanted: Sequence[Column]) -> list[str]:
    return [here[column] for column in wanted if column in here]
