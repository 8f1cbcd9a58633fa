"""Conditions on records: a key equals a value or one of several, or a SQL expression is true."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from .._arrow import pa, pc
from .._lazy_imports import np, textwrap
from .._live.column import Column
from .._tree.columns import any_valid
from .._values.arrays import ArrayKind, ListKind
from .._values.chunks import bool_scalar
from .._values.classify import check_key, classify
from .._values.kinds import NULL, Kind
from .._values.promote import can_equal, equal, holds_lists, is_any_of
from ..errors import ArgumentError, UnsupportedTypeError, UnsupportedValueError
from .sql_conditions import SqlCondition, sql_condition

__all__ = ["AnyCondition", "Choice", "Condition", "Typed", "conditions_of"]

#: A choice of values; everything else is a single value.
_CHOICES: Final = (list, tuple, set, frozenset, range)
#: How many values a message shows.
_SHOWN: Final = 5
#: Maximum length of a range, whose numbers are compared one by one.
_MOST_CHOICES: Final = 1_000_000

#: The errors of parsing a typed value.
_NO_VALUE: Final = (ValueError, OverflowError, RecursionError)


class Typed(str):
    """A value typed on the command line, interpreted by the kinds of values of its key.

    It can have several meanings at once: ``1`` is a number, and text if the key has text.
    """

    __slots__ = ()


class Condition(NamedTuple):
    """The records in which a key has a value.

    Attributes:
        key: the key.
        kind: the value's kind; None if it was typed and can have several.
        value: the plain value of that kind; None selects records without the key.
    """

    key: str
    kind: Kind | None
    value: Any

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that it is about."""
        return (self.key,)

    @property
    def is_met_by_nothing(self) -> bool:
        """Whether a row without the key meets it."""
        return self.value is None

    def __str__(self) -> str:
        """Format it for messages."""
        return f"where({self.key}={textwrap.shorten(self.shown, 60, placeholder='...')})"

    @property
    def shown(self) -> str:
        """The value as it was written, so that numbers and text differ."""
        if self.value is None:
            return "..."
        return str(self.value) if self.kind is None else repr(self.value)

    def why_never(self, kinds: Iterable[Kind]) -> str | None:
        """Why no value of these kinds can be equal; None if one can, or there are no kinds."""
        known = {kind.name: kind for kind in kinds if kind != NULL}
        if not known or self.value is None or self._can_be(known.values()):
            return None
        names = ", ".join(known)
        if self.kind is not None and holds_lists(self.kind):
            return f"none of its values is a list, dict or array, they are {names}"
        expected = " or ".join(dict.fromkeys(each.example for each in known.values()))
        given = f"a value of kind {self.kind.name} equals none of them; " if self.kind else ""
        return f"its values are {names}; {given}expected {expected}"

    def _can_be(self, kinds: Iterable[Kind]) -> bool:
        """Whether a value of any of these kinds can be equal."""
        if self.kind is None:
            return any(self._wanted(each) is not None for each in kinds)
        return any(can_equal(each, self.kind) for each in kinds)

    def matches(self, by_kind: Mapping[Column, Any], rows: int) -> pa.Array:
        """Which rows meet it.

        Args:
            by_kind: the values in these rows for each column of the key.
        """
        if self.value is None:
            return pc.invert(any_valid(by_kind, rows))
        mask = pa.repeat(bool_scalar(value=False), rows)
        for column, values in by_kind.items():
            wanted = self._wanted(column.kind)
            hits = None if wanted is None else equal(column.kind, values, *wanted)
            if hits is not None:
                mask = pc.or_(mask, hits.fill_null(bool_scalar(value=False)))
        return mask

    def _wanted(self, kind: Kind) -> tuple[Kind, Any] | None:
        """The value converted for comparison with a kind, and its kind; None if impossible."""
        if self.kind is not None:
            return self.kind, self.value
        try:
            return classify(self.key, kind.parse(self.value))
        except (*_NO_VALUE, UnsupportedTypeError):
            return None


