"""Columns for ``extend``: Arrow, Polars, pandas, numpy or lists, converted to kinds of values."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from textwrap import shorten
from typing import Any, Final

from ._arrow import pa, pc
from ._column_sources import ArrowColumn, Objects, named_columns, rows_without_columns
from ._live.column import Column
from ._values.arrays import DTYPES, ArrayKind, ListKind, dtype_of
from ._values.bigints import BIGINT, BIGINT_TEXT
from ._values.classify import check_key, classify_unread, unreadable
from ._values.devices.libraries import fetch_each
from ._values.devices.values import WIDENED, DeviceValue, Unavailable
from ._values.foreign_values import check_is_bare
from ._values.kinds import (
    BOOL,
    BYTES,
    DATE,
    DATETIME,
    FLOAT,
    INT,
    JSON,
    NULL,
    TEXT,
    TIMEDELTA,
    Decoded,
    Kind,
    ZonedDatetime,
    zone_of,
)
from .errors import RigorousError, UnsupportedTypeError, UnsupportedValueError

__all__ = ["Columns", "columns_of"]

Columns = dict[Column, Any]

_PLAIN: Final[dict[type, Kind]] = {bool: BOOL, int: INT, float: FLOAT, str: TEXT, bytes: BYTES}


def columns_of(data: Any) -> tuple[int, Columns]:
    """The number of rows of column data, and its columns in sealed types.

    Args:
        data: a mapping of names to arrays, lists or series of one length; a Polars or pandas
            DataFrame; an Arrow table or batch; anything with ``__arrow_c_stream__``.

    Raises:
        TypeError: it is none of these, or a column's type can't be stored.
        ValueError: the columns have different lengths, or a value can't be stored.
    """
    named = named_columns(data)
    sizes = {name: len(values) for name, values in named.items()}
    if len(set(sizes.values())) > 1:
        message = f"the columns are not of one length: {sizes}"
        raise UnsupportedValueError(message)
    columns: Columns = {}
    for name, values in named.items():
        found = _column(_key_of(check_key(name), values), values)
        _require_apart(columns, found, name)
        for column, array in found.items():
            columns[column] = pc.coalesce(columns[column], array) if column in columns else array
    return next(iter(sizes.values())) if sizes else rows_without_columns(data), columns


def _key_of(name: str, values: Any) -> str:
    """The key of a column, from its metadata if it is one of several columns of the key."""
    key = values.key if isinstance(values, ArrowColumn) else None
    return key if key is not None and name.startswith(f"{key}:") else name


def _require_apart(columns: Columns, found: Columns, name: str) -> None:
    """Raise if two columns of one key both have a value in a row."""
    keys = {column.key for column in found}
    others = [values.is_valid() for column, values in columns.items() if column.key in keys]
    for values in found.values() if others else ():
        if any(pc.any(pc.and_(values.is_valid(), other)).as_py() for other in others):
            message = (
                f"column {name!r} and another one have the key {next(iter(keys))!r}, and a row has values"
                " in both. Rename one of them, without the metadata of its field"
            )
            raise UnsupportedValueError(message)


def _column(key: str, values: Any) -> Columns:
    try:
        return _columns_of(key, values)
    except (RigorousError, MemoryError):
        raise
    except Exception as error:  # whatever another library, or Arrow, raises
        kind = values.values.type if isinstance(values, ArrowColumn) else type(values).__name__
        message = (
            f"{key!r}: a column of {kind} can't be read: {type(error).__name__}:"
            f" {shorten(str(error), 200)}. Give it as a list of plain values"
        )
        raise UnsupportedTypeError(message) from error


def _columns_of(key: str, values: Any) -> Columns:
    if isinstance(values, ArrowColumn):
        return _from_arrow(key, values)
    if isinstance(values, list):
        return _from_values(key, values)
    return _from_numpy(key, values)


def _from_numpy(key: str, values: Any) -> Columns:
    check_is_bare(key, values)
    if (plain := WIDENED.get(str(values.dtype))) is not None:
        values = values.astype(plain)
    if not getattr(values.dtype, "isnative", True):
        values = values.astype(values.dtype.newbyteorder("="))
    if values.ndim > 1 or values.dtype.kind == "V":
        return _from_values(key, list(values))
    if values.dtype.kind in "OUSc":
        return _from_values(key, values.tolist())
    try:
        return _from_arrow(key, ArrowColumn(pa.array(values)))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError):
        return _from_values(key, list(values))  # dtypes and units that Arrow lacks


def _from_values(key: str, values: list[Any]) -> Columns:
    """Each value in its own kind, as if it had been pushed."""
    if (simple := _all_of_one_type(values)) is not None:
        return {Column(key, simple[0]): simple[1]}
    kinds: dict[Kind, list[Any]] = {}
    found = [classify_unread(key, value) for value in values]
    fetched = iter(fetch_each([plain for _, plain in found if isinstance(plain, DeviceValue)]))
    for row, (kind, unread) in enumerate(found):
        plain = next(fetched) if isinstance(unread, DeviceValue) else unread
        if isinstance(plain, Unavailable):
            raise unreadable(key, values[row], plain.error) from plain.error
        if kind not in kinds:
            kinds[kind] = [None] * len(values)
        kinds[kind][row] = True if kind == NULL else plain
    if isinstance(values, Objects) and len(kinds) > 1:
        kinds.pop(NULL, None)
    return {Column(key, kind): kind.column(plains) for kind, plains in kinds.items()}


def _all_of_one_type(values: list[Any]) -> tuple[Kind, pa.Array] | None:
    """The column of values of one plain type, built at once; None for other values."""
    types = set(map(type, values))
    if isinstance(values, Objects) and len(types) > 1:
        types.discard(type(None))
    kind = _PLAIN.get(types.pop()) if len(types) == 1 else None
    if kind is None:
        return None
    try:
        return kind, pa.array(values, kind.sealed_type)
    except (pa.ArrowException, OverflowError, UnicodeError):
        return None  # one of them can't be stored: the slow path names it


def _from_arrow(key: str, column: ArrowColumn) -> Columns:
    values = _storage(key, column)
    if pa.types.is_null(values.type):
        return {Column(key, NULL): pa.repeat(pa.scalar(True), len(values))}
    if pa.types.is_uint64(values.type) or _is_of_whole_decimals(values.type):
        return _from_ints(key, values)
    if column.kind == BIGINT_TEXT.name:
        return _from_values(key, Objects(map(_int_or_none, values.to_pylist())))
    kind = JSON if column.kind == JSON.name else _kind_of(key, values, column.zone)
    if kind is None:
        _require_microseconds(key, values)
        return _from_values(key, values.to_pylist())
    stored = _cast(key, values, kind.sealed_type, kind.name)
    _check_range(key, kind, stored)
    return {Column(key, kind): stored}


def _cast(key: str, values: pa.Array, to: pa.DataType, name: str) -> pa.Array:
    """Convert values to another type, exactly.

    Raises:
        UnsupportedValueError: a value would change.
    """
    try:
        return values.cast(to)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        message = f"{key!r}: a column of {values.type} can't be stored as {name}: {error}"
        if pa.types.is_temporal(values.type):
            message += ". Round it to microseconds, or store it as ints: .cast('int64') of Arrow"
            message += " and Polars (pl.Int64), .astype('int64') of pandas and numpy"
        raise UnsupportedValueError(message) from error


def _require_microseconds(key: str, values: pa.Array) -> None:
    """Raise if a time of day has nanoseconds, which Python's type lacks.

    Raises:
        UnsupportedValueError: it has, at any level of lists and structs.
    """
    if pa.types.is_time64(values.type):
        _cast(key, values, pa.time64("us"), "time")
    elif pa.types.is_struct(values.type):
        for inner in values.flatten():
            _require_microseconds(key, inner)
    elif pa.types.is_map(values.type):
        _require_microseconds(key, values.keys)
        _require_microseconds(key, values.items)
    elif _is_list(values.type):
        _require_microseconds(key, values.flatten())


def _is_of_whole_decimals(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(kind)) and kind.scale <= 0


def _int_or_none(value: Any) -> int | None:
    return None if value is None else int(value)


def _from_ints(key: str, values: pa.Array) -> Columns:
    """Ints of any size: split into those of 64 bits, and larger ones."""
    try:
        return {Column(key, INT): values.cast(INT.sealed_type)}
    except pa.ArrowInvalid:  # some are larger
        pass
    if pa.types.is_decimal(values.type) and values.type.bit_width > 128:
        return _from_values(key, Objects(map(_int_or_none, values.to_pylist())))
    wide = values.cast(BIGINT.sealed_type)
    least, most = (pa.scalar(Decimal(end), wide.type) for end in (-(2**63), 2**63 - 1))
    is_int = pc.and_(pc.greater_equal(wide, least), pc.less_equal(wide, most))
    nothing = pa.scalar(None, wide.type)
    found = {
        Column(key, INT): pc.if_else(is_int, wide, nothing).cast(INT.sealed_type),
        Column(key, BIGINT): pc.if_else(is_int, nothing, wide),
    }
    return {column: each for column, each in found.items() if each.null_count < len(each)}


def _storage(key: str, column: ArrowColumn) -> pa.Array:
    """The values of a column; of an extension type only if its storage is the values.

    Raises:
        UnsupportedTypeError: it is another type, such as pandas' Period, Interval, or months.
    """
    values = column.values
    if pa.types.is_interval(values.type):
        message = (
            f"{key!r}: a column of {values.type} can't be stored: a month has no fixed length. Convert"
            " it to durations, or store months, days and nanoseconds as columns of ints"
        )
        raise UnsupportedTypeError(message)
    if column.extension is None:
        return values
    if column.extension == "arrow.json":  # texts
        return getattr(values, "storage", values)
    if column.extension == "arrow.bool8" and isinstance(values, pa.ExtensionArray):
        return values.storage.cast(pa.bool_())
    message = (
        f"{key!r}: a column of the extension type {column.extension!r} can't be stored. Convert it,"
        " for example to text (of pandas: x.astype(str); of Arrow: x.cast(pa.string()))"
    )
    raise UnsupportedTypeError(message)


def _check_range(key: str, kind: Kind, values: pa.Array) -> None:
    """Raise if a time is outside the range of Python's years.

    Raises:
        UnsupportedValueError: it is.
    """
    if not (
        isinstance(kind, ZonedDatetime) or (isinstance(kind, Decoded) and kind in {DATE, DATETIME})
    ):
        return
    ends = pc.min_max(values.cast(pa.int32() if kind == DATE else pa.int64())).as_py()
    try:
        for end in {ends["min"], ends["max"]} - {None}:
            kind.decode(end)
    except (OverflowError, ValueError) as error:
        message = (
            f"{key!r}: a column of {values.type} has a {kind.name} that is outside the years 1 to"
            " 9999. Convert it to text or to ints"
        )
        raise UnsupportedValueError(message) from error


def _kind_of(key: str, values: pa.Array, zone: str | None = None) -> Kind | None:
    """The kind of a whole Arrow column; None if its values have to be classified one by one.

    Args:
        zone: the time zone in the column's metadata.
    """
    for is_it, kind in _simple_types():
        if is_it(values.type):
            return kind
    if pa.types.is_timestamp(values.type):
        return _zoned(key, zone or values.type.tz) if values.type.tz else DATETIME
    if _is_list(values.type):
        return _array_kind(values)
    return None


def _zoned(key: str, zone: str) -> ZonedDatetime:
    try:
        zone_of(zone)
    except (ValueError, LookupError, OSError) as error:  # a name of dateutil's, for one
        message = (
            f"{key!r}: the time zone {zone!r} is not known here, nor an offset as +02:00. Convert the"
            " column to UTC"
        )
        raise UnsupportedValueError(message) from error
    return ZonedDatetime(f"datetime[{zone}]", zone)


def _simple_types() -> list[tuple[Callable[[pa.DataType], bool], Kind]]:
    types = pa.types
    return [
        (types.is_boolean, BOOL),
        (types.is_integer, INT),
        (types.is_floating, FLOAT),
        (lambda t: types.is_string(t) or types.is_large_string(t) or types.is_string_view(t), TEXT),
        (
            lambda t: (
                types.is_binary(t)
                or types.is_large_binary(t)
                or types.is_binary_view(t)
                or types.is_fixed_size_binary(t)
            ),
            BYTES,
        ),
        (types.is_date, DATE),
        (types.is_duration, TIMEDELTA),
    ]


def _array_kind(values: pa.Array) -> Kind | None:
    """The kind of lists of numbers without gaps: arrays, of one shape if the type fixes it."""
    shape: list[int] = []
    is_fixed, inner = True, values.drop_null()
    while _is_list(inner.type):
        is_fixed = is_fixed and pa.types.is_fixed_size_list(inner.type)
        shape.append(inner.type.list_size if is_fixed else -1)
        inner = inner.flatten()
        if inner.null_count:
            return None
    if not is_fixed and shape[1:] and _is_ragged(values.drop_null()):
        return None
    dtype = dtype_of(inner.type)
    if dtype == "bool":
        return ListKind.of(dtype, len(shape))
    if dtype not in DTYPES:
        return None
    return ArrayKind.of(dtype, tuple(shape)) if is_fixed else ListKind.of(dtype, len(shape))


def _is_ragged(values: pa.Array) -> bool:
    """Whether a row has nested lists of different lengths, so that it is not an array."""
    rows = pc.list_parent_indices(values)
    inner = values.flatten()
    while _is_list(inner.type):
        lengths, before = pc.list_value_length(inner), len(inner) - 1
        if before > 0:
            is_new = pc.not_equal(rows.slice(1), rows.slice(0, before))
            is_same = pc.equal(lengths.slice(1), lengths.slice(0, before))
            if not pc.all(pc.or_(is_new, is_same)).as_py():
                return True
        rows, inner = rows.take(pc.list_parent_indices(inner)), inner.flatten()
    return False


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))
