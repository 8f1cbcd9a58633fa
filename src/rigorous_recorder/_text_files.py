"""Text files of the flat table: CSV and JSON lines."""

from __future__ import annotations

import codecs
import datetime as dt
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from ._arrow import csv, pa, pc
from ._columns import Columns, columns_of
from ._engines.arrow import stream
from ._engines.rows import rows_of
from ._engines.scan import Scan
from ._live.column import Column, described
from ._values import json_floats
from ._values.bigints import BIGINT, BIGINT_TEXT
from ._values.kinds import BOOL, DATE, FLOAT, INT, JSON, NULL, TEXT, Kind
from .errors import ArgumentError, DamagedFileError, UnsupportedValueError

__all__ = ["CsvOptions", "advice", "cell_texts", "load_csv", "load_lines", "save_csv", "save_lines"]

_Progress = Callable[[int], None]
"""Called with the number of rows just written."""

#: Characters of numbers, dates and booleans, which are not quoted.
_IN_CELLS: Final = frozenset('"+-.\r\n\0')
#: Kinds whose values are not quoted, like floats.
_BARE: Final = {BOOL, INT, BIGINT, DATE}
#: The kinds with a form of their own in CSV.
_OWN_FORM: Final = {
    kind.name: kind for kind in (BOOL, INT, BIGINT, BIGINT_TEXT, FLOAT, TEXT, JSON, DATE)
}
#: The names of the other kinds, whose values are text there.
_TEXT_KINDS: Final = re.compile(r"bytes|timedelta|datetime(\[.+\])?|(array|list)\[.+\]")
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class CsvOptions(NamedTuple):
    """The format of a CSV file.

    Attributes:
        separator: the separator of cells.
        encoding: the encoding; None is UTF-8, or on reading what the first bytes indicate.
    """

    separator: str = ","
    encoding: str | None = None

    @classmethod
    def checked(cls, separator: str | None, encoding: str | None) -> CsvOptions | None:
        """The options that were given; None if none was.

        Raises:
            ArgumentError: it is not a valid separator or encoding.
        """
        if separator is None and encoding is None:
            return None
        found = cls(cls().separator if separator is None else separator, encoding)
        if not _is_separator(found.separator):
            message = (
                f"separator {separator!r}: expected one ASCII character that does not occur in numbers,"
                " dates or quotes, such as ',', ';' or a tab"
            )
            raise ArgumentError(message)
        _check_encoding(found.encoding)
        return found


def _is_separator(text: Any) -> bool:
    is_one = isinstance(text, str) and len(text) == 1 and text.isascii()
    return is_one and not text.isalnum() and text not in _IN_CELLS


def _check_encoding(name: str | None) -> None:
    try:
        "".encode(name or "utf-8")
    except (LookupError, TypeError, ValueError) as error:
        message = f"encoding {name!r} is not a text encoding of Python, such as 'utf-8-sig'"
        raise ArgumentError(message) from error


# --- CSV -----------------------------------------------------------------------------------------


def save_csv(scan: Scan, path: Path, progress: _Progress, options: CsvOptions) -> None:
    """Write the flat table as CSV.

    Raises:
        UnsupportedValueError: the encoding lacks a character, or a key has the name of another
            key's column; nothing is written.
    """
    kinds = scan.flat_kinds
    _require_own_names(scan)
    encoder = codecs.getincrementalencoder(options.encoding or "utf-8")()
    with path.open("wb") as file:
        try:
            header = options.separator.join(map(_quoted_name, kinds))
            file.write(encoder.encode(f"{header}\n"))
            for batch in stream(scan):
                columns = zip(kinds.values(), batch.columns, strict=True)
                cells = [_cells(kind, values) for kind, values in columns]
                file.write(encoder.encode(_lines(cells, batch.num_rows, options.separator)))
                progress(batch.num_rows)
        except UnicodeEncodeError as error:
            character = error.object[error.start : error.start + 1]
            message = (
                f"{character!r} can't be written as {options.encoding}: choose another encoding, as"
                " 'utf-8-sig'"
            )
            raise UnsupportedValueError(message) from error


