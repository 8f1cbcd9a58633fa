"""The chart drawn with characters, by plotext."""

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

    from .curves import Curve, Curves
else:
    plotext = lazy_module("plotext", install="rigorous-recorder[cli]")

__all__ = ["terminal_text"]

#: Curves that the lines below the drawing name.
_NAMED: Final = 20
_TICKS: Final = 6


def terminal_text(curves: Curves, width: int, height: int, *, colors: bool, plain: bool) -> str:
    """Title, drawing and legend, each line at most ``width`` characters wide."""
    drawing = _figure(curves, width, height, colors=colors, plain=plain)
    lines = drawing.build().string(colorless=not colors).rstrip().splitlines()
    notes = wrap(f"({one_line(curves.notes)})", width)
    return "\n".join([*lines, *_legend(curves, width, colors=colors), *notes])


def _figure(curves: Curves, width: int, height: int, *, colors: bool, plain: bool) -> Any:
    plotext.terminal.limit(width=False, height=False)  # what is asked for counts, not the terminal
    figure = plotext.figure.clear().plot_size(width, height)
    figure.theme("colorless").canvas("default").legend(active=False)
    figure.title(shorten(one_line(curves.title), width, placeholder="...")).axes(active=not plain)
    for number, curve in enumerate(curves.curves):
        _draw(figure, curve, number, colors=colors)
    _set_ticks(figure, curves)
    return figure


def _draw(figure: Any, curve: Curve, number: int, *, colors: bool) -> None:
    color = COLORS[number % len(COLORS)]
    places = [_place(x) for x in curve.x]
    if curve.low != curve.mean:
        for edge in (curve.low, curve.high):
            _draw_line(figure, places, edge, _marker("." if not colors else "·", color, colors))
    symbol = "hd" if colors else MARKERS[number % len(MARKERS)]
    _draw_line(figure, places, curve.mean, _marker(symbol, color, colors))


def _draw_line(figure: Any, places: list[float], values: list[float | None], marker: Any) -> None:
    points = [(x, y) for x, y in zip(places, values, strict=True) if y is not None]
    xs, ys = zip(*points, strict=True)
    figure.draw(figure.signal(list(xs), list(ys), marker=marker).lines())


def _marker(symbol: str, color: tuple[int, int, int], colors: bool) -> Any:
    return plotext.marker(symbol, color) if colors else symbol


def _place(x: Any) -> float:
    if isinstance(x, dt.datetime):
        return x.replace(tzinfo=x.tzinfo or dt.UTC).timestamp()
    return float(x)


def _set_ticks(figure: Any, curves: Curves) -> None:
    """Round numbers where x has whole ones, and times as such."""
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
    """1, 2 or 5 by a power of ten, so that there are no more ticks than room for them."""
    least = max(1, (last - first) / _TICKS)
    power: int = 10 ** math.floor(math.log10(least))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= least)


def _legend(curves: Curves, width: int, *, colors: bool) -> list[str]:
    """A line for each curve, where there are several."""
    if not curves.by:
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