class Choice(NamedTuple):
    """The records in which a key has one of several values.

    Attributes:
        key: the key.
        options: a condition for each value.
    """

    key: str
    options: tuple[Condition, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that it is about."""
        return (self.key,)

    @property
    def is_met_by_nothing(self) -> bool:
        """Whether a row without the key meets it."""
        return any(each.value is None for each in self.options)

    def __str__(self) -> str:
        """Format it for messages."""
        shown = ", ".join(each.shown for each in self.options[:_SHOWN])
        return f"where({self.key}=[{textwrap.shorten(shown, 60, placeholder='...')}])"

    def why_never(self, kinds: Collection[Kind]) -> str | None:
        """Why one of the values can't occur among these kinds; None if all can."""
        found = [why for each in self.options if (why := each.why_never(kinds)) is not None]
        if found and all(holds_lists(kind) for kind in kinds if kind != NULL):
            return (
                "its values are lists, dicts or arrays, and a list in a condition selects one of"
                " its elements; for the list itself put it into another one: [[...]]"
            )
        return found[0] if found else None

    def matches(self, by_kind: Mapping[Column, Any], rows: int) -> pa.Array:
        """Which rows meet it; see ``Condition``."""
        mask = pa.repeat(bool_scalar(value=False), rows)
        if self.is_met_by_nothing:
            mask = pc.invert(any_valid(by_kind, rows))
        wanted = [
            (each.kind, each.value) for each in self.options if each.kind and each.kind != NULL
        ]
        for column, values in by_kind.items():
            mask = pc.or_(mask, is_any_of(column.kind, values, wanted))
        return mask


AnyCondition = Condition | Choice | SqlCondition


def conditions_of(texts: Sequence[str], values: Mapping[str, Any]) -> tuple[AnyCondition, ...]:
    """Conditions from SQL expressions, and from keys with a value or several values.

    Later changes of the values, as of an array's elements, do not affect them.

    Raises:
        ArgumentTypeError: a SQL expression is not text.
        ArgumentError: a text is not a single SQL condition, or a range is too long.
        UnsupportedTypeError: a value's type can't be in a record, or a key is not text.
        UnsupportedValueError: a value can't be in a record.
    """
    named = (_condition_on(key, value) for key, value in values.items())
    return (*map(sql_condition, texts), *named)


def _require_few(key: str, numbers: range) -> None:
    count = (numbers.stop - numbers.start) // numbers.step  # may be too large for len()
    if count <= _MOST_CHOICES:
        return
    first, last = sorted((numbers[0], numbers[-1]))
    sql = f"{key} BETWEEN {first} AND {last}"
    if abs(numbers.step) != 1:
        sql += f" AND ({key} - {first}) % {abs(numbers.step)} = 0"
    message = (
        f"where({key}={numbers}): a range of {count:,} numbers; expected at most {_MOST_CHOICES:,}."
        f" Write it as SQL: where('{sql}')"
    )
    raise ArgumentError(message)


def _condition_on(key: str, value: Any) -> Condition | Choice:
    check_key(key)
    if not isinstance(value, _CHOICES) or hasattr(value, "_fields"):  # a namedtuple is one value
        return _condition(key, value)
    if isinstance(value, range):
        _require_few(key, value)
    return Choice(key, tuple(_condition(key, each) for each in value))


def _condition(key: str, value: Any) -> Condition:
    if isinstance(value, Typed):
        return Condition(key, None, str(value))
    if callable(value) or isinstance(value, (set, frozenset)):  # a predicate, or a set in a choice
        raise UnsupportedTypeError(_refusal(key, value))
    try:
        kind, plain = classify(key, value)
    except (UnsupportedTypeError, UnsupportedValueError) as error:
        raise type(error)(_refusal(key, value)) from None
    if isinstance(kind, (ArrayKind, ListKind)):
        plain = np.array(plain)
    return Condition(key, kind, plain)


def _refusal(key: str, value: Any) -> str:
    shown = textwrap.shorten(repr(value), 60, placeholder="...")
    return (
        f"where({key}={shown}): no record can have this value, of type"
        f" {type(value).__qualname__}. A condition takes a value that a record can have under"
        " the key, or a list of such values; None selects records without it. Write"
        f" comparisons as SQL, such as where('{key} > 0.5')"
    )
