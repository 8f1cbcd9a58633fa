"""A table of values for terminals and notebooks; it reports what it leaves out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final, NamedTuple

from .._keys import ATTEMPT_KEYS, ERROR_KEYS, EXPERIMENT_KEYS
from .._printable import one_line
from .fitting import BETWEEN, aligned, fitted
from .text import (
    GAP,
    MISSING,
    cut,
    duration_text,
    instant_text,
    is_number,
    literal_text,
    value_text,
    width,
)

__all__ = ["FIRST_TO_GO", "Table", "without_middle"]

#: The longest cell, and the maximum number of columns, in a notebook.
_LONGEST: Final = 200
_MOST_COLUMNS: Final = 20
_DIM: Final = "opacity:.6"
#: How many hidden columns are named, and with how many characters each.
_NAMED: Final = 8
_WIDEST_NAME: Final = 32

#: Built-in attributes of experiments: hidden first if there are too many columns.
FIRST_TO_GO: Final = EXPERIMENT_KEYS[1:] + ATTEMPT_KEYS[1:] + ERROR_KEYS
_SHOWN_AS: Final[dict[str, Callable[[Any], str]]] = {
    "experiment_start_time": instant_text,
    "experiment_end_time": instant_text,
    "experiment_duration": duration_text,
    "experiment_attempt_start_time": instant_text,
}


class Table(NamedTuple):
    """Some rows of a table.

    Attributes:
        title: the line below it.
        names: all columns of the table, in order.
        keys: the columns with values.
        rows: the values of each row, None if missing.
        numbers: the number of each row; a gap is shown where some are left out.
        kinds: the kinds of columns, if known.
        inherited: the columns that rows only inherit; the others come first where there is no room.
        shared: columns that move to the line above the table if all rows shown have one value.
        whole: how to see a complete value; printed if one is cut.
    """

    title: str
    names: Sequence[str]
    keys: Sequence[str]
    rows: Sequence[Sequence[Any]]
    numbers: Sequence[int]
    kinds: Sequence[str] = ()
    inherited: Sequence[str] = ()
    shared: Sequence[str] = ()
    whole: str = ""

    def text(self) -> str:
        """The table as lines that fit the terminal."""
        room = shutil.get_terminal_size().columns
        above, order = self._parts()
        margin = ["", *map(str, self.numbers)]
        widest = max(map(width, margin))
        columns = {at: self._texts(at) for at in order}
        widths = self._fitted(columns, room - widest)
        is_right = [True, *map(self._is_right, widths)]
        rows = zip(margin, *(columns[at] for at in widths), strict=True)
        most = [widest, *widths.values()]
        lines = [
            BETWEEN.join(aligned(map(cut, row, most), most, is_right)).rstrip() for row in rows
        ]
        lines[1:] = self._with_gap(lines[1:], GAP)
        is_cut = any(width(text) > widths[at] for at in widths for text in columns[at])
        first = [cut(self._above(above), room)] if above else []
        return "\n".join([*first, *lines, *self._below([*above, *widths], is_cut=is_cut)])

    def html(self) -> str:
        """The table as HTML with the colours of the page around it."""
        above, order = self._parts()
        few = without_middle([self.keys[at] for at in order], _MOST_COLUMNS)
        shown = [order[each] for each in few]
        head, *lines = zip(["", *map(str, self.numbers)], *map(self._texts, shown), strict=True)
        heads = [_html_row("th", head)]
        if self.kinds and shown:
            kinds = dict(zip(self.names, self.kinds, strict=True))
            heads.append(_html_row("td", ["", *(kinds[self.keys[at]] for at in shown)], _DIM))
        rows = [_html_row("td", map(_cut, line)) for line in lines]
        body = "".join(self._with_gap(rows, _html_row("td", ["⋮", *[""] * len(shown)])))
        is_cut = any(len(cell) > _LONGEST for line in lines for cell in line)
        below = "<br>".join(map(escape, self._below([*above, *shown], is_cut=is_cut)))
        first = f"<div>{escape(self._above(above))}</div>" if above else ""
        return (
            f'<div style="overflow-x:auto">{first}<table><thead>{"".join(heads)}</thead>'
            f"<tbody>{body}</tbody></table><div>{below}</div></div>"
        )

    def _parts(self) -> tuple[list[int], list[int]]:
        """Positions of the columns that move to the line above, and of those of the table.

        A column moves if all of several rows have the same value. Built-in attributes never do, and
        are last in the table.
        """
        shared = set(self.shared) if len(self.rows) > 1 else set()
        alike = {
            at
            for at, key in enumerate(self.keys)
            if key in shared and _is_alike([row[at] for row in self.rows])
        }
        last = {at for at, key in enumerate(self.keys) if key in FIRST_TO_GO}
        above = [at for at in sorted(alike - last) if self.rows[0][at] is not None]
        table = [at for at in range(len(self.keys)) if at not in alike]
        return above, sorted(table, key=last.__contains__)

    def _texts(self, at: int) -> list[str]:
        """The texts of a column, its name first."""
        key = self.keys[at]
        return [one_line(key), *(_cell(key, row[at]) for row in self.rows)]

    def _is_right(self, at: int) -> bool:
        return all(row[at] is None or is_number(row[at]) for row in self.rows)

    def _fitted(self, columns: Mapping[int, list[str]], room: int) -> dict[int, int]:
        """The columns that fit, with their widths; built-in attributes only if all do.

        The number of the experiment comes first. Then in turns the next own column and an inherited
        one are taken: those that differ first, of these the fullest, of these the nearest.
        """
        at = list(columns)
        if sum(max(map(width, texts)) + len(BETWEEN) for texts in columns.values()) > room:
            at = [each for each in at if self.keys[each] not in FIRST_TO_GO] or at[:1]
        inherited = set(self.inherited) - {EXPERIMENT_KEYS[0]}
        own = [each for each in at if self.keys[each] not in inherited]
        above = [each for each in reversed(at) if self.keys[each] in inherited]
        above.sort(key=lambda each: self._worth(each, columns[each][1:]), reverse=True)
        ranks = {each: 2 * place for place, each in enumerate(own)}
        ranks |= {each: 2 * place + 1 for place, each in enumerate(above)}
        is_right = list(map(self._is_right, at))
        texts = [columns[each] for each in at]
        widths = fitted(texts, is_right, room, [ranks[each] for each in at])
        return {each: most for each, most in zip(at, widths, strict=True) if most}

    def _worth(self, at: int, texts: Sequence[str]) -> tuple[bool, int]:
        """Whether the values of an inherited column differ, and how many are shown."""
        values = [text for text in texts if text != MISSING]
        return self.keys[at] not in self.shared or len(set(values)) > 1, len(values)

    def _with_gap(self, lines: list[str], gap: str) -> Iterator[str]:
        for before, number, line in zip([-1, *self.numbers], self.numbers, lines, strict=False):
            if number != before + 1:
                yield gap
            yield line

    def _above(self, above: Sequence[int]) -> str:
        """The line above the table: the values that all rows shown have."""
        return f"in all rows shown: {'  '.join(map(self._word, above))}"

    def _word(self, at: int) -> str:
        key, value = self.keys[at], self.rows[0][at]
        text = _cell(key, value) if key in _SHOWN_AS else literal_text(value)
        return f"{one_line(key)}={text}"

    def _below(self, shown: Sequence[int], *, is_cut: bool) -> list[str]:
        """The lines below the table: title, how to see complete values, hidden columns."""
        title = self.title
        if is_cut and self.whole:
            title += f"; {GAP} is where a value is cut, {self.whole} has all of it"
        seen = {self.keys[at] for at in shown}
        hidden = [one_line(key) for key in dict.fromkeys(self.names) if key not in seen]
        if not hidden:
            return [title]
        named = ", ".join(cut(name, _WIDEST_NAME) for name in hidden[:_NAMED])
        more = f" and {len(hidden) - _NAMED:,} more" if len(hidden) > _NAMED else ""
        return [title, f"not shown: {named}{more}"]


def without_middle(keys: Sequence[str], most: int) -> list[int]:
    """Positions of at most so many keys: drops built-in attributes first, then the middle."""
    if len(keys) <= most:
        return list(range(len(keys)))
    shown = [at for at, key in enumerate(keys) if key not in FIRST_TO_GO]
    if len(shown) <= most:
        return shown
    return shown[: (most + 1) // 2] + shown[len(shown) - most // 2 :]


def _is_alike(values: Sequence[Any]) -> bool:
    """Whether all values are equal, or all missing; compared as text, because of arrays."""
    first = values[0]
    return all(type(each) is type(first) for each in values) and len({*map(repr, values)}) == 1


def _cell(key: str, value: Any) -> str:
    return MISSING if value is None else _SHOWN_AS.get(key, value_text)(value)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + GAP


def _html_row(tag: str, cells: Iterable[str], style: str = "") -> str:
    """A row of cells, the first of which is the number of the row."""
    styled = f' style="{style}"' if style else ""
    number, *rest = map(escape, cells)
    inner = "".join(f"<{tag}{styled}>{cell}</{tag}>" for cell in rest)
    return f"<tr><th>{number}</th>{inner}</tr>"
