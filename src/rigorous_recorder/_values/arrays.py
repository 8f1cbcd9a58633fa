"""Array kinds: fixed-shape columns for a single shape, lists for several shapes."""

from __future__ import annotations

import math
from abc import ABC
from typing import Any, Final

from .._arrow import pa, pc
from .._lazy_imports import np
from ..errors import DamagedFileError
from . import json_text
from .chunks import bool_scalar, int64_scalar, null_scalar
from .kinds import DetailedKind, LiveBuffers

__all__ = ["DTYPES", "ArrayKind", "ListKind", "dtype_of"]

#: Supported numpy dtypes, with the bytes of one element.
DTYPES: Final = {
    "float16": 2,
    "float32": 4,
    "float64": 8,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "uint8": 1,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
}


def dtype_of(element: pa.DataType) -> str:
    """The numpy name of a numeric Arrow type."""
    names = {"halffloat": "float16", "float": "float32", "double": "float64"}
    return names.get(str(element), str(element))


def _element_type(dtype: str) -> pa.DataType:
    return pa.bool_() if dtype == "bool" else pa.type_for_alias(dtype)


def _list_type(dtype: str, depth: int) -> pa.DataType:
    kind = _element_type(dtype)
    for _ in range(depth):
        kind = pa.list_(kind)
    return kind


def _is_fixed(kind: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_list(kind))


class _ArrayKinds(DetailedKind, ABC):
    """Arrays with the same dtype."""

    is_mutable = True
    example = "a JSON list of numbers"

    def __init__(self, name: str, dtype: str) -> None:
        super().__init__(name)
        self.dtype: Final = dtype

    def column(self, values: list[Any]) -> pa.Array:
        return _nested(values, self.sealed_type, self.dtype)

    def json_of(self, value: Any) -> str:
        return json_text.dump(value.tolist())

    def parse(self, text: str) -> list[Any]:
        found = json_text.load(text)
        if not isinstance(found, list):
            raise json_text.unfit(text, "a list")
        return _with_floats(found)

    def equal(self, column: pa.Array, value: Any) -> pa.Array:
        """See ``Kind``; ``value`` is an array of any dtype, or a value that may be a list of one."""
        wanted = _as_array(value, is_bool=self.dtype == "bool")
        if wanted is None:
            return pa.repeat(bool_scalar(value=False), len(column))
        has_nan = self.dtype.startswith("float") and wanted.dtype.kind == "f"
        same = [
            None if v is None else bool(np.array_equal(v, wanted, equal_nan=has_nan))
            for v in self.values(column)
        ]
        return pa.array(same, pa.bool_())


