"""Axes of numbers: drawn as they are, or, where floats end, in units of a power of ten."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

__all__ = ["Axis", "axis_of"]

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
    """

    power: int = 0
    low: float = 0.0
    high: float = 0.0
    constant: float | None = None

    @property
    def is_plain(self) -> bool:
        """Whether any drawing has ticks for it by itself."""
        return not self.power and self.constant is None

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
        step = (self.high - self.low) / _STEPS
        return [self.low + number * step for number in range(_STEPS + 1)]

    def place(self, number: float) -> float:
        """Where a number is drawn."""
        if not self.power:
            return number
        half = self.power // 2  # ten to the power of it may be no float
        return number / 10.0**half / 10.0 ** (self.power - half)

    def label(self, place: float) -> str:
        """The number that is drawn there, as text."""
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
