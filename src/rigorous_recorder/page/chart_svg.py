"""A chart as an SVG, drawn here: for reports without a script."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from .._lazy_imports import np
from .packing import header_of, start_of
from .svg_frame import BOX, Axis, Look, finish, frame, marks, outline

__all__ = ["chart_svg"]


class _Drawn(NamedTuple):
    """A line; its smoothed values, and the ends of its band, are None if it has none."""

    name: str
    color: str
    x: Any
    y: Any
    smooth: Any
    low: Any
    high: Any
    mark_x: Any
    mark_kind: Any


def chart_svg(key: str, zoom_x: str, message: bytes, look: Look) -> str | None:
    """A picture of the chart in a message; None if it has no line.

    Args:
        zoom_x: the x of charts of which only a part is shown.
    """
    lines = list(_lines(message, look))
    if not lines:
        return None
    x = header_of(message)["charts"][0]["x"]
    ends = look.ends if x == zoom_x else (None, None)
    xs = [each.x if len(each.x) else each.mark_x for each in lines]
    across = Axis(xs, BOX.left, BOX.right, is_log=look.is_log[0], ends=ends)
    ys = [v for each in lines for v in (each.y, each.smooth, each.low, each.high) if v is not None]
    up = Axis(ys, BOX.bottom, BOX.top, is_log=look.is_log[1], room=0.05)
    inside = "".join(_line(each, across, up) for each in lines)
    clip = f'<svg x="{BOX.left}" y="{BOX.top}" width="{BOX.right - BOX.left}" height="{BOX.bottom - BOX.top}"'
    place = f"{BOX.left} {BOX.top} {BOX.right - BOX.left} {BOX.bottom - BOX.top}"
    parts = [*frame(across, up), f'{clip} viewBox="{place}">{inside}</svg>']
    entries = [(each.name, each.color) for each in lines]
    return finish(key, x or "record number", parts, entries)


def _line(line: _Drawn, across: Axis, up: Axis) -> str:
    x, color = across.at(line.x), line.color
    parts = [marks(across.at(line.mark_x), line.mark_kind, color)]
    if line.low is not None:
        around = [
            *zip(x, up.at(line.high), strict=True),
            *zip(x[::-1], up.at(line.low)[::-1], strict=True),
        ]
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in around if math.isfinite(a + b))
        parts.append(f'<polygon points="{points}" fill="{color}" opacity="0.18"/>')
    is_pale = line.smooth is not None
    parts.append(_curve(x, up.at(line.y), color, 'stroke-opacity="0.25"' if is_pale else ""))
    if is_pale:
        parts.append(_curve(x, up.at(line.smooth), color, ""))
    return "".join(parts)


def _curve(x: Any, y: Any, color: str, more: str) -> str:
    if len(x) == 1:
        return f'<circle cx="{x[0]:.1f}" cy="{y[0]:.1f}" r="3" fill="{color}"/>'
    return f'<path d="{outline(x, y)}" fill="none" stroke="{color}" stroke-width="1.5" {more}/>'


def _lines(message: bytes, look: Look) -> Iterator[_Drawn]:
    """The lines of the chart in a message of ``charts``."""
    header = header_of(message)
    chart = header["charts"][0]
    if "error" in chart:
        return
    take = _taker(message, start_of(message))
    types, counts, band = chart["types"], chart["points"], chart["band"]
    banded = [count if has else 0 for count, has in zip(counts, band, strict=True)]
    x = _rising(types["x"], counts, take)
    y, low, high = take(types["y"], counts), take(types["low"], banded), take(types["high"], banded)
    smooth = take(types["smooth"], counts) if types["smooth"] else [None] * len(counts)
    mark_x, mark_kind = (
        take(types["mark_x"], chart["marks"]),
        take(types["mark_kind"], chart["marks"]),
    )
    for at, place in enumerate(chart["line"]):
        found: Mapping[str, Any] = header["names"][place]
        run = found.get("run")
        name = look.line(run, str(found.get("label", "")), place)
        lowest, highest = (low[at], high[at]) if band[at] else (None, None)
        is_shown = look.is_shown(run) and found.get("key") not in look.off
        if is_shown and (len(x[at]) or len(mark_x[at])):
            lines = x[at], y[at], smooth[at], lowest, highest
            yield _Drawn(*name, *lines, mark_x[at], mark_kind[at])


_Take = Callable[[str, list[int]], list[Any]]


def _taker(message: bytes, start: int) -> _Take:
    at = start

    def take(kind: str, counts: list[int]) -> list[Any]:
        nonlocal at
        found = np.frombuffer(message, f"<{kind}", sum(counts), at)
        at += -(-found.nbytes // 8) * 8
        return list(np.split(found.astype("f8"), np.cumsum(counts)[:-1])) if counts else []

    return take


def _rising(types: list[str], counts: list[int], take: _Take) -> list[Any]:
    found = take(types[0], counts)
    if len(types) == 1:
        return found
    has = [count for count in counts if count]
    (firsts,) = take(types[1], [len(has)])
    starts = iter(firsts)
    return [np.cumsum(each) + next(starts) if len(each) else each for each in found]
