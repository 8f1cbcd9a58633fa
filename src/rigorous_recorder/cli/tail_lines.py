"""Formats of `rigorous tail`: a complete line per record for a pipe, changes for a terminal."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from rigorous_recorder._display.text import (
    GAP,
    MISSING,
    cut,
    is_number,
    literal_text,
    pad,
    value_text,
    width,
)
from rigorous_recorder._printable import one_line

from .output import cell, json_line, print_message

__all__ = ["Changes", "Columns", "JsonLines", "Lines", "Whole"]

#: The built-in attributes except an experiment's number: too much for each line.
_LEFT_OUT: Final = frozenset(
    {
        "error_number",
        "had_error",
        "experiment_start_time",
        "experiment_end_time",
        "experiment_duration",
        "experiment_attempt_start_time",
        "experiment_job",
        "experiment_job_restarts",
        "experiment_error_type",
        "experiment_error_message",
        "experiment_error_traceback",
    }
)
#: The width of a column: enough for a number, and for the start of a text.
_NARROWEST: Final = 10
_WIDEST: Final = 24


class Lines(Protocol):
    """A format for records."""

    def of(self, row: Mapping[str, Any]) -> Iterator[str]:
        """The lines of the next record."""


class JsonLines:
    """One JSON object per line, with all keys or some."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys

    def of(self, row: Mapping[str, Any]) -> Iterator[str]:
        """The lines of the next record."""
        yield json_line({key: row[key] for key in self._keys} if self._keys else row)


class Whole:
    """`key=value` for each key, each line complete by itself, as for grep."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys

    def of(self, row: Mapping[str, Any]) -> Iterator[str]:
        """The lines of the next record."""
        keys = self._keys or [key for key in row if key not in _LEFT_OUT]
        yield " ".join(f"{cell(key)}={cell(row[key])}" for key in keys)


class Changes:
    """Inherited values on their own line, once and when they change or end; then the records' own.

    Args:
        own_keys: the keys that records have themselves; called again for a row with a new key.
    """

    def __init__(self, own_keys: Callable[[], Collection[str]]) -> None:
        self._own_keys = own_keys
        self._own: Collection[str] = ()
        self._known: dict[str, str] = {}
        self._is_cut: bool | None = False  # None once it was reported

    def of(self, row: Mapping[str, Any]) -> Iterator[str]:
        """The lines of the next record."""
        shown = {key: literal_text(row[key]) for key in row if key not in _LEFT_OUT}
        if any(key not in self._known and key not in self._own for key in shown):
            self._own = frozenset(self._own_keys())
        inherited = {key: text for key, text in shown.items() if key not in self._own}
        changed = {k: text for k, text in inherited.items() if self._known.get(k) != text}
        changed |= {k: MISSING for k in self._known if k not in inherited}
        if changed:
            self._known = inherited
            yield self._line("── ", changed)
        yield self._line("", {key: text for key, text in shown.items() if key in self._own})
        if self._is_cut:
            print_message(
                f"{GAP} is where a line is cut; -k chooses keys, --json or a pipe has all of it"
            )
            self._is_cut = None

    def _line(self, start: str, texts: Mapping[str, str]) -> str:
        line = start + "  ".join(f"{one_line(key)}={text}" for key, text in texts.items())
        shown = cut(line, shutil.get_terminal_size().columns)
        if shown != line and self._is_cut is not None:
            self._is_cut = True
        return shown


class Columns:
    """Some keys in columns of a fixed width, with a header."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = list(dict.fromkeys(keys))
        self._names = [one_line(key) for key in self._keys]
        self._widths = [min(max(width(name), _NARROWEST), _WIDEST) for name in self._names]
        self._is_right: list[bool] = []

    def of(self, row: Mapping[str, Any]) -> Iterator[str]:
        """The lines of the next record, preceded by the header the first time."""
        values = [row[key] for key in self._keys]
        if not self._is_right:
            self._is_right = [is_number(value) for value in values]
            yield self._line(self._names)
        yield self._line(
            ["-" if value is None else one_line(value_text(value)) for value in values]
        )

    def _line(self, texts: Sequence[str]) -> str:
        cells = zip(texts, self._widths, self._is_right, strict=True)
        return "  ".join(
            pad(cut(text, most), most, is_right=right) for text, most, right in cells
        ).rstrip()
