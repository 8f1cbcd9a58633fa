"""Flat files: the flat table as Parquet, Arrow, CSV or JSON lines, written and read."""

from __future__ import annotations

import json
import re
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ._arrow import ipc, pa, pc, pq
from ._columns import Columns, columns_of
from ._durable import replacing
from ._engines.arrow import flat_type, stream
from ._engines.scan import Scan
from ._engines.special_floats import special_floats
from ._lazy import lazy_module
from ._live.column import META, described
from ._spreadsheets import save_sheet
from ._text_files import CsvOptions, advice, load_csv, load_lines, save_csv, save_lines
from ._values.bigints import BIGINT
from ._values.kinds import FLOAT, INT, NULL, Kind, ZonedDatetime
from .errors import (
    ArgumentError,
    DamagedFileError,
    NotEnoughMemoryError,
    UnknownFileTypeError,
    UnsupportedValueError,
)

if TYPE_CHECKING:
    import gzip
    import tempfile
else:
    gzip = lazy_module("gzip")
    tempfile = lazy_module("tempfile")

__all__ = ["SUFFIXES", "CsvOptions", "load_flat", "require_csv", "save_flat"]

#: Time zones that all readers know; columns in others are in UTC.
_COMMON_ZONE: Final = re.compile(r"UTC|(?!posix|right)[A-Z][A-Za-z_]*(/[A-Za-z0-9_+-]+)+")

_LINES: Final = ".jsonl"
_GZIP: Final = ".gz"
#: Bytes per compressed chunk.
_PIECE: Final = 1 << 20
#: Kinds of ints that are unified with floats as doubles, which are exact up to this.
_INTS: Final = frozenset({INT, BIGINT})
_EXACT: Final = 2**53

_Progress = Callable[[int], None]
"""Called with the number of rows just written."""
_Save = Callable[[Scan, Path, _Progress, CsvOptions], None]
_Load = Callable[[Path, CsvOptions], tuple[int, Columns]]


def save_flat(
    scan: Scan,
    path: Path,
    progress: Callable[[int, int], object] | None = None,
    *,
    others: Iterable[str] = (),
    options: CsvOptions | None = None,
) -> None:
    """Write the flat table to a file in the format of its suffix; it appears whole or not at all.

    Args:
        progress: called with the number of rows written so far, and the total.
        others: further suffixes that the caller supports, for messages.
        options: options of CSV.

    Raises:
        UnknownFileTypeError: the suffix is not one of ``SUFFIXES``.
        ArgumentError: there are options, and it is not CSV.
        UnsupportedValueError: the encoding lacks a character, or an int would be rounded because
            its column has floats as well.
        OSError: the file can't be written.
    """
    save = _format(path, others)[0]
    require_csv(path, options)
    if not _suffix(path).startswith(_LINES):
        _require_exact_ints(scan, path.suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        save(scan, temporary, _counter(scan, progress), options or CsvOptions())
        if path.suffix.lower() == _GZIP:
            _compress(temporary)


def _compress(path: Path) -> None:
    """Replace the plain file by the compressed one."""
    compressed = path.with_name(f"{path.name}{_GZIP}")
    try:
        with path.open("rb") as source, gzip.GzipFile(compressed, "wb", mtime=0) as target:
            shutil.copyfileobj(source, target, _PIECE)
        compressed.replace(path)
    finally:
        compressed.unlink(missing_ok=True)


@contextmanager
def _plain(path: Path) -> Iterator[Path]:
    """The file itself, or a temporary plain copy of a compressed one."""
    if path.suffix.lower() != _GZIP:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "plain"
        with gzip.open(path) as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target, _PIECE)
        yield copy


def _suffix(path: Path) -> str:
    """The suffix of the format; of a compressed text file both suffixes."""
    suffix = path.suffix.lower()
    return f"{Path(path.stem).suffix.lower()}{suffix}" if suffix == _GZIP else suffix


