"""What a task is given, and how it reads it: rows, and the values of their nodes."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from pyspark.sql.datasource import Filter, InputPartition

from .._arrow import ipc, pa, pc
from .._engines.arrow import without_columns
from .._engines.mixed import flat_column
from .._engines.piece import spread
from .._engines.spark_types import for_spark
from .._engines.widths import BATCH_BYTES
from .._live.column import NODE, Column
from .._once import remembered
from .._store.corruption import warn_damaged
from .._store.folder import RECORDS, Folder
from .._store.fragments import Fragment, InMemoryFragment, Spans, Stretch, is_lost
from .._store.parquet_fragment import ParquetFragment
from .._store.sealed_files import SealedFiles, open_sealed
from .._tree.columns import any_valid, column_in
from .._values.chunks import byte_sizes, one_array
from .._values.kinds import NULL
from ..errors import DamagedFileError, DamagedFileWarning, DeletedError
from .driver_snapshot import Wanted
from .filters import held

__all__ = [
    "FileRows",
    "QueryPartition",
    "ReadPlan",
    "UnsealedRows",
    "columns_of",
    "packed",
    "read",
    "unpacked",
]

#: Rows in a batch: few, so that the JVM reads some while more are decoded.
_BATCH_ROWS: Final = 65_536
#: Sealed files that a worker process keeps open.
_OPEN_FILES: Final = 256


class FileRows(NamedTuple):
    """Rows of a row group of a sealed file.

    Attributes:
        stretches: the same rows, as rows of segments: where to look if the file has been merged.
    """

    name: str
    group: int
    start: int
    stop: int
    stretches: Sequence[Stretch]


class UnsealedRows(NamedTuple):
    """Rows that were not in a sealed file at planning, as an Arrow stream."""

    number: int
    stream: bytes


class ReadPlan(NamedTuple):
    """What all tasks of a query have in common.

    Attributes:
        folder: the collection's folder.
        columns: the columns to read.
        filters: the filters that each row must pass, each with the position of its column.
        skips_damaged: whether damaged files are skipped.
    """

    folder: Path
    columns: Sequence[Wanted]
    filters: Sequence[tuple[int, Filter]]
    skips_damaged: bool


class QueryPartition(InputPartition):
    """What one task reads.

    Attributes:
        reading: the plan shared by all tasks.
        rows: the rows to read.
        nodes: the values of their nodes, as an Arrow stream: ``_node``, and each column that any
            node has a value of, named by its position among all columns.
        keeps: whether rows of other nodes are skipped, rather than read without inherited values.
        drops: ids of nodes whose rows are skipped, sorted, as an Arrow stream.
    """

    def __init__(
        self,
        reading: ReadPlan,
        rows: Sequence[FileRows | UnsealedRows],
        nodes: bytes | None,
        *,
        keeps: bool,
        drops: bytes | None,
    ) -> None:
        super().__init__(None)
        self.reading = reading
        self.rows = rows
        self.nodes = nodes
        self.keeps = keeps
        self.drops = drops


def columns_of(fragment: Fragment, keys: Collection[str]) -> list[Column]:
    """The physical columns of a fragment that have values of these keys."""
    return [each for each in fragment.columns if each.key in keys and each.kind != NULL]


def packed(table: pa.Table) -> bytes:
    """Serialize a table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    options = ipc.IpcWriteOptions(compression="lz4")
    with ipc.new_stream(sink, table.schema, options=options) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def unpacked(stream: bytes) -> pa.Table:
    """Read a serialized table."""
    return ipc.open_stream(stream).read_all().combine_chunks()


def read(part: QueryPartition) -> Iterator[pa.RecordBatch]:
    """The rows of a partition, in batches.

    Raises:
        DamagedFileError: some can't be read, and damage is not to be skipped.
        DeletedError: some were deleted and compacted away since planning.
    """
    batches = _Task(part).all_batches()
    while True:
        with _damage_reported(skips=part.reading.skips_damaged):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


