"""Kinds of values: small objects with the same methods; adding one changes no other file.

A kind has the Arrow types of its column in live and sealed files, converts Python values to cells
of a live column, and reads sealed columns.
"""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Sequence
from operator import index
from typing import Any, ClassVar, Final, Literal, NamedTuple

from .._arrow import pa, pc
from .._lazy_imports import zoneinfo
from .._report import warn
from ..errors import DamagedFileWarning
from . import instants, json_text
from .chunks import scalar
from .instants import EPOCH, MICROSECOND, UTC_EPOCH

__all__ = [
    "BOOL",
    "BYTES",
    "DATE",
    "DATETIME",
    "FLOAT",
    "INT",
    "JSON",
    "NULL",
    "TEXT",
    "TIMEDELTA",
    "UTC_DATETIME",
    "Cell",
    "Decoded",
    "DetailedKind",
    "Kind",
    "LiveBuffers",
    "ZonedDatetime",
    "zone_of",
]

Cell = Literal["int", "int32", "float", "bool", "null", "text", "bytes", "block", "sparse"]

_DAY_ZERO: Final = dt.date(1970, 1, 1).toordinal()
_BOOLS: Final = {"true": True, "false": False}
#: Errors of reading what is not a value: invalid JSON, a date or time zone that does not exist.
_NO_VALUE: Final = (ValueError, OverflowError, LookupError, RecursionError)


class LiveBuffers(NamedTuple):
    """Arrow buffers: validity (None: no nulls), values, and the bytes of text."""

    offset: int
    buffers: list[Any]


class Kind(ABC):
    """A kind of value; kinds of the same class and name are equal.

    Not a dataclass: twenty of those would take a tenth of the import time.

    Args:
        name: its name in the metadata of fields.
    """

    #: How a value is written for ``parse``, for messages.
    example: ClassVar[str] = "nothing that can be typed"
    #: The cell layout of a live column, by its name in both backends of ``_live``.
    cell: ClassVar[Cell] = "int"
    #: Whether values are mutable, such as lists: readers get copies.
    is_mutable: ClassVar[bool] = False
    _fast_types: ClassVar[tuple[type, ...]] = ()

    def __init__(self, name: str) -> None:
        self.name: Final = name

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Another process has the same object, under its name in the module."""
        return "TEXT" if self.name == "str" else self.name.upper()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def fast_types(self) -> tuple[type, ...]:
        """Exact types whose values are all stored in a cell without conversion."""
        return self._fast_types

    @property
    @abstractmethod
    def live_type(self) -> pa.DataType:
        """The Arrow type of the column in a live table."""

    @property
    def live_types(self) -> tuple[pa.DataType, ...]:
        """Arrow types that the column can have in a live file, including older versions'."""
        return (self.live_type,)

    @property
    def sealed_type(self) -> pa.DataType:
        """The Arrow type of the column in a sealed table and, unless mixed, in the flat table."""
        return self.live_type

    @property
    def storage_type(self) -> pa.DataType:
        """The Arrow type in a Parquet file, if it differs from the flat table's."""
        return self.sealed_type

    @property
    def file_types(self) -> tuple[pa.DataType, ...]:
        """Arrow types that the column has when a sealed file is read, including older versions'."""
        return self.storage_type, self.sealed_type

    def encode(self, value: Any) -> Any:
        """Convert ``value`` for the cell of a live column."""
        return value

    def seal(self, live: pa.Array) -> pa.Array:
        """Convert a live column to the sealed type."""
        return live

    def live(self, column: pa.Array) -> LiveBuffers:
        """The buffers of a column of the sealed type, to copy into a live column."""
        return LiveBuffers(column.offset, column.buffers())

    def column(self, values: list[Any]) -> pa.Array:
        """A column of the sealed type from plain values, None if missing."""
        return pa.array(values, self.sealed_type)

    def to_storage(self, column: pa.Array) -> pa.Array:
        """Convert a column of the sealed type for a file."""
        return column

    def from_storage(self, stored: pa.Array) -> pa.Array:
        """Convert a column of a file to the sealed type."""
        return stored if stored.type == self.sealed_type else stored.cast(self.sealed_type)

    def values(self, column: pa.Array) -> list[Any]:
        """The Python values of a column of the sealed type, None if missing."""
        values: list[Any] = column.to_pylist()
        return values

    def present_values(self, column: pa.Array) -> Sequence[Any]:
        """The same for a column without nulls; numbers as a view of memory."""
        return self.values(column)

    def unreadable(self, column: pa.Array) -> list[int]:  # noqa: ARG002 - most kinds read any bytes
        """Positions in a column of the sealed type that do not hold a valid value."""
        return []

    def check(self, stored: pa.Array) -> None:  # noqa: B027 - for most kinds the type is enough
        """Raise for a column of a file that can't be converted to the sealed type.

        Raises:
            ValueError: it has the right type, but invalid contents.
        """

    def json(self, column: pa.Array) -> list[str | None]:
        """The values as JSON text, for formats without a better form."""
        return [None if each is None else self.json_of(each) for each in self.values(column)]

    def json_of(self, value: Any) -> str:
        """One value as JSON text."""
        return json_text.dump(value)

    def parse(self, text: str) -> Any:
        """Parse a value on the command line, in the form of JSON lines, with or without quotes.

        Raises:
            ValueError: it is not a value of this kind.
        """
        raise json_text.unfit(text, f"a valid {self.name}")

    def equal(self, column: pa.Array, value: Any) -> pa.Array:
        """Which values of a column of the sealed type equal ``value``; null for missing ones."""
        if value != value:  # noqa: PLR0124 - a search for NaN finds NaN
            return pc.is_nan(column)
        return pc.equal(column, scalar(value, self.sealed_type))


