"""Which kinds meet in one column of the flat table, and when values are equal across kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from .._arrow import pa, pc
from .arrays import ArrayKind, ListKind
from .bigints import BIGINT, BIGINT_TEXT, int_kind
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
    "to_flat",
]


Family = str
"""The name of a family: the kinds whose values stand in one column of the flat table."""

#: Numbers have this family; every number of the flat table can be compared and averaged.
NUMBERS: Final[Family] = "number"
_NUMBERS: Final = frozenset({INT, BIGINT, FLOAT})
#: The kinds whose values are equal where they are the same number.
_COMPARED: Final = _NUMBERS | {BIGINT_TEXT}
_ZONED: Final[Family] = "datetime with a zone"
#: Where two families have equally many values, the one that stands here first comes first; those
#: that don't stand here (arrays) follow, by name.
_ORDER: Final[tuple[Family, ...]] = (
    NUMBERS,
    *(kind.name for kind in (TEXT, BOOL, DATETIME)),
    _ZONED,
    *(kind.name for kind in (DATE, TIMEDELTA, BYTES, JSON, BIGINT_TEXT)),
)
#: The kinds of which many values are looked for at once.
_SETS: Final = frozenset({INT, FLOAT, TEXT, BOOL})
#: Another family than numbers is the main one of a key only if it has more than so many times as
#: many values.
_TIMES_NUMBERS: Final = 10


def family_of(kind: Kind) -> Family:
    """The family of a kind; kinds of one family meet in one column of the flat table.

    Numbers are one family, datetimes with a zone are one, arrays of one dtype and number of
    dimensions are one; every other kind is a family by itself.
    """
    if kind in _NUMBERS:
        return NUMBERS
    if isinstance(kind, ZonedDatetime):
        return _ZONED
    return (_as_list(kind) or kind).name


def meet(kinds: Iterable[Kind]) -> Kind:
    """The kind of a column in which values of these ``kinds``, all of one family, stand.

    int and bigint meet as bigint, both and float as float, datetimes of several zones as UTC, arrays of several shapes as
    lists; a column in which only None was logged is of kind null.
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
    """Which family has the column that is named as the key.

    Numbers, unless another family has more than ten times as many values; else the family with
    most values.

    Args:
        counts: for each family how many values were logged under the key.
    """
    most = min(counts, key=lambda family: (-counts[family], _place(family), family))
    if NUMBERS in counts and counts[most] <= _TIMES_NUMBERS * counts[NUMBERS]:
        return NUMBERS
    return most


def in_order(families: Iterable[Family]) -> list[Family]:
    """Families in the order in which their columns stand, whatever the values are."""
    return sorted(families, key=lambda family: (_place(family), family))


def _place(family: Family) -> int:
    return _ORDER.index(family) if family in _ORDER else len(_ORDER)


def to_flat(kind: Kind, column: pa.Array, flat: Kind) -> pa.Array:
    """A column of ``kind`` with the type of the ``flat`` kind, which is of the same family."""
    if kind == flat:
        return column
    if kind == BIGINT:  # Arrow's own cast does not give the nearest of all doubles
        return pa.array(
            [None if v is None else float(v) for v in kind.values(column)], pa.float64()
        )
    if (kind, flat) == (INT, FLOAT):
        return column.cast(pa.float64(), safe=False)
    if isinstance(flat, ListKind):
        return kind.file(column)  # arrays of one shape are lists in files too
    return column.cast(flat.sealed_type)


def equal(kind: Kind, column: pa.Array, wanted: Kind, value: Any) -> pa.Array | None:
    """Which values of a column equal ``value``; None where nothing of that kind could.

    Ints of any size and floats compare as the numbers they are; ``True`` is not ``1``. Arrays compare
    by shape and numbers, also with lists.

    Args:
        wanted: the kind of ``value``, a plain value of it.
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
    """Whether a value of one kind can equal one of the other, as ``equal`` compares them."""
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
    """Which values of a column equal one of several, each given with its kind; as of ``equal``."""
    mask = pa.repeat(pa.scalar(False), len(column))
    at_once: list[Any] = []
    for other, value in wanted:
        if kind in _SETS and {kind, other} <= _COMPARED | {kind}:
            at_once.append(value if other == kind else _as(kind, value))
        elif (found := equal(kind, column, other, value)) is not None:
            mask = pc.or_(mask, found.fill_null(False))
    exact = [each for each in at_once if each is not None]
    if kind == FLOAT:  # Arrow finds bits: there are two zeros, and all NaN are one
        exact += [-0.0, 0.0] if 0.0 in exact else []
    return pc.or_(mask, pc.is_in(column, value_set=kind.column(exact))) if exact else mask


def _is_array(kind: Kind) -> bool:
    return isinstance(kind, (ArrayKind, ListKind))


def _as_list(kind: Kind) -> ListKind | None:
    """The kind of lists that arrays of ``kind`` meet others as."""
    if isinstance(kind, ArrayKind):
        return ListKind.of(kind.dtype, len(kind.shape))
    return kind if isinstance(kind, ListKind) else None


def _as(kind: Kind, number: float) -> float | None:
    """``number`` as a value of ``kind``, where one is exactly equal to it."""
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
