"""Charts as pictures, by matplotlib: PNG, SVG, PDF, PGF, or an HTML page with the SVG."""

from __future__ import annotations

import datetime as dt
import io
import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path
from textwrap import shorten, wrap
from typing import TYPE_CHECKING, Any, Final

from .._durable import replacing
from .._lazy import lazy_module
from ..errors import MissingPackageError, UnknownFileTypeError
from .palette import COLORS, DASHES, hex_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from .axis import Axis
    from .curves import Curve, Curves

# Typed differently by different versions.
mpl = lazy_module("matplotlib", install="rigorous-recorder[plot]")
dates = lazy_module("matplotlib.dates", install="rigorous-recorder[plot]")
figure = lazy_module("matplotlib.figure", install="rigorous-recorder[plot]")
ticker = lazy_module("matplotlib.ticker", install="rigorous-recorder[plot]")

__all__ = ["PICTURES", "save_picture", "svg"]

#: Default size in inches.
_SIZE: Final = (8.0, 5.0)
_DOTS_PER_INCH: Final = 160
#: Maximum number of curves in the legend.
_NAMED: Final = 20
#: With more curves than this, the legend is beside the chart instead of in it.
_INSIDE: Final = 6
#: Curves with at most this many points have a dot at each.
_FEW: Final = 30
#: Width of the notes in characters.
_LINE: Final = 100
_GREY: Final = "#555555"
#: No dates in files: the same chart makes the same file.
_UNDATED: Final[dict[str, dict[str, None]]] = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}
_STYLE: Final[dict[str, Any]] = {
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.labelcolor": "#222222",
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "svg.hashsalt": "rigorous",  # the same chart makes the same file
}

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ margin: 2rem auto; max-width: 72rem; padding: 0 1rem; font-family: sans-serif; }}
svg {{ width: 100%; height: auto; }}
</style>
</head>
<body>
{picture}
</body>
</html>
"""


def save_picture(curves: Curves, path: Path) -> None:
    """Write the chart to a file in the format of its suffix; it appears whole or not at all.

    Raises:
        UnknownFileTypeError: the suffix is not one of ``PICTURES``.
        MissingPackageError: matplotlib is not installed.
        OSError: the file can't be written.
    """
    make = PICTURES.get(path.suffix.lower())
    if make is None:
        message = (
            f"{path.name}: {path.suffix!r} is not a valid suffix of a picture; expected one of"
            f" {', '.join(PICTURES)}"
        )
        raise UnknownFileTypeError(message)
    data = make(curves)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def svg(curves: Curves) -> str:
    """The chart as an ``<svg>`` element."""
    text = _rendered(curves, "svg").decode()
    return text[text.index("<svg") :]


def _page(curves: Curves) -> bytes:
    return _PAGE.format(title=escape(curves.title), picture=svg(curves)).encode()


def _rendered(curves: Curves, kind: str) -> bytes:
    target = io.BytesIO()
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # Characters of keys that no installed font has are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        metadata = _UNDATED.get(kind)
        _figure(curves).savefig(target, format=kind, dpi=_DOTS_PER_INCH, metadata=metadata)
    return target.getvalue()


def _pgf(curves: Curves) -> bytes:
    try:
        return _rendered(curves, "pgf")
    except (RuntimeError, OSError) as error:
        message = f"a .pgf picture is measured by LaTeX, which can't be run here: {error}"
        raise MissingPackageError(message) from error


PICTURES: Final[dict[str, Callable[[Curves], bytes]]] = {
    ".png": lambda curves: _rendered(curves, "png"),
    ".svg": lambda curves: _rendered(curves, "svg"),
    ".pdf": lambda curves: _rendered(curves, "pdf"),
    ".pgf": _pgf,
    ".html": _page,
}


def _figure(curves: Curves) -> Figure:
    curves, notes = curves.drawn(), curves.notes
    drawing: Figure = figure.Figure(figsize=curves.look.size or _SIZE, layout="constrained")
    axes = drawing.add_subplot()
    x, y = curves.x_axis(), curves.y_axis()
    lines = [
        _draw(axes, _placed(curve, x, y), number, curves)
        for number, curve in enumerate(curves.curves)
    ]
    _label(axes, curves, notes)
    _set_axes(axes, curves)
    if any(curve.label for curve in curves.curves):
        _add_legend(axes, lines, [curve.label for curve in curves.curves])
    return drawing


def _placed(curve: Curve, x: Axis, y: Axis) -> Curve:
    """A curve in the units of the axes."""
    xs = [x.place(each) for each in curve.x] if x.power else curve.x
    if not y.power:
        return replace(curve, x=xs)
    mean, low, high, raw = (
        [None if value is None else y.place(value) for value in values]
        for values in (curve.mean, curve.low, curve.high, curve.raw or ())
    )
    return replace(curve, x=xs, mean=mean, low=low, high=high, raw=raw if curve.raw else None)


def _draw(axes: Axes, curve: Curve, number: int, curves: Curves) -> Line2D:
    color = hex_of(COLORS[number % len(COLORS)])
    dash = DASHES[number // len(COLORS) % len(DASHES)]
    if curves.look.is_scatter:
        (line,) = axes.plot(
            curve.x, _gaps(curve.mean), "", color=color, marker="o", markersize=4, alpha=0.6
        )
        line.set_linestyle("none")
        return line
    if curve.raw is not None:
        axes.plot(curve.x, _gaps(curve.raw), dash, color=color, linewidth=1.0, alpha=0.3)
    marker = "o" if len(curve.x) <= _FEW else ""
    mean = _gaps(curve.mean)
    (line,) = axes.plot(
        curve.x, mean, dash, color=color, linewidth=1.8, marker=marker, markersize=4
    )
    if curve.low != curve.mean:
        _draw_band(axes, curve, color, is_merged=curves.merged > 0)
    return line


def _draw_band(axes: Axes, curve: Curve, color: str, *, is_merged: bool) -> None:
    low, high = _gaps(curve.low), _gaps(curve.high)
    axes.fill_between(curve.x, low, high, color=color, alpha=0.18, linewidth=0)
    if is_merged:  # a spike of one point would be too thin to see
        for edge in (low, high):
            axes.plot(curve.x, edge, color=color, alpha=0.6, linewidth=0.7)


def _gaps(values: list[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _label(axes: Axes, curves: Curves, words: str) -> None:
    look = curves.look
    # Keys are plain text, even if they look like math.
    axes.set_xlabel(curves.x if look.xlabel is None else look.xlabel, parse_math=False)
    axes.set_ylabel(curves.y if look.ylabel is None else look.ylabel, parse_math=False)
    width = curves.look.size[0] if curves.look.size else _SIZE[0]
    notes = wrap(words, max(20, int(_LINE * width / _SIZE[0])))
    pad = 10 + 12 * len(notes)
    axes.set_title(curves.title, loc="left", fontweight="bold", pad=pad, parse_math=False)
    place: dict[str, Any] = {"xy": (0, 1), "xytext": (0, 8), "textcoords": "offset points"}
    note = axes.annotate(
        "\n".join(notes), xycoords="axes fraction", fontsize=9, color=_GREY, **place
    )
    note.set_parse_math(False)
    note.set_in_layout(False)
    axes.grid(color="#e3e3e3", linewidth=0.8)
    axes.set_axisbelow(True)


def _set_axes(axes: Axes, curves: Curves) -> None:
    """Set scales, ticks and limits."""
    look = curves.look
    x, y = curves.x_axis(), curves.y_axis()
    if not x.is_log:
        _set_ticks(axes, [each for curve in curves.curves for each in curve.x])
    for drawn, axis in ((axes.xaxis, x), (axes.yaxis, y)):
        if axis.is_log:
            axes.set(**{f"{drawn.axis_name}scale": "log"})
        else:
            _set_numbers(drawn, axis)
    axes.set_xlim(*(each if each is None or x.is_log else _limit(each, x) for each in look.xlim))
    axes.set_ylim(*(each if each is None or y.is_log else _limit(each, y) for each in look.ylim))


def _limit(value: Any, axis: Axis) -> Any:
    return axis.place(value) if isinstance(value, (int, float)) else value


def _set_ticks(axes: Axes, values: list[Any]) -> None:
    if isinstance(values[0], dt.datetime):
        locator = dates.AutoDateLocator()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    elif all(isinstance(x, int) for x in values):
        axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))


def _set_numbers(drawn: Any, axis: Axis) -> None:
    """Label ticks with the real numbers where the axis is scaled."""
    if axis.power:
        drawn.set_major_formatter(ticker.FuncFormatter(lambda place, _: axis.label(place)))
    if axis.constant is not None:
        drawn.axes.set(**{f"{drawn.axis_name}lim": axis.limits})
        drawn.set_ticks(axis.ticks, [axis.label(each) for each in axis.ticks])


def _add_legend(axes: Axes, lines: list[Line2D], labels: list[str]) -> None:
    beside = len(lines) > _INSIDE
    legend = axes.legend(
        lines[:_NAMED],
        # matplotlib would skip a label that begins with an underscore
        [f" {shorten(label, 40, placeholder='...')}" for label in labels[:_NAMED]],
        frameon=not beside,
        framealpha=0.85,
        edgecolor="none",
        fontsize=10,
        loc="upper left" if beside else "best",
        bbox_to_anchor=(1.01, 1) if beside else None,
        title=f"the first {_NAMED} of {len(lines)}" if len(lines) > _NAMED else None,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
