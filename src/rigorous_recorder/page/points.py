"""The points of a line as they come, in chunks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any, Final

from .._lazy_imports import np
from .chunks import Chunk, Thin
from .kernels import Smoother
from .reduce import Pixels, by_column

__all__ = ["CHUNK", "Points"]

_Part = tuple[Chunk | Thin, slice]
#: Points of a chunk, unless they came with a summary.
CHUNK: Final = 1 << 18


class Points:
    """The points of a line; those with NaN and infinities are apart."""

    __slots__ = (
        "_chunks",
        "_in_chunks",
        "_last",
        "_odd_x",
        "_odd_y",
        "_open",
        "_sorted",
        "_typical",
        "_x",
        "_y",
        "is_rising",
        "lost",
    )

    def __init__(self) -> None:
        self._chunks: list[Chunk | Thin] = []
        self._in_chunks = 0
        self._x, self._y = _Column(), _Column()
        #: The points of both, until more are added.
        self._open: Chunk | None = None
        self._odd_x, self._odd_y = _Column(), _Column()
        self._last = -math.inf
        #: The number of points that were left out, since their x is NaN or infinite.
        self.lost = 0
        #: Whether each x is above the one before.
        self.is_rising = True
        self._sorted: tuple[int, Any, Any] | None = None
        #: The typical distance of so many points.
        self._typical: tuple[int, float] | None = None

    @property
    def finite(self) -> int:
        """The number of points with finite values."""
        return self._in_chunks + self._y.count

    @property
    def count(self) -> int:
        """The number of points."""
        return self.finite + self._odd_y.count

    @property
    def odd(self) -> tuple[Any, Any]:
        """The points with NaN and infinities, in order of arrival."""
        return self._odd_x.values, self._odd_y.values

    @property
    def least(self) -> float:
        """The lowest x, also of points with NaN and infinities; inf if there are no points."""
        first = next(self.chunks(), None)
        if first is not None and not self.is_rising:
            low = float(self.arrays()[0][0])
        else:
            low = math.inf if first is None else first.first
        return float(self._odd_x.values.min(initial=low))

    @property
    def nbytes(self) -> int:
        """The size in memory."""
        columns = self._x, self._y, self._odd_x, self._odd_y
        own = sum(each.nbytes for each in columns) + sum(each.nbytes for each in self._chunks)
        return own if self.is_rising else own + 16 * self.finite  # they are sorted to be drawn

    def add(self, x: Any, y: Any) -> None:
        """Append points, as float64; those whose x is NaN or infinite are left out."""
        if not (is_finite := np.isfinite(x)).all():
            self.lost += int((~is_finite).sum())
            x, y = x[is_finite], y[is_finite]
        if not (is_finite := np.isfinite(y)).all():
            self._odd_x.add(x[~is_finite])
            self._odd_y.add(y[~is_finite])
            x, y = x[is_finite], y[is_finite]
        if not len(y):
            return
        self.is_rising = self.is_rising and bool(x[0] > self._last and (x[1:] > x[:-1]).all())
        self._last, self._open = x[-1], None
        self._x.add(x)
        self._y.add(y)
        while self._y.count >= CHUNK:
            self._close(CHUNK)

    def _close(self, count: int) -> None:
        self._chunks.append(Chunk(self._x.taken(count), self._y.taken(count), is_full=True))
        self._in_chunks += count

    def add_thin(self, thin: Thin) -> None:
        """Append points with their summary."""
        if self._y.count:
            self._close(self._y.count)
        self._odd_x.add(thin.summary.odd_x)
        self._odd_y.add(thin.summary.odd_y)
        self.is_rising = self.is_rising and thin.first > self._last
        self._last, self._open = thin.last, None
        self._chunks.append(thin)
        self._in_chunks += thin.count

    def chunks(self) -> Iterator[Chunk | Thin]:
        """All points, the last ones in a smaller chunk."""
        yield from self._chunks
        if self._y.count:
            if self._open is None:
                self._open = Chunk(self._x.values, self._y.values, is_full=False)
            yield self._open

    def since(self, finite: int, odd: int) -> tuple[Any, Any, Any, Any] | None:
        """X and y of the points that came after so many, and of odd ones; None if too many did."""
        start = finite - self._in_chunks
        if start < 0:
            return None
        odd_x, odd_y = self.odd
        return self._x.values[start:], self._y.values[start:], odd_x[odd:], odd_y[odd:]

    def arrays(self) -> tuple[Any, Any]:
        """X and y of all points with finite values, in order of x; equal ones as they came."""
        if self._sorted is None or self._sorted[0] != self.finite:
            chunks = list(self.chunks())
            x, y = (np.concatenate([getattr(each, of) for each in chunks] or [[]]) for of in "xy")
            if not self.is_rising:
                order = np.argsort(x, kind="stable")
                x, y = x[order], y[order]
            if self.is_rising:  # the chunks have them
                return x, y
            self._sorted = self.finite, x, y
        return self._sorted[1:]

    def window(self, low: float | None, high: float | None) -> slice:
        """Like ``reduce.window``, of a line that rises."""
        first = 0 if low is None else max(0, self._search(low, "left") - 1)
        last = self.finite if high is None else min(self.finite, self._search(high, "right") + 1)
        return slice(first, max(first, last))

    def _search(self, x: float, side: Any) -> int:
        before = 0
        for each in self.chunks():
            if x < each.last or (x == each.last and side == "left"):
                return before + int(np.searchsorted(each.x, x, side))
            before += each.count
        return before

    def drawn(  # noqa: PLR0913 - what a line is drawn by
        self,
        shown: slice,
        pixels: int,
        *,
        is_log: bool,
        weight: float = 0.0,
        start: float = 0.0,
        check: Callable[[], None] = lambda: None,
    ) -> list[Any]:
        """X and y of the points by which each pixel is drawn, of a line that rises.

        Args:
            start: pixels are those of x from here on.
            check: called before each chunk; it raises if the reader has left.
            weight: of smoothing; if it is not 0, the third result is smoothed y, whose lows and
                highs are drawn, too.
        """
        parts = list(self._parts(shown))
        count = shown.stop - shown.start
        if not parts:
            return [np.empty(0)] * (3 if weight else 2)
        is_whole = count <= 4 * pixels
        columns = None if is_whole else self._pixels(parts, pixels, is_log=is_log, start=start)
        soft = self.smoothed(weight, shown, check) if weight else repeat(None)
        found = []
        for (chunk, part), smooth in zip(parts, soft, strict=False):
            check()
            found.append(chunk.some(columns, part, count / pixels, smooth))
        if columns is None and len(found) == 1:
            return found[0]
        arrays = [np.concatenate(each) for each in zip(*found, strict=True)]
        if columns is None:
            return arrays
        drawn = by_column(columns.of(arrays[0]), arrays[1:])
        return [each[drawn] for each in arrays]

    def smoothed(
        self, weight: float, shown: slice, check: Callable[[], None] = lambda: None
    ) -> Iterator[Any]:
        """The smoothed values of all points of the chunks with those shown, of a line that rises.

        Each array is overwritten by the next one.
        """
        smoother, last = Smoother(weight, self.typical(check)), None
        chunks = [each for each, _ in self._parts(shown)]
        start = chunks[0].first - smoother.reach
        for each in self.chunks():
            if each.last < start:
                continue  # these points have no weight
            check()
            whole = each.whole()
            is_even = smoother.typical == whole.step and last in {None, each.first - whole.step}
            found = (
                smoother.even(whole.y, each.last) if is_even else smoother.uneven(whole.x, whole.y)
            )
            if each in chunks:
                yield found
            last = each.last

    def typical(self, check: Callable[[], None] = lambda: None) -> float:
        """The median distance of neighbours; of long lines that of the medians of chunks."""
        if self._typical is None or self._typical[0] != self.finite:
            steps = [_typical(each, check) for each in self.chunks() if each.count > 1]
            self._typical = self.finite, float(np.median(steps)) if steps else 1.0
        return self._typical[1]

    def _pixels(self, parts: list[_Part], pixels: int, *, is_log: bool, start: float) -> Pixels:
        (first, begin), (last, stop) = parts[0], parts[-1]
        low = float(first.x_at(np.array([begin.start]))[0]) - start
        high = float(last.x_at(np.array([stop.stop - 1]))[0]) - start
        least = _least(parts, start) if is_log else None
        return Pixels.between(low, high, pixels, least=least, shift=start)

    def _parts(self, shown: slice) -> Iterator[_Part]:
        """The chunks with points that are shown, and the positions of these in each."""
        start = 0
        for chunk in self.chunks():
            part = slice(max(0, shown.start - start), min(chunk.count, shown.stop - start))
            if part.start < part.stop:
                yield chunk, part
            start += chunk.count


def _typical(chunk: Chunk | Thin, check: Callable[[], None]) -> float:
    check()
    whole = chunk.whole()
    return whole.step or float(np.median(np.diff(whole.x)))


def _least(parts: list[_Part], start: float) -> float:
    """The lowest x above 0, counted from a start; 0 if there is none."""
    for chunk, part in parts:
        if chunk.last > start:
            x = chunk.x[part] - start
            if (above := x[x > 0]).size:
                return float(above[0])
    return 0.0


class _Column:
    """A float64 array that grows, from which the first values can be taken."""

    __slots__ = ("_room", "count")

    def __init__(self) -> None:
        self._room: Any = None
        self.count = 0

    def add(self, values: Any) -> None:
        """Append values."""
        end = self.count + len(values)
        if self._room is None or end > len(self._room):
            room = np.empty(max(end, self.count * 3 // 2))
            room[: self.count] = self.values
            self._room = room
        self._room[self.count : end] = values
        self.count = end

    def taken(self, count: int) -> Any:
        """Take the first values away."""
        found, rest = self._room[:count].copy(), self._room[count : self.count].copy()
        self._room, self.count = rest, len(rest)
        return found

    @property
    def values(self) -> Any:
        """The values, as a view."""
        return np.empty(0) if self._room is None else self._room[: self.count]

    @property
    def nbytes(self) -> int:
        """The size in memory."""
        return 0 if self._room is None else int(self._room.nbytes)
