"""Columns that are logged at once: Arrow, Polars, pandas, numpy or lists, as kinds of values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ._lazy import lazy_module
from ._live.column import META, Column
from ._values.arrays import DTYPES, ArrayKind, ListKind, dtype_of
from ._values.classify import check_key, classify_unread, unreadable
from ._values.device import DeviceValue, Lost, fetch_each, is_on_device, library_of, numpy_of
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
    Kind,
    ZonedDatetime,
)
from .errors import RigorousError, UnkeepableTypeError, UnkeepableValueError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pa = lazy_module("pyarrow")
    pc = lazy_module("pyarrow.compute")
np = lazy_module("numpy", install="numpy")

__all__ = ["columns_of"]

Columns = dict[Column, Any]

_PLAIN: Final[dict[type, Kind]] = {bool: BOOL, int: INT, float: FLOAT, str: TEXT, bytes: BYTES}


def columns_of(data: Any) -> tuple[int, Columns]:
    """Many records, given as columns: how many, and their columns with the sealed types.

    Args:
        data: a mapping of names to arrays, lists or series of one length; a Polars or pandas
            DataFrame; an Arrow table or batch; anything with ``__arrow_c_stream__``.

    Raises:
        TypeError: it is none of these, or a column's type can't be kept.
        ValueError: the columns are not of one length, or a value can't be kept.
    """
    named = _named(data)
    sizes = {name: len(values) for name, values in named.items()}
    if len(set(sizes.values())) > 1:
        message = f"the columns are not of one length: {sizes}"
        raise UnkeepableValueError(message)
    columns: Columns = {}
    for name, values in named.items():
        columns |= _column(check_key(name), values)
    return next(iter(sizes.values()), 0), columns


def _named(data: Any) -> dict[Any, Any]:
    if isinstance(data, Mapping):
        return {name: _read(name, values) for name, values in data.items()}
    if _is_pandas(data):
        _require_unique(data.columns)
        return {name: _told(data[name]) for name in data.columns}
    if hasattr(data, "__arrow_c_stream__"):
        table = pa.table(data)
        _require_unique(table.column_names)
        return {
            field.name: _Described(table.column(i), field.metadata)
            for i, field in enumerate(table.schema)
        }
    message = (
        "extend takes a mapping of columns, a DataFrame or an Arrow table, not a"
        f" {type(data).__name__}; for one record use push"
    )
    raise UnkeepableTypeError(message)


def _require_unique(names: Iterable[Any]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        message = f"more than one column has the name {twice[0]!r}. Rename all but one"
        raise UnkeepableValueError(message)


class _Described:
    """An Arrow column with what its field said of it."""

    def __init__(self, values: Any, metadata: dict[bytes, bytes] | None = None) -> None:
        self.values = values.combine_chunks() if hasattr(values, "combine_chunks") else values
        self.is_json = META in (metadata or {}) and b'"json"' in (metadata or {})[META]

    def __len__(self) -> int:
        return len(self.values)


def _read(name: Any, values: Any) -> Any:
    try:
        return _told(values)
    except RigorousError:
        raise
    except Exception as error:  # whatever another library's array raises
        message = (
            f"{name!r}: a column of type {type(values).__name__} can't be read:"
            f" {type(error).__name__}: {error}. Give it as a numpy array or a list"
        )
        raise UnkeepableTypeError(message) from error


def _told(values: Any) -> Any:
    """A column as Arrow, as a numpy array, or as a list of values."""
    if isinstance(values, (list, tuple, range)):
        return list(values)
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__"):
        message = f"a column must be an array, a series or a list, not a {type(values).__name__}"
        raise UnkeepableTypeError(message)
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return _Described(values)
    if _is_pandas(values):
        return _from_pandas(values)
    if hasattr(values, "to_arrow"):
        return _Described(values.to_arrow())
    return _in_memory(values) if hasattr(values, "dtype") else list(values)


def _in_memory(array: Any) -> Any:
    """An array as one of numpy, where it is of another library."""
    library = library_of(array)
    if library == "torch":
        return numpy_of(array.detach().resolve_conj().resolve_neg().cpu())
    if library in {"jax", "jaxlib"}:
        return np.asarray(array)
    return array.get() if is_on_device(array) and hasattr(array, "get") else array


def _is_pandas(values: Any) -> bool:
    return type(values).__module__.partition(".")[0] == "pandas"


def _from_pandas(series: Any) -> Any:
    kind = getattr(series.dtype, "kind", "O")
    if (
        isinstance(getattr(series.dtype, "type", None), type)
        and kind in "biuf"
        and not hasattr(series.dtype, "na_value")
    ):
        return series.to_numpy()  # NaN stays NaN: only None and NA are missing
    return _Described(pa.array(series, from_pandas=True))


def _column(key: str, values: Any) -> Columns:
    if isinstance(values, _Described):
        return _from_arrow(key, values)
    if isinstance(values, list):
        return _from_values(key, values)
    if values.dtype.kind in "OUSV" or values.dtype.kind == "c":
        return _from_values(key, list(values) if values.ndim > 1 else values.tolist())
    if values.ndim == 1:
        return _from_arrow(key, _Described(pa.array(values)))
    return _from_values(key, list(values))


def _from_values(key: str, values: list[Any]) -> Columns:
    """Each value by its own kind, as if it had been pushed."""
    if (simple := _all_of_one_type(values)) is not None:
        return {Column(key, simple[0]): simple[1]}
    kinds: dict[Kind, list[Any]] = {}
    found = [classify_unread(key, value) for value in values]
    fetched = iter(fetch_each([plain for _, plain in found if isinstance(plain, DeviceValue)]))
    for row, (kind, unread) in enumerate(found):
        plain = next(fetched) if isinstance(unread, DeviceValue) else unread
        if isinstance(plain, Lost):
            raise unreadable(key, values[row], plain.error) from plain.error
        if kind not in kinds:
            kinds[kind] = [None] * len(values)
        kinds[kind][row] = True if kind == NULL else plain
    return {Column(key, kind): kind.column(plains) for kind, plains in kinds.items()}


def _all_of_one_type(values: list[Any]) -> tuple[Kind, pa.Array] | None:
    """The column of values that are all of one plain type, made at once; None of others."""
    types = set(map(type, values))
    kind = _PLAIN.get(types.pop()) if len(types) == 1 else None
    if kind is None:
        return None
    try:
        return kind, pa.array(values, kind.sealed_type)
    except (pa.ArrowException, OverflowError, UnicodeError):
        return None  # one of them can't be kept: looked at one by one, it is named


def _from_arrow(key: str, described: _Described) -> Columns:
    values = described.values
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_null(values.type):
        return {Column(key, NULL): pa.repeat(pa.scalar(True), len(values))}
    kind = JSON if described.is_json else _kind_of(values)
    if kind is None:
        return _from_values(key, values.to_pylist())
    try:
        return {Column(key, kind): values.cast(kind.sealed_type)}
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        message = f"{key!r}: a column of {values.type} can't be kept as {kind.name}: {error}"
        raise UnkeepableValueError(message) from error


def _kind_of(values: pa.Array) -> Kind | None:
    """The kind that a whole Arrow column is of; None where its values decide one by one."""
    for is_it, kind in _simple_types():
        if is_it(values.type):
            return kind
    if pa.types.is_timestamp(values.type):
        zone = values.type.tz
        return ZonedDatetime(f"datetime[{zone}]", zone) if zone else DATETIME
    if _is_list(values.type):
        return _array_kind(values)
    return None


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
    """Lists of numbers without gaps, each an array: of one shape where the type says so."""
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
    """Whether there is a row with lists in it that are not of one length: it is no array."""
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
