"""Axes of numbers: drawn as they are, or, where floats end, in units of a power of ten."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

__all__ = ["Axis", "axis_of", "log_axis_of"]

#: From here on, and below there, numbers are drawn in units of a power of ten.
_GREAT: Final = 1e15
_SMALL: Final = 1e-4
#: Parts of an axis between ticks.
_STEPS: Final = 4


class Axis(NamedTuple):
    """How numbers stand on an axis.

    Attributes:
        power: a number is drawn as that many times ten to the power of this.
        low, high: the least and the greatest of them, as they are drawn.
        constant: what they all are, as it is drawn; None where they differ.
        is_log: whether a number is drawn at its logarithm to base 10.
    """

    power: int = 0
    low: float = 0.0
    high: float = 0.0
    constant: float | None = None
    is_log: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether any drawing has ticks for it by itself."""
        return not self.power and self.constant is None and not self.is_log

    @property
    def limits(self) -> tuple[float, float]:
        """Where the axis of a constant begins and ends: with that in the middle."""
        middle = self.constant or 0.0
        half = abs(middle) / 2 or 1.0
        return middle - half, middle + half

    @property
    def ticks(self) -> list[float]:
        """Some ticks from end to end; a constant is one of them."""
        if self.constant is not None:
            low, high = self.limits
            return [low, self.constant, high]
        if self.is_log:
            return _log_ticks(self.low, self.high)
        step = (self.high - self.low) / _STEPS
        return [self.low + number * step for number in range(_STEPS + 1)]

    def place(self, number: float) -> float:
        """Where a number is drawn."""
        if self.is_log:
            return math.log10(number)
        if not self.power:
            return number
        half = self.power // 2  # ten to the power of it may be no float
        return number / 10.0**half / 10.0 ** (self.power - half)

    def label(self, place: float) -> str:
        """The number that is drawn there, as text."""
        if self.is_log:
            return f"{10.0**place:.3g}"
        if not self.power or not place:
            return f"{place:.6g}"
        digits, _, power = f"{place:.5e}".partition("e")
        return f"{float(digits):g}e{int(power) + self.power:+}"


def axis_of(numbers: Iterable[float], *, closest: float = 0.0) -> Axis:
    """The axis on which numbers are drawn.

    Args:
        closest: numbers that differ by at most this part of the greatest are drawn as constant.
    """
    found = list(numbers)
    low, high = min(found), max(found)
    greatest = max(abs(low), abs(high))
    is_plain = not greatest or _SMALL <= greatest < _GREAT
    axis = Axis(0 if is_plain else math.floor(math.log10(greatest)))
    low, high, greatest = map(axis.place, (low, high, greatest))
    is_constant = high - low <= closest * greatest
    constant = low / 2 + high / 2 if is_constant else None
    return axis._replace(low=low, high=high, constant=constant)


def log_axis_of(numbers: Iterable[float]) -> Axis:
    """The logarithmic axis on which numbers above 0 are drawn."""
    found = [math.log10(number) for number in numbers]
    low, high = min(found), max(found)
    return Axis(low=low, high=high, constant=low if low == high else None, is_log=True)


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten; where there are fewer than two, some ticks from end to end."""
    first, last = math.ceil(low), math.floor(high)
    if last <= first:
        return [low + number * (high - low) / _STEPS for number in range(_STEPS + 1)]
    step = max(1, (last - first) // _STEPS)
    return [float(power) for power in range(first, last + 1, step)]
