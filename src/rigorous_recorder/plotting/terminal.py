"""Charts drawn with characters, by plotext."""

from __future__ import annotations

import datetime as dt
import math
from textwrap import shorten, wrap
from typing import TYPE_CHECKING, Any, Final

from .._lazy import lazy_module
from .._printable import one_line
from .palette import COLORS, MARKERS

if TYPE_CHECKING:
    import plotext

    from .axis import Axis
    from .curves import Curve, Curves
    from .look import Limits
else:
    plotext = lazy_module("plotext", install="rigorous-recorder[cli]")

__all__ = ["terminal_text"]

#: Maximum number of curves in the legend.
_NAMED: Final = 20
_TICKS: Final = 6
#: Numbers with a smaller relative difference than this share a label.
_CLOSEST: Final = 1e-12


def terminal_text(curves: Curves, width: int, height: int, *, colors: bool, plain: bool) -> str:
    """Title, chart and legend, each line at most ``width`` characters wide."""
    curves, words = curves.drawn(), curves.notes
    drawing = _figure(curves, width, height, colors=colors, plain=plain)
    lines = drawing.build().string(colorless=not colors).rstrip().splitlines()
    notes = wrap(f"({one_line(words)})", width)
    return "\n".join([*lines, *_legend(curves, width, colors=colors), *notes])


def _figure(curves: Curves, width: int, height: int, *, colors: bool, plain: bool) -> Any:
    plotext.terminal.limit(width=False, height=False)  # the given size, not the terminal's
    figure = plotext.figure.clear().plot_size(width, height)
    figure.theme("colorless").canvas("default").legend(active=False)
    figure.title(shorten(one_line(curves.title), width, placeholder="...")).axes(active=not plain)
    axes = x, y = curves.x_axis(closest=_CLOSEST), curves.y_axis(closest=_CLOSEST)
    for number, curve in enumerate(curves.curves):
        _draw(figure, curve, number, axes, is_scatter=curves.look.is_scatter, colors=colors)
    if not x.is_log:
        _set_ticks(figure, curves)
    for name, axis, limits in (("x", x, curves.look.xlim), ("y", y, curves.look.ylim)):
        _set_numbers(figure.ruler(name), axis)
        _set_limits(figure.ruler(name), axis, limits)
    return figure


def _set_limits(ruler: Any, axis: Axis, limits: Limits) -> None:
    places = [None if each is None else axis.place(_place(each)) for each in limits]
    if any(each is not None for each in places):
        ruler.lim(*places)


def _set_numbers(ruler: Any, axis: Axis) -> None:
    """Label ticks with the real numbers where the axis is scaled."""
    if axis.is_plain:
        return
    if axis.constant is not None:
        ruler.lim(*axis.limits)
    ruler.ticks(axis.ticks, [axis.label(each) for each in axis.ticks])


def _draw(  # noqa: PLR0913 - the data, where, and how
    figure: Any,
    curve: Curve,
    number: int,
    axes: tuple[Axis, Axis],
    *,
    is_scatter: bool,
    colors: bool,
) -> None:
    x, y = axes
    color = COLORS[number % len(COLORS)]
    places = [x.place(_place(each)) for each in curve.x]
    faint = _marker("." if not colors else "·", color, colors)
    behind = [] if is_scatter or curve.low == curve.mean else [curve.low, curve.high]
    for values in [curve.raw] if curve.raw is not None else behind:
        _draw_signal(figure, places, values, y, faint)
    symbol = "hd" if colors else MARKERS[number % len(MARKERS)]
    marker = _marker(symbol, color, colors)
    _draw_signal(figure, places, curve.mean, y, marker, is_line=not is_scatter)


def _draw_signal(  # noqa: PLR0913 - the data, where, and how
    figure: Any,
    places: list[float],
    values: list[float | None],
    axis: Axis,
    marker: Any,
    *,
    is_line: bool = True,
) -> None:
    points = [(x, axis.place(y)) for x, y in zip(places, values, strict=True) if y is not None]
    if points:
        xs, ys = zip(*points, strict=True)
        signal = figure.signal(list(xs), list(ys), marker=marker)
        figure.draw(signal.lines() if is_line else signal)


def _marker(symbol: str, color: tuple[int, int, int], colors: bool) -> Any:
    return plotext.marker(symbol, color) if colors else symbol


def _place(x: Any) -> float:
    if isinstance(x, dt.datetime):
        return x.replace(tzinfo=x.tzinfo or dt.UTC).timestamp()
    return float(x)


def _set_ticks(figure: Any, curves: Curves) -> None:
    """Round numbers for integers on x, and times as such."""
    values = sorted({x for curve in curves.curves for x in curve.x})
    first, last = values[0], values[-1]
    if isinstance(first, dt.datetime):
        ticks = [first + (last - first) * part / _TICKS for part in range(_TICKS + 1)]
        labels = [f"{x:%m-%d %H:%M}" for x in ticks]
    elif all(isinstance(x, int) for x in values):
        step = _round_step(first, last)
        ticks = list(range(-(-first // step) * step, last + 1, step))
        labels = [f"{x:,}" for x in ticks]
    else:
        return
    figure.ruler("x").ticks([_place(x) for x in ticks], labels)


def _round_step(first: int, last: int) -> int:
    """1, 2 or 5 times a power of ten, so that the ticks fit."""
    least = max(1, (last - first) / _TICKS)
    power: int = 10 ** math.floor(math.log10(least))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= least)


def _legend(curves: Curves, width: int, *, colors: bool) -> list[str]:
    """A line for each curve, if there are several."""
    if not any(curve.label for curve in curves.curves):
        return []
    lines = [
        _legend_line(curve, number, width, colors=colors)
        for number, curve in zip(range(_NAMED), curves.curves, strict=False)
    ]
    if len(curves.curves) > _NAMED:
        lines.append(f"  ... and {len(curves.curves) - _NAMED} more")
    return lines


def _legend_line(curve: Curve, number: int, width: int, *, colors: bool) -> str:
    label = shorten(one_line(curve.label), width - 4, placeholder="...")
    if not colors:
        return f"  {MARKERS[number % len(MARKERS)]} {label}"
    red, green, blue = COLORS[number % len(COLORS)]
    return f"  \x1b[38;2;{red};{green};{blue}m██\x1b[0m {label}"
