"""Lines for a screen: lows, highs, first and last by pixel, means over equal x, and smoothing.

Arrays are float64; ``x`` is sorted. Nothing here knows where they come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from .._lazy_imports import np
from .kernels import Smoother, ends

__all__ = [
    "Band",
    "Pixels",
    "block_ends",
    "by_column",
    "by_pixel",
    "mean_by_x",
    "places_of",
    "smoothed",
    "window",
]

#: So many times a guess of where a pixel begins is mended before all points are looked at.
_MOST_STEPS: Final = 8


class Band(NamedTuple):
    """Means over equal x, with the ends of a band around them."""

    x: Any
    mean: Any
    low: Any
    high: Any


def window(x: Any, low: float | None, high: float | None) -> slice:
    """The part of a line between two ends, with one point more on each side, so that it continues."""
    first = 0 if low is None else max(0, int(np.searchsorted(x, low, "left")) - 1)
    last = len(x) if high is None else int(np.searchsorted(x, high, "right")) + 1
    return slice(first, max(first, last))


class Pixels(NamedTuple):
    """The pixels of a chart over x.

    Attributes:
        start: the left end, or its logarithm.
        width: of a pixel.
        pixels: how many there are.
        least: on a logarithmic axis the lowest x above 0, at which those below are drawn.
        shift: what x are counted from.
    """

    start: float
    width: float
    pixels: int
    least: float | None
    shift: float = 0.0

    @classmethod
    def between(
        cls,
        low: float,
        high: float,
        pixels: int,
        *,
        least: float | None = None,
        shift: float = 0.0,
    ) -> Pixels:
        """The pixels between two values of x.

        Args:
            least: see above; 0 for an axis that is not logarithmic, since no x is above 0.
        """
        if least:
            low, high = np.log10(max(low, least)), np.log10(max(high, least))
        return cls(low, (high - low) / pixels, pixels, least or None, shift)

    def of(self, x: Any) -> Any:
        """The number of the pixel of each x."""
        if not self.width > 0:
            return np.zeros(len(x), np.int64)
        at = x - self.shift if self.shift else x
        at = at if self.least is None else np.log10(np.maximum(at, self.least))
        found = ((at - self.start) / self.width).astype(np.int64)
        return np.clip(found, 0, self.pixels - 1)

    def starts(self, x_at: Callable[[Any], Any], guess: Callable[[Any], Any], part: slice) -> Any:
        """Where the pixels begin in a part of a line that rises, which has points.

        Args:
            x_at: the x of positions.
            guess: about where a rising x would be in the line.
        """
        first, last = self.of(x_at(np.array([part.start, part.stop - 1]))).tolist()
        pixels = np.arange(first + 1, last + 1)
        edges = self.start + pixels * self.width
        found = guess(self.shift + (edges if self.least is None else 10.0**edges))
        found = np.clip(found, part.start + 1, max(part.stop - 1, part.start + 1))
        for _ in range(_MOST_STEPS):
            step = self.of(x_at(found)) < pixels
            back = self.of(x_at(found - 1)) >= pixels
            if not (step | back).any():
                break
            found = found + step - back
        else:
            columns = self.of(x_at(np.arange(part.start, part.stop)))
            found = part.start + np.searchsorted(columns, pixels)
        return _distinct(np.concatenate([[part.start], found]))


def by_pixel(x: Any, y: Any, pixels: int) -> Any:
    """The positions of the points to draw: of each pixel the first, last, lowest and highest.

    All values are finite; all points are returned where they are not more than that.
    """
    if len(x) <= 4 * pixels:
        return np.arange(len(x))
    return by_column(Pixels.between(x[0], x[-1], pixels).of(x), [y])


def by_column(column: Any, picked: Sequence[Any]) -> Any:
    """The first and last position of each column, and the lowest and highest of some arrays."""
    starts = np.flatnonzero(np.concatenate(([True], column[1:] != column[:-1])))
    return places_of(starts, len(column), [ends(y, starts, len(column), None, 1) for y in picked])


def places_of(starts: Any, stop: int, found: Sequence[Any]) -> Any:
    """The first and last position of each part, and some lows and highs, in order and once."""
    lasts = np.append(starts[1:], stop) - 1
    at = np.concatenate([starts, lasts, *(each for pair in found for each in pair)])
    at.sort()
    return _distinct(at)


def _distinct(ordered: Any) -> Any:
    """Each value once; ``numpy.unique`` imports much."""
    return ordered[np.append(True, ordered[1:] != ordered[:-1])]


def block_ends(y: Any, size: int) -> tuple[Any, Any]:
    """The positions of the first lowest and highest value of each whole block of so many values."""
    count = len(y) // size
    blocks = y[: count * size].reshape(count, size)
    starts = np.arange(count) * size
    return (starts + blocks.argmin(1)).astype("i4"), (starts + blocks.argmax(1)).astype("i4")


def mean_by_x(x: Any, y: Any, band: str) -> Band:
    """The mean of all y with the same x, and a band.

    Args:
        x: sorted.
        y: finite.
        band: ``std`` (sample standard deviation), ``sem`` (that of the mean), ``minmax``, ``quantile``
            (the quartiles, linear between values, as by ``numpy.quantile``) or ``none``.
    """
    starts = np.flatnonzero(np.concatenate(([True], x[1:] != x[:-1]))) if len(x) else np.arange(0)
    if not len(starts):
        return Band(x, y, y, y)
    counts = np.diff(np.append(starts, len(x)))
    mean = np.add.reduceat(y, starts) / counts
    if band == "minmax":
        return Band(x[starts], mean, np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts))
    if band == "none":
        return Band(x[starts], mean, mean, mean)
    if band == "quantile":
        ordered = y[np.lexsort((y, np.repeat(starts, counts)))]
        return Band(x[starts], mean, *(_quantile(ordered, starts, counts, q) for q in (0.25, 0.75)))
    squares = np.add.reduceat((y - np.repeat(mean, counts)) ** 2, starts)
    half = np.sqrt(squares / np.maximum(1, counts - 1))
    half = half / np.sqrt(counts) if band == "sem" else half
    return Band(x[starts], mean, mean - half, mean + half)


def _quantile(ordered: Any, starts: Any, counts: Any, share: float) -> Any:
    places = (counts - 1) * share
    below = places.astype(np.int64)
    low = ordered[starts + below]
    high = ordered[starts + np.minimum(below + 1, counts - 1)]
    return low + (high - low) * (places - below)


def smoothed(x: Any, y: Any, weight: float, *, typical: float | None = None) -> Any:
    """The smoothed values of a line; see ``Smoother``.

    Args:
        typical: the distance of neighbours; None for their median.
    """
    if len(x) < 2 or not 0 < weight < 1:
        return y
    if typical is None:
        distances = np.diff(x)
        above = distances[distances > 0]
        typical = float(np.median(above)) if len(above) else 1.0
    return Smoother(weight, typical).uneven(x, y)
