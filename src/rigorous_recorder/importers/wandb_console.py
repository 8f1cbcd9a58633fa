"""The console of a W&B run: lines, of which W&B writes each piece as it is printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from .texts import iso_time

__all__ = ["Console", "Line"]

#: What is longer without a line break, such as a progress bar, is given in parts.
_LONGEST: Final = 1 << 16


class Line(NamedTuple):
    """A line, its stream, and when its first piece was printed."""

    text: str
    stream: str
    time: datetime | None


class Console:
    """Puts pieces together to lines, for each stream by itself.

    Args:
        state: what ``state`` gave, to go on.
    """

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self._begun = {
            stream: Line(text, stream, iso_time(time))
            for stream, (text, time) in (state or {}).items()
        }

    def state(self) -> dict[str, Any]:
        """What ``Console`` takes to go on, plain JSON."""
        return {
            stream: [line.text, line.time and line.time.isoformat()]
            for stream, line in self._begun.items()
        }

    def lines(self, stream: str, text: str, time: datetime | None) -> Iterator[Line]:
        """The lines that a piece completes."""
        *whole, rest = text.split("\n")
        for each in whole:
            begun = self._begun.pop(stream, Line("", stream, time))
            yield begun._replace(text=begun.text + each)
        if rest:
            begun = self._begun.get(stream, Line("", stream, time))
            self._begun[stream] = begun._replace(text=begun.text + rest)
        if stream in self._begun and len(self._begun[stream].text) > _LONGEST:
            yield self._begun.pop(stream)

    def rest(self) -> Iterator[Line]:
        """What has no line break at its end, once nothing follows."""
        begun, self._begun = self._begun, {}
        yield from begun.values()
