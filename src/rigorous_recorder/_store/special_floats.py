"""Special floats that Parquet readers misread, and how files are written to avoid that.

Minimum and maximum of a column chunk ignore NaN, so a reader that orders NaN above all other numbers,
or negates a comparison, skips row groups that it should read. A dictionary contains the bits of -0.0,
so a reader that looks up those of 0.0 does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from .._arrow import pa, pc

__all__ = ["SpecialFloats"]

#: The key in a file's metadata for the names of such columns.
_KEY: Final = "floats"
#: The bits of -0.0 as an int64, the smallest of all.
_NEGATIVE_ZERO: Final = -(2**63)


class SpecialFloats(NamedTuple):
    """Names of columns of doubles with special values.

    Attributes:
        nan: those with NaN.
        negative_zero: those with -0.0.
    """

    nan: frozenset[str]
    negative_zero: frozenset[str]

    @classmethod
    def of(cls, table: pa.Table) -> SpecialFloats:
        """Those of a table."""
        doubles = {
            field.name: table.column(number)
            for number, field in enumerate(table.schema)
            if pa.types.is_float64(field.type)
        }
        return cls(_those(doubles, _has_nan), _those(doubles, _has_negative_zero))

    @classmethod
    def of_file(cls, metadata: Mapping[str, Any]) -> SpecialFloats | None:
        """Those in a sealed file's metadata; None for older files, which lack them."""
        reported = metadata.get(_KEY)
        if reported is None:
            return None
        return cls(*(frozenset(reported.get(name, ())) for name in cls._fields))

    @classmethod
    def union(cls, found: Iterable[SpecialFloats]) -> SpecialFloats:
        """Those in any of these."""
        several = [cls(frozenset(), frozenset()), *found]
        return cls(*(frozenset[str]().union(*names) for names in zip(*several, strict=True)))

    def renamed(self, names: Mapping[str, str]) -> SpecialFloats:
        """The same under other names; columns without one are left out."""
        return SpecialFloats(
            *(frozenset(names[name] for name in each if name in names) for each in self)
        )

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of a file."""
        return {_KEY: {name: sorted(getattr(self, name)) for name in self._fields}}

    def statistics(self, schema: pa.Schema) -> bool | list[str]:
        """The columns for which pyarrow writes statistics: True, or the paths of their leaves.

        None for floats in arrays, where only a reader that misreads NaN would use them.
        """
        paths = [_path(field) for field in schema if self._has_statistics(field)]
        return True if len(paths) == len(schema) else paths

    def dictionaries(self, schema: pa.Schema) -> bool | list[str]:
        """The columns that may have a dictionary: True for all, or the paths of their leaves."""
        paths = [_path(field) for field in schema if field.name not in self.negative_zero]
        return True if len(paths) == len(schema) else paths

    def _has_statistics(self, field: pa.Field) -> bool:
        if pa.types.is_list(field.type):
            return not pa.types.is_floating(_leaf(field.type))
        return field.name not in self.nan


def _those(
    columns: Mapping[str, pa.ChunkedArray], is_it: Callable[[pa.Array], bool]
) -> frozenset[str]:
    return frozenset(name for name, found in columns.items() if any(map(is_it, found.chunks)))


def _has_nan(doubles: pa.Array) -> bool:
    # The sum is NaN if there is a NaN or both infinities: for most columns one pass without
    # allocating memory rules that out.
    total = pc.sum(doubles).as_py()
    return total != total and bool(pc.any(pc.is_nan(doubles)).as_py())  # noqa: PLR0124


def _has_negative_zero(doubles: pa.Array) -> bool:
    return bool(pc.min(doubles.view(pa.int64())).as_py() == _NEGATIVE_ZERO)


def _leaf(kind: pa.DataType) -> pa.DataType:
    while pa.types.is_list(kind):
        kind = kind.value_type
    return kind


def _path(field: pa.Field) -> str:
    """The path of a column's leaf in a Parquet file."""
    path, kind = str(field.name), field.type
    while pa.types.is_list(kind):
        path, kind = f"{path}.list.element", kind.value_type
    return path
