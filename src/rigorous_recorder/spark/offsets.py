"""Stream offsets: which segments of each writer were delivered, and how many rows of others.

A row keeps its writer, its segment's number and its position in the segment for good, from the live
file to the compacted Parquet file of many writers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from .._store.footer import SegmentRange
from ..errors import DeletedError

__all__ = ["Offset", "SegmentProgress", "between", "onwards"]

_PART: Final = re.compile(r"(\d+)(?:-(\d+)|:(\d+))?")
#: Row count of a segment that was delivered whole: more rows than a segment can have.
_ALL: Final = 1 << 63


class SegmentProgress(NamedTuple):
    """How many rows a segment has so far, and whether more can follow."""

    writer: str
    number: int
    rows: int
    is_final: bool


class Offset:
    """What a stream has delivered so far.

    As text, for each writer: ``0-41,42:1000`` means segments 0 to 41, and 1,000 rows of the next.
    """

    def __init__(self) -> None:
        self._whole: dict[str, list[range]] = {}
        self._partial: dict[str, dict[int, int]] = {}

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> Offset:
        """Parse the text of each writer."""
        found = cls()
        for writer, text in texts.items():
            for match in _PART.finditer(text):
                first = int(match[1])
                if match[3] is not None:
                    found._partial.setdefault(writer, {})[first] = int(match[3])
                else:
                    found._whole.setdefault(writer, []).append(
                        range(first, int(match[2] or first) + 1)
                    )
        return found

    def texts(self) -> dict[str, str]:
        """The text of each writer; equal offsets have equal texts."""
        return {
            writer: ",".join(self._texts(writer))
            for writer in sorted(self._whole.keys() | self._partial.keys())
        }

    def _texts(self, writer: str) -> Iterator[str]:
        for span in self._whole.get(writer, []):
            yield f"{span.start}-{span.stop - 1}" if len(span) > 1 else f"{span.start}"
        for number, rows in sorted(self._partial.get(writer, {}).items()):
            yield f"{number}:{rows}"

    def rows(self, writer: str, number: int) -> int:
        """How many rows of a segment were delivered; for a whole one, more than it can have."""
        if any(number in span for span in self._whole.get(writer, ())):
            return _ALL
        return self._partial.get(writer, {}).get(number, 0)

    def give(self, segment: SegmentProgress, rows: int) -> None:
        """Count the first rows of a segment as delivered."""
        partial = self._partial.setdefault(segment.writer, {})
        if segment.is_final and rows >= segment.rows:
            partial.pop(segment.number, None)
            self._add(segment.writer, segment.number)
        elif rows:
            partial[segment.number] = rows
        if not partial:
            del self._partial[segment.writer]

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
    """The offset at the end of the next batch.

    If there are more than ``most`` new rows, each writer gets an equal share: none waits until
    another one pauses.

    Args:
        there: all segments, those of each writer in order.
        until: the last offset to deliver; None for all that is there.
    """
    fresh: dict[str, list[tuple[SegmentProgress, int, int]]] = {}
    for segment in there:
        given = start.rows(segment.writer, segment.number)
        stop = (
            segment.rows
            if until is None
            else min(segment.rows, until.rows(segment.writer, segment.number))
        )
        if given < stop or (segment.is_final and segment.rows <= given < _ALL):
            fresh.setdefault(segment.writer, []).append((segment, given, max(stop, given)))
    waiting = {w: sum(stop - given for _, given, stop in each) for w, each in fresh.items()}
    if not any(waiting.values()):
        return start
    found = Offset.of(start.texts())
    for writer, share in _shares(waiting, most).items():
        left = share
        for segment, given, stop in fresh[writer]:
            rows = min(stop - given, left)
            found.give(segment, given + rows)
            left -= rows
    return found


def _shares(waiting: Mapping[str, int], most: int | None) -> dict[str, int]:
    """Divide ``most`` rows among the writers, none getting more than it has waiting."""
    if most is None or sum(waiting.values()) <= most:
        return dict(waiting)
    shares, left = {}, most
    for done, (name, rows) in enumerate(sorted(waiting.items(), key=lambda each: each[1])):
        shares[name] = min(rows, -(-left // (len(waiting) - done)))
        left -= shares[name]
    return shares


def between(start: Offset, end: Offset, segment: SegmentRange) -> range:
    """The rows of a segment, of those that still exist, between two offsets.

    Raises:
        DeletedError: rows before or among them were dropped, so their positions are lost.
    """
    (_, writer, number), rows, deleted = segment
    first, stop = start.rows(writer, number), min(end.rows(writer, number), rows + deleted)
    if first >= stop:
        return range(0)
    if not deleted:
        return range(first, stop)
    if first == 0 and stop == rows + deleted:
        return range(rows)
    message = (
        f"the stream has delivered {first:,} rows of segment {number} of writer {writer}; since"
        " then other rows of it were deleted and compacted away, so it is unknown which ones are new."
        " Start the stream again with another checkpoint"
    )
    raise DeletedError(message)
