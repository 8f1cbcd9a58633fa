"""How far a stream is: of each writer which segments were given, and how many rows of others.

A row keeps its writer, its segment's number and its place in the segment for good, from the live
file to the Parquet file of many writers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from .._store.footer import SegmentRange
from ..errors import DeletedError

__all__ = ["Offset", "SegmentProgress", "between", "onwards"]

_PART: Final = re.compile(r"(\d+)(?:-(\d+)|:(\d+))?")
#: Of a segment that is given whole: more rows than there can be.
_ALL: Final = 1 << 63


class SegmentProgress(NamedTuple):
    """How many rows a segment has now, and whether there will be more."""

    writer: str
    number: int
    rows: int
    is_final: bool


class Offset:
    """What was given so far.

    As text, for each writer: ``0-41,42:1000`` are the segments 0 to 41, and 1,000 rows of the next.
    """

    def __init__(self) -> None:
        self._whole: dict[str, list[range]] = {}
        self._begun: dict[str, dict[int, int]] = {}

    @classmethod
    def of(cls, said: Mapping[str, str]) -> Offset:
        """What was set on each writer."""
        found = cls()
        for writer, text in said.items():
            for match in _PART.finditer(text):
                first = int(match[1])
                if match[3] is not None:
                    found._begun.setdefault(writer, {})[first] = int(match[3])
                else:
                    found._whole.setdefault(writer, []).append(
                        range(first, int(match[2] or first) + 1)
                    )
        return found

    def said(self) -> dict[str, str]:
        """As text, of each writer; alike for what is alike."""
        return {
            writer: ",".join(self._texts(writer))
            for writer in sorted(self._whole.keys() | self._begun.keys())
        }

    def _texts(self, writer: str) -> Iterator[str]:
        for span in self._whole.get(writer, []):
            yield f"{span.start}-{span.stop - 1}" if len(span) > 1 else f"{span.start}"
        for number, rows in sorted(self._begun.get(writer, {}).items()):
            yield f"{number}:{rows}"

    def rows(self, writer: str, number: int) -> int:
        """How many rows of a segment were given; more than there can be where it is all."""
        if any(number in span for span in self._whole.get(writer, ())):
            return _ALL
        return self._begun.get(writer, {}).get(number, 0)

    def give(self, held: SegmentProgress, rows: int) -> None:
        """Count so many rows of a segment as given, from its start."""
        begun = self._begun.setdefault(held.writer, {})
        if held.is_final and rows >= held.rows:
            begun.pop(held.number, None)
            self._add(held.writer, held.number)
        elif rows:
            begun[held.number] = rows
        if not begun:
            del self._begun[held.writer]

    def _add(self, writer: str, number: int) -> None:
        spans = [*self._whole.get(writer, ()), range(number, number + 1)]
        joined: list[range] = []
        for span in sorted(spans, key=lambda each: each.start):
            if joined and joined[-1].stop >= span.start:
                joined[-1] = range(joined[-1].start, max(joined[-1].stop, span.stop))
            else:
                joined.append(span)
        self._whole[writer] = joined


def onwards(
    start: Offset, there: Iterable[SegmentProgress], most: int | None, until: Offset | None
) -> Offset:
    """How far a stream comes with the next rows.

    Where there are more than ``most``, each writer's get an equal share of them: none waits until
    another one pauses.

    Args:
        there: all segments, those of a writer in order.
        until: give nothing beyond; None for all that is there.
    """
    fresh: dict[str, list[tuple[SegmentProgress, int, int]]] = {}
    for held in there:
        given = start.rows(held.writer, held.number)
        stop = held.rows if until is None else min(held.rows, until.rows(held.writer, held.number))
        if given < stop or (held.is_final and held.rows <= given < _ALL):
            fresh.setdefault(held.writer, []).append((held, given, max(stop, given)))
    waiting = {w: sum(stop - given for _, given, stop in each) for w, each in fresh.items()}
    if not any(waiting.values()):
        return start
    found = Offset.of(start.said())
    for writer, share in _shares(waiting, most).items():
        left = share
        for held, given, stop in fresh[writer]:
            rows = min(stop - given, left)
            found.give(held, given + rows)
            left -= rows
    return found


def _shares(waiting: Mapping[str, int], most: int | None) -> dict[str, int]:
    """How many of so many rows of each are taken, of at most so many."""
    if most is None or sum(waiting.values()) <= most:
        return dict(waiting)
    shares, left = {}, most
    for done, (name, rows) in enumerate(sorted(waiting.items(), key=lambda each: each[1])):
        shares[name] = min(rows, -(-left // (len(waiting) - done)))
        left -= shares[name]
    return shares


def between(start: Offset, end: Offset, segment: SegmentRange) -> range:
    """Which rows of a segment, of those that are there still, come behind one offset up to another.

    Raises:
        DeletedError: nobody knows, for some that stood among them were dropped.
    """
    (_, writer, number), rows, deleted, _ = segment
    first, stop = start.rows(writer, number), min(end.rows(writer, number), rows + deleted)
    if first >= stop:
        return range(0)
    if not deleted:
        return range(first, stop)
    if first == 0 and stop == rows + deleted:
        return range(rows)
    message = (
        f"of segment {number} of writer {writer} the stream has given {first:,} rows; since then"
        " others in it were deleted, and compacted away: which ones are new is not known. Start the"
        " stream anew, with another checkpoint"
    )
    raise DeletedError(message)
