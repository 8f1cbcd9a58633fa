"""How kinds meet in one column of the flat table, and when values are equal across kinds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .._lazy import lazy_module
from .arrays import ArrayKind, ListKind
from .kinds import FLOAT, INT, JSON, NULL, UTC_DATETIME, Kind, ZonedDatetime

if TYPE_CHECKING:
    import pyarrow as pa
else:
    pa = lazy_module("pyarrow")

__all__ = ["equal", "meet", "to_flat"]


def meet(kinds: Iterable[Kind]) -> Kind:
    """The kind of a flat column in which values of all ``kinds`` stand.

    int and float meet as float, datetimes of several zones as UTC, arrays of one dtype and of
    several shapes as lists, anything else as JSON; a column in which only None was said is of
    kind null.
    """
    rest = frozenset(kinds) - {NULL}
    if not rest:
        return NULL
    if len(rest) == 1:
        return next(iter(rest))
    if rest == {INT, FLOAT}:
        return FLOAT
    if all(isinstance(kind, ZonedDatetime) for kind in rest):
        return UTC_DATETIME
    lists = {_as_list(kind) for kind in rest}
    return next(iter(lists)) or JSON if len(lists) == 1 else JSON


def to_flat(kind: Kind, column: pa.Array, flat: Kind) -> pa.Array:
    """A column of ``kind`` with the type of the ``flat`` kind that it meets others as."""
    if kind == flat:
        return column
    if flat == JSON:
        return pa.array(kind.json(column), pa.string())
    if kind == INT:
        return column.cast(pa.float64(), safe=False)
    if isinstance(flat, ListKind):
        return kind.file(column)  # arrays of one shape are lists in files too
    return column.cast(flat.sealed_type)


def equal(kind: Kind, column: pa.Array, wanted: Kind, value: Any) -> pa.Array | None:
    """Which values of a column equal ``value``; None where nothing of that kind could.

    int and float compare as the numbers they are; ``True`` is not ``1``.

    Args:
        wanted: the kind of ``value``, a plain value of it.
    """
    if {kind, wanted} == {INT, FLOAT}:
        exact = _as(kind, value)
        return None if exact is None else kind.equal(column, exact)
    if isinstance(kind, ZonedDatetime) and isinstance(wanted, ZonedDatetime):
        return kind.equal(column, value)
    return kind.equal(column, value) if kind == wanted else None


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
    in_range = number == number and abs(number) < 2**63  # noqa: PLR0124 - NaN is no int
    return int(number) if in_range and float(number).is_integer() else None
