"""Compaction: small sealed files of finished writers, neighbours in reading order, become one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, Final

from .._durable import replacing
from .._lazy import lazy_module
from .._live.column import Column
from .._live.segment import sealed_schema
from ..errors import DamagedFileError
from .folder import TABLES, FileName, Folder, MergedName, SealedName
from .fragments import Sealed, Segment
from .locks import locked
from .neighbours import quiet_moment, runs
from .recover import recover
from .seal import ROW_GROUP, about, describe_file, settings
from .sealed_files import Listing, SealedFiles

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
else:
    pa = lazy_module("pyarrow")
    pq = lazy_module("pyarrow.parquet")

__all__ = ["compact"]

#: So many bytes of rows are written as a row group, however few rows they are.
_GROUP_BYTES: Final = 128 << 20


class _UnreadableError(DamagedFileError):
    """Some rows of a file can't be read; whoever tried has warned of it, by its name."""

    def __init__(self, file: Sealed) -> None:
        super().__init__(f"{file.path}: not all of its {file.rows} rows can be read")
        self.file = file


def compact(folder: Folder) -> int:
    """Merge small sealed files of finished writers; others may write and read meanwhile.

    Returns:
        How many files there are fewer.

    Raises:
        OSError: the folder can't be written; nothing is lost.
    """
    if not folder.exists():
        return 0
    recover(folder)
    with locked(folder.live / "compact.lock"):
        return sum(_compact_table(folder, table) for table in TABLES)


def _compact_table(folder: Folder, table: str) -> int:
    files = SealedFiles(folder, table)
    moment = quiet_moment(folder, files)
    _sweep(folder, table, moment.listing, moment.running)
    if moment.listing.unsure:
        return 0  # what those files cover must not be merged elsewhere, and nobody knows what it is
    return sum(_merge_sound(files, run) for run in runs(moment))


def _sweep(folder: Folder, table: str, listing: Listing, running: Iterable[str]) -> None:
    """Take away what a compaction that was interrupted left."""
    for name in listing.covered:
        folder.sealed_path(table, name).unlink(missing_ok=True)
    for path, writer in folder.unfinished(table).items():
        if writer not in running:
            path.unlink(missing_ok=True)


def _merge_sound(files: SealedFiles, run: list[Sealed]) -> int:
    """Merge neighbours, but not those that can't be read to their end, nor across them."""
    if len(run) < 2:
        return 0
    try:
        return _merge(files, run)
    except _UnreadableError as error:
        at = run.index(error.file)
        return _merge_sound(files, run[:at]) + _merge_sound(files, run[at + 1 :])


def _merge(files: SealedFiles, run: list[Sealed]) -> int:
    columns = list(dict.fromkeys(column for file in run for column in file.columns))
    segments = [segment for file in run for segment in file.segments]
    schema = sealed_schema(columns, _description(run[0], segments))
    with replacing(files.path(_name_of(segments))) as temporary:
        groups = _row_groups(run, columns, schema)
        first = next(groups)
        with pq.ParquetWriter(temporary, schema, **settings(first)) as writer:
            for group in chain([first], groups):
                writer.write_table(group, row_group_size=ROW_GROUP)
    for file in run:
        file.path.unlink(missing_ok=True)
    return len(run) - 1


def _name_of(segments: list[Segment]) -> FileName:
    first, last = segments[0].origin, segments[-1].origin
    if first.writer == last.writer:
        return SealedName(first.writer, first.number, last.number)
    return MergedName.new()


def _description(file: Sealed, segments: list[Segment]) -> dict[bytes, bytes]:
    """What a file of these segments says of itself; of the collection it says what ``file`` does."""
    said = about(file.schema)
    shared = {key: said[key] for key in ("table", "collection") if key in said}
    by_writer = groupby(segments, key=lambda each: (each.origin.started, each.origin.writer))
    writers = [
        {
            "writer": writer,
            "started": started,
            "segments": [(each.origin.number, each.rows) for each in found],
        }
        for (started, writer), found in by_writer
    ]
    return describe_file(**shared, **(writers[0] if len(writers) == 1 else {"writers": writers}))


def _row_groups(run: list[Sealed], columns: list[Column], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of all files with one schema, in row groups of a full segment's size."""
    waiting: list[pa.Table] = []
    rows, size = 0, 0
    for table in _tables(run, columns, schema):
        waiting.append(table)
        rows, size = rows + table.num_rows, size + table.nbytes
        if rows >= ROW_GROUP or size >= _GROUP_BYTES:
            whole = pa.concat_tables(waiting)
            full = rows // ROW_GROUP * ROW_GROUP or rows
            yield whole.slice(0, full)
            rest = whole.slice(full)
            waiting, rows, size = [rest], rest.num_rows, rest.nbytes
    if rows:
        yield pa.concat_tables(waiting)


def _tables(run: list[Sealed], columns: list[Column], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of all files; no file is passed over of which a page can't be read."""
    for file in run:
        rows = 0
        for table in file.tables(columns):
            rows += table.num_rows
            yield _with_schema(file, table, columns, schema)
        if rows != file.rows:
            raise _UnreadableError(file)


def _with_schema(file: Sealed, table: pa.Table, columns: list[Column], schema: pa.Schema) -> Any:
    arrays = [table.column(0)]
    for column, field in zip(columns, list(schema)[1:], strict=True):
        there = file.columns.get(column)
        arrays.append(
            pa.nulls(table.num_rows, field.type) if there is None else table.column(there)
        )
    return pa.Table.from_arrays(arrays, schema=schema)
