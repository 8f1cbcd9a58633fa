"""Fitting columns to the width of a line, and aligning the cells of a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from .text import pad, width

__all__ = ["BETWEEN", "aligned", "fitted"]

#: The separator of two columns.
BETWEEN: Final = "  "
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
        ranks: of the columns, the most important lowest; in order if not given.
    """
    natural = [max(map(width, texts)) for texts in columns]
    widths = [0] * len(columns)
    for at in sorted(range(len(columns)), key=(ranks or range(len(columns))).__getitem__):
        least = natural[at] if is_right[at] or natural[at] <= _WHOLE else _LEAST
        if least + len(BETWEEN) <= room or not any(widths):
            widths[at] = least
            room -= least + len(BETWEEN)
    # What is left of the line is distributed evenly among the columns that are cut.
    short = [at for at, each in enumerate(widths) if 0 < each < natural[at]]
    for place, at in enumerate(sorted(short, key=natural.__getitem__)):
        more = max(0, min(natural[at] - widths[at], room // (len(short) - place)))
        widths[at] += more
        room -= more
    return widths


def aligned(cells: Iterable[str], widths: Sequence[int], is_right: Sequence[bool]) -> list[str]:
    """The visible cells of a row, padded to their widths."""
    return [
        pad(text, most, is_right=right)
        for text, most, right in zip(cells, widths, is_right, strict=True)
        if most
    ]
