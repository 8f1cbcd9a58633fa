"""Compaction: small sealed files of finished writers, adjacent in reading order, are merged.

Deleted records are dropped on the way.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

from .._arrow import pa
from .._live.batches import sealed_schema
from .._live.column import Column
from .._values.chunks import no_rows, one_array
from .._values.kinds import FLOAT
from .._values.sparse import SparseKind
from . import checksums
from .compaction_plan import CompactionInput, fitting, runs, stable_input
from .deletion import Cleaned, Deleted, UnreadableError
from .folder import TABLES, FileName, Folder, MergedName, SealedName
from .footer import (
    SegmentRange,
    describe_file,
    metadata_of,
    sparse_metadata,
    writers_metadata,
)
from .locks import locked
from .node_spans import NodeSpans
from .parquet_fragment import ParquetFragment
from .recover import recover
from .seal import ROW_GROUP, settings, writing
from .sealed_files import SealedFiles, open_sealed
from .special_floats import SpecialFloats

__all__ = ["Merging", "Spread", "compact"]

Spread = Callable[["Merging", list[list[Path]]], Iterable[int]]
"""Calls ``merge_paths`` with each of these lists of paths, anywhere."""

#: A row group has at most this many bytes, however few rows that are.
_GROUP_BYTES: Final = 128 << 20


def compact(folder: Folder, deleted: Deleted | None = None, spread: Spread | None = None) -> int:
    """Merge small sealed files of finished writers; other processes may write and read meanwhile.

    Args:
        deleted: what to drop from the files of finished writers, even if none are merged.
        spread: runs the merges elsewhere; without it, they run here.

    Returns:
        By how many files the table has shrunk.

    Raises:
        OSError: the folder can't be written; nothing is lost.
    """
    if not folder.exists():
        return 0
    recover(folder)
    folder.create()  # subfolders that are missing
    with locked(folder.live / "compact.lock"):
        # Records first, so that their deleted nodes are known until the end.
        shrunk = sum([_compact_table(folder, table, deleted, spread) for table in TABLES])
        if shrunk or deleted is not None:  # it lists keys of what was deleted
            folder.index_path.unlink(missing_ok=True)
            folder.drop_cache()
        return shrunk


def _compact_table(
    folder: Folder, table: str, deleted: Deleted | None, spread: Spread | None
) -> int:
    state = stable_input(folder, SealedFiles(folder, table))
    _sweep(folder, table, state)
    if state.listing.unsure:
        return 0  # it is unknown what those cover, which must not be merged elsewhere
    merging = Merging(table, deleted)
    if spread is None:
        return sum(map(merging.merge, runs(state)))
    worth = [run for run in runs(state) if len(run) > 1 or (run and deleted is not None)]
    return sum(spread(merging, [[file.path for file in run] for run in worth]))


def _sweep(folder: Folder, table: str, state: CompactionInput) -> None:
    """Remove what an interrupted compaction left."""
    for name in state.listing.covered:
        folder.sealed_path(table, name).unlink(missing_ok=True)
    for path, writer in folder.unfinished(table).items():
        if writer not in state.running:
            path.unlink(missing_ok=True)


class Merging(NamedTuple):
    """The merging of adjacent files of a table; it can be pickled for other processes.

    Attributes:
        table: the table.
        deleted: what to drop on the way.
    """

    table: str
    deleted: Deleted | None

    def merge_paths(self, paths: Sequence[Path]) -> int:
        """Merge the adjacent files with these paths, as far as they are small enough.

        Returns:
            By how many files the table has shrunk.

        It can safely run twice, even concurrently: of two files with the same segments one counts.
        """
        try:
            files = [open_sealed(path, _gone) for path in paths]
            return sum(map(self.merge, fitting(files)))
        except FileNotFoundError:
            return 0  # another process has merged them

    def merge(self, run: list[ParquetFragment]) -> int:
        """Merge adjacent files, except unreadable ones, and not across those.

        Returns:
            By how many files the table has shrunk.
        """
        try:
            return self._merge(run)
        except UnreadableError as error:
            at = run.index(error.file)
            return self.merge(run[:at]) + self.merge(run[at + 1 :])

    def _merge(self, run: list[ParquetFragment]) -> int:
        parts = [Cleaned(file, self.table, self.deleted) for file in run]
        if len(run) < 2 and not any(part.is_changed for part in parts):
            return 0
        columns = list(dict.fromkeys(column for part in parts for column in part.columns))
        segments = [segment for part in parts for segment in part.segments]
        name = _name_of(run, segments)
        schema = sealed_schema(columns, {})
        special = SpecialFloats.union(_special_floats(part, columns, schema) for part in parts)
        sparse = sparse_metadata(_sparse_keys(parts))
        schema = schema.with_metadata(_description(run, name, segments, special.metadata | sparse))
        groups = _row_groups(parts, columns, schema)
        first = next(groups, no_rows(schema))
        written, spans = 0, NodeSpans(run[0].path)
        chosen = settings(first, special)
        with writing(run[0].path.with_name(str(name)), schema, chosen) as writer:
            for group in chain([first] if first.num_rows else [], groups):
                writer.write_table(group, row_group_size=ROW_GROUP)
                written += -(-group.num_rows // ROW_GROUP)
                spans.add(group)
            room = checksums.room_for(schema, written)
            writer.add_key_value_metadata(spans.metadata | room)
        for file in run:
            file.path.unlink(missing_ok=True)
        return len(run) - 1


def _gone(file: ParquetFragment) -> ParquetFragment | None:
    raise FileNotFoundError(errno.ENOENT, "merged away", str(file.path))


def _name_of(run: list[ParquetFragment], segments: list[SegmentRange]) -> FileName:
    first, last = segments[0].origin, segments[-1].origin
    # Files of others can be between two files of a writer that went on after it was presumed dead.
    if len(run) > 1 and len({each.origin.writer for each in segments}) == 1:
        return SealedName(first.writer, first.number, last.number)
    return MergedName.new()


def _special_floats(part: Cleaned, columns: list[Column], schema: pa.Schema) -> SpecialFloats:
    """The special floats of a file, with the column names of the merged one."""
    names = dict(zip(columns, schema.names[1:], strict=True))
    known = SpecialFloats.of_file(metadata_of(part.file.schema))
    if known is not None:
        here = part.file.file_columns.stored.items()
        return known.renamed({name: names[column] for column, name in here if column in names})
    floats = [column for column in part.file.columns if column in names and column.kind == FLOAT]
    fields = [schema.field(0), *(schema.field(names[column]) for column in floats)]
    return SpecialFloats.union(map(SpecialFloats.of, _tables([part], floats, pa.schema(fields))))


def _sparse_keys(parts: list[Cleaned]) -> dict[str, list[str]]:
    """The keys in sparse columns of any of these files, for each kind."""
    found: dict[str, dict[str, None]] = {}
    for part in parts:
        for kind, keys in part.sparse_keys.items():
            found.setdefault(kind, {}).update(dict.fromkeys(keys))
    return {kind: list(keys) for kind, keys in found.items()}


def _description(
    run: list[ParquetFragment],
    name: FileName,
    segments: list[SegmentRange],
    of_values: dict[str, Any],
) -> dict[bytes, bytes]:
    """The metadata of a file of these segments; table and collection are those of the first file."""
    file_metadata = metadata_of(run[0].schema)
    shared: dict[str, Any] = {
        key: file_metadata[key] for key in ("table", "collection") if key in file_metadata
    }
    if len(run) == 1:  # makes it count instead of the file with the same segments
        shared["rewritten"] = run[0].rewritten + 1
    if isinstance(name, MergedName):
        shared["merged"] = str(name).removesuffix(".parquet")
    writers = writers_metadata(segments)
    shared |= of_values
    return describe_file(**shared, **(writers[0] if len(writers) == 1 else {"writers": writers}))


def _row_groups(
    parts: list[Cleaned], columns: list[Column], schema: pa.Schema
) -> Iterator[pa.Table]:
    """The rows of all files in one schema, in row groups of a full segment's size."""
    waiting: list[pa.Table] = []
    rows, size = 0, 0
    for table in _tables(parts, columns, schema):
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


def _tables(parts: list[Cleaned], columns: list[Column], schema: pa.Schema) -> Iterator[pa.Table]:
    """The remaining rows of all files; raises if a page can't be read."""
    for part in parts:
        for rows in part.rows(columns):
            arrays = [rows.node]
            for column, field in zip(columns, list(schema)[1:], strict=True):
                found = rows.columns.get(column)
                arrays.append(
                    pa.nulls(len(rows.node), field.type)
                    if found is None
                    else _in_type(found, column, field.type)
                )
            yield pa.Table.from_arrays(arrays, schema=schema)


def _in_type(values: Any, column: Column, kind: pa.DataType) -> Any:
    """The values of a file in the type of the merged one."""
    if isinstance(column.kind, SparseKind):
        return column.kind.to_storage(one_array(values))
    return values.cast(kind)  # of older files, with a zone
