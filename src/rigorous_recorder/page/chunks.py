"""Parts of a line: with the lows and highs of blocks of their points, or with nothing but these.

A chart of millions of points looks at the blocks, and at single points only where a pixel ends. It
draws the same points as ``reduce.by_pixel`` of the whole line, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from .._lazy_imports import np
from .kernels import ends
from .pyramids import PART, Summary
from .reduce import Pixels, block_ends, places_of

__all__ = ["Chunk", "Thin"]

#: Points of a block.
_BLOCK: Final = 128
#: Fewer points are not worth blocks.
_MANY: Final = 64 * _BLOCK
#: Of a pixel with no more points all are drawn.
_SPARSE: Final = 4
#: A summary is enough where a pixel has so many of its blocks: its ends are right to an eighth.
_BLOCKS_OF_A_PIXEL: Final = 8


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

    __slots__ = ("_ends", "_x", "count", "first", "last", "y")

    def __init__(self, x: Any, y: Any, *, is_full: bool) -> None:
        self.count = len(y)
        self.y = y
        self.first, self.last = float(x[0]), float(x[-1])
        self._x: Any = _even_or_same(x) if is_full else x
        self._ends = block_ends(y, _BLOCK) if self.count >= _MANY else None

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

    def whole(self) -> Chunk:
        """The chunk with all of its points."""
        return self

    def some(
        self, pixels: Pixels | None, part: slice, density: float, smooth: Any = None
    ) -> list[Any]:
        """X and y of points in a part of the chunk, among which are those to draw each pixel by.

        Args:
            pixels: None for all points.
            density: how many points of the line a pixel has.
            smooth: other values of the points, whose lows and highs are to be among them, too; the
                third result.
        """
        if pixels is None:
            x = self._x_of(part)
            return [x, self.y[part], *([] if smooth is None else [smooth[part].copy()])]
        if density <= _SPARSE:
            at = np.arange(part.start, part.stop)
        else:
            starts = pixels.starts(self.x_at, self._guess, part)
            found = [ends(self.y, starts, part.stop, self._ends, _BLOCK)]
            if smooth is not None:
                found.append(ends(smooth, starts, part.stop, None, _BLOCK))
            at = places_of(starts, part.stop, found)
        return [self.x_at(at), self.y[at], *([] if smooth is None else [smooth[at]])]

    def _x_of(self, part: slice) -> Any:
        is_even = isinstance(self._x, Even)
        return self._x.at(np.arange(part.start, part.stop)) if is_even else self._x[part]

    def _guess(self, x: Any) -> Any:
        """About the first positions with at least some x."""
        if isinstance(self._x, Even):
            return np.clip((x - self._x.first) / self._x.step, 0, self.count).astype(np.int64)
        return np.searchsorted(self._x, x)


def _even_or_same(x: Any) -> Any:
    even = Even(float(x[0]), float(x[1] - x[0]))
    return even if np.array_equal(even.at(np.arange(len(x), dtype="f8")), x) else x


class Thin:
    """Points of which only a summary is in memory; all are read again where it is not enough.

    Args:
        load: reads all points.
    """

    def __init__(self, summary: Summary, load: Callable[[], Chunk]) -> None:
        self.summary, self.whole = summary, load
        self.count = summary.finite
        self.first, self.last = float(summary.x[0]), float(summary.x[-1])

    @property
    def step(self) -> float | None:
        """The distance of all neighbours in x, if it is the same."""
        return self.whole().step

    @property
    def nbytes(self) -> int:
        """The size in memory."""
        return int(sum(each.nbytes for each in self.summary[1:]))

    def x_at(self, positions: Any) -> Any:
        """The values of x at some positions."""
        places = np.searchsorted(self.summary.at, positions)
        if np.array_equal(self.summary.at[places], positions):
            return self.summary.x[places]
        return self.whole().x_at(positions)

    @property
    def x(self) -> Any:
        """All values of x."""
        return self.whole().x

    @property
    def y(self) -> Any:
        """All values of y."""
        return self.whole().y

    def some(
        self, pixels: Pixels | None, part: slice, density: float, smooth: Any = None
    ) -> list[Any]:
        """See ``Chunk``."""
        is_whole = (part.start, part.stop) == (0, self.count)
        if smooth is None and is_whole and density >= _BLOCKS_OF_A_PIXEL * PART:
            return [self.summary.x, self.summary.y]
        return self.whole().some(pixels, part, density, smooth)
