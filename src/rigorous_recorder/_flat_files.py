"""Flat files: the flat table as Parquet, Arrow, CSV or JSON lines, and back."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ._columns import Columns, columns_of
from ._durable import replacing
from ._engines.arrow import flat_schema, flat_type, stream
from ._engines.rows import rows_of
from ._engines.scan import Scan
from ._engines.special_floats import special_floats
from ._lazy import lazy_module
from ._live.column import META, Column, described
from ._values.bigints import BIGINT, BIGINT_TEXT
from ._values.kinds import BOOL, DATE, FLOAT, INT, JSON, NULL, TEXT, Kind, ZonedDatetime
from .errors import DamagedFileError, UnknownFileTypeError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    from pyarrow import csv, ipc
else:
    pa = lazy_module("pyarrow")
    csv = lazy_module("pyarrow.csv")
    ipc = lazy_module("pyarrow.ipc")
    pc = lazy_module("pyarrow.compute")
    pq = lazy_module("pyarrow.parquet")

__all__ = ["SUFFIXES", "load_flat", "save_flat"]

#: Zones that the databases of all readers have; columns of others are in UTC.
_COMMON_ZONE: Final = re.compile(r"UTC|(?!posix|right)[A-Z][A-Za-z_]*(/[A-Za-z0-9_+-]+)+")

#: The kinds that have a form of their own in CSV.
_CSV_KINDS: Final = {
    kind.name: kind for kind in (BOOL, INT, BIGINT, BIGINT_TEXT, FLOAT, TEXT, JSON, DATE)
}
#: The names of the others, whose values are text there.
_TEXT_KINDS: Final = re.compile(r"bytes|timedelta|datetime(\[.+\])?|(array|list)\[.+\]")

_Tell = Callable[[int], None]
"""Called with the number of rows that were written just now."""


def save_flat(
    scan: Scan,
    path: Path,
    progress: Callable[[int, int], object] | None = None,
    *,
    others: Iterable[str] = (),
) -> None:
    """Write the flat table to a file whose suffix names the format; it appears whole or not.

    Args:
        progress: called with the number of rows written so far, and of all rows.
        others: suffixes that the caller takes besides.

    Raises:
        UnknownFileTypeError: the suffix is not one of ``SUFFIXES``.
        OSError: the file can't be written.
    """
    save = _format(path, others)[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        save(scan, temporary, _counter(scan, progress))


def _counter(scan: Scan, progress: Callable[[int, int], object] | None) -> _Tell:
    if progress is None:
        return lambda _: None
    total, done = scan.row_count(), 0

    def count(rows: int) -> None:
        nonlocal done
        done += rows
        progress(done, total)

    count(0)
    return count


def load_flat(path: Path, *, others: Iterable[str] = ()) -> tuple[int, Columns]:
    """The number of rows, and the columns, of a file that ``save_flat`` or another tool wrote.

    Args:
        others: suffixes that the caller takes besides.

    Raises:
        UnknownFileTypeError: the suffix is not one of ``SUFFIXES``.
        DamagedFileError: the file is not what its suffix says.
    """
    load = _format(path, others)[1]
    try:
        return load(path)
    except (pa.ArrowException, OSError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's; pyarrow's own have no number and tell of damage
        message = f"{path} can't be read as {path.suffix}: {error}"
        raise DamagedFileError(message) from error


def _format(
    path: Path, others: Iterable[str]
) -> tuple[Callable[[Scan, Path, _Tell], None], Callable[[Path], tuple[int, Columns]]]:
    if path.suffix.lower() not in SUFFIXES:
        message = (
            f"{path.name}: the suffix {path.suffix!r} names no format; expected"
            f" {', '.join([*others, *SUFFIXES])}"
        )
        raise UnknownFileTypeError(message)
    return SUFFIXES[path.suffix.lower()]


def _described(scan: Scan, types: Callable[[Kind], pa.DataType]) -> pa.Schema:
    """The flat schema with these types, and with the key and kind of each column as metadata.

    A file without columns can't tell how many rows it has but by its metadata.
    """
    fields = [
        pa.field(name, types(kind), metadata=described(scan.flats[name].key, kind))
        for name, kind in scan.flat_kinds.items()
    ]
    rows = json.dumps({"rows": scan.row_count()}).encode() if not fields else b""
    return pa.schema(fields, metadata={META: rows} if rows else None)


def _any_reader_type(kind: Kind) -> pa.DataType:
    """The type of a flat column as any reader of Arrow takes it."""
    if isinstance(kind, ZonedDatetime) and not _COMMON_ZONE.fullmatch(kind.zone):
        return kind.file_type
    return flat_type(kind)


def _parquet_type(kind: Kind) -> pa.DataType:
    is_plain = kind == NULL or isinstance(kind, ZonedDatetime)
    return _any_reader_type(kind) if is_plain else kind.file_type


def _batches(scan: Scan, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The flat table with the types of a file's schema."""
    kinds = list(scan.flat_kinds.values())
    for batch in stream(scan):
        arrays = [
            values if values.type == field.type else kind.file(values)
            for values, kind, field in zip(batch.columns, kinds, schema, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema) if arrays else batch


def _save_parquet(scan: Scan, path: Path, tell: _Tell) -> None:
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
            tell(batch.num_rows)


def _load_parquet(path: Path) -> tuple[int, Columns]:
    with pq.ParquetFile(path) as file:
        return _loaded(file.read())


def _save_arrow(scan: Scan, path: Path, tell: _Tell) -> None:
    schema = _described(scan, _any_reader_type)
    with ipc.new_file(path, schema) as writer:
        for batch in _batches(scan, schema):
            if schema.names:
                writer.write_batch(batch)
            tell(batch.num_rows)


def _load_arrow(path: Path) -> tuple[int, Columns]:
    with pa.OSFile(str(path)) as source, ipc.open_file(source) as file:
        return _loaded(file.read_all())


def _loaded(table: pa.Table) -> tuple[int, Columns]:
    rows, columns = columns_of(_valid(table))
    reported = (table.schema.metadata or {}).get(META)
    return (rows, columns) if columns or not reported else (json.loads(reported)["rows"], columns)


def _valid(table: pa.Table) -> pa.Table:
    """The table, where a damaged file did not put bytes in it that are no value of their type."""
    table.validate(full=True)
    return table


def _save_csv(scan: Scan, path: Path, tell: _Tell) -> None:
    kinds = scan.flat_kinds
    schema = pa.schema(
        [
            field if _is_in_csv(kind) else pa.field(field.name, pa.string())
            for field, kind in zip(flat_schema(scan), kinds.values(), strict=True)
        ]
    )
    with csv.CSVWriter(path, schema) as writer:
        for batch in stream(scan):
            arrays = [
                values if _is_in_csv(kind) else pa.array(_texts(kind, values), pa.string())
                for values, kind in zip(batch.columns, kinds.values(), strict=True)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
            tell(batch.num_rows)


def _is_in_csv(kind: Kind) -> bool:
    return kind == NULL or kind.name in _CSV_KINDS


def _texts(kind: Kind, values: pa.Array) -> list[str | None]:
    """Values without a form of their own in CSV: as in JSON, text without its quotes."""
    return [each if each is None else _unquoted(each) for each in kind.json(values)]


def _unquoted(text: str) -> str:
    value = json.loads(text)
    return value if isinstance(value, str) else text


def _load_csv(path: Path) -> tuple[int, Columns]:
    if path.stat().st_size == 0:
        return 0, {}
    # With one column a missing value is an empty line.
    lines = csv.ParseOptions(ignore_empty_lines=False)
    with csv.open_csv(path, parse_options=lines) as file:
        of_other_kinds = _columns_of_other_kinds(file.schema.names)
    types = {name: each.kind.sealed_type for name, each in of_other_kinds.items()}
    options = csv.ConvertOptions(
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        column_types=types,
    )
    table = csv.read_csv(path, parse_options=lines, convert_options=options)
    names = [name for name in table.column_names if name not in types]
    if rounded := [name for name in names if _may_be_rounded(table, name)]:
        options.column_types = types | dict.fromkeys(rounded, pa.string())
        texts = csv.read_csv(path, parse_options=lines, convert_options=options)
        table = _with_ints(table, texts.select(rounded))
    fields = [_with_key(field, of_other_kinds.get(field.name)) for field in table.schema]
    return columns_of(table.cast(pa.schema(fields)))


def _may_be_rounded(table: pa.Table, name: str) -> bool:
    """Whether a column has doubles that may have been ints of more than 64 bits."""
    if table.column_names.count(name) > 1 or not pa.types.is_float64(table.field(name).type):
        return False
    return bool(pc.any(pc.greater_equal(pc.abs(table.column(name)), float(2**63))).as_py())


def _with_ints(table: pa.Table, texts: pa.Table) -> pa.Table:
    """A table with those of some columns as their digits that are of ints alone."""
    for name in texts.column_names:
        digits = texts.column(name)
        if pc.all(pc.match_substring_regex(digits, r"^-?\d+$")).as_py():
            field = pa.field(name, pa.string(), metadata=described(name, BIGINT_TEXT))
            table = table.set_column(table.column_names.index(name), field, digits)
    return table


def _columns_of_other_kinds(names: Sequence[str]) -> dict[str, Column]:
    """The columns that are named ``key:kind`` beside one that is named as the key."""
    keys, found = set(names), dict[str, Column]()
    for name in names:
        for at in (at for at, letter in enumerate(name) if letter == ":"):
            key, kind = name[:at], name[at + 1 :].rstrip("_")
            if key in keys and (kind in _CSV_KINDS or _TEXT_KINDS.fullmatch(kind)):
                found[name] = Column(key, _CSV_KINDS.get(kind, TEXT))
    return found


def _with_key(field: pa.Field, column: Column | None) -> pa.Field:
    return field if column is None else field.with_metadata(described(column.key, column.kind))


def _save_lines(scan: Scan, path: Path, tell: _Tell) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for piece in scan.pieces():
            for row in rows_of(piece, scan):
                file.write(json.dumps(row, ensure_ascii=False, default=_plain) + "\n")
            tell(piece.rows)


def _plain(value: Any) -> Any:
    """What JSON has in place of a value that it has no form for."""
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.hex()
    return value.tolist()


def _load_lines(path: Path) -> tuple[int, Columns]:
    with path.open(encoding="utf-8") as file:
        rows = [_record(line, number) for number, line in enumerate(file, 1) if line.strip()]
    keys = dict.fromkeys(key for row in rows for key in row)
    return len(rows), columns_of({key: [row.get(key) for row in rows] for key in keys})[1]


def _record(line: str, number: int) -> dict[str, Any]:
    row = json.loads(line)
    if not isinstance(row, dict):
        message = f"line {number} is not a JSON object"
        raise DamagedFileError(message)
    return row


SUFFIXES: Final = {
    ".parquet": (_save_parquet, _load_parquet),
    ".arrow": (_save_arrow, _load_arrow),
    ".csv": (_save_csv, _load_csv),
    ".jsonl": (_save_lines, _load_lines),
}
