"""Axes of numbers: plain, or, close to the limits of floats, in units of a power of ten."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

__all__ = ["Axis", "axis_of", "log_axis_of"]

#: Numbers above this, or below its inverse, are drawn in units of a power of ten.
_GREAT: Final = 1e15
_SMALL: Final = 1e-4
#: Number of intervals between ticks.
_STEPS: Final = 4


class Axis(NamedTuple):
    """The scale of an axis.

    Attributes:
        power: numbers are drawn as multiples of ten to this power.
        low, high: the smallest and largest number, in these units.
        constant: the only number, in these units; None if there are several.
        is_log: whether the axis is logarithmic (base 10).
    """

    power: int = 0
    low: float = 0.0
    high: float = 0.0
    constant: float | None = None
    is_log: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether drawing libraries can scale it themselves."""
        return not self.power and self.constant is None and not self.is_log

    @property
    def limits(self) -> tuple[float, float]:
        """The limits of an axis with a constant, which is in the middle."""
        middle = self.constant or 0.0
        half = abs(middle) / 2 or 1.0
        return middle - half, middle + half

    @property
    def ticks(self) -> list[float]:
        """Ticks from end to end; a constant is one of them."""
        if self.constant is not None:
            low, high = self.limits
            return [low, self.constant, high]
        if self.is_log:
            return _log_ticks(self.low, self.high)
        step = (self.high - self.low) / _STEPS
        return [self.low + number * step for number in range(_STEPS + 1)]

    def place(self, number: float) -> float:
        """The position of a number on the axis."""
        if self.is_log:
            return math.log10(number)
        if not self.power:
            return number
        half = self.power // 2  # ten to the power itself may overflow
        return number / 10.0**half / 10.0 ** (self.power - half)

    def label(self, place: float) -> str:
        """The number at a position, as text."""
        if self.is_log:
            return f"{10.0**place:.3g}"
        if not self.power or not place:
            return f"{place:.6g}"
        digits, _, power = f"{place:.5e}".partition("e")
        return f"{float(digits):g}e{int(power) + self.power:+}"


def axis_of(numbers: Iterable[float], *, closest: float = 0.0) -> Axis:
    """The axis for some numbers.

    Args:
        closest: numbers whose relative difference is at most this count as constant.
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
    """The logarithmic axis for numbers above 0."""
    found = [math.log10(number) for number in numbers]
    low, high = min(found), max(found)
    return Axis(low=low, high=high, constant=low if low == high else None, is_log=True)


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten; if there are fewer than two, ticks from end to end."""
    first, last = math.ceil(low), math.floor(high)
    if last <= first:
        return [low + number * (high - low) / _STEPS for number in range(_STEPS + 1)]
    step = max(1, (last - first) // _STEPS)
    return [float(power) for power in range(first, last + 1, step)]
