"""A table of values for a terminal and for a notebook; what is left out is told."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from typing import Any, Final, NamedTuple

from .._keys import ERROR_KEYS
from .._printable import one_line
from .._tree import ATTEMPT_KEYS, EXPERIMENT_KEYS
from .text import (
    GAP,
    MISSING,
    cut,
    duration_text,
    instant_text,
    is_number,
    pad,
    value_text,
    width,
)

__all__ = ["Table", "without_middle"]

#: The widest cell in a terminal, the longest in a notebook, and how many columns it has at most.
_WIDEST: Final = 32
_LONGEST: Final = 200
_MOST_COLUMNS: Final = 20
_DIM: Final = "opacity:.6"
#: So many of the columns that are left out are told by name.
_TOLD: Final = 8

#: Keys that say how an experiment went: the first to be left out where columns are too many.
_FIRST_TO_GO: Final = EXPERIMENT_KEYS[1:] + ATTEMPT_KEYS[1:] + ERROR_KEYS
_SHOWN_AS: Final[dict[str, Callable[[Any], str]]] = {
    "experiment_start_time": instant_text,
    "experiment_end_time": instant_text,
    "experiment_duration": duration_text,
    "experiment_attempt_start_time": instant_text,
}


class Table(NamedTuple):
    """Some rows of a table.

    Attributes:
        title: what stands in the line below it.
        names: all columns of the table, in order.
        keys: those that there are values of.
        rows: for each row its values, None where there is none.
        numbers: the number of each row; where one is left out, a gap shows it.
        kinds: what kind of values a column has, where that is known.
    """

    title: str
    names: Sequence[str]
    keys: Sequence[str]
    rows: Sequence[Sequence[Any]]
    numbers: Sequence[int]
    kinds: Sequence[str] = ()

    def text(self) -> str:
        """The table as lines that fit the terminal."""
        room = shutil.get_terminal_size().columns
        margin = [str(number) for number in self.numbers]
        columns = [_column(key, [row[at] for row in self.rows]) for at, key in enumerate(self.keys)]
        widths = [max(map(width, column)) for column in columns]
        left = room - max(map(len, margin), default=0)
        kept = _fitting(self.keys, [each + 2 for each in widths], left)
        shown = [["", *margin], *(columns[at] for at in kept)]
        is_right = [True, *(self._is_right(at) for at in kept)]
        lines = [_line(cells, shown, is_right) for cells in zip(*shown, strict=True)]
        lines[1:] = self._with_gap(lines[1:], GAP)
        return "\n".join([*lines, *self._told([self.keys[at] for at in kept])])

    def html(self) -> str:
        """The table as HTML that takes its colours from the page it stands in."""
        at = without_middle(self.keys, _MOST_COLUMNS)
        keys = [self.keys[each] for each in at]
        heads = [_html_row("th", "", map(one_line, keys))]
        if self.kinds:
            kinds = dict(zip(self.names, self.kinds, strict=True))
            heads.append(_html_row("td", "", [kinds[key] for key in keys], style=_DIM))
        rows = [
            _html_row("td", str(number), [_cell(self.keys[each], row[each]) for each in at])
            for number, row in zip(self.numbers, self.rows, strict=True)
        ]
        body = "".join(self._with_gap(rows, _html_row("td", "⋮", [""] * len(at))))
        told = "<br>".join(escape(line) for line in self._told(keys))
        return (
            f'<div style="overflow-x:auto"><table><thead>{"".join(heads)}</thead>'
            f"<tbody>{body}</tbody></table><div>{told}</div></div>"
        )

    def _is_right(self, at: int) -> bool:
        return all(row[at] is None or is_number(row[at]) for row in self.rows)

    def _with_gap(self, lines: list[str], gap: str) -> Iterator[str]:
        for before, number, line in zip([-1, *self.numbers], self.numbers, lines, strict=False):
            if number != before + 1:
                yield gap
            yield line

    def _told(self, shown: Sequence[str]) -> list[str]:
        """The lines below the table: its title, and which columns it has besides."""
        hidden = [one_line(key) for key in dict.fromkeys(self.names) if key not in set(shown)]
        if not hidden:
            return [self.title]
        named = ", ".join(cut(name, _WIDEST) for name in hidden[:_TOLD])
        more = f" and {len(hidden) - _TOLD:,} more" if len(hidden) > _TOLD else ""
        return [self.title, f"not shown: {named}{more}"]


def without_middle(keys: Sequence[str], most: int) -> list[int]:
    """Positions of at most so many keys: how an experiment went goes first, then the middle."""
    if len(keys) <= most:
        return list(range(len(keys)))
    kept = [at for at, key in enumerate(keys) if key not in _FIRST_TO_GO]
    if len(kept) <= most:
        return kept
    return kept[: (most + 1) // 2] + kept[len(kept) - most // 2 :]


def _fitting(keys: Sequence[str], widths: list[int], room: int) -> list[int]:
    """Positions of the columns that fit a line; one always does."""
    kept = list(range(len(keys)))
    if sum(widths) > room:
        kept = [at for at in kept if keys[at] not in _FIRST_TO_GO] or kept[:1]
    while sum(widths[at] for at in kept) > room and len(kept) > 1:
        del kept[(len(kept) + 1) // 2]
    return kept


def _cell(key: str, value: Any) -> str:
    text = MISSING if value is None else _SHOWN_AS.get(key, value_text)(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + GAP


def _column(key: str, values: list[Any]) -> list[str]:
    return [cut(text, _WIDEST) for text in [one_line(key), *(_cell(key, each) for each in values)]]


def _line(cells: Sequence[str], columns: list[list[str]], is_right: list[bool]) -> str:
    padded = (
        pad(cell, max(map(width, column)), is_right=right)
        for cell, column, right in zip(cells, columns, is_right, strict=True)
    )
    return "  ".join(padded).rstrip()


def _html_row(tag: str, number: str, cells: Iterable[str], style: str = "") -> str:
    told = f' style="{style}"' if style else ""
    inner = "".join(f"<{tag}{told}>{escape(cell)}</{tag}>" for cell in cells)
    return f"<tr><th>{number}</th>{inner}</tr>"
