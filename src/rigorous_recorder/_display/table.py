"""A table of values for terminals and notebooks; it reports what it leaves out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from typing import Any, Final, NamedTuple

from .._keys import ATTEMPT_KEYS, ERROR_KEYS, EXPERIMENT_KEYS
from .._printable import one_line
from .fitting import BETWEEN, fitted
from .text import (
    GAP,
    MISSING,
    cut,
    duration_text,
    instant_text,
    is_number,
    literal_text,
    pad,
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


class _Column(NamedTuple):
    """A column in a terminal: its texts, including the name, and its width."""

    key: str
    texts: list[str]
    width: int
    is_right: bool


class Table(NamedTuple):
    """Some rows of a table.

    Attributes:
        title: the line below it.
        names: all columns of the table, in order.
        keys: the columns with values.
        rows: the values of each row, None if missing.
        numbers: the number of each row; a gap is shown where some are left out.
        kinds: the kinds of columns, if known.
        shared: columns that move to the line above the table if all rows shown have one value.
        whole: how to see a complete value; printed if one is cut.
    """

    title: str
    names: Sequence[str]
    keys: Sequence[str]
    rows: Sequence[Sequence[Any]]
    numbers: Sequence[int]
    kinds: Sequence[str] = ()
    shared: Sequence[str] = ()
    whole: str = ""

    def text(self) -> str:
        """The table as lines that fit the terminal."""
        room = shutil.get_terminal_size().columns
        margin = ["", *map(str, self.numbers)]
        above, columns = self._same(), self._fitted(room - max(map(width, margin)))
        lines = ["".join(cells).rstrip() for cells in zip(*_padded(margin, columns), strict=True)]
        lines[1:] = self._with_gap(lines[1:], GAP)
        is_cut = any(width(text) > each.width for each in columns for text in each.texts)
        first = [cut(self._above(above), room)] if above else []
        below = self._below([*above, *(each.key for each in columns)], is_cut=is_cut)
        return "\n".join([*first, *lines, *below])

    def html(self) -> str:
        """The table as HTML with the colours of the page around it."""
        above, at = self._same(), self._order()
        at = [at[each] for each in without_middle([self.keys[each] for each in at], _MOST_COLUMNS)]
        keys = [self.keys[each] for each in at]
        heads = [_html_row("th", "", map(one_line, keys))]
        if self.kinds and keys:
            kinds = dict(zip(self.names, self.kinds, strict=True))
            heads.append(_html_row("td", "", [kinds[key] for key in keys], style=_DIM))
        cells = [[_cell(self.keys[each], row[each]) for each in at] for row in self.rows]
        rows = [
            _html_row("td", str(number), [_cut(cell) for cell in line])
            for number, line in zip(self.numbers, cells, strict=True)
        ]
        body = "".join(self._with_gap(rows, _html_row("td", "⋮", [""] * len(at))))
        is_cut = any(len(cell) > _LONGEST for line in cells for cell in line)
        below = "<br>".join(map(escape, self._below([*above, *keys], is_cut=is_cut)))
        first = f"<div>{escape(self._above(above))}</div>" if above else ""
        return (
            f'<div style="overflow-x:auto">{first}<table><thead>{"".join(heads)}</thead>'
            f"<tbody>{body}</tbody></table><div>{below}</div></div>"
        )

    def _same(self) -> list[str]:
        """The columns that move to the line above: all of several rows have the same value."""
        return [
            key for key in self._alike() if key not in FIRST_TO_GO and self._first(key) is not None
        ]

    def _alike(self) -> list[str]:
        """The shared columns in which all rows shown have the same value, or none has one."""
        if len(self.rows) < 2:
            return []
        at = {key: each for each, key in enumerate(self.keys)}
        shared = [key for key in self.shared if key in at]
        return [key for key in shared if _is_alike([row[at[key]] for row in self.rows])]

    def _first(self, key: str) -> Any:
        return self.rows[0][self.keys.index(key)]

    def _order(self) -> list[int]:
        """Positions of the columns; built-in attributes are last."""
        alike = set(self._alike())
        shown = [at for at, key in enumerate(self.keys) if key not in alike]
        return sorted(shown, key=lambda at: self.keys[at] in FIRST_TO_GO)

    def _ranks(self, keys: Sequence[str]) -> list[int]:
        """Positions by importance: in turns the next own column and the nearest inherited one."""
        own = [key for key in keys if key not in self.shared]
        inherited = [key for key in keys if key in self.shared]
        ranks = {key: 2 * place for place, key in enumerate(own)}
        ranks |= {key: 2 * place + 1 for place, key in enumerate(reversed(inherited))}
        return [ranks[key] for key in keys]

    def _fitted(self, room: int) -> list[_Column]:
        """The columns that fit; built-in attributes only if all do."""
        columns = [self._column(at) for at in self._order()]
        if sum(each.width + BETWEEN for each in columns) > room:
            columns = [each for each in columns if each.key not in FIRST_TO_GO] or columns[:1]
        texts, is_right = [each.texts for each in columns], [each.is_right for each in columns]
        widths = fitted(texts, is_right, room, self._ranks([each.key for each in columns]))
        return [
            each._replace(width=most) for each, most in zip(columns, widths, strict=True) if most
        ]

    def _column(self, at: int) -> _Column:
        key, values = self.keys[at], [row[at] for row in self.rows]
        texts = [one_line(text) for text in [key, *(_cell(key, value) for value in values)]]
        is_right = all(value is None or is_number(value) for value in values)
        return _Column(key, texts, max(map(width, texts)), is_right)

    def _with_gap(self, lines: list[str], gap: str) -> Iterator[str]:
        for before, number, line in zip([-1, *self.numbers], self.numbers, lines, strict=False):
            if number != before + 1:
                yield gap
            yield line

    def _above(self, keys: Sequence[str]) -> str:
        """The line above the table: the values that all rows shown have."""
        return f"in all rows shown: {'  '.join(map(self._word, keys))}"

    def _word(self, key: str) -> str:
        value = self._first(key)
        text = _cell(key, value) if key in _SHOWN_AS else literal_text(value)
        return f"{one_line(key)}={text}"

    def _below(self, shown: Sequence[str], *, is_cut: bool) -> list[str]:
        """The lines below the table: title, how to see complete values, hidden columns."""
        title = self.title
        if is_cut and self.whole:
            title += f"; {GAP} is where a value is cut, {self.whole} has all of it"
        hidden = [one_line(key) for key in dict.fromkeys(self.names) if key not in set(shown)]
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


def _padded(margin: list[str], columns: Sequence[_Column]) -> Iterator[list[str]]:
    """The cells of each column, padded to its width."""
    widest = max(map(width, margin))
    yield [pad(text, widest, is_right=True) for text in margin]
    for _, texts, most, is_right in columns:
        yield [" " * BETWEEN + pad(cut(text, most), most, is_right=is_right) for text in texts]


def _is_alike(values: Sequence[Any]) -> bool:
    """Whether all values are equal, or all missing; compared as text, because of arrays."""
    first = values[0]
    return all(type(each) is type(first) for each in values) and len({*map(repr, values)}) == 1


def _cell(key: str, value: Any) -> str:
    return MISSING if value is None else _SHOWN_AS.get(key, value_text)(value)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + GAP


def _html_row(tag: str, number: str, cells: Iterable[str], style: str = "") -> str:
    styled = f' style="{style}"' if style else ""
    inner = "".join(f"<{tag}{styled}>{escape(cell)}</{tag}>" for cell in cells)
    return f"<tr><th>{number}</th>{inner}</tr>"
