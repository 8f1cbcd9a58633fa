"""Unification of kinds in one column of the flat table, and equality across kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from .._arrow import pa, pc
from .arrays import ArrayKind, ListKind
from .bigints import BIGINT, BIGINT_TEXT, int_kind
from .chunks import bool_scalar
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
    UTC_DATETIME,
    Kind,
    ZonedDatetime,
)

__all__ = [
    "NUMBERS",
    "Family",
    "can_equal",
    "equal",
    "family_of",
    "holds_lists",
    "in_order",
    "is_any_of",
    "main_family",
    "meet",
    "one_pattern",
    "to_flat",
]


Family = str
"""The name of a family: kinds whose values share a column of the flat table."""

#: The family of numbers, which can all be compared and averaged.
NUMBERS: Final[Family] = "number"
_NUMBERS: Final = frozenset({INT, BIGINT, FLOAT})
#: The kinds whose values are equal if they are the same number.
_COMPARED: Final = _NUMBERS | {BIGINT_TEXT}
_ZONED: Final[Family] = "datetime with a zone"
#: For families with equally many values, the order of their columns; families that are not listed
#: (arrays) follow, by name.
_ORDER: Final[tuple[Family, ...]] = (
    NUMBERS,
    *(kind.name for kind in (TEXT, BOOL, DATETIME)),
    _ZONED,
    *(kind.name for kind in (DATE, TIMEDELTA, BYTES, JSON, BIGINT_TEXT)),
)
#: The kinds for which looking up many values at once is fast.
_SETS: Final = frozenset({INT, FLOAT, TEXT, BOOL})
#: A family other than numbers becomes the main one of a key only if it has more than this many
#: times as many values.
_TIMES_NUMBERS: Final = 10


def family_of(kind: Kind) -> Family:
    """The family of a kind; kinds of a family share a column of the flat table.

    Numbers are one family, datetimes with a zone are one, arrays with the same dtype and number of
    dimensions are one; every other kind is a family by itself.
    """
    if kind in _NUMBERS:
        return NUMBERS
    if isinstance(kind, ZonedDatetime):
        return _ZONED
    return (_as_list(kind) or kind).name


def meet(kinds: Iterable[Kind]) -> Kind:
    """The kind of a column that unifies values of ``kinds``, which are all of one family.

    int and bigint become bigint, ints and floats float, datetimes of several zones UTC, and arrays of
    several shapes lists; if only None was logged, the kind is null.
    """
    rest = frozenset(kinds) - {NULL}
    if not rest:
        return NULL
    first = next(iter(rest))
    if len(rest) == 1:
        return first
    if rest <= _NUMBERS:
        return FLOAT if FLOAT in rest else BIGINT
    if isinstance(first, ZonedDatetime):
        return UTC_DATETIME
    lists = _as_list(first)
    assert lists is not None  # no other family has several kinds
    return lists


def main_family(counts: Mapping[Family, int]) -> Family:
    """The family whose column is named like the key.

    It is numbers, unless another family has more than ten times as many values; without numbers, it
    is the family with most values.

    Args:
        counts: the number of values of each family that were logged under the key.
    """
    most = min(counts, key=lambda family: (-counts[family], _place(family), family))
    if NUMBERS in counts and counts[most] <= _TIMES_NUMBERS * counts[NUMBERS]:
        return NUMBERS
    return most


def in_order(families: Iterable[Family]) -> list[Family]:
    """Families in the order of their columns, independent of the values."""
    return sorted(families, key=lambda family: (_place(family), family))


def _place(family: Family) -> int:
    return _ORDER.index(family) if family in _ORDER else len(_ORDER)


def to_flat(kind: Kind, column: pa.Array, flat: Kind) -> pa.Array:
    """A column of ``kind`` converted to the ``flat`` kind of the same family."""
    if kind == flat:
        return column
    if kind == BIGINT:  # Arrow's own cast does not round to the nearest double
        return pa.array(
            [None if v is None else float(v) for v in kind.values(column)], pa.float64()
        )
    if (kind, flat) == (INT, FLOAT):
        return column.cast(pa.float64(), safe=False)
    if isinstance(flat, ListKind):
        return kind.to_storage(column)  # arrays of one shape are lists in files, too
    return column.cast(flat.sealed_type)


def equal(kind: Kind, column: pa.Array, wanted: Kind, value: Any) -> pa.Array | None:
    """Which values of a column equal ``value``; None if no value of that kind could.

    Ints of any size and floats are compared as numbers; ``True`` is not ``1``. Arrays are compared by
    shape and elements, also with lists.

    Args:
        wanted: the kind of ``value``, which is a plain value.
    """
    if kind != wanted and {kind, wanted} <= _COMPARED:
        exact = _as(kind, value)
        return None if exact is None else kind.equal(column, exact)
    if isinstance(kind, ZonedDatetime) and isinstance(wanted, ZonedDatetime):
        return kind.equal(column, value)
    if kind == JSON and _is_array(wanted):
        return kind.equal(column, value.tolist())
    if _is_array(kind) and (_is_array(wanted) or wanted == JSON):
        return kind.equal(column, value)
    return kind.equal(column, value) if kind == wanted else None


def can_equal(kind: Kind, wanted: Kind) -> bool:
    """Whether values of the two kinds can be equal in the sense of ``equal``."""
    return (
        kind == wanted
        or {kind, wanted} <= _COMPARED
        or (isinstance(kind, ZonedDatetime) and isinstance(wanted, ZonedDatetime))
        or (holds_lists(kind) and holds_lists(wanted))
    )


def holds_lists(kind: Kind) -> bool:
    """Whether values of a kind are lists, dicts or arrays."""
    return kind == JSON or _is_array(kind)


def is_any_of(kind: Kind, column: pa.Array, wanted: Sequence[tuple[Kind, Any]]) -> pa.Array:
    """Which values of a column equal one of several, each with its kind; see ``equal``."""
    mask = pa.repeat(bool_scalar(value=False), len(column))
    at_once: list[Any] = []
    for other, value in wanted:
        if kind in _SETS and {kind, other} <= _COMPARED | {kind}:
            at_once.append(value if other == kind else _as(kind, value))
        elif (found := equal(kind, column, other, value)) is not None:
            mask = pc.or_(mask, found.fill_null(bool_scalar(value=False)))
    exact = [each for each in at_once if each is not None]
    if not exact:
        return mask
    return pc.or_(mask, pc.is_in(one_pattern(column), value_set=one_pattern(kind.column(exact))))


def one_pattern(column: pa.Array) -> pa.Array:
    """Values that are equal if and only if their bits are: with one NaN, and one zero.

    Arrow compares bits when it hashes, as in ``is_in`` and ``unique``; a NaN that was computed has another
    sign than ``float("nan")``.
    """
    if not pa.types.is_floating(column.type):
        return column
    one_nan = pc.if_else(pc.is_nan(column), pa.scalar(float("nan"), column.type), column)
    return pc.add(one_nan, pa.scalar(0.0, column.type))


def _is_array(kind: Kind) -> bool:
    return isinstance(kind, (ArrayKind, ListKind))


def _as_list(kind: Kind) -> ListKind | None:
    """The kind of lists that arrays of ``kind`` are unified to."""
    if isinstance(kind, ArrayKind):
        return ListKind.of(kind.dtype, len(kind.shape))
    return kind if isinstance(kind, ListKind) else None


def _as(kind: Kind, number: float) -> float | None:
    """``number`` as a value of ``kind`` if it is exactly representable."""
    if kind == FLOAT:
        try:
            as_float = float(number)
        except OverflowError:
            return None
        return as_float if as_float == number else None
    if isinstance(number, float) and not number.is_integer():
        return None
    exact = int(number)
    return exact if int_kind("", exact) == kind else None