class DetailedKind(Kind, ABC):
    """A kind with parameters, which are part of its name: kinds with equal names are equal."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(vars(self).values())


class Decoded(Kind, ABC):
    """Values decoded from those of the column, not all of which are valid: others are damaged."""

    @abstractmethod
    def encoded(self, column: pa.Array) -> list[Any]:
        """The encoded values of a column of the sealed type, None if missing."""

    @abstractmethod
    def decode(self, encoded: Any) -> Any:
        """Decode a value."""

    def values(self, column: pa.Array) -> list[Any]:
        found, decode = self.encoded(column), self.decode
        try:
            return [None if each is None else decode(each) for each in found]
        except _NO_VALUE:
            return self._those_that_are(found)

    def unreadable(self, column: pa.Array) -> list[int]:
        found = self.encoded(column)
        return [at for at, each in enumerate(found) if each is not None and not self._is_any(each)]

    def _those_that_are(self, found: list[Any]) -> list[Any]:
        is_any = [each is not None and self._is_any(each) for each in found]
        values = [
            self.decode(v) if is_one else None for v, is_one in zip(found, is_any, strict=True)
        ]
        lost = sum(each is not None for each in found) - sum(is_any)
        message = (
            f"{lost} values can't be read as {self.name}, and are missing: a file is damaged."
            " collection.verify() lists which"
        )
        warn(message, DamagedFileWarning, stacklevel=3)
        return values

    def _is_any(self, found: Any) -> bool:
        try:
            self.decode(found)
        except _NO_VALUE:
            return False
        return True


class _Null(Kind):
    """``None`` was set: it creates the key, and removes a value that was set before."""

    cell = "null"

    _fast_types = (type(None),)

    @property
    def live_type(self) -> pa.DataType:
        return pa.bool_()


class _Bool(Kind):
    cell = "bool"
    example = "true or false"

    _fast_types = (bool,)

    @property
    def live_type(self) -> pa.DataType:
        return pa.bool_()

    def present_values(self, column: pa.Array) -> memoryview[Any]:
        return _memory(column.cast(pa.uint8()), 1).cast("?")

    def parse(self, text: str) -> bool:
        if text not in _BOOLS:
            raise json_text.unfit(text, "true or false")
        return _BOOLS[text]


def _memory(column: pa.Array, size: int) -> memoryview[Any]:
    """The memory of a column without nulls, with values of ``size`` bytes."""
    data = column.buffers()[1]
    if data is None:  # an empty column
        return memoryview(b"")
    return memoryview(data).cast("B")[size * column.offset :][: size * len(column)]


class _Number(Kind):
    """Numbers of 8 bytes, stored as in memory."""

    example = "a number such as 0.5"
    #: Their format code for ``memoryview``.
    form: ClassVar[Literal["q", "d"]]

    def values(self, column: pa.Array) -> list[Any]:
        if column.null_count:
            return super().values(column)
        return self.present_values(column).tolist()  # in half the time of to_pylist

    def present_values(self, column: pa.Array) -> memoryview[Any]:
        return _memory(column, 8).cast(self.form)

    def parse(self, text: str) -> int | float:
        return json_text.number_of(text)


class _Int(_Number):
    form = "q"

    _fast_types = (int,)

    @property
    def live_type(self) -> pa.DataType:
        return pa.int64()


class _Float(_Number):
    cell = "float"
    form = "d"

    _fast_types = (float,)

    @property
    def live_type(self) -> pa.DataType:
        return pa.float64()


class _Viewed(Kind, ABC):
    """Bytes of any length: 16 per row, and in the spill buffer if longer than 12."""

    def seal(self, live: pa.Array) -> pa.Array:
        return live.cast(self.sealed_type)


class _Text(_Viewed):
    cell = "text"
    example = "text"

    _fast_types = (str,)

    @property
    def live_type(self) -> pa.DataType:
        return pa.string_view()

    @property
    def sealed_type(self) -> pa.DataType:
        return pa.string()

    def parse(self, text: str) -> Any:
        return json_text.unquoted(text)


class _Bytes(_Viewed):
    cell = "bytes"
    example = "hexadecimal such as 00ff"

    _fast_types = (bytes,)

    @property
    def live_type(self) -> pa.DataType:
        return pa.binary_view()

    @property
    def sealed_type(self) -> pa.DataType:
        return pa.binary()

    def json_of(self, value: bytes) -> str:
        return json_text.dump(value.hex())

    def parse(self, text: str) -> bytes:
        return bytes.fromhex(json_text.unquoted(text))


class _Json(Decoded, _Text):
    example = "a JSON list or object"

    is_mutable = True

    _fast_types = (json_text.JsonCell,)

    def encode(self, value: Any) -> str:
        return json_text.dump(value)

    def column(self, values: list[Any]) -> pa.Array:
        texts = [None if each is None else json_text.dump(each) for each in values]
        return pa.array(texts, pa.string())

    def encoded(self, column: pa.Array) -> list[Any]:
        texts: list[Any] = column.to_pylist()
        return texts

    def decode(self, encoded: str) -> Any:
        return json_text.load(encoded)

    def json(self, column: pa.Array) -> list[str | None]:
        texts: list[str | None] = column.to_pylist()
        return texts

    def parse(self, text: str) -> Any:
        found = json_text.load(text)
        if not isinstance(found, (list, dict)):
            raise json_text.unfit(text, "a list or an object")
        return found

    def equal(self, column: pa.Array, value: Any) -> pa.Array:
        found = [None if v is None else json_text.same(v, value) for v in self.values(column)]
        return pa.array(found, pa.bool_())


class _Date(Decoded):
    cell = "int32"
    example = "an ISO 8601 date such as 2026-01-31"

    @property
    def live_type(self) -> pa.DataType:
        return pa.date32()

    def encode(self, value: dt.date) -> int:
        return index(value.toordinal() - _DAY_ZERO)

    def encoded(self, column: pa.Array) -> list[Any]:
        days: list[Any] = column.cast(pa.int32()).to_pylist()
        return days

    def decode(self, encoded: int) -> dt.date:
        return dt.date.fromordinal(encoded + _DAY_ZERO)

    def json_of(self, value: dt.date) -> str:
        return json_text.dump(value.isoformat())

    def parse(self, text: str) -> dt.date:
        return dt.date.fromisoformat(json_text.unquoted(text))


class _Instant(Decoded, ABC):
    def column(self, values: list[Any]) -> pa.Array:
        ticks = [None if each is None else self.encode(each) for each in values]
        return pa.array(ticks, pa.int64()).cast(self.sealed_type)

    def encoded(self, column: pa.Array) -> list[Any]:
        ticks: list[Any] = column.cast(pa.int64()).to_pylist()
        return ticks

    def equal(self, column: pa.Array, value: Any) -> pa.Array:
        return pc.equal(column.cast(pa.int64()), self.encode(value))


class _NaiveDatetime(_Instant):
    _fast_types = (instants.NaiveCell,)
    example = "an ISO 8601 time without a zone such as 2026-01-31T12:00:00"

    def parse(self, text: str) -> dt.datetime:
        return _parsed_time(text, has_zone=False)

    @property
    def live_type(self) -> pa.DataType:
        return pa.timestamp("us")

    def encode(self, value: dt.datetime) -> int:
        return index((value - EPOCH) // MICROSECOND)

    def decode(self, encoded: int) -> dt.datetime:
        return EPOCH + dt.timedelta(microseconds=encoded)

    def json_of(self, value: dt.datetime) -> str:
        return json_text.dump(value.isoformat())


class ZonedDatetime(_Instant, DetailedKind):
    """An instant and its time zone: an IANA name, or an offset such as ``+02:00``.

    Files store it in UTC, with the zone in the field's metadata: if a reader does not know a zone,
    it may fail for the whole file, as Polars does.
    """

    example = "an ISO 8601 time with a zone such as 2026-01-31T12:00:00+00:00"

    def __init__(self, name: str, zone: str) -> None:
        super().__init__(name)
        self.zone: Final = zone

    @property
    def fast_types(self) -> tuple[type, ...]:
        return (instants.UtcCell,) if self.zone == "UTC" else ()

    def parse(self, text: str) -> dt.datetime:
        return _parsed_time(text, has_zone=True)

    @property
    def live_type(self) -> pa.DataType:
        return pa.timestamp("us", "UTC")

    @property
    def live_types(self) -> tuple[pa.DataType, ...]:
        return self.live_type, self.sealed_type

    @property
    def sealed_type(self) -> pa.DataType:
        return pa.timestamp("us", self.zone)

    @property
    def storage_type(self) -> pa.DataType:
        return self.live_type

    def seal(self, live: pa.Array) -> pa.Array:
        return live.cast(self.sealed_type)

    def to_storage(self, column: pa.Array) -> pa.Array:
        return column.cast(self.storage_type)

    def encode(self, value: dt.datetime) -> int:
        return index((value - UTC_EPOCH) // MICROSECOND)

    def decode(self, encoded: int) -> dt.datetime:
        utc = UTC_EPOCH + dt.timedelta(microseconds=encoded)
        return utc.astimezone(zone_of(self.zone))

    def json_of(self, value: dt.datetime) -> str:
        return json_text.dump(value.isoformat())


class _Timedelta(_Instant):
    _fast_types = (instants.DurationCell,)
    example = "seconds such as 1.5"

    def parse(self, text: str) -> dt.timedelta:
        return dt.timedelta(seconds=json_text.number_of(text))

    @property
    def live_type(self) -> pa.DataType:
        return pa.duration("us")

    def encode(self, value: dt.timedelta) -> int:
        return index(value // MICROSECOND)

    def decode(self, encoded: int) -> dt.timedelta:
        return dt.timedelta(microseconds=encoded)

    def json_of(self, value: dt.timedelta) -> str:
        return json_text.dump(value.total_seconds())


def _parsed_time(text: str, *, has_zone: bool) -> dt.datetime:
    bare = json_text.unquoted(text)
    found = dt.datetime.fromisoformat(bare)
    if (found.tzinfo is not None) != has_zone or not set(bare) & {"T", " "}:
        raise json_text.unfit(text, f"a time {'with' if has_zone else 'without'} a zone")
    return found


def zone_of(name: str) -> dt.tzinfo:
    """The time zone with an IANA name, or an offset such as ``+02:00``."""
    if name == "UTC":
        return dt.UTC
    if name[0] in "+-":
        hours, minutes = name[1:].split(":")
        offset = dt.timedelta(hours=int(hours), minutes=int(minutes))
        return dt.timezone(offset if name[0] == "+" else -offset)
    return zoneinfo.ZoneInfo(name)


NULL: Final = _Null("null")
BOOL: Final = _Bool("bool")
INT: Final = _Int("int")
FLOAT: Final = _Float("float")
TEXT: Final = _Text("str")
BYTES: Final = _Bytes("bytes")
JSON: Final = _Json("json")
DATE: Final = _Date("date")
DATETIME: Final = _NaiveDatetime("datetime")
TIMEDELTA: Final = _Timedelta("timedelta")
UTC_DATETIME: Final = ZonedDatetime("datetime[UTC]", "UTC")
