"""Rows of one node after the other, in plain Python.

This is the narrow interface that ``native.c`` fills too: it is handed what a node knows and the
values of its records, column by column, and makes dicts of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from .._once import remembered

__all__ = ["Known", "fresh", "rows_of_node"]

#: Dicts made at once: so few stay in the processor's cache, and don't set off Python's collector.
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
    """The rows from ``start`` to ``stop``: copies of a dict with values of their own under keys.

    A row that nobody has any more when the next but one is asked for may be given again, with the
    values of that one: ``copy`` must make what nobody changes.

    Args:
        copy: the type of the rows.
        base: what all of them have.
        keys: under which keys they have values of their own.
        columns: for each key the values of all rows, a list or a memoryview of "q", "d" or "?".
        has_gaps: whether a row has no value of its own where its column has None. Otherwise None
            is a value like any other.
        mutable: keys of ``base`` whose values can be changed: each row has copies of its own.
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
    """A value that nobody else has: a copy of a dict, a list or an array, with all that is inside.

    Anything else can't be changed, and is given back.
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
    """Copies of one dict, each with other values under its last keys.

    That each value goes where it belongs in the ``for`` itself costs half of a call of ``update``;
    it has to be spelled for each number of keys. Nothing but their number is in the text.
    """
    names = [f"key_{number}" for number in range(keys)]
    targets = ", ".join(f"row[{name}]" for name in names)
    text = f"lambda copy, row, rows, {', '.join(names)}: [copy(row) for ({targets},) in rows]"
    return eval(text)  # type: ignore[no-any-return]  # noqa: S307
