"""Exports the flat table to a Zarr group that ``xarray.open_zarr`` reads: a variable for each column."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rigorous_recorder._arrow import pa
from rigorous_recorder._lazy import lazy_module

from .contract import Losses, Target
from .flat import flat_table
from .study import Study
from .values import json_text

if TYPE_CHECKING:
    import numpy as np

    zarr: Any
else:
    np = lazy_module("numpy", install="numpy")
    zarr = lazy_module("zarr", install="zarr")

_DIMENSION: Final = "record"
_CHUNK: Final = 65_536
#: The bytes of a name that all file systems take, with room for a number.
_LONGEST: Final = 200
#: What stands for a missing value.
_NO_INT: Final = -(1 << 63)
_NO_BOOL: Final = -1


def _write(study: Study, path: Path, losses: Losses) -> None:
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    batches, rows = flat_table(study, losses, valid=_valid), len(study.records)
    variables = [_variable(group, each.name, each.type, rows, losses) for each in batches.schema]
    at = 0
    for batch in batches.reader:
        for start in range(0, batch.num_rows, _CHUNK):
            piece = batch.slice(start, _CHUNK)
            for variable, values in zip(variables, piece.columns, strict=True):
                variable.write(at, values)
            at += piece.num_rows
    for variable in variables:
        variable.end()
    with warnings.catch_warnings(action="ignore"):  # that others may not read it, who need not
        zarr.consolidate_metadata(group.store)


@dataclass(slots=True)
class _Variable:
    """A column, as an array of a type that all tools read."""

    array: Any
    kind: pa.DataType
    losses: Losses
    _missing: int = 0

    def write(self, at: int, values: pa.Array) -> None:
        """Write values from a row on."""
        self._missing += values.null_count
        kind = self.kind
        if pa.types.is_floating(kind):
            self.losses.add("missing values of numbers: as NaN", values.null_count)
            found = values.to_numpy(zero_copy_only=False)
        elif pa.types.is_boolean(kind):
            found = values.cast(pa.int8()).fill_null(_NO_BOOL).to_numpy()
        elif not _is_text(kind):
            days = values.cast(pa.int32()) if pa.types.is_date32(kind) else values
            found = days.cast(pa.int64(), safe=False).fill_null(_NO_INT).to_numpy()
        else:
            self.losses.add("missing texts: as empty ones", values.null_count)
            found = np.array([self._text(each) for each in values.to_pylist()], dtype=object)
        self.array[at : at + len(values)] = found

    def _text(self, value: Any) -> str:
        if isinstance(value, bytes):
            self.losses.add("bytes: not taken, as empty texts")
            return ""
        if isinstance(value, Decimal):  # an int of more than 64 bits
            return str(value)
        return "" if value is None else json_text(value)

    def end(self) -> None:
        """Tell what stands for missing values, if there are any."""
        if pa.types.is_boolean(self.kind):
            about: dict[str, Any] = {"_FillValue": _NO_BOOL} if self._missing else {"dtype": "bool"}
            self.array.attrs.update(about)
        elif self._missing and not pa.types.is_floating(self.kind) and not _is_text(self.kind):
            self.array.attrs["_FillValue"] = _NO_INT


def _variable(group: Any, name: str, kind: pa.DataType, rows: int, losses: Losses) -> _Variable:
    about = {}
    if _is_text(kind):
        dtype = "str"
        if not pa.types.is_string(kind) and not pa.types.is_binary(kind):
            losses.add("columns of lists: as text")
    elif pa.types.is_floating(kind):
        dtype = "float64"
    else:
        dtype = "int8" if pa.types.is_boolean(kind) else "int64"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        unit = "days" if pa.types.is_date(kind) else "microseconds"
        about = {"units": f"{unit} since 1970-01-01", "calendar": "proleptic_gregorian"}
    chunks = (max(min(rows, _CHUNK), 1),)
    array = group.create_array(
        name, shape=(rows,), chunks=chunks, dtype=dtype,
        dimension_names=(_DIMENSION,), attributes=about,
    )  # fmt: skip
    return _Variable(array, kind, losses)


def _is_text(kind: pa.DataType) -> bool:
    """Whether a column has texts, or what becomes text."""
    plain = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean)
    return not any(each(kind) for each in (*plain, pa.types.is_timestamp, pa.types.is_date))


def _valid(key: str) -> str:
    """A name of an array, which is a folder: ``/`` would make groups."""
    name = key.replace("/", "_").replace("\0", "_").encode()[:_LONGEST].decode("utf-8", "ignore")
    return name if name.strip(".") and not name.startswith("__") else f"_{name.lstrip('_')}"


TARGET: Final = Target("xarray-zarr", "Zarr", _write)
