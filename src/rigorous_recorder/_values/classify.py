"""Classification of values; the only module that decides what can be stored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

from .._lazy_imports import textwrap, zoneinfo
from ..errors import KeyNotTextError, RigorousError, UnsupportedTypeError, UnsupportedValueError
from . import json_text
from .arrays import DTYPES, ArrayKind, ListKind
from .bigints import BIGINT, BIGINT_TEXT, int_kind
from .devices.libraries import device_value, fetch_each, is_on_device, library_of
from .devices.torch import numpy_of
from .devices.values import WIDENED, DeviceValue, Unavailable
from .foreign_values import (
    check_is_bare,
    is_arrow_scalar,
    is_masked,
    is_missing,
    is_numpy_time,
    plain_datetime,
    plain_numpy_time,
    plain_timedelta,
)
from .kinds import (
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
    Kind,
    ZonedDatetime,
)
from .plain_forms import NO_FORM, Unread, plain_form

__all__ = ["Classified", "check_key", "classify", "classify_unread", "kind_named", "unreadable"]

_INT64_LIMIT: Final = 2**63
#: Arrow's views address bytes with 31 bits.
_MOST_BYTES: Final = 2**31 - 1
_STORED: Final = (
    "Supported are bool, int, float, str, bytes, date, datetime, timedelta, None, numpy, torch and jax"
    " scalars and arrays, dict and list, and what docs/values.md lists"
)
_SIMPLE: Final = {
    kind.name: kind
    for kind in (
        NULL,
        BOOL,
        INT,
        BIGINT,
        BIGINT_TEXT,
        FLOAT,
        TEXT,
        BYTES,
        JSON,
        DATE,
        DATETIME,
        TIMEDELTA,
    )
}

Classified = tuple[Kind, Any]


def check_key(key: object) -> str:
    """``key`` as a plain str.

    Raises:
        KeyNotTextError: it is not a str.
        UnsupportedValueError: it has a lone surrogate, which no file format can store.
    """
    if not isinstance(key, str):
        message = (
            f"the key {key!r} is of type {type(key).__name__}; a key is the name of a column and"
            " must be a str. Convert it with str()"
        )
        raise KeyNotTextError(message)
    text = str.__str__(key)
    _check_unicode("the key", text)
    return text


def classify(key: str, value: Any) -> Classified:
    """The kind of ``value``, and the plain value of that kind, which reads back equal.

    Raises:
        UnsupportedTypeError: values of this type can't be stored.
        UnsupportedValueError: the type can be stored, but not this value.
    """
    kind, found = classify_unread(key, value)
    if isinstance(found, DeviceValue):
        [found] = fetch_each([found])
        if isinstance(found, Unavailable):
            raise unreadable(key, value, found.error) from found.error
    return kind, found


def classify_unread(key: str, value: Any) -> Classified:
    """Like ``classify``, but without waiting: a tensor on a device becomes a ``DeviceValue``.

    Raises:
        UnsupportedTypeError: values of this type can't be stored.
        UnsupportedValueError: the type can be stored, but not this value.
    """
    if type(value) is DeviceValue:
        return value.kind, value
    for base, rule in _RULES:
        if isinstance(value, base):
            return rule(key, value)
    return _foreign(key, value)


def kind_named(name: str) -> Kind | None:
    """The kind with this name; None if there is none."""
    if name in _SIMPLE:
        return _SIMPLE[name]
    family, _, rest = name.partition("[")
    details = rest.removesuffix("]").split(",")
    if family == "datetime":
        return ZonedDatetime(name, details[0])
    if family == "array":
        return ArrayKind.of(details[0], tuple(int(size) for size in details[1].split("x")))
    if family == "list":
        return ListKind.of(details[0], int(details[1]))
    return None


def _null(_key: str, value: None) -> Classified:
    return NULL, value


def _bool(_key: str, value: bool) -> Classified:
    return BOOL, value


def _int(key: str, value: int) -> Classified:
    plain = int(value)
    return int_kind(key, plain), plain


def _float(_key: str, value: float) -> Classified:
    return FLOAT, float(value)


def _text(key: str, value: str) -> Classified:
    plain = str.__str__(value)
    _check_unicode(f"{key!r}: the text", plain)
    _check_size(key, plain)
    return TEXT, plain


def _bytes(key: str, value: bytes | bytearray | memoryview) -> Classified:
    plain = bytes(value)
    _check_size(key, plain)
    return BYTES, plain


def _date(_key: str, value: dt.date) -> Classified:
    return DATE, value


def _timedelta(key: str, value: dt.timedelta) -> Classified:
    if type(value) is not dt.timedelta:
        value = plain_timedelta(key, value)
    if not -_INT64_LIMIT <= TIMEDELTA.encode(value) < _INT64_LIMIT:
        message = (
            f"{key!r}: the timedelta {value!r} is beyond 64 bits of microseconds (292,000 years)."
            " Store it as a float (x.total_seconds())"
        )
        raise UnsupportedValueError(message)
    return TIMEDELTA, value


def _datetime(key: str, value: dt.datetime) -> Classified:
    plain = value if type(value) is dt.datetime else plain_datetime(key, value)
    if plain is None:
        return NULL, None
    if plain.tzinfo is None:
        return DATETIME, plain.replace(fold=0)
    zone = _zone_name(key, plain)
    kind = ZonedDatetime(f"datetime[{zone}]", zone)
    _check_instant(key, plain, kind)
    return kind, plain


def _check_instant(key: str, value: dt.datetime, kind: ZonedDatetime) -> None:
    """Raise for a time that its zone skips, or outside the years 1 to 9999 of UTC."""
    try:
        is_storable = kind.decode(kind.encode(value)).replace(tzinfo=None) == value.replace(
            tzinfo=None
        )
    except OverflowError:
        is_storable = False
    if not is_storable:
        message = (
            f"{key!r}: the datetime {value!r} is a time that its zone skips, or in UTC outside the"
            " years 1 to 9999. Store it without a zone (x.replace(tzinfo=None)) or as text"
            " (x.isoformat())"
        )
        raise UnsupportedValueError(message)


def _zone_name(key: str, value: dt.datetime) -> str:
    zone = value.tzinfo
    if zone is dt.UTC:
        return "UTC"
    if isinstance(zone, zoneinfo.ZoneInfo) and zone.key is not None:
        return zone.key
    if (name := _name_in_pytz(zone, value)) is not None:
        return name
    offset = value.utcoffset()
    if offset is None or offset % dt.timedelta(minutes=1):
        message = (
            f"{key!r}: the time zone {zone!r} of {value!r} has no name and no offset of whole"
            " minutes. Convert it with x.astimezone(datetime.UTC)"
        )
        raise UnsupportedValueError(message)
    minutes = offset // dt.timedelta(minutes=1)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _name_in_pytz(zone: dt.tzinfo | None, value: dt.datetime) -> str | None:
    """The IANA name of a pytz zone, as pandas uses; None if it has no name, or another offset.

    The offset differs if the time was created without ``localize``.
    """
    name = getattr(zone, "zone", None)
    if not isinstance(name, str) or type(zone).__module__.partition(".")[0] != "pytz":
        return None
    try:
        known = zoneinfo.ZoneInfo(name)
    except (OSError, ValueError):  # the zone has no name, or this machine does not know it
        return None
    return name if value.astimezone(known).utcoffset() == value.utcoffset() else None


def _json(key: str, value: Any) -> Classified:
    plain = json_text.plain(key, value)
    try:
        text = json_text.dump(plain)
    except ValueError as error:  # an int with thousands of digits
        message = f"{key!r}: a value inside can't be stored as JSON: {error}"
        raise UnsupportedValueError(message) from error
    _check_unicode(f"{key!r}: a text inside", text)
    _check_size(key, text)
    return JSON, plain


def _foreign(key: str, value: Any) -> Classified:
    """Scalars and arrays of numpy, torch, jax and the like, recognized by their methods."""
    try:
        return _read(key, value)
    except RigorousError:
        raise
    except Exception as error:  # whatever another library raises
        raise unreadable(key, value, error) from error


def _read(key: str, value: Any) -> Classified:
    if is_on_device(value) and (pending := device_value(value)) is not None:
        return pending.kind, pending
    if is_missing(value):
        return NULL, None
    if library_of(value) == "torch" and hasattr(value, "detach"):
        return _torch(key, value)
    if _is_tensor(value) and _has_numbers(value):
        check_is_bare(key, value)
        return _scalar(key, value) if not tuple(value.shape) else _array(key, value)
    if is_arrow_scalar(value):
        return classify(key, value.as_py())
    return _formed(key, value)


def _formed(key: str, value: Any) -> Classified:
    """A value of a type with a plain form."""
    form = plain_form(value)
    if form is NO_FORM or type(form) is type(value):
        raise _unsupported(key, value)
    return classify_unread(key, form)


def _is_tensor(value: Any) -> bool:
    """Whether it has a dtype and a shape."""
    return hasattr(value, "dtype") and hasattr(value, "shape")


def _has_numbers(value: Any) -> bool:
    """Whether it has values, rather than being a mere description of an array."""
    kind = type(value)  # instances can have arbitrary attributes
    return hasattr(kind, "item") or hasattr(kind, "tobytes") or hasattr(kind, "__array__")


def _torch(key: str, value: Any) -> Classified:
    tensor = value.detach()
    if tensor.dim() == 0:
        return classify(key, tensor.item())
    return _array(key, numpy_of(tensor.resolve_conj().resolve_neg().cpu()))


def _scalar(key: str, value: Any) -> Classified:
    if is_numpy_time(value):
        return classify(key, plain_numpy_time(key, value))
    item = value.item()
    if hasattr(item, "dtype") or isinstance(item, complex):
        raise _unsupported(key, value)
    return classify(key, item)


def _array(key: str, value: Any) -> Classified:
    if is_masked(value):
        if value.mask.any():
            return _json(key, value.tolist())  # a list can have None in place of a number
        value = value.data
    dtype, shape = _native_name(value.dtype), tuple(int(size) for size in value.shape)
    array = value if hasattr(value, "tobytes") else value.__array__()
    dtype = WIDENED.get(dtype, dtype)
    if dtype not in DTYPES and dtype != "bool":
        raise _unsupported_array(key, value)
    if str(array.dtype) != dtype:
        array = array.astype(dtype)
    if 0 in shape[:-1]:
        message = (
            f"{key!r}: an array without elements of shape {shape} would lose its shape. Give the"
            " shape a key of its own"
        )
        raise UnsupportedValueError(message)
    if dtype == "bool" or 0 in shape:
        return ListKind.of(dtype, len(shape)), array
    return ArrayKind.of(dtype, shape), array


def _native_name(dtype: Any) -> str:
    """The name of a dtype; numbers in another byte order have that of the native one."""
    return str(dtype if getattr(dtype, "isnative", True) else dtype.newbyteorder("="))


def _unsupported_array(key: str, value: Any) -> UnsupportedTypeError:
    dtype = value.dtype
    way_out = "x.astype('float64') or x.tolist()" if hasattr(value, "astype") else "x.to_list()"
    message = (
        f"{key!r}: a {type(value).__name__} of dtype {dtype} can't be stored; expected bool, int,"
        f" uint or float of up to 64 bits. Convert it with {way_out}"
    )
    return UnsupportedTypeError(message)


def _unsupported(key: str, value: Any) -> UnsupportedTypeError:
    if isinstance(value, Unread):
        return UnsupportedTypeError(f"{key!r}: {value.reason}")
    shown = type(value).__qualname__
    message = (
        f"{key!r}: a value of type {shown} can't be stored. {_STORED}. Convert it, for example with"
        " str(x) or float(x)"
    )
    return UnsupportedTypeError(message)


def unreadable(key: str, value: Any, error: Exception) -> UnsupportedTypeError:
    """The error for a value whose numbers can't be read."""
    reason = textwrap.shorten(str(error), 200)
    message = (
        f"{key!r}: a value of type {type(value).__qualname__} has no numbers that can be read here:"
        f" {type(error).__name__}: {reason}. Push it where it has them, as a number or an array of"
        " numpy, torch or jax; inside jax.jit call jax.debug.callback"
    )
    return UnsupportedTypeError(message)


