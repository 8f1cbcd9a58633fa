"""Compaction: small sealed files of finished writers become one, by the naming rule."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .._durable import replacing
from .._lazy import lazy_module
from .._live.column import Column
from .._live.segment import sealed_schema
from ..errors import DamagedFileError
from .folder import TABLES, Folder, SealedName
from .fragments import Sealed, open_sealed, warn_damaged
from .locks import locked
from .recover import recover
from .seal import ROW_GROUP, about, describe_file, settings

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
else:
    pa = lazy_module("pyarrow")
    pq = lazy_module("pyarrow.parquet")

__all__ = ["compact"]

#: A file of so many rows is large enough.
_ENOUGH_ROWS: Final = 4_000_000


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
        _sweep(folder)
        return sum(_compact_table(folder, table) for table in TABLES)


def _sweep(folder: Folder) -> None:
    """Take away files that a larger one covers, left by a compaction that was interrupted."""
    for table in TABLES:
        counts = set(folder.sealed(table))
        for name in folder.all_sealed(table):
            if name not in counts:
                folder.sealed_path(table, name).unlink(missing_ok=True)


def _compact_table(folder: Folder, table: str) -> int:
    running = set(folder.writers())
    saved = 0
    for writer, names in groupby(folder.sealed(table), key=lambda name: name.writer):
        if writer not in running:
            saved += sum(
                _merge_if_sound(folder, table, run) for run in _runs(folder, table, list(names))
            )
    return saved


def _merge_if_sound(folder: Folder, table: str, files: list[Sealed]) -> int:
    try:
        return _merge(folder, table, files)
    except DamagedFileError:
        return 0  # whoever read the damaged file has warned of it, by its name


def _runs(folder: Folder, table: str, names: list[SealedName]) -> Iterator[list[Sealed]]:
    """Neighbouring files that are small enough to become one."""
    run: list[Sealed] = []
    for name in names:
        path = folder.sealed_path(table, name)
        try:
            file = open_sealed(path)
        except DamagedFileError as error:
            warn_damaged(path, error)
            yield run
            run = []
            continue
        if sum(each.rows for each in run) + file.rows > _ENOUGH_ROWS:
            yield run
            run = []
        run.append(file)
    yield run


def _merge(folder: Folder, table: str, files: list[Sealed]) -> int:
    if len(files) < 2:
        return 0
    columns = list(dict.fromkeys(column for file in files for column in file.columns))
    segments = [(each.origin.number, each.rows) for file in files for each in file.segments]
    name = SealedName(files[0].origin.writer, segments[0][0], segments[-1][0])
    said = {key: value for key, value in about(files[0].schema).items() if key != "format"}
    schema = sealed_schema(columns, describe_file(**{**said, "segments": segments}))
    with replacing(folder.sealed_path(table, name)) as temporary:
        groups = _row_groups(files, columns, schema)
        first = next(groups)
        with pq.ParquetWriter(temporary, schema, **settings(first)) as writer:
            for group in chain([first], groups):
                writer.write_table(group, row_group_size=ROW_GROUP)
        _check_rows(temporary, files)
    for file in files:
        file.path.unlink(missing_ok=True)
    return len(files) - 1


def _check_rows(temporary: Path, files: list[Sealed]) -> None:
    """Never replace files by one with fewer rows, as where a page could not be read."""
    written, expected = pq.read_metadata(temporary).num_rows, sum(file.rows for file in files)
    if written != expected:
        message = f"{files[0].path} to {files[-1].path.name}: {written} of {expected} rows readable"
        raise DamagedFileError(message)


def _row_groups(files: list[Sealed], columns: list[Column], schema: pa.Schema) -> Iterator[Any]:
    """The rows of all files with one schema, in row groups of a full segment's size."""
    waiting: list[pa.Table] = []
    for file in files:
        for table in file.tables(columns):
            arrays = [table.column(0)]
            for column, field in zip(columns, list(schema)[1:], strict=True):
                there = file.columns.get(column)
                arrays.append(
                    pa.nulls(table.num_rows, field.type) if there is None else table.column(there)
                )
            waiting.append(pa.Table.from_arrays(arrays, schema=schema))
            if sum(each.num_rows for each in waiting) >= ROW_GROUP:
                yield pa.concat_tables(waiting)
                waiting = []
    if waiting:
        yield pa.concat_tables(waiting)