def _require_exact_ints(scan: Scan, suffix: str) -> None:
    """Raise for ints that are not exact as doubles, for keys with a column of doubles."""
    mixed = [
        flat.key
        for flat in scan.flats.values()
        if scan.flat_kind(flat.name) == FLOAT and _INTS & scan.kinds_of(flat)
    ]
    for piece in scan.pieces(mixed) if mixed else ():
        piece.unpack(mixed)
        for key in mixed:
            for column, values in piece.by_kind(key, _INTS.__contains__).items():
                if column.kind in _INTS and (rounded := _rounded(column.kind, values)) is not None:
                    message = (
                        f"{key!r}: the int {rounded} would be rounded in {suffix}, where its column has"
                        " floats as well. Save as .jsonl or .pickle, which store each value as it was"
                        " logged; pyarrow.parquet.write_table(records.to_arrow(), ...) rounds"
                    )
                    raise UnsupportedValueError(message)


def _rounded(kind: Kind, values: pa.Array) -> int | None:
    """An int that no double equals; None if there is none."""
    if kind == INT:
        values = values.filter(pc.greater(pc.abs(values), _EXACT))
    return next(
        (each for each in kind.values(values.drop_null()) if int(float(each)) != each), None
    )


def require_csv(path: Path, options: CsvOptions | None) -> None:
    """Raise for options of CSV for another format.

    Raises:
        ArgumentError: there are.
    """
    if options is not None and _suffix(path) not in {".csv", ".csv.gz"}:
        message = f"{path.name}: only a .csv file can have a separator and an encoding"
        raise ArgumentError(message)


def _counter(scan: Scan, progress: Callable[[int, int], object] | None) -> _Progress:
    if progress is None:
        return lambda _: None
    total, done = scan.row_count(), 0

    def count(rows: int) -> None:
        nonlocal done
        done += rows
        progress(done, total)

    count(0)
    return count


