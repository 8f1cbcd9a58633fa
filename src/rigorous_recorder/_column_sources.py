"""Input of ``extend`` in any form, as named columns of Arrow, numpy, or lists."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ._arrow import pa, pc
from ._lazy_imports import np
from ._live.column import META
from ._values.devices.libraries import is_on_device, library_of
from ._values.devices.torch import numpy_of
from .errors import RigorousError, UnsupportedTypeError, UnsupportedValueError

__all__ = ["ArrowColumn", "Objects", "named_columns", "rows_without_columns"]

#: Polars types whose values Arrow gets as addresses, or not at all.
_ONLY_IN_POLARS: Final = {"Object", "Int128", "UInt128"}


class ArrowColumn:
    """An Arrow column without dictionaries, and its field's metadata."""

    def __init__(self, values: Any, metadata: dict[bytes, bytes] | None = None) -> None:
        self.values = _one_plain_array(values)
        known = _metadata_of_field(metadata)
        #: Name of the kind of these values, if the file is of this library.
        self.kind = str(known.get("kind"))
        #: The zone of times that the file has in UTC, because not every reader knows the zone.
        self.zone = self.kind[len("datetime[") : -1] if self.kind[:9] == "datetime[" else None
        #: The key that this library wrote to the field; None for other files.
        self.key = known["key"] if isinstance(known.get("key"), str) else None
        #: Name of the type if these are only its bytes; None if they are the values.
        self.extension = _extension(self.values.type, metadata or {})

    def __len__(self) -> int:
        return len(self.values)