def _check_size(key: str, text: str | bytes) -> None:
    """Raise for values that exceed the addresses of a column; a character has up to 4 bytes."""
    if 4 * len(text) < _MOST_BYTES:
        return
    size = len(text if isinstance(text, bytes) else text.encode())
    if size >= _MOST_BYTES:
        message = (
            f"{key!r}: a value of {size:,} bytes can't be stored; one has less than"
            f" {_MOST_BYTES:,}. Save it to a file, and log its path"
        )
        raise UnsupportedValueError(message)


def _check_unicode(what: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = (
            f"{what} {text[:60]!r} has a lone surrogate at {error.start}, which is not a character."
            " Replace it with x.encode('utf-8', 'replace').decode(), or store bytes"
        )
        raise UnsupportedValueError(message) from None


# bool before int, datetime before date: the first matching base class counts.
_RULES: Final[tuple[tuple[Any, Callable[[str, Any], Classified]], ...]] = (
    (type(None), _null),
    (bool, _bool),
    (int, _int),
    (float, _float),
    (str, _text),
    ((bytes, bytearray, memoryview), _bytes),
    (dt.datetime, _datetime),
    (dt.date, _date),
    (dt.timedelta, _timedelta),
    ((Mapping, list, tuple), _json),
    (type, _formed),
)
