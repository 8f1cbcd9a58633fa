"""Records for tools whose runs have no recorders below them: with the attributes of those."""

from __future__ import annotations

from math import floor, isfinite
from typing import Any, Final

from .contract import Losses
from .study import Logged, Place

__all__ = ["part_of", "row_of", "whole_step"]

#: The parts of runs that tools have a place of their own for.
_PARTS: Final = frozenset({"system", "console", "alerts"})
_INT64: Final = 1 << 63


def part_of(place: Place) -> str:
    """Which part of its run a recorder is, if it is one that tools know; else empty."""
    part = place.attributes.get("part")
    return str(part) if part in _PARTS and len(place.attributes) == 1 else ""


def row_of(logged: Logged) -> dict[str, Any]:
    """The fields of a record, and what it inherits from recorders below the run."""
    return {**logged.place.attributes, **logged.fields}


def whole_step(step: float, losses: Losses) -> int:
    """The step as an int of 64 bits; what changes is counted."""
    if not isfinite(step):
        losses.add("steps that are not finite: as 0")
        return 0
    if step != (whole := floor(step)):
        losses.add("steps with fractions: rounded down")
    return max(min(whole, _INT64 - 1), -_INT64)
