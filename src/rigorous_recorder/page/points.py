"""The points of a line as they come: in chunks, with the lows and highs of blocks of each.

A chart of millions of points looks at the blocks, and at single points only where a pixel ends. It
draws the same points as ``reduce.by_pixel`` of the whole line, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from .._lazy_imports import np
from .reduce import Pixels, Smoother, by_column

__all__ = ["CHUNK", "Chunk", "Points"]

#: Points of a chunk, except the last one.
CHUNK: Final = 1 << 18
#: Points of a block.
_BLOCK: Final = 128
#: Fewer points are not worth blocks.
_MANY: Final = 64 * _BLOCK
#: Blocks help where a pixel has more points than this.
_DENSE: Final = 4 * _BLOCK


class Even(NamedTuple):
    """Values at even distances, such as steps: exactly those that numpy computes so."""

    first: float
    step: float

    def at(self, positions: Any) -> Any:
        """The values at some positions."""
        return self.first + self.step * positions


class Chunk:
    """Points in order of arrival.

    Args:
        x, y: float64, of which ``y`` is finite.
        is_full: whether no more points are added, so that x is worth compressing.
    """

    def __init__(self, x: Any, y: Any, *, is_full: bool) -> None:
        self.count = len(y)
        self.y = y
        self.first, self.last = float(x[0]), float(x[-1])
        self._x: Any = _even_or_same(x) if is_full else x
        self._ends = block_ends(y) if self.count >= _MANY else None

    @property
    def step(self) -> float | None:
        """The distance of all neighbours in x, if it is the same."""
        return self._x.step if isinstance(self._x, Even) else None

    @property
    def nbytes(self) -> int:
        """The size in memory."""
        x = 0 if isinstance(self._x, Even) else self._x.nbytes
        return int(x + self.y.nbytes + sum(each.nbytes for each in self._ends or ()))

    def x_at(self, positions: Any) -> Any:
        """The values of x at some positions."""
        return self._x.at(positions) if isinstance(self._x, Even) else self._x[positions]

    @property
    def x(self) -> Any:
        """All values of x."""
        return self.x_at(np.arange(self.count)) if isinstance(self._x, Even) else self._x

    def candidates(self, pixels: Pixels, part: slice, smooth: Any = None) -> Any:
        """Positions in a part of the chunk, among which are those that each pixel is drawn by.

        Args:
            smooth: other values of the points, whose lows and highs are to be among them, too.
        """
        first, last = -(-part.start // _BLOCK), part.stop // _BLOCK
        if last - first < 2 or self._ends is None:
            return np.arange(part.start, part.stop)
        starts = np.arange(first, last) * _BLOCK
        stops = starts + _BLOCK - 1
        is_whole = pixels.of(self.x_at(starts)) == pixels.of(self.x_at(stops))
        ends = [self._ends, *([block_ends(smooth)] if smooth is not None else [])]
        of_blocks = [starts, stops, *(each[first:last] for pair in ends for each in pair)]
        is_found = np.zeros(part.stop, bool)
        for each in of_blocks:
            is_found[each[is_whole]] = True
        is_found[starts[~is_whole][:, None] + np.arange(_BLOCK)] = True
        is_found[part.start : starts[0]] = True
        is_found[stops[-1] + 1 :] = True
        return np.flatnonzero(is_found)


def _even_or_same(x: Any) -> Any:
    even = Even(float(x[0]), float(x[1] - x[0]))
    return even if np.array_equal(even.at(np.arange(len(x), dtype="f8")), x) else x


def block_ends(y: Any) -> tuple[Any, Any]:
    """The positions of the first lowest and highest value of each whole block."""
    count = len(y) // _BLOCK
    blocks = y[: count * _BLOCK].reshape(count, _BLOCK)
    starts = np.arange(count) * _BLOCK
    return tuple((starts + each).astype("i4") for each in (blocks.argmin(1), blocks.argmax(1)))


class Points:
    """The points of a line; those with NaN and infinities are apart."""

    def __init__(self) -> None:
        self._chunks: list[Chunk] = []
        self._x, self._y = _Column(), _Column()
        #: The points of both, until more are added.
        self._open: Chunk | None = None
        self._odd_x, self._odd_y = _Column(), _Column()
        self._last = -np.inf
        #: The number of points that were left out, since their x is NaN or infinite.
        self.lost = 0
        #: Whether each x is above the one before.
        self.is_rising = True
        self._sorted: tuple[int, Any, Any] | None = None

    @property
    def finite(self) -> int:
        """The number of points with finite values."""
        return len(self._chunks) * CHUNK + self._y.count

    @property
    def count(self) -> int:
        """The number of points."""
        return self.finite + self._odd_y.count

    @property
    def odd(self) -> tuple[Any, Any]:
        """The points with NaN and infinities, in order of arrival."""
        return self._odd_x.values, self._odd_y.values

    @property
    def nbytes(self) -> int:
        """The size in memory."""
        columns = self._x, self._y, self._odd_x, self._odd_y
        own = sum(each.nbytes for each in columns) + sum(each.nbytes for each in self._chunks)
        return own if self._sorted is None else own + 16 * self._sorted[0]

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
            self._chunks.append(Chunk(self._x.taken(CHUNK), self._y.taken(CHUNK), is_full=True))

    def chunks(self) -> Iterator[Chunk]:
        """All points, the last ones in a smaller chunk."""
        yield from self._chunks
        if self._y.count:
            if self._open is None:
                self._open = Chunk(self._x.values, self._y.values, is_full=False)
            yield self._open

    def since(self, finite: int, odd: int) -> tuple[Any, Any, Any, Any] | None:
        """X and y of the points that came after so many, and of odd ones; None if too many did."""
        start = finite - len(self._chunks) * CHUNK
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

    def drawn(
        self, shown: slice, pixels: int, *, is_log: bool, smooth: list[Any] | None = None
    ) -> list[Any]:
        """x, y and smoothed y of the points by which each pixel is drawn, of a line that rises.

        Args:
            smooth: smoothed values, by chunk.
        """
        parts = list(self._parts(shown))
        whole = range(shown.start, shown.stop)
        if not parts:
            return [np.empty(0)] * (2 if smooth is None else 3)
        (_, first, start), (_, last, stop) = parts[0], parts[-1]
        low = float(first.x_at(np.array(start.start)))
        high = float(last.x_at(np.array(stop.stop - 1)))
        least = self._least(parts) if is_log else None
        columns = Pixels.between(low, high, pixels, least=least)
        is_dense = len(whole) > pixels * _DENSE
        found: list[list[Any]] = []
        for number, chunk, part in parts:
            soft = None if smooth is None else smooth[number]
            some = (
                chunk.candidates(columns, part, soft)
                if is_dense
                else np.arange(part.start, part.stop)
            )
            found.append([chunk.x_at(some), chunk.y[some], *([] if soft is None else [soft[some]])])
        arrays = [np.concatenate(each) for each in zip(*found, strict=True)]
        if len(whole) <= 4 * pixels:
            return arrays
        places = by_column(columns.of(arrays[0]), arrays[1:])
        return [each[places] for each in arrays]

    def smoothed(self, weight: float) -> list[Any]:
        """The smoothed values, by chunk, of a line that rises; see ``reduce.Smoother``."""
        if self.finite < 2:
            return [each.y for each in self.chunks()]
        smoother, last = Smoother(weight, self.typical()), None
        found = []
        for each in self.chunks():
            is_even = smoother.typical == each.step and last in {None, each.first - each.step}
            found.append(smoother.even(each.y) if is_even else smoother.uneven(each.x, each.y))
            last = each.last
        return found

    def typical(self) -> float:
        """The median distance of neighbours; of long lines that of the medians of chunks."""
        chunks = [each for each in self.chunks() if each.count > 1]
        steps = [each.step or float(np.median(np.diff(each.x))) for each in chunks]
        return float(np.median(steps)) if steps else 1.0

    def _parts(self, shown: slice) -> Iterator[tuple[int, Chunk, slice]]:
        """The chunks of a part of the line, by number, with the part of each."""
        for number, chunk in enumerate(self.chunks()):
            start = number * CHUNK
            part = slice(max(0, shown.start - start), min(chunk.count, shown.stop - start))
            if part.start < part.stop:
                yield number, chunk, part

    @staticmethod
    def _least(parts: list[tuple[int, Chunk, slice]]) -> float:
        """The lowest x above 0; 0 if there is none."""
        for _, chunk, part in parts:
            if chunk.last > 0:
                x = chunk.x[part]
                if (above := x[x > 0]).size:
                    return float(above[0])
        return 0.0


class _Column:
    """A float64 array that grows, from which the first values can be taken."""

    def __init__(self) -> None:
        self._room = np.empty(0)
        self.count = 0

    def add(self, values: Any) -> None:
        """Append values."""
        end = self.count + len(values)
        if end > len(self._room):
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
        return self._room[: self.count]

    @property
    def nbytes(self) -> int:
        """The size in memory."""
        return int(self._room.nbytes)
