"""Output of the commands: tables for people, JSON lines for programs, messages on the side."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import chain, compress, count, islice
from operator import not_
from typing import Any, Final

from rigorous_recorder._display.fitting import BETWEEN, aligned, fitted
from rigorous_recorder._display.text import GAP, MISSING, cut, instant_text
from rigorous_recorder._printable import lines, one_line
from rigorous_recorder._report import write_line
from rigorous_recorder._values import json_floats
from rigorous_recorder._values.text_forms import csv_text, text_form

__all__ = [
    "cell",
    "csv_cell",
    "duration_text",
    "has_colors",
    "is_terminal",
    "json_line",
    "print_json",
    "print_message",
    "print_table",
    "print_text",
    "time_text",
]

#: The rows that determine how wide the columns of a table are.
_MEASURED: Final = 1_000
#: Escape codes of terminals.
_BOLD: Final = "1"
_STYLES: Final = {
    "running": "36",
    "finished": "32",
    "failed": "31",
    "crashed": "35",
    "stopped": "33",
    "pruned": "33",
}


def is_terminal() -> bool:
    """Whether standard output is a terminal; output to a pipe or file is plain."""
    return sys.stdout.isatty()


def has_colors() -> bool:
    """Whether output has colors: on a terminal that supports them, unless NO_COLOR is set."""
    return is_terminal() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def print_message(text: str) -> None:
    """Print a message that is not data to standard error."""
    write_line(text)


def print_text(text: str) -> None:
    """Print text; on a terminal its control characters are shown as text."""
    sys.stdout.write(lines(text) if is_terminal() else text)


# --- JSON ----------------------------------------------------------------------------------------


def print_json(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print one JSON object a line."""
    for row in rows:
        sys.stdout.write(json_line(row) + "\n")


def json_line(value: Any) -> str:
    """JSON text on one line that every JSON parser accepts.

    NaN and infinities, which JSON lacks, are null and listed under ``$nonfinite``; times are
    ISO 8601, durations seconds, bytes hexadecimal.
    """
    return _json_text(text_form(value))


def csv_cell(value: Any) -> str:
    """A value like ``json_line``, but text without quotes, and nothing for null.

    Non-finite numbers are ``NaN``, ``inf`` and ``-inf``.
    """
    return csv_text(value, _json_text)


def _json_text(plain: Any) -> str:
    is_wide = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    text = json_floats.dumps(plain, ensure_ascii=not is_wide)
    if text.isprintable() or not is_terminal():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


# --- tables --------------------------------------------------------------------------------------


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    empty: str = "nothing",
    first: Collection[str] = (),
    last: Sequence[str] = (),
) -> None:
    """Print a table with numbers aligned right, or ``empty`` if there are no rows.

    On a terminal lines are fitted to its width, and a note lists what is cut or hidden. Elsewhere
    lines are as long as needed, nothing is cut, and rows are printed as they come.

    Args:
        first: if not all columns fit, these and others are taken in turns.
        last: columns that are hidden first.
    """
    found = iter(rows)
    head = list(islice(found, _MEASURED))
    if not head:
        if empty:
            print_message(empty)
        return
    names = [cell(name) for name in columns]
    start = [[cell(value) for value in row] for row in head]
    is_number = [
        all(isinstance(row[at], (int, float, Decimal)) for row in head)
        for at in range(len(columns))
    ]
    is_whole, colors = not is_terminal(), has_colors()
    room = sys.maxsize if is_whole else shutil.get_terminal_size().columns + len(BETWEEN)
    texts = list(zip(names, *start, strict=True))
    widths = fitted(texts, is_number, room, _ranks(names, first, last))
    is_cut = False
    for row in chain([names], start, ([cell(value) for value in row] for row in found)):
        shown = row if is_whole else list(map(cut, row, widths))
        is_cut = is_cut or any(
            most and a is not b for most, a, b in zip(widths, shown, row, strict=True)
        )
        cells = aligned(shown, widths, is_number)
        if colors:
            cells = [_colored(text, is_head=row is names) for text in cells]
        sys.stdout.write(f"{BETWEEN.join(cells).rstrip()}\n")
    if not is_whole:
        _report_left_out(compress(names, map(not_, widths)), is_cut=is_cut)


def _ranks(names: Sequence[str], first: Collection[str], last: Collection[str]) -> list[int]:
    """The rank of each column, the most important lowest."""
    own, others, least = count(0, 2), count(1, 2), count(2 * len(names))
    return [next(least if name in last else own if name in first else others) for name in names]


def _colored(text: str, *, is_head: bool) -> str:
    style = _BOLD if is_head else _STYLES.get(text.strip())
    return f"\x1b[{style}m{text}\x1b[0m" if style else text


def _report_left_out(hidden: Iterable[str], *, is_cut: bool) -> None:
    names = ", ".join(hidden)
    words = [f"not shown: {names}"] if names else []
    words += [f"{GAP} is where a value is cut"] if is_cut else []
    if words:
        print_message(f"{'; '.join(words)}; use --json or a pipe to see everything")


def cell(value: Any) -> str:
    """A value as text on one line, without control characters of terminals."""
    if isinstance(value, str):
        text = value
    elif value is None:
        text = "null"
    elif isinstance(value, (Mapping, list, tuple)):
        text = json_line(value)
    elif isinstance(
        value, (bool, int, float, Decimal, dt.date, dt.datetime, dt.time, dt.timedelta)
    ):
        text = str(value)
    else:
        plain = text_form(value)
        text = plain if isinstance(plain, str) else json_line(plain)
    return one_line(text)


# --- words ---------------------------------------------------------------------------------------


def time_text(seconds: float | None) -> str:
    """A time since the epoch as local date and time; a dash for None."""
    return MISSING if seconds is None else instant_text(seconds)


def duration_text(seconds: float | None) -> str:
    """Seconds, in the two largest units that fit."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24:02} h"