def _require_own_names(scan: Scan) -> None:
    """Raise for keys named like columns of other keys, since CSV only has the names."""
    for name, column in _columns_of_other_kinds(list(scan.flats)).items():
        if scan.flats[name].key != column.key:
            message = (
                f"the key {name!r} beside {str(column.key)!r} can't be stored in CSV, where it would"
                f" come back as a value of {str(column.key)!r}. Save as .parquet, .arrow or .jsonl, or"
                " name the key otherwise"
            )
            raise UnsupportedValueError(message)


def _quoted_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _lines(cells: list[pa.Array], rows: int, separator: str) -> str:
    if not cells:  # a record without keys is an empty line
        return "\n" * rows
    joined = pc.binary_join_element_wise(
        *cells, _scalar(separator), null_handling="replace", null_replacement=""
    )
    return "".join(f"{line}\n" for line in joined.to_pylist())


def _cells(kind: Kind, values: pa.Array) -> pa.Array:
    """The cell of each value, null if missing."""
    text = pa.large_string()
    if kind == NULL:
        return pa.nulls(len(values), text)
    if kind == FLOAT:
        return _float_cells(values)
    if kind in _BARE:
        return values.cast(text)
    has_form = kind.name in _OWN_FORM
    texts = values.cast(text) if has_form else pa.array(cell_texts(kind, values), text)
    quote, doubled = _scalar('"'), pc.replace_substring(texts, '"', '""')
    return pc.binary_join_element_wise(quote, doubled, quote, _scalar(""))


def _float_cells(values: pa.Array) -> pa.Array:
    """Numbers that Polars, DuckDB and pandas read as floats: with a point, NaN as ``NaN``."""
    texts = values.cast(pa.large_string())
    is_whole = pc.match_substring_regex(texts, r"^-?\d+$")
    texts = pc.if_else(is_whole, _with_point(texts), texts)
    return pc.if_else(pc.is_nan(values), _scalar("NaN"), texts)


