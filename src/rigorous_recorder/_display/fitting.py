"""Fitting columns to the width of a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .text import width

__all__ = ["BETWEEN", "fitted"]

#: Spaces between two columns.
BETWEEN: Final = 2
#: Text wider than a date with time can be cut down to this many characters. Numbers are never cut:
#: a part of one would be another number.
_WHOLE: Final = 19
_LEAST: Final = 16


def fitted(
    columns: Sequence[Sequence[str]],
    is_right: Sequence[bool],
    room: int,
    ranks: Sequence[int] | None = None,
) -> list[int]:
    """The width of each column, 0 if it is hidden; at least one is shown.

    Args:
        columns: the texts of each column, including its name.
        is_right: whether its values are numbers.
        room: the width of a line, with a gap for each column.
        ranks: positions of the columns, most important first; in order if not given.
    """
    natural = [max(map(width, texts)) for texts in columns]
    least = [
        each if right or each <= _WHOLE else _LEAST
        for each, right in zip(natural, is_right, strict=True)
    ]
    taken = _taken(least, room, ranks or range(len(columns)))
    left = room - sum(least[at] + BETWEEN for at in taken)
    return _widened([least[at] if at in taken else 0 for at in range(len(columns))], natural, left)


def _taken(least: Sequence[int], room: int, ranks: Sequence[int]) -> set[int]:
    taken: set[int] = set()
    for at in sorted(range(len(least)), key=ranks.__getitem__):
        needed = least[at] + BETWEEN
        if needed <= room or not taken:
            taken.add(at)
            room -= needed
    return taken


def _widened(widths: list[int], natural: Sequence[int], left: int) -> list[int]:
    """Distribute what is left of the line to columns that are cut, the narrowest first."""
    while left > 0:
        cut = [at for at, each in enumerate(widths) if 0 < each < natural[at]]
        if not cut:
            break
        at = min(cut, key=widths.__getitem__)
        others = [widths[each] for each in cut if widths[each] > widths[at]]
        share = max(1, left // len(cut))
        more = min(share, natural[at] - widths[at], *(each - widths[at] for each in others))
        widths[at] += more
        left -= more
    return widths