class ArrayKind(_ArrayKinds):
    """Arrays with the same dtype and shape."""

    cell = "block"

    def __init__(self, name: str, dtype: str, shape: tuple[int, ...]) -> None:
        super().__init__(name, dtype)
        self.shape: Final = shape

    @classmethod
    def of(cls, dtype: str, shape: tuple[int, ...]) -> ArrayKind:
        """The kind of arrays with this dtype and shape."""
        return cls(f"array[{dtype},{'x'.join(map(str, shape))}]", dtype, shape)

    @classmethod
    def of_type(cls, kind: pa.DataType) -> ArrayKind:
        """The kind of arrays in a column of fixed-size lists."""
        shape: list[int] = []
        while _is_fixed(kind):
            shape.append(kind.list_size)
            kind = kind.value_type
        return cls.of(dtype_of(kind), tuple(shape))

    @property
    def fast_types(self) -> tuple[type, ...]:
        return (np.ndarray,)

    @property
    def element(self) -> str:
        """Kind and size of one element, such as ``f4`` for float32."""
        return f"{self.dtype[0]}{DTYPES[self.dtype]}"

    @property
    def width(self) -> int:
        """The size of one array in bytes."""
        return math.prod(self.shape) * DTYPES[self.dtype]

    @property
    def live_type(self) -> pa.DataType:
        kind = _element_type(self.dtype)
        for size in reversed(self.shape):
            kind = pa.list_(kind, size)
        return kind

    @property
    def storage_type(self) -> pa.DataType:
        # Parquet can't store a null among fixed-size lists before pyarrow 24.
        return _list_type(self.dtype, len(self.shape))

    def encode(self, value: Any) -> Any:
        return np.ascontiguousarray(value)

    def live(self, column: pa.Array) -> LiveBuffers:
        whole = pa.concat_arrays([column, column.slice(0, 0)])  # without an offset
        validity, inner = whole.buffers()[0], whole.values
        while _is_fixed(inner.type):
            inner = inner.values
        return LiveBuffers(0, [validity, inner.buffers()[1]])

    def to_storage(self, column: pa.Array) -> pa.Array:
        present = column.is_valid()
        stored = column.filter(present)
        items = stored.flatten().cast(_list_type(self.dtype, len(self.shape) - 1))
        steps = pc.multiply(present.cast(pa.int32()), pa.scalar(self.shape[0], pa.int32()))
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(steps)])
        return pa.ListArray.from_arrays(offsets, items, mask=pc.invert(present))

    def check(self, stored: pa.Array) -> None:
        level = stored
        for size in self.shape:
            lengths = pc.min_max(pc.list_value_length(level)).as_py()
            if {lengths["min"], lengths["max"]} - {size, None}:
                message = f"it has arrays of another shape than {self.shape}"
                raise DamagedFileError(message)
            level = pc.list_flatten(level)
        if self.shape and level.null_count:
            message = "numbers are missing in its arrays"
            raise DamagedFileError(message)

    def from_storage(self, stored: pa.Array) -> pa.Array:
        if stored.type == self.sealed_type:
            return stored
        present = stored.is_valid()
        whole = stored.filter(present).cast(self.sealed_type)
        if not len(whole):
            return pa.nulls(len(stored), self.sealed_type)
        counted = pc.subtract(pc.cumulative_sum(present.cast(pa.int64())), int64_scalar(1))
        return whole.take(pc.if_else(present, counted, null_scalar(pa.int64())))

    def values(self, column: pa.Array) -> list[Any]:
        return [None if each is None else self._array(each) for each in column.to_pylist()]

    def _array(self, nested: list[Any]) -> Any:
        return np.array(nested, dtype=self.dtype).reshape(self.shape)


class ListKind(_ArrayKinds):
    """Arrays with the same dtype and number of dimensions, of any shapes."""

    cell = "text"

    def __init__(self, name: str, dtype: str, depth: int) -> None:
        super().__init__(name, dtype)
        self.depth: Final = depth

    @classmethod
    def of(cls, dtype: str, depth: int) -> ListKind:
        """The kind of arrays with this dtype and ``depth`` dimensions."""
        return cls(f"list[{dtype},{depth}]", dtype, depth)

    @property
    def live_type(self) -> pa.DataType:
        return pa.string_view()

    @property
    def sealed_type(self) -> pa.DataType:
        return _list_type(self.dtype, self.depth)

    def encode(self, value: Any) -> str:
        return json_text.dump(value.tolist())

    def live(self, column: pa.Array) -> LiveBuffers:
        texts = [None if each is None else self.encode(each) for each in self.values(column)]
        return LiveBuffers(0, pa.array(texts, pa.string()).buffers())

    def seal(self, live: pa.Array) -> pa.Array:
        texts = live.to_pylist()
        arrays = [None if t is None else np.array(json_text.load(t), self.dtype) for t in texts]
        return _nested(arrays, self.sealed_type, self.dtype)

    def values(self, column: pa.Array) -> list[Any]:
        return [None if each is None else np.array(each, self.dtype) for each in column.to_pylist()]


def _as_array(value: Any, *, is_bool: bool) -> Any:
    """``value`` as an array of numbers or bools; None if it is neither."""
    try:
        found = np.asarray(value)
    except ValueError:  # lists of different lengths
        return None
    if not found.size:
        return found
    return found if found.dtype.kind in ("b" if is_bool else "iuf") else None


def _with_floats(nested: list[Any]) -> list[Any]:
    """Convert the text for NaN and infinities in JSON lines to floats, in a nested list."""
    return [
        _with_floats(v) if isinstance(v, list) else float(v) if isinstance(v, str) else v
        for v in nested
    ]


def _nested(arrays: list[Any], kind: pa.DataType, dtype: str) -> pa.Array:
    lists = [None if each is None else np.asarray(each).tolist() for each in arrays]
    if dtype != "float16":
        return pa.array(lists, kind)
    wide = pa.array(lists)  # pyarrow does not accept Python floats for float16
    return wide.cast(kind) if len(wide.drop_null()) else pa.nulls(len(lists), kind)
