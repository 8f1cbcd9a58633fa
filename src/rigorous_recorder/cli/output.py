"""Output of the commands: tables for people, JSON lines for programs, messages on the side."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain, islice
from typing import Any, Final
from uuid import UUID

from rigorous_recorder._display import fitting
from rigorous_recorder._display.text import GAP, cut, pad, width
from rigorous_recorder._printable import lines, one_line
from rigorous_recorder._report import write_line
from rigorous_recorder._values import json_floats

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
    "size_text",
    "time_text",
]

#: The rows that determine how wide the columns of a table are.
_MEASURED: Final = 1_000
#: The separator of two columns.
_GAP: Final = "  "
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
    return _json_text(_plain(value))


def csv_cell(value: Any) -> str:
    """A value like ``json_line``, but text without quotes, and nothing for null.

    Non-finite numbers are ``NaN``, ``inf`` and ``-inf``.
    """
    plain = _plain(value)
    if plain is None:
        return ""
    if isinstance(plain, float) and not math.isfinite(plain):
        return "NaN" if math.isnan(plain) else str(plain)
    return plain if isinstance(plain, str) else _json_text(plain)


def _json_text(plain: Any) -> str:
    is_wide = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    text = json_floats.dumps(plain, ensure_ascii=not is_wide)
    if text.isprintable() or not is_terminal():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return _plain_leaf(value)


def _plain_leaf(value: Any) -> Any:
    if isinstance(value, (dt.date, dt.datetime, dt.time)):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, Decimal):
        return _plain_decimal(value)
    if isinstance(value, UUID):
        return str(value)
    return _plain(value.tolist())  # an array


def _plain_decimal(value: Decimal) -> int | float | str:
    if value == value.to_integral_value():
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)


# --- tables --------------------------------------------------------------------------------------


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    empty: str = "nothing",
    last: Sequence[str] = (),
) -> None:
    """Print a table with numbers aligned right, or ``empty`` if there are no rows.

    On a terminal lines are fitted to its width, and a note lists what is cut or hidden. Elsewhere
    lines are as long as needed, nothing is cut, and rows are printed as they come.

    Args:
        last: columns that are hidden first if not all fit.
    """
    found = iter(rows)
    first = list(islice(found, _MEASURED))
    if not first:
        if empty:
            print_message(empty)
        return
    is_number = [
        all(isinstance(row[at], (int, float, Decimal)) for row in first)
        for at in range(len(columns))
    ]
    names = [cell(name) for name in columns]
    texts = ([cell(value) for value in row] for row in chain(first, found))
    start = list(islice(texts, _MEASURED))
    lines_of = _fitted_lines if is_terminal() else _plain_lines
    sys.stdout.writelines(lines_of(names, start, texts, is_number, last))


def _fitted_lines(
    names: list[str],
    start: list[list[str]],
    more: Iterable[list[str]],
    is_number: list[bool],
    last: Sequence[str],
) -> Iterator[str]:
    """Lines for a terminal, no wider than it, followed by a note on what is cut or hidden."""
    room = shutil.get_terminal_size().columns + fitting.BETWEEN
    ranks = [at + len(names) * (name in last) for at, name in enumerate(names)]
    widths = fitting.fitted(list(zip(names, *start, strict=True)), is_number, room, ranks)
    shown = [(at, most) for at, most in enumerate(widths) if most]
    is_cut = False
    for row in chain([names], start, more):
        is_cut = is_cut or any(width(row[at]) > most for at, most in shown)
        cells = (pad(cut(row[at], most), most, is_right=is_number[at]) for at, most in shown)
        styles = [_STYLES.get(row[at], "") if row is not names else _BOLD for at, _ in shown]
        yield _GAP.join(map(_styled, cells, styles)).rstrip() + "\n"
    _report_left_out([names[at] for at, most in enumerate(widths) if not most], is_cut=is_cut)


def _styled(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if style and has_colors() else text


def _report_left_out(hidden: Sequence[str], *, is_cut: bool) -> None:
    words = [f"not shown: {', '.join(hidden)}"] if hidden else []
    words += [f"{GAP} is where a value is cut"] if is_cut else []
    if words:
        print_message(f"{'; '.join(words)}; use --json or a pipe to see everything")


def _plain_lines(
    names: list[str],
    start: list[list[str]],
    more: Iterable[list[str]],
    is_number: list[bool],
    _: Sequence[str],
) -> Iterator[str]:
    widths = [max(map(len, each)) for each in zip(names, *start, strict=True)]
    for row in chain([names], start, more):
        parts = zip(row, widths, is_number, strict=True)
        line = _GAP.join(
            text.rjust(width) if number else text.ljust(width) for text, width, number in parts
        )
        yield f"{line.rstrip()}\n"


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
        plain = _plain(value)
        text = plain if isinstance(plain, str) else json_line(plain)
    return one_line(text)


# --- words ---------------------------------------------------------------------------------------


def time_text(seconds: float | None) -> str:
    """A time since the epoch as local date and time."""
    if seconds is None:
        return "-"
    try:
        return f"{dt.datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):  # outside the calendar's range
        return f"{seconds:g} s"


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


def size_text(count: int) -> str:
    """Bytes, in the largest decimal unit that fits."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
