"""Lines for a screen: lows, highs, first and last by pixel, means over equal x, and smoothing.

Arrays are float64; ``x`` is sorted. Nothing here knows where they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from .._lazy_imports import np

__all__ = [
    "Band",
    "Pixels",
    "Smoother",
    "block_ends",
    "by_column",
    "by_pixel",
    "mean_by_x",
    "smoothed",
    "window",
]

#: A part of a line is smoothed at once, as long as its weights stay in the range of floats.
_LARGEST_EXPONENT: Final = 200.0
#: A weight that changes no sum of doubles.
_NOTHING: Final = 1e-20
#: Shorter typical distances have no finite inverse.
_SHORTEST: Final = 1e-300
#: So many values are summed at once, by a matrix.
_SIDE: Final = 16


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
    """

    start: float
    width: float
    pixels: int
    least: float | None

    @classmethod
    def between(cls, low: float, high: float, pixels: int, *, least: float | None = None) -> Pixels:
        """The pixels between two values of x.

        Args:
            least: see above; 0 for an axis that is not logarithmic, since no x is above 0.
        """
        if least:
            low, high = np.log10(max(low, least)), np.log10(max(high, least))
        return cls(low, (high - low) / pixels, pixels, least or None)

    def of(self, x: Any) -> Any:
        """The number of the pixel of each x."""
        if not self.width > 0:
            return np.zeros(len(x), np.int64)
        at = x if self.least is None else np.log10(np.maximum(x, self.least))
        return np.minimum(((at - self.start) / self.width).astype(np.int64), self.pixels - 1)


def by_pixel(x: Any, y: Any, pixels: int) -> Any:
    """The positions of the points to draw: of each pixel the first, last, lowest and highest.

    All values are finite; all points are returned where they are not more than that.
    """
    if len(x) <= 4 * pixels:
        return np.arange(len(x))
    return by_column(Pixels.between(x[0], x[-1], pixels).of(x), [y])


def by_column(column: Any, picked: Sequence[Any]) -> Any:
    """The first and last position of each column, and the lowest and highest of some arrays."""
    count = len(column)
    starts = np.flatnonzero(np.concatenate(([True], column[1:] != column[:-1])))
    ends = np.append(starts[1:], count)
    sizes = ends - starts
    found = [starts, ends - 1]
    for y in picked:
        for end in (np.minimum, np.maximum):
            places = np.flatnonzero(y == np.repeat(end.reduceat(y, starts), sizes))
            found.append(places[np.searchsorted(places, starts)])
    return np.unique(np.concatenate(found))


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


class Smoother:
    """The exponential moving average, in which a point's weight falls with its distance in x.

    At the n-th point it is ``sum(w[i] * y[i]) / sum(w[i])`` over all i up to n, where ``w[i]`` is
    ``weight ** ((x[n] - x[i]) / typical)``: the "time weighted exponential moving average" of
    Weights & Biases (docs.wandb.ai, "Smooth line plots"), whose scale is the range of x.

    The weight falls by the factor ``weight`` over the typical distance. It is divided by the sum of
    weights, so it has no bias towards 0: at even distances it is ``plotting.smoothing.ema``. A line
    can be given in parts.
    """

    def __init__(self, weight: float, typical: float) -> None:
        self._weight, self.typical = weight, max(typical, _SHORTEST)
        self._total, self._norm, self._last = 0.0, 0.0, 0.0

    def even(self, y: Any) -> Any:
        """The next smoothed values, all at the typical distance."""
        rest = 1 - self._weight
        sums = _fading_sums(y, self._weight)
        # What is below is nothing beside a double, and multiplying it would be slow.
        reach = min(len(y), int(np.log(_NOTHING) / np.log(self._weight)) + 1)
        fades = self._weight ** np.arange(1, reach + 1)
        sums[:reach] += self._total * fades
        norms = (1 - fades) / rest + self._norm * fades
        self._total = float(sums[-1])
        self._norm = float(norms[-1]) if reach == len(y) else 1 / rest
        self._last += len(y) * self.typical
        sums[:reach] /= norms
        sums[reach:] *= rest
        return sums

    def uneven(self, x: Any, y: Any) -> Any:
        """The next smoothed values, at any distances."""
        rate = -np.log(self._weight) / self.typical
        places = (x - x[0]) * rate
        result, start = np.empty_like(y), 0
        before = float((self._last - x[0]) * rate) if self._norm else 0.0
        while start < len(y):
            stop = int(np.searchsorted(places, places[start] + _LARGEST_EXPONENT, "right"))
            near = places[start:stop] - places[start]
            decay, growth = np.exp(-near), np.exp(near)
            fade = float(np.exp(-(places[start] - before)))
            sums = (np.cumsum(y[start:stop] * growth) + self._total * fade) * decay
            norms = (np.cumsum(growth) + self._norm * fade) * decay
            result[start:stop] = sums / norms
            self._total, self._norm = float(sums[-1]), float(norms[-1])
            before, start = float(places[stop - 1]), stop
        self._last = float(x[-1])
        return result


def _fading_sums(y: Any, weight: float) -> Any:
    """For each value the sum of all until it, of which each counts ``weight`` times the next one."""
    count = len(y)
    if weight < _NOTHING:
        return y.copy()
    side = min(count, _SIDE)
    ages = np.arange(side) - np.arange(side)[:, None]
    triangle = np.where(ages >= 0, weight ** np.maximum(ages, 0), 0.0)
    triangle[triangle < _NOTHING] = 0.0
    rows = -(-count // side)
    padded = y if rows * side == count else np.concatenate([y, np.zeros(rows * side - count)])
    sums = padded.reshape(rows, side) @ triangle
    if rows > 1:
        before = _fading_sums(sums[:-1, -1], weight**side)
        sums[1:] += before[:, None] * weight ** np.arange(1, side + 1)
    return sums.ravel()[:count]


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
