"""Rows of consecutive records of a node, in pure Python.

This is the same narrow interface that ``native.c`` implements: it gets a node's values and those of its
records, column by column, and makes dicts of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from .._once import remembered

__all__ = ["Known", "fresh", "rows_of_node"]

#: How many dicts are made at once: few enough for the CPU cache and to not trigger the GC.
_ROWS_AT_ONCE: Final = 256

_Row = TypeVar("_Row", bound=dict[str, Any])


class Known(dict[str, Any]):
    """A dict in which a missing key reads as None."""

    __slots__ = ()

    def __missing__(self, key: str) -> None:
        return None


def rows_of_node(  # noqa: PLR0913, PLR0917 - by place, as the native backend takes them
    copy: Callable[[dict[str, Any]], _Row],
    base: dict[str, Any],
    keys: tuple[str, ...],
    columns: tuple[Sequence[Any], ...],
    start: int,
    stop: int,
    has_gaps: bool,
    mutable: tuple[str, ...] = (),
    /,
) -> Iterator[_Row]:
    """The rows from ``start`` to ``stop``: copies of a dict with further values.

    A row that is no longer in use two rows later may be reused with other values: so ``copy`` must
    return objects that no other code changes.

    Args:
        copy: the type of the rows.
        base: the values shared by all of them.
        keys: the keys of the further values.
        columns: for each key the values of all rows, a list or a memoryview of "q", "d" or "?".
        has_gaps: whether None in a column means that the row lacks the key. Otherwise None is a
            value like any other.
        mutable: keys of ``base`` with mutable values, of which each row gets copies.
    """
    make = partial(_copy_with_fresh, copy, mutable) if mutable else copy
    for first in range(start, stop, _ROWS_AT_ONCE):
        last = min(first + _ROWS_AT_ONCE, stop)
        lines = zip(*(column[first:last] for column in columns), strict=True)
        if not columns:
            yield from [make(base) for _ in range(last - first)]
        elif has_gaps:
            yield from [make(base | _present(keys, line)) for line in lines]
        else:
            yield from _filler(len(keys))(make, base | dict.fromkeys(keys), lines, *keys)


def _copy_with_fresh(
    copy: Callable[[dict[str, Any]], _Row], mutable: tuple[str, ...], base: dict[str, Any]
) -> _Row:
    return copy(base | {key: fresh(base[key]) for key in mutable})


def fresh(value: Any, /) -> Any:
    """A deep copy of a dict, a list or an array.

    Other values are immutable, and returned as they are.
    """
    if type(value) is dict:
        return {key: fresh(each) for key, each in value.items()}
    if type(value) is list:
        return [fresh(each) for each in value]
    return value.copy() if hasattr(value, "__array_interface__") else value


def _present(keys: tuple[str, ...], values: tuple[Any, ...]) -> dict[str, Any]:
    return {key: value for key, value in zip(keys, values, strict=True) if value is not None}


@remembered(1024)
def _filler(keys: int) -> Callable[..., list[Any]]:
    """A function that copies a dict, each time with other values under its last keys.

    Assigning each value in the ``for`` itself costs half of a call of ``update``, but has to be written
    out for each number of keys. The text depends on nothing but their number.
    """
    names = [f"key_{number}" for number in range(keys)]
    targets = ", ".join(f"row[{name}]" for name in names)
    text = f"lambda copy, row, rows, {', '.join(names)}: [copy(row) for ({targets},) in rows]"
    return eval(text)  # type: ignore[no-any-return]  # noqa: S307
