"""Lines for a screen: lows, highs, first and last by pixel, means over equal x, and smoothing.

Arrays are float64; ``x`` is sorted. Nothing here knows where they come from.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from .._lazy_imports import np

__all__ = ["Band", "by_pixel", "mean_by_x", "smoothed", "window"]

#: A part of a line is smoothed at once, as long as its weights stay in the range of floats.
_LARGEST_EXPONENT: Final = 200.0


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


def by_pixel(x: Any, y: Any, pixels: int) -> Any:
    """The positions of the points to draw: of each pixel the first, last, lowest and highest.

    All values are finite; all points are returned where they are not more than that.
    """
    count = len(x)
    if count <= 4 * pixels:
        return np.arange(count)
    width = (x[-1] - x[0]) / pixels
    if not width > 0:
        column = np.zeros(count, np.int64)
    else:
        column = np.minimum(((x - x[0]) / width).astype(np.int64), pixels - 1)
    starts = np.flatnonzero(np.concatenate(([True], column[1:] != column[:-1])))
    ends = np.append(starts[1:], count)
    low, high = (f.reduceat(y, starts) for f in (np.minimum, np.maximum))
    sizes = ends - starts
    lows, highs = (np.flatnonzero(y == np.repeat(each, sizes)) for each in (low, high))
    firsts = [each[np.searchsorted(each, starts)] for each in (lows, highs)]
    return np.unique(np.concatenate([starts, ends - 1, *firsts]))


def mean_by_x(x: Any, y: Any, band: str) -> Band:
    """The mean of all finite y with the same x, and a band: ``std``, ``sem``, ``minmax`` or ``none``."""
    starts = np.flatnonzero(np.concatenate(([True], x[1:] != x[:-1]))) if len(x) else np.arange(0)
    if not len(starts):
        return Band(x, y, y, y)
    counts = np.diff(np.append(starts, len(x)))
    mean = np.add.reduceat(y, starts) / counts
    if band == "minmax":
        return Band(x[starts], mean, np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts))
    if band == "none":
        return Band(x[starts], mean, mean, mean)
    squares = np.add.reduceat((y - np.repeat(mean, counts)) ** 2, starts)
    half = np.sqrt(squares / np.maximum(1, counts - 1))
    half = half / np.sqrt(counts) if band == "sem" else half
    return Band(x[starts], mean, mean - half, mean + half)


def smoothed(x: Any, y: Any, weight: float) -> Any:
    """The exponential moving average, in which a point's weight falls with its distance in x.

    The weight falls by the factor ``weight`` over the median distance of two points. It is
    divided by the sum of weights, so it has no bias towards 0: at even distances it is
    ``plotting.smoothing.ema``.
    """
    if len(x) < 2 or not 0 < weight < 1:
        return y
    distances = np.diff(x)
    above = distances[distances > 0]
    typical = float(np.median(above)) if len(above) else 1.0
    places = np.concatenate(([0.0], np.cumsum(distances / typical * -np.log(weight))))
    result, total, norm, before = np.empty_like(y), 0.0, 0.0, 0.0
    start = 0
    while start < len(y):
        stop = int(np.searchsorted(places, places[start] + _LARGEST_EXPONENT, "right"))
        near = places[start:stop] - places[start]
        decay, growth = np.exp(-near), np.exp(near)
        fade = float(np.exp(-(places[start] - before)))
        sums = (np.cumsum(y[start:stop] * growth) + total * fade) * decay
        norms = (np.cumsum(growth) + norm * fade) * decay
        result[start:stop] = sums / norms
        total, norm, before, start = float(sums[-1]), float(norms[-1]), places[stop - 1], stop
    return result
