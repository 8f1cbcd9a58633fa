"""The lines that a terminal shows: carriage returns, erased text and moves of the cursor, folded."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import Final

__all__ = ["Line", "Screen"]

#: Seconds without a change after which a line above the cursor is final.
_QUIET: Final = 0.1
#: The same once the cursor was moved up or hidden, as drawers of several progress bars do.
_QUIET_IF_REDRAWN: Final = 2.0
#: Lines above the cursor that can still be changed; older ones are final.
_MOST_LINES: Final = 256
#: Characters of a line; longer ones go on in another.
_LONGEST: Final = 65_536
#: An escape sequence, whole, or one of the control characters but a tab.
_CONTROL: Final = re.compile(
    r"\x1b\[(?P<numbers>[0-?]*)[ -/]*(?P<end>[@-~])"
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"
    r"|[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f]|\x1b"
)
#: The start of an escape sequence, whose rest comes later.
_UNFINISHED: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]{0,4096}\x1b?|[ -/]*)$")
_EDITS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Line:
    """A line, and when it was changed last."""

    __slots__ = ("is_edited", "is_gap", "text", "time")

    def __init__(self, time: float, text: str = "", *, is_gap: bool = False) -> None:
        self.text = text
        self.time = time
        self.is_edited = False
        #: It was final, and comes back only if something is written to it.
        self.is_gap = is_gap


class Screen:
    """A terminal for one stream, without a width: text goes in, and lines that are final come out."""

    def __init__(self) -> None:
        self._decode: Callable[[bytes], str] = codecs.getincrementaldecoder("utf-8")(
            "replace"
        ).decode
        self._rest = ""
        self._lines: list[Line] = []
        self._row = self._column = 0
        self._quiet = _QUIET

    def feed(self, data: bytes, time: float) -> list[Line]:
        """Show what was written; returns the lines that no sequence can change any more."""
        text = (self._rest + self._decode(data)).replace("\r\n", "\n")
        found = _UNFINISHED.search(text) or re.search(r"\r$", text)
        at = found.start() if found else len(text)
        text, self._rest = text[:at], text[at:]
        if _EDITS.search(text):
            self._show(text, time)
        else:
            self._print(text, time)
        return self._scrolled(max(0, self._row - _MOST_LINES))

    @property
    def has_recent_lines(self) -> bool:
        """Whether there are lines above the cursor."""
        return self._row > 0

    def settled(self, now: float) -> list[Line]:
        """The lines above the cursor that have not changed for a while."""
        above = self._lines[: self._row]
        recent = (n for n, each in enumerate(above) if now - each.time < self._quiet)
        return self._scrolled(next(recent, len(above)))

    def end(self) -> list[Line]:
        """All other lines, at the end."""
        last = self._lines[-1] if self._lines else None
        if last is not None and not (last.text.rstrip(" ") if last.is_edited else last.text):
            self._lines.pop()
        return self._scrolled(len(self._lines))

    def _scrolled(self, count: int) -> list[Line]:
        gone, self._lines = self._lines[:count], self._lines[count:]
        self._row = max(0, self._row - count)
        for each in gone:
            if each.is_edited:
                each.text = each.text.rstrip(" ")
        return [each for each in gone if not each.is_gap]

    def _print(self, text: str, time: float) -> None:
        first, *others = text.split("\n")
        self._write(first, time)
        for each in others:
            self._move(self._row + 1, 0, time)
            self._write(each, time)

    def _show(self, text: str, time: float) -> None:
        at = 0
        for found in _CONTROL.finditer(text):
            self._write(text[at : found.start()], time)
            at = found.end()
            if found["end"]:
                self._sequence(found["end"], found["numbers"], time)
            else:
                self._control(found[0], time)
        self._write(text[at:], time)

    def _control(self, character: str, time: float) -> None:
        if character in "\n\x0b\x0c":
            self._move(self._row + 1, 0, time)
        elif character == "\r":
            self._column = 0
        elif character == "\b":
            self._column = max(0, self._column - 1)
        elif character == "\x1bM":
            self._move(self._row - 1, self._column, time)

    def _sequence(self, end: str, numbers: str, time: float) -> None:
        first = numbers.split(";", maxsplit=1)[0]
        number = min(int(first), _LONGEST) if first.isdecimal() else 0
        count, row, column = max(number, 1), self._row, self._column
        match end:
            case "A" | "F":
                self._move(row - count, column if end == "A" else 0, time)
            case "B" | "E":
                self._move(row + min(count, _MOST_LINES), column if end == "B" else 0, time)
            case "C":
                self._column = column + count
            case "D":
                self._column = max(0, column - count)
            case "G":
                self._column = count - 1
            case "H" | "f":
                self._clear(time)
            case "J" | "K":
                self._erase(end, number, time)
            case "l" if numbers == "?25":  # the cursor is hidden before the first drawing
                self._quiet = _QUIET_IF_REDRAWN
            case _:
                return  # colours, and what has no effect on text

    def _clear(self, time: float) -> None:
        """Begin a screen below: what was cleared stays as lines."""
        if any(each.text for each in self._lines[self._row :]):
            self._move(len(self._lines), 0, time)

    def _erase(self, end: str, number: int, time: float) -> None:
        line = self._line(time)
        if end == "J" and number:
            self._clear(time)
            return
        if end == "J":
            del self._lines[self._row + 1 :]
        line.text = {
            0: line.text[: self._column],
            1: " " * self._column + line.text[self._column :],
        }.get(number, "")
        line.is_edited, line.time = True, time

    def _move(self, row: int, column: int, time: float) -> None:
        if row < self._row:
            self._quiet = _QUIET_IF_REDRAWN
        if row < 0:  # to lines that were final
            self._lines[:0] = [Line(time, is_gap=True) for _ in range(min(-row, _MOST_LINES))]
            row = 0
        self._line(time)
        self._row, self._column = row, column
        self._line(time)

    def _line(self, time: float) -> Line:
        while len(self._lines) <= self._row:
            self._lines.append(Line(time))
        return self._lines[self._row]

    def _write(self, text: str, time: float) -> None:
        while text:
            room = _LONGEST - self._column
            if room <= 0:
                self._move(self._row + 1, 0, time)
                continue
            part, text = text[:room], text[room:]
            line, at = self._line(time), self._column
            line.is_edited |= at < len(line.text)
            line.text = f"{line.text[:at]:<{at}}{part}{line.text[at + len(part) :]}"
            line.time, line.is_gap = time, False
            self._column = at + len(part)
