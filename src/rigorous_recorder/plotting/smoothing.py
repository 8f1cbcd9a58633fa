"""Smoothed curves: an exponential moving average, or the mean of a window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate

from ..errors import ArgumentError

__all__ = ["Smoothing", "ema", "smoothing_of", "window_mean"]

#: Smooths the values of a curve; a missing value stays None.
Smoothing = Callable[[Sequence[float | None]], list[float | None]]


def ema(values: Sequence[float | None], *, weight: float) -> list[float | None]:
    """The exponential moving average, corrected for its initial bias towards 0.

    ``a[n] = weight * a[n-1] + (1 - weight) * v[n]`` from ``a[0] = 0``, and the average is
    ``a[n] / (1 - weight ** n)``. The correction is that of Adam (Kingma and Ba, 2015, section 3);
    TensorBoard draws the same (``resmoothDataset`` in ``vz-line-chart2.ts``). Missing values stay
    missing and do not count.
    """
    smoothed: list[float | None] = []
    average, decay = 0.0, 1.0
    for value in values:
        if value is not None:
            average = weight * average + (1 - weight) * value
            decay *= weight
        smoothed.append(None if value is None else average / (1 - decay))
    return smoothed


def window_mean(values: Sequence[float | None], *, width: int) -> list[float | None]:
    """The mean of the ``width`` values around each; fewer at the ends.

    An even window has one value more before than behind. Missing values stay missing and do not
    count.
    """
    sums = [0.0, *accumulate(value or 0.0 for value in values)]
    counts = [0, *accumulate(int(value is not None) for value in values)]
    smoothed: list[float | None] = []
    for at, value in enumerate(values):
        first, behind = max(0, at - width // 2), min(len(values), at + (width + 1) // 2)
        mean = (sums[behind] - sums[first]) / max(1, counts[behind] - counts[first])
        smoothed.append(None if value is None else mean)
    return smoothed


def smoothing_of(smooth: float | None, window: int | None) -> tuple[Smoothing, str] | None:
    """The smoothing of curves and its name in a chart; None for none.

    Raises:
        ArgumentError: both are given, the weight is not in [0, 1), or the window is below 1.
    """
    if smooth is not None and window is not None:
        message = "smooth and window exclude each other; use only one of them"
        raise ArgumentError(message)
    if smooth is not None:
        if isinstance(smooth, bool) or not isinstance(smooth, (int, float)) or not 0 <= smooth < 1:
            message = f"smooth={smooth!r}: expected a weight from 0 (raw) to below 1, such as 0.9"
            raise ArgumentError(message)
        return partial(ema, weight=smooth), f"smoothed by a moving average of weight {smooth:g}"
    if window is not None:
        if isinstance(window, bool) or not isinstance(window, int) or window < 1:
            message = f"window={window!r}: expected a number of points, 1 or more"
            raise ArgumentError(message)
        return partial(window_mean, width=window), f"smoothed by the mean of {window} points"
    return None
