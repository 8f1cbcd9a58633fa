"""Passes over all points of a line: native where it was compiled, else by numpy.

Values are float64, and finite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .._fallback import PURE_REQUESTED
from .._lazy_imports import np

if TYPE_CHECKING or PURE_REQUESTED:
    native_ends: Any = None
    native_smooth: Any = None
else:
    try:
        from .native import ends as native_ends
        from .native import smooth as native_smooth
    except ImportError:  # it could not be compiled on installation
        native_ends = native_smooth = None

__all__ = ["Smoother", "ends"]

#: So many values are smoothed at once.
_AT_ONCE: Final = 1 << 15
#: So many values are summed at once, by a matrix.
_SIDE: Final = 16
#: A part of an uneven line is smoothed at once, as long as its weights stay in the range of floats.
_LARGEST_EXPONENT: Final = 200.0
#: What is weighted less is left out: it would be slow, as no normal float.
_NOTHING: Final = 1e-290
#: Sums of larger values could be infinite.
_LARGE: Final = 1e200
#: Shorter typical distances have no finite inverse.
_SHORTEST: Final = 1e-300


def ends(y: Any, starts: Any, stop: int, blocks: tuple[Any, Any] | None, size: int) -> Any:
    """The positions of the first lowest and the first highest value of each part.

    Args:
        starts: where parts begin, int64; each ends where the next one begins, the last at ``stop``.
        blocks: positions of the first lowest and highest value of each block, int32.
        size: the number of values of a block.
    """
    if native_ends is None:
        return _ends_by_blocks(y, starts, stop, blocks, size)
    found = np.empty((2, len(starts)), np.int64)
    native_ends(y, starts, stop, *(blocks or (None, None)), size, *found)
    return found


def _ends_by_blocks(y: Any, starts: Any, stop: int, blocks: Any, size: int) -> tuple[Any, Any]:
    first, last = -(-int(starts[0]) // size), stop // size
    if blocks is None or first >= last:
        return _ends(y[:stop], starts)
    is_split = np.zeros(last + 1, bool)
    is_split[np.minimum(starts // size, last)] = starts % size != 0
    is_found = np.zeros(stop, bool)
    is_found[starts[0] : first * size] = True
    is_found[last * size :] = True
    whole = first + np.flatnonzero(~is_split[first:last])
    for each in blocks:
        is_found[each[whole]] = True
    split = first + np.flatnonzero(is_split[first:last])
    is_found[split[:, None] * size + np.arange(size)] = True
    at = np.flatnonzero(is_found)
    low, high = _ends(y[at], np.searchsorted(at, starts))
    return at[low], at[high]


def _ends(y: Any, starts: Any) -> tuple[Any, Any]:
    sizes = np.diff(starts, append=len(y))
    found = []
    for end in (np.minimum, np.maximum):
        values = np.repeat(end.reduceat(y, starts), sizes)
        places = starts[0] + np.flatnonzero(y[starts[0] :] == values)
        found.append(places[np.searchsorted(places, starts)])
    return found[0], found[1]


class Smoother:
    """The exponential moving average, in which a point's weight falls with its distance in x.

    At the n-th point it is ``sum(w[i] * y[i]) / sum(w[i])`` over all i up to n, where ``w[i]`` is
    ``weight ** ((x[n] - x[i]) / typical)``: the "time weighted exponential moving average" of
    Weights & Biases (docs.wandb.ai, "Smooth line plots"), whose scale is the range of x.

    The weight falls by the factor ``weight`` over the typical distance. It is divided by the sum of
    weights, so it has no bias towards 0: at even distances it is ``plotting.smoothing.ema``. A line
    can be given in parts; the array of each is overwritten by the next one.
    """

    def __init__(self, weight: float, typical: float) -> None:
        self._weight, self.typical = weight, max(typical, _SHORTEST)
        self._rate = float(-np.log(weight) / self.typical)
        #: The sum of weights, the average, the last x, and the lowest and highest value until now.
        self._state = np.array([0.0, 0.0, 0.0, np.inf, -np.inf])
        self._fades: Any = None
        self._out = np.empty(0)

    @property
    def reach(self) -> float:
        """The distance in x at which a point has no weight beside others."""
        return float(-np.log(_NOTHING)) / self._rate

    def even(self, y: Any, last: float) -> Any:
        """The next smoothed values, all at the typical distance; ``last`` is the last x."""
        return self._smoothed(y, None, last)

    def uneven(self, x: Any, y: Any) -> Any:
        """The next smoothed values, at any distances."""
        return self._smoothed(y, x, float(x[-1]))

    def _smoothed(self, y: Any, x: Any, last: float) -> Any:
        if len(self._out) < len(y):
            self._out = np.empty(len(y))
        out = self._out[: len(y)]
        if native_smooth is not None:
            native_smooth(y, x, out, self._state, self._weight, self._rate)
        else:
            self._by_numpy(y, x, out)
        self._state[2] = last
        return out

    def _by_numpy(self, y: Any, x: Any, out: Any) -> None:
        low, high = min(y.min(), self._state[3]), max(y.max(), self._state[4])
        self._state[3:] = low, high
        scale = 2.0**-400 if max(-low, high) > _LARGE else 1.0
        self._state[1] *= scale
        for start in range(0, len(y), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            some = y[part] if scale == 1.0 else y[part] * scale
            out[part] = self._even(some) if x is None else self._uneven(x[part], some)
        if scale != 1.0:
            self._state[1] /= scale
            out /= scale
        np.clip(out, low, high, out)

    def _even(self, y: Any) -> Any:
        sums, (norm, average) = _fading_sums(y, self._weight), self._state[:2]
        if self._fades is None:
            reach = min(_AT_ONCE, int(np.log(_NOTHING) / np.log(self._weight)) + 1)
            self._fades = self._weight ** np.arange(1, reach + 1)
        fades, rest = self._fades[: len(y)], 1 - self._weight
        norms = (1 - fades) / rest + norm * fades
        near = sums[: len(fades)]
        near += norm * average * fades
        near /= norms
        sums[len(fades) :] *= rest
        self._state[:2] = norms[-1] if len(fades) == len(y) else 1 / rest, sums[-1]
        return sums

    def _uneven(self, x: Any, y: Any) -> Any:
        places, result, start = (x - x[0]) * self._rate, np.empty_like(y), 0
        norm, average, last = map(float, self._state[:3])
        before = (last - float(x[0])) * self._rate if norm else 0.0
        while start < len(y):
            stop = int(np.searchsorted(places, places[start] + _LARGEST_EXPONENT, "right"))
            near = places[start:stop] - places[start]
            decay, growth = np.exp(-near), np.exp(near)
            faded = norm * float(np.exp(before - places[start]))
            norms = (np.cumsum(growth) + faded) * decay
            sums = (np.cumsum(y[start:stop] * growth) + faded * average) * decay
            result[start:stop] = sums / norms
            norm, average = float(norms[-1]), float(result[stop - 1])
            before, start = float(places[stop - 1]), stop
        self._state[:3] = norm, average, x[-1]
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