def _metadata_of_field(metadata: dict[bytes, bytes] | None) -> dict[str, Any]:
    """The metadata that this library wrote for a column; empty for other files."""
    try:
        found = json.loads((metadata or {}).get(META, b"{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class Objects(list[Any]):
    """Values of a pandas object column, in which None is a missing value."""


def named_columns(data: Any) -> dict[Any, Any]:
    """The columns of a mapping, a frame or a table: ``ArrowColumn``, a numpy array, or a list.

    Raises:
        UnsupportedTypeError: ``data`` has no columns, or one of them can't be read.
        UnsupportedValueError: two columns have the same name.
    """
    if isinstance(data, Mapping):
        return {name: _read(name, values) for name, values in data.items()}
    library, kind = _library(data), type(data).__name__
    if library in {"pandas", "polars"} and (kind == "Series" or kind.endswith("Index")):
        message = f"a {kind} is one column; give it a name: extend({{'name': x}})"
        raise UnsupportedTypeError(message)
    if library == "pandas":
        return _of_pandas(data)
    if library == "polars" and hasattr(data, "get_columns"):
        return {series.name: _read(series.name, series) for series in data.get_columns()}
    if hasattr(data, "__arrow_c_stream__"):
        return _of_arrow(data)
    message = (
        "extend takes a mapping of columns, a DataFrame or an Arrow table, not a"
        f" {kind}; {_way_out(data)}"
    )
    raise UnsupportedTypeError(message)


def _way_out(data: Any) -> str:
    """How to log something that has no columns."""
    if hasattr(data, "collect"):
        return "collect it first: extend(frame.collect())"
    if isinstance(data, list) and all(isinstance(each, Mapping) for each in data):
        return "for dicts, one a record: extend(pyarrow.Table.from_pylist(rows)), or push each"
    return "for one record use push"


def _of_arrow(data: Any) -> dict[Any, Any]:
    try:
        table = _as_table(data)
    except Exception as error:  # whatever another library raises
        message = (
            f"the columns of a {type(data).__name__} can't be read by Arrow: {error}. Give them as a"
            " mapping of names to lists"
        )
        raise UnsupportedTypeError(message) from error
    _require_unique(table.column_names)
    return {
        field.name: ArrowColumn(table.column(i), field.metadata)
        for i, field in enumerate(table.schema)
    }


def _as_table(data: Any) -> pa.Table:
    """A table of pyarrow as it is: in a stream, names would end at NUL."""
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    return data.read_all() if isinstance(data, pa.RecordBatchReader) else pa.table(data)


def rows_without_columns(data: Any) -> int:
    """The number of rows of a frame or table without columns."""
    if isinstance(data, (pa.Table, pa.RecordBatch)):
        return int(data.num_rows)
    return len(data) if _library(data) in {"pandas", "polars"} else 0


def _of_pandas(frame: Any) -> dict[Any, Any]:
    """The named levels of a frame's index, and its columns."""
    index = frame.index
    levels = {
        name: index.get_level_values(at) for at, name in enumerate(index.names) if name is not None
    }
    if len(levels) < len(index.names) and not _is_of_numbers_of_rows(index):
        message = (
            "the index of the DataFrame has values and no name. Name it to store it as a column"
            " (x.rename_axis('name')), or drop it (x.reset_index(drop=True))"
        )
        raise UnsupportedValueError(message)
    _require_unique([*index.names, *frame.columns] if levels else frame.columns)
    found = {name: _read(name, values.to_series()) for name, values in levels.items()}
    return found | {name: _read(name, frame[name]) for name in frame.columns}


def _is_of_numbers_of_rows(index: Any) -> bool:
    """Whether an index only numbers rows, maybe of a frame from which rows were removed."""
    return index.nlevels == 1 and getattr(index.dtype, "kind", "O") in "iu"


def _require_unique(names: Iterable[Any]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        message = f"more than one column has the name {twice[0]!r}. Rename all but one"
        raise UnsupportedValueError(message)


def _read(name: Any, values: Any) -> Any:
    try:
        return _plain_column(name, values)
    except (RigorousError, MemoryError):
        raise
    except Exception as error:  # whatever another library raises
        message = (
            f"{name!r}: a column of type {type(values).__name__} can't be read:"
            f" {type(error).__name__}: {error}. Give it as a numpy array or a list"
        )
        raise UnsupportedTypeError(message) from error


def _plain_column(name: Any, values: Any) -> Any:
    if isinstance(values, (list, tuple, range)):
        return list(values)
    _require_column(name, values)
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return ArrowColumn(values)
    library = _library(values)
    if library == "pandas":
        return _from_pandas(values)
    if library == "polars" and hasattr(values, "to_arrow"):
        return _from_polars(values)
    if hasattr(values, "to_arrow"):
        return ArrowColumn(values.to_arrow())
    return _in_memory(values) if hasattr(values, "dtype") else list(values)


def _require_column(name: Any, values: Any) -> None:
    """Raise for what has no order or length."""
    kind = type(values).__name__
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__"):
        message = f"{name!r}: a column must be an array, a series or a list, not a {kind}"
        if hasattr(values, "__next__"):
            message += "; make one of it: list(x)"
    elif isinstance(values, (set, frozenset)):
        message = f"{name!r}: a {kind} has no order. Give the column as a list: sorted(x)"
    elif getattr(values, "shape", None) == ():
        message = f"{name!r}: an array without dimensions is not a column. Give one of it: [x]"
    else:
        return
    raise UnsupportedTypeError(message)


def _library(values: Any) -> str:
    return str(type(values).__module__).partition(".")[0]


def _in_memory(array: Any) -> Any:
    """An array of another library as a numpy array."""
    library = library_of(array)
    if library == "torch":
        return numpy_of(array.detach().resolve_conj().resolve_neg().cpu())
    if library in {"jax", "jaxlib"}:
        return np.asarray(array)
    return array.get() if is_on_device(array) and hasattr(array, "get") else array


def _from_pandas(series: Any) -> Any:
    dtype = series.dtype
    if hasattr(series, "sparse"):
        return _from_pandas(series.sparse.to_dense())
    kind = getattr(dtype, "kind", "O")
    is_of_numpy = isinstance(getattr(dtype, "type", None), type) and not hasattr(dtype, "na_value")
    if kind in "biufc" and is_of_numpy:
        return series.to_numpy()  # NaN stays NaN: only None and NA are missing
    if str(dtype) == "object" or _is_of_objects(dtype):
        is_missing = series.isna()
        return Objects(
            None if gap else value for value, gap in zip(series, is_missing, strict=True)
        )
    return ArrowColumn(pa.array(series, from_pandas=True))


def _is_of_objects(dtype: Any) -> bool:
    """Whether it is a non-text categorical: Arrow would convert all values to one type."""
    categories: Any = getattr(dtype, "categories", ())
    is_of_objects = str(getattr(categories, "dtype", "")) == "object"
    return is_of_objects and not all(type(each) is str for each in categories)


def _from_polars(series: Any) -> Any:
    if str(series.dtype) not in _ONLY_IN_POLARS:
        try:
            return ArrowColumn(pa.chunked_array(series))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # nested in a list or a struct
            pass
    return series.to_list()


def _extension(kind: pa.DataType, metadata: Mapping[bytes, bytes]) -> str | None:
    if isinstance(kind, pa.BaseExtensionType):
        return str(kind.extension_name)
    name = metadata.get(b"ARROW:extension:name")  # an extension that this pyarrow does not know
    return None if name is None else name.decode(errors="replace")


def _one_plain_array(values: Any) -> Any:
    if not isinstance(values, pa.ChunkedArray):
        return _decoded(values)
    chunks = [_decoded(chunk) for chunk in values.chunks]
    if not chunks:
        return _decoded(values.combine_chunks())
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)


def _decoded(values: pa.Array) -> pa.Array:
    """An array without dictionary or run-end encoding."""
    types = pa.types
    if types.is_run_end_encoded(values.type):
        return _decoded(pc.run_end_decode(values))
    if not types.is_dictionary(values.type):
        return values
    of = values.dictionary
    if types.is_string_view(of.type) or types.is_binary_view(of.type):  # of which Arrow takes none
        of = of.cast(pa.large_string() if types.is_string_view(of.type) else pa.large_binary())
    return _decoded(of).take(values.indices)