def load_flat(
    path: Path, *, others: Iterable[str] = (), options: CsvOptions | None = None
) -> tuple[int, Columns]:
    """The number of rows, and the columns, of a file that ``save_flat`` or another tool wrote.

    Args:
        others: further suffixes that the caller supports, for messages.
        options: options of CSV.

    Raises:
        UnknownFileTypeError: the suffix is not one of ``SUFFIXES``.
        ArgumentError: there are options, and it is not CSV.
        DamagedFileError: the file is not valid in the format of its suffix.
        NotEnoughMemoryError: its rows don't fit into memory.
    """
    load = _format(path, others)[1]
    require_csv(path, options)
    try:
        with _plain(path) as plain:
            found = load(plain, options or CsvOptions())
    except MemoryError as error:
        message = (
            f"{path} ({path.stat().st_size:,} bytes) needs more memory than there is. Read a part"
            " of it, with Polars or DuckDB, and extend a recorder with that; a much smaller file"
            " that needs so much is damaged"
        )
        raise NotEnoughMemoryError(message) from error
    except (DamagedFileError, UnknownFileTypeError):
        raise
    except (pa.ArrowException, OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the system; pyarrow's own have no number and indicate damage
        message = f"{path} can't be read as {path.suffix}: {error}"
        if path.suffix.lower() == ".csv":
            message += advice(path, error)
        raise DamagedFileError(message) from error
    if options is None and path.suffix.lower() == ".csv":
        _require_separated(path)
    return found


def _require_separated(path: Path) -> None:
    """Raise if the only column name of a CSV file looks like several names.

    Raises:
        ArgumentError: it does.
    """
    if hint := advice(path, None):
        message = f"{path} has no comma in its first line{hint}, or ',' if it has one column"
        raise ArgumentError(message)


def _format(path: Path, others: Iterable[str]) -> tuple[_Save, _Load]:
    if _suffix(path) not in SUFFIXES:
        message = (
            f"{path.name}: {path.suffix!r} is not a suffix of a supported format; expected"
            f" {', '.join([*others, *SUFFIXES])}"
        )
        raise UnknownFileTypeError(message)
    return SUFFIXES[_suffix(path)]


def _save_tsv(scan: Scan, path: Path, progress: _Progress, options: CsvOptions) -> None:
    save_csv(scan, path, progress, options._replace(separator="\t"))


def _load_tsv(path: Path, options: CsvOptions) -> tuple[int, Columns]:
    return load_csv(path, options._replace(separator="\t"))


def _save_sheet(scan: Scan, path: Path, progress: _Progress, _options: CsvOptions) -> None:
    save_sheet(scan, path, progress)


def _load_sheet(path: Path, _options: CsvOptions) -> tuple[int, Columns]:
    message = (
        f"{path.name}: Excel sheets can be written, but not read. Read it with"
        " polars.read_excel(...) or pandas.read_excel(...), and extend a recorder with the frame"
    )
    raise UnknownFileTypeError(message)


def _described(scan: Scan, types: Callable[[Kind], pa.DataType]) -> pa.Schema:
    """The flat schema with these types, and the key and kind of each column as metadata.

    The metadata also has the number of rows, for files without columns.
    """
    fields = [
        pa.field(name, types(kind), metadata=described(scan.flats[name].key, kind))
        for name, kind in scan.flat_kinds.items()
    ]
    rows = json.dumps({"rows": scan.row_count()}).encode() if not fields else b""
    return pa.schema(fields, metadata={META: rows} if rows else None)


def _any_reader_type(kind: Kind) -> pa.DataType:
    """The type of a flat column that every reader of Arrow supports."""
    if isinstance(kind, ZonedDatetime) and not _COMMON_ZONE.fullmatch(kind.zone):
        return kind.storage_type
    return flat_type(kind)


def _parquet_type(kind: Kind) -> pa.DataType:
    is_plain = kind == NULL or isinstance(kind, ZonedDatetime)
    return _any_reader_type(kind) if is_plain else kind.storage_type


def _batches(scan: Scan, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The flat table in the types of a file's schema."""
    kinds = list(scan.flat_kinds.values())
    for batch in stream(scan):
        arrays = [
            values if values.type == field.type else kind.to_storage(values)
            for values, kind, field in zip(batch.columns, kinds, schema, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema) if arrays else batch


def _save_parquet(scan: Scan, path: Path, progress: _Progress, _options: CsvOptions) -> None:
    schema = _described(scan, _parquet_type)
    special = special_floats(scan)
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        write_statistics=special.statistics(schema),
        use_dictionary=special.dictionaries(schema),
    ) as writer:
        for batch in _batches(scan, schema):
            if schema.names:
                writer.write_batch(batch)
            progress(batch.num_rows)


def _load_parquet(path: Path, _options: CsvOptions) -> tuple[int, Columns]:
    with pq.ParquetFile(path) as file:
        return _loaded(file.read())


def _save_arrow(scan: Scan, path: Path, progress: _Progress, _options: CsvOptions) -> None:
    schema = _described(scan, _any_reader_type)
    with ipc.new_file(path, schema) as writer:
        for batch in _batches(scan, schema):
            if schema.names:
                writer.write_batch(batch)
            progress(batch.num_rows)


def _load_arrow(path: Path, _options: CsvOptions) -> tuple[int, Columns]:
    with pa.OSFile(str(path)) as source, ipc.open_file(source) as file:
        return _loaded(file.read_all())


def _loaded(table: pa.Table) -> tuple[int, Columns]:
    rows, columns = columns_of(_valid(table))
    reported = (table.schema.metadata or {}).get(META)
    return (rows, columns) if columns or not reported else (json.loads(reported)["rows"], columns)


def _valid(table: pa.Table) -> pa.Table:
    """The table; raise if a damaged file has bytes that are not valid values of their type."""
    table.validate(full=True)
    return table


SUFFIXES: Final = {
    ".parquet": (_save_parquet, _load_parquet),
    ".arrow": (_save_arrow, _load_arrow),
    ".csv": (save_csv, load_csv),
    ".tsv": (_save_tsv, _load_tsv),
    ".jsonl": (save_lines, load_lines),
    ".xlsx": (_save_sheet, _load_sheet),
    ".csv.gz": (save_csv, load_csv),
    ".tsv.gz": (_save_tsv, _load_tsv),
    ".jsonl.gz": (save_lines, load_lines),
}