def _with_point(texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(texts, _scalar(".0"), _scalar(""))


def _scalar(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())


def cell_texts(kind: Kind, values: pa.Array) -> list[str | None]:
    """Values without a form of their own in cells: as in JSON, text without quotes."""
    return [each if each is None else _unquoted(each) for each in kind.json(values)]


def _unquoted(text: str) -> str:
    value = json.loads(text)
    return value if isinstance(value, str) else text


def load_csv(path: Path, options: CsvOptions) -> tuple[int, Columns]:
    """The number of rows, and the columns, of a CSV file.

    Raises:
        DamagedFileError: it is not text in the encoding.
    """
    start, size = _start(path), path.stat().st_size
    if not start.strip(b"\r\n"):  # without column names
        lines = path.read_bytes().count(b"\n") if size else 0
        return max(lines - 1, 0), {}
    encoding = options.encoding or ("utf-16" if start[:2] in _UTF_16 else "utf-8")
    table = _table(path, encoding, options.separator)
    for field in table.schema:
        if pa.types.is_binary(field.type):
            message = (
                f"{path}: column {field.name!r} has text that is not {encoding}. Name its encoding:"
                " load_from(path, encoding='latin-1')"
            )
            raise DamagedFileError(message)
    return columns_of(table)


def _table(path: Path, encoding: str, separator: str) -> pa.Table:
    """The columns of a CSV file; those whose name has a key and a kind have these as metadata."""
    reading: dict[str, Any] = {
        "read_options": csv.ReadOptions(encoding=encoding),
        # In a single column, a missing value is an empty line.
        "parse_options": csv.ParseOptions(
            delimiter=separator, ignore_empty_lines=False, newlines_in_values=True
        ),
    }
    with csv.open_csv(path, **reading) as file:
        of_other_kinds = _columns_of_other_kinds(file.schema.names)
    types = {name: each.kind.sealed_type for name, each in of_other_kinds.items()}
    options = csv.ConvertOptions(
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        column_types=types,
    )
    table = csv.read_csv(path, convert_options=options, **reading)
    names = [name for name in table.column_names if name not in types]
    if rounded := [name for name in names if _may_be_rounded(table, name)]:
        options.column_types = types | dict.fromkeys(rounded, pa.string())
        texts = csv.read_csv(path, convert_options=options, **reading)
        table = _with_ints(table, texts.select(rounded))
    fields = [_with_key(field, of_other_kinds.get(field.name)) for field in table.schema]
    return table.cast(pa.schema(fields))


def _may_be_rounded(table: pa.Table, name: str) -> bool:
    """Whether a column has doubles that may have been ints beyond 64 bits."""
    if table.column_names.count(name) > 1 or not pa.types.is_float64(table.field(name).type):
        return False
    return bool(pc.any(pc.greater_equal(pc.abs(table.column(name)), float(2**63))).as_py())


def _with_ints(table: pa.Table, texts: pa.Table) -> pa.Table:
    """A table in which some columns are text if their values are all ints."""
    for name in texts.column_names:
        digits = texts.column(name)
        if pc.all(pc.match_substring_regex(digits, r"^-?\d+$")).as_py():
            field = pa.field(name, pa.string(), metadata=described(name, BIGINT_TEXT))
            table = table.set_column(table.column_names.index(name), field, digits)
    return table


def _columns_of_other_kinds(names: Sequence[str]) -> dict[str, Column]:
    """The columns named ``key:kind`` next to one that is named like the key."""
    keys, found = set(names), dict[str, Column]()
    for name in names:
        for at in (at for at, letter in enumerate(name) if letter == ":"):
            key, kind = name[:at], name[at + 1 :].rstrip("_")
            if key in keys and (kind in _OWN_FORM or _TEXT_KINDS.fullmatch(kind)):
                found[name] = Column(key, _OWN_FORM.get(kind, TEXT))
    return found


def _with_key(field: pa.Field, column: Column | None) -> pa.Field:
    return field if column is None else field.with_metadata(described(column.key, column.kind))


def advice(path: Path, error: Exception | None) -> str:
    """A hint at a missing option, if a CSV file can't be read or has one column; else empty."""
    if isinstance(error, UnicodeDecodeError):
        return ". Name its encoding: load_from(path, encoding='latin-1')"
    header = _start(path).partition(b"\n")[0]
    for separator in (b";", b"\t"):
        if separator in header and b"," not in header and not header.startswith(b'"'):
            return f". Name its separator: load_from(path, separator={separator.decode()!r})"
    return ""


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096)


# --- JSON lines ----------------------------------------------------------------------------------


def save_lines(scan: Scan, path: Path, progress: _Progress, _options: CsvOptions) -> None:
    """Write the records as JSON lines, which every JSON parser accepts."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for piece in scan.pieces():
            for row in rows_of(piece, scan):
                file.write(json_floats.dumps(row, _plain, ensure_ascii=False) + "\n")
            progress(piece.rows)


def _plain(value: Any) -> Any:
    """The JSON form of a value that JSON can't represent."""
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.hex()
    return value.tolist()


def load_lines(path: Path, _options: CsvOptions) -> tuple[int, Columns]:
    """The number of rows, and the columns, of JSON lines.

    Raises:
        DamagedFileError: a line is not an object.
    """
    with path.open(encoding="utf-8-sig") as file:
        rows = [_record(line, number) for number, line in _numbered(file)]
    keys = dict.fromkeys(key for row in rows for key in row)
    return len(rows), columns_of({key: [row.get(key) for row in rows] for key in keys})[1]


def _numbered(lines: Any) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def _record(line: str, number: int) -> dict[str, Any]:
    row = json_floats.loads(line)
    if not isinstance(row, dict):
        message = f"line {number} is not a JSON object"
        raise DamagedFileError(message)
    return row
