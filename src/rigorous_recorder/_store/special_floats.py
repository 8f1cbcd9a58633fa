"""Floats that readers of Parquet get wrong, and how a file is written so that they don't.

Least and greatest values of a column chunk pass over NaN, so a reader that holds NaN for the greatest
of all numbers, or negates a comparison, skips row groups that it should read. A dictionary has the bits
of -0.0, and a reader that looks for those of 0.0 in it does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from .._arrow import pa, pc

__all__ = ["SpecialFloats"]

#: Of a file's metadata, where the names of such columns are.
_KEY: Final = "floats"
#: The bits of -0.0, as an int64: no other number's are less.
_NEGATIVE_ZERO: Final = -(2**63)


class SpecialFloats(NamedTuple):
    """Names of columns of doubles that have special values.

    Attributes:
        nan: those that have NaN.
        negative_zero: those that have -0.0.
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
        """Those that a sealed file reports of itself; None where it does not, as an old one."""
        reported = metadata.get(_KEY)
        if reported is None:
            return None
        return cls(*(frozenset(reported.get(name, ())) for name in cls._fields))

    @classmethod
    def union(cls, found: Iterable[SpecialFloats]) -> SpecialFloats:
        """Those that are in any of these."""
        several = [cls(frozenset(), frozenset()), *found]
        return cls(*(frozenset[str]().union(*names) for names in zip(*several, strict=True)))

    def renamed(self, names: Mapping[str, str]) -> SpecialFloats:
        """The same under other names; columns without one are left out."""
        return SpecialFloats(
            *(frozenset(names[name] for name in each if name in names) for each in self)
        )

    @property
    def metadata(self) -> dict[str, Any]:
        """What a file reports of itself."""
        return {_KEY: {name: sorted(getattr(self, name)) for name in self._fields}}

    def statistics(self, schema: pa.Schema) -> bool | list[str]:
        """Which columns pyarrow writes statistics of: True, or the paths of their leaves.

        Of floats in arrays there are none: only a reader that gets NaN wrong has a use for them.
        """
        paths = [_path(field) for field in schema if self._has_statistics(field)]
        return True if len(paths) == len(schema) else paths

    def dictionaries(self, schema: pa.Schema) -> bool | list[str]:
        """Which columns may have a dictionary: True for all, or the paths of their leaves."""
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
    # A sum has NaN where any of them is it, or where both infinities are there: of most columns,
    # one pass without any memory tells that there is none.
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