@contextmanager
def _damage_reported(*, skips: bool) -> Iterator[None]:
    """Raise where a warning would be issued, which no user sees in a worker."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if skips else "error", DamagedFileWarning)
        try:
            yield
        except DamagedFileWarning as warning:
            text = str(warning).replace(" and left out", "").partition(". See ")[0]
            message = f"{text}. To read the rest: option('damaged', 'skip')"
            raise DamagedFileError(message) from None


class _Task:
    """The reading of one partition."""

    def __init__(self, part: QueryPartition) -> None:
        reading = self._read_plan = part.reading
        self._part = part
        self._nodes = None if part.nodes is None else unpacked(part.nodes)
        self._ids: Any = None
        if self._nodes is not None:
            self._ids = self._nodes.column(NODE).combine_chunks()
        self._drops: Any = None
        if part.drops is not None:
            self._drops = unpacked(part.drops).column(NODE).combine_chunks()
        #: Few enough rows that the values each inherits, as a copy, fit into one batch.
        self._rows_at_once = max(1, BATCH_BYTES // max(1, _widest(self._nodes)))
        self._keys = {each.key for each in reading.columns if each.kind != NULL}
        self._schema = pa.schema([each.field for each in reading.columns])

    @property
    def _needs_nodes(self) -> bool:
        return self._ids is not None or self._drops is not None

    def all_batches(self) -> Iterator[pa.RecordBatch]:
        """The rows of the partition."""
        for rows in self._part.rows:
            yield from self._batches(rows)

    def _batches(self, rows: FileRows | UnsealedRows) -> Iterator[pa.RecordBatch]:
        for fragment, group in self._fragments(rows):
            chosen = None
            if self._needs_nodes:
                chosen = self._chosen(fragment.runs_of(group))
                if chosen.is_empty:
                    continue
            table = fragment.table(group, columns_of(fragment, self._keys), nodes=False)
            if table is None or (chosen is not None and len(chosen.places) < table.num_rows):
                continue  # it can't be read; a warning was issued
            if isinstance(rows, FileRows) and isinstance(fragment, ParquetFragment):
                table = table.slice(rows.start, rows.stop - rows.start)
                chosen = chosen and chosen.slice(rows.start, rows.stop - rows.start)
            for start in range(0, table.num_rows, self._rows_at_once):
                some = chosen and chosen.slice(start, self._rows_at_once)
                batch = self._batch(fragment, table.slice(start, self._rows_at_once), some)
                for first in range(0, batch.num_rows, _BATCH_ROWS):
                    yield batch.slice(first, _BATCH_ROWS)

    def _fragments(self, rows: FileRows | UnsealedRows) -> Iterator[tuple[Fragment, int]]:
        """The fragments that have the rows now; the planned file whole, if it still exists."""
        if isinstance(rows, UnsealedRows):
            (batch,) = unpacked(rows.stream).to_batches()
            yield InMemoryFragment(rows.number, batch), 0
            return
        files = _files(self._read_plan.folder)
        try:
            file = _opened(self._read_plan.folder, rows.name)
        except DamagedFileError as error:
            warn_damaged(self._read_plan.folder / RECORDS / rows.name, error)
            return
        if file is not None:
            yield file, rows.group
            return
        for stretch in rows.stretches:
            origin = stretch.segment.origin
            try:
                found = files.file_with(origin.writer, origin.number)
            except FileNotFoundError as error:
                message = (
                    f"{error.filename} was deleted after the query was planned, with its folder or by"
                    " hand: load the collection again to read its current state"
                )
                raise DeletedError(message) from None
            if found is None:
                continue
            spans = Spans(found, found.places([stretch]))
            for group in range(len(spans.group_rows)):
                yield spans, group

    def _chosen(self, runs: pa.RunEndEncodedArray) -> _Chosen:
        """Match rows with the nodes of the partition, and select the rows to read."""
        ids, is_read = runs.values, None
        if self._ids is None:
            places = pa.nulls(len(ids), pa.int32())
        else:
            places = pc.index_in(ids, value_set=self._ids)
            is_read = places.is_valid() if self._part.keeps else None
        if self._drops is not None:
            stays = pc.invert(pc.is_in(ids, value_set=self._drops))
            is_read = stays if is_read is None else pc.and_(is_read, stays)
        if is_read is None or pc.all(is_read).as_py():
            return _Chosen(spread(runs, places), None)
        if not pc.any(is_read).as_py():
            return _Chosen(places.slice(0, 0), None, is_empty=True)
        return _Chosen(spread(runs, places), spread(runs, is_read))

    def _batch(self, fragment: Fragment, table: pa.Table, chosen: _Chosen | None) -> pa.RecordBatch:
        places = None if chosen is None else chosen.places
        if chosen is not None and chosen.is_read is not None:
            table, places = table.filter(chosen.is_read), chosen.places.filter(chosen.is_read)
        columns = self._read_plan.columns
        if not columns:
            return without_columns(table.num_rows)
        arrays = [
            self._column(at, each, fragment, table, places) for at, each in enumerate(columns)
        ]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        for at, condition in self._read_plan.filters:
            batch = batch.filter(held(condition, batch.column(at)))
        return batch

    def _column(
        self, at: int, wanted: Wanted, fragment: Fragment, table: pa.Table, places: pa.Array | None
    ) -> pa.Array:
        """A column of the flat table: the records' own values, else the inherited ones."""
        own = {
            column: column_in(table, fragment, column)
            for column in columns_of(fragment, {wanted.key} & self._keys)
        }
        found = flat_column(own, wanted.kind, table.num_rows)
        is_whole = not any(is_lost(table.column(fragment.columns[column])) for column in own)
        if is_whole and self._nodes is not None and str(at) in self._nodes.column_names:
            above = self._nodes.column(str(at)).combine_chunks().take(places)
            hides = any_valid(
                own, table.num_rows
            )  # an own value of any kind hides the inherited one
            found = pc.if_else(hides, found, above) if own else above
        if wanted.kind == NULL:
            return pa.nulls(table.num_rows, wanted.field.type)
        found = for_spark(found)
        return found if found.type == wanted.field.type else found.cast(wanted.field.type)


def _widest(nodes: pa.Table | None) -> int:
    """The approximate maximum of bytes that a row inherits."""
    columns = [] if nodes is None else nodes.combine_chunks().columns
    return sum(pc.max(byte_sizes(one_array(each))).as_py() or 0 for each in columns)


class _Chosen(NamedTuple):
    """For each row the position of its node, and whether it is read (None: all are)."""

    places: pa.Array
    is_read: pa.Array | None
    is_empty: bool = False

    def slice(self, start: int, rows: int) -> _Chosen:
        """The same for a range of the rows."""
        is_read = None if self.is_read is None else self.is_read.slice(start, rows)
        return _Chosen(self.places.slice(start, rows), is_read)


@remembered(2)
def _files(folder: Path) -> SealedFiles:
    """The sealed files of a collection's records."""
    return SealedFiles(Folder(folder), RECORDS)


@remembered(_OPEN_FILES)
def _opened(folder: Path, name: str) -> ParquetFragment | None:
    """A sealed file, opened once; None if it no longer exists."""
    files = _files(folder)
    try:
        return open_sealed(folder / RECORDS / name, files.successor)
    except FileNotFoundError:
        return None
