"""Appearance of a chart: axes, limits, dots, labels and size; it does not change the numbers."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..errors import ArgumentError
from .query import keys_of

__all__ = ["Limits", "Look", "look_of"]

#: The limits of an axis; None for automatic ones.
Limits = tuple[Any, Any]

_AXES: Final = ("x", "y")
_NO_LIMITS: Final = (None, None)


@dataclass(frozen=True)
class Look:
    """The appearance of a chart.

    Attributes:
        log: the logarithmic axes: ``x``, ``y`` or both.
        xlim, ylim: the limits of the axes; None for automatic ones.
        is_scatter: whether points are dots without lines.
        title, xlabel, ylabel: the labels; None for the keys.
        size: width and height of a picture in inches; None for the default.
    """

    log: tuple[str, ...] = ()
    xlim: Limits = _NO_LIMITS
    ylim: Limits = _NO_LIMITS
    is_scatter: bool = False
    title: str | None = None
    xlabel: str | None = None
    ylabel: str | None = None
    size: tuple[float, float] | None = None


def look_of(  # noqa: PLR0913 - a chart has this many options
    *,
    log: str | Collection[str],
    xlim: Sequence[Any] | None,
    ylim: Sequence[Any] | None,
    is_scatter: bool,
    title: str | None,
    xlabel: str | None,
    ylabel: str | None,
    size: Sequence[float] | None,
) -> Look:
    """Validate the appearance options.

    Raises:
        ArgumentError: there is no such axis, limits are not in order, or a size is not positive.
    """
    given = log.split(",") if isinstance(log, str) else keys_of("log", log)
    axes = tuple(axis for each in given if (axis := each.strip()))
    if unknown := [each for each in axes if each not in _AXES]:
        message = f"log={unknown[0]!r}: expected 'x', 'y' or 'x,y'"
        raise ArgumentError(message)
    limits = {name: _limits(name, each) for name, each in (("xlim", xlim), ("ylim", ylim))}
    for axis in axes:
        low = limits[f"{axis}lim"][0]
        if low is not None and not (isinstance(low, (int, float)) and low > 0):
            message = f"{axis}lim begins at {low!r}; a logarithmic axis begins above 0"
            raise ArgumentError(message)
    return Look(
        axes, limits["xlim"], limits["ylim"], is_scatter, title, xlabel, ylabel, _size(size)
    )


def _limits(name: str, given: Sequence[Any] | None) -> Limits:
    if given is None:
        return _NO_LIMITS
    try:
        low, high = given
        is_valid = all(each is None or _is_place(each) for each in (low, high))
        is_valid = is_valid and (low is None or high is None or low < high)
    except (TypeError, ValueError):
        is_valid = False
    if not is_valid:
        message = f"{name}={given!r} is not valid; expected (low, high), of which one can be None"
        raise ArgumentError(message)
    return low, high


def _is_place(value: Any) -> bool:
    return isinstance(value, dt.datetime) or (
        isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    )


def _size(given: Sequence[float] | None) -> tuple[float, float] | None:
    if given is None:
        return None
    try:
        width, height = map(float, given)
    except (TypeError, ValueError):
        width = height = 0.0
    if not (0 < width <= 100 and 0 < height <= 100):
        message = f"size={given!r} is not valid; expected (width, height) in inches, up to 100"
        raise ArgumentError(message)
    return width, height
