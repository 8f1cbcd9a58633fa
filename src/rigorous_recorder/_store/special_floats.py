"""Special floats that Parquet readers misread, and how files are written to avoid that.

Minimum and maximum of a column chunk ignore NaN, so a reader that orders NaN above all other numbers,
or negates a comparison, skips row groups that it should read. A dictionary contains the bits of -0.0,
so a reader that looks up those of 0.0 does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from .._arrow import pa, pc
from .._values.sparse import values_of
from .leaves import Leaf, leaves_of

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
        doubles: dict[str, list[pa.Array]] = {}
        for number, field in enumerate(table.schema):
            if pa.types.is_float64(field.type):
                doubles[field.name] = table.column(number).chunks
            elif pa.types.is_map(field.type) and pa.types.is_float64(field.type.item_type):
                doubles[field.name] = list(map(values_of, table.column(number).chunks))
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

        None for floats in arrays and maps, where only a reader that misreads NaN would use them.
        """
        return _paths(schema, self._has_statistics)

    def dictionaries(self, schema: pa.Schema) -> bool | list[str]:
        """The columns that may have a dictionary: True for all, or the paths of their leaves."""
        return _paths(schema, self._may_have_dictionary)

    def _has_statistics(self, field: pa.Field, leaf: Leaf) -> bool:
        is_silent = pa.types.is_nested(field.type) or field.name in self.nan
        return not (is_silent and pa.types.is_floating(leaf.kind))

    def _may_have_dictionary(self, field: pa.Field, leaf: Leaf) -> bool:
        return not (field.name in self.negative_zero and pa.types.is_floating(leaf.kind))


def _paths(schema: pa.Schema, is_one: Callable[[pa.Field, Leaf], bool]) -> bool | list[str]:
    """The paths of the leaves that are among some; True if all are."""
    leaves = [(field, leaf) for field in schema for leaf in leaves_of(field)]
    paths = [leaf.path for field, leaf in leaves if is_one(field, leaf)]
    return True if len(paths) == len(leaves) else paths


def _those(
    columns: Mapping[str, list[pa.Array]], is_it: Callable[[pa.Array], bool]
) -> frozenset[str]:
    return frozenset(name for name, found in columns.items() if any(map(is_it, found)))


def _has_nan(doubles: pa.Array) -> bool:
    # The sum is NaN if there is a NaN or both infinities: for most columns one pass without
    # allocating memory rules that out.
    total = pc.sum(doubles).as_py()
    return total != total and bool(pc.any(pc.is_nan(doubles)).as_py())  # noqa: PLR0124


def _has_negative_zero(doubles: pa.Array) -> bool:
    return bool(pc.min(doubles.view(pa.int64())).as_py() == _NEGATIVE_ZERO)
