"""A chart as an SVG, drawn here: for reports without a script."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any, Final, NamedTuple

from .._lazy_imports import np
from .packing import header_of, start_of

__all__ = ["chart_svg"]

_COLORS: Final = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900",
    "#56b4e9", "#882255", "#44aa99", "#999933", "#7b6fd0",
)  # fmt: skip
_WIDTH, _HEIGHT = 480, 300
_LEFT, _TOP, _RIGHT, _BOTTOM = 62, 28, 12, 40
_MOST_IN_LEGEND: Final = 10
_MOST_LETTERS: Final = 60
_TICKS: Final = 5
#: Values beyond are drawn at these: differences of larger ones are infinite. Less is no difference.
_LARGEST: Final = 1e307
_SMALLEST: Final = 1e-300
_EXPONENTS: Final = (-307.0, 307.0)


class _Drawn(NamedTuple):
    """A line, with the ends of its band if it has one."""

    label: str
    is_shown: bool
    x: Any
    y: Any
    low: Any
    high: Any


def chart_svg(
    key: str, x: str, message: bytes, *, names: Mapping[str, str], is_log: tuple[bool, bool]
) -> str:
    """A picture of the chart in a message.

    Args:
        names: what the runs that are drawn are called, by key.
        is_log: whether the axes of x and y are logarithmic.
    """
    lines = list(_lines(message, names))
    shown = [(at, each) for at, each in enumerate(lines) if each.is_shown]
    across = _Axis([each.x for _, each in shown], _LEFT, _WIDTH - _RIGHT, is_log=is_log[0], room=0)
    ys = [v for _, each in shown for v in (each.y, each.low, each.high) if v is not None]
    up = _Axis(ys, _HEIGHT - _BOTTOM, _TOP, is_log=is_log[1], room=0.05)
    parts = [*_frame(across, up), *(_marks(at, each, across, up) for at, each in shown)]
    legend = [
        _entry(place, at, each.label) for place, (at, each) in enumerate(shown[:_MOST_IN_LEGEND])
    ]
    height = _HEIGHT + 16 * len(legend) + 4
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}"'
        f' viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="11" fill="#1b1f24" role="img">'
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/><title>{_text(key)}</title>'
        f'<text x="{_LEFT}" y="17" font-size="13" font-weight="bold">{_text(key)}</text>'
        f"{''.join(parts)}{''.join(legend)}"
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">{_text(x or "record number")}</text>'
        "</svg>"
    )


def _text(text: str) -> str:
    cut = text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…"
    return escape("".join(each if each.isprintable() else "�" for each in cut))


class _Axis:
    """Where values are drawn; those that a logarithmic axis lacks are NaN."""

    def __init__(self, arrays: Any, start: float, end: float, *, is_log: bool, room: float) -> None:
        self._start, self._end, self._is_log = start, end, is_log
        values = np.concatenate([*map(np.asarray, arrays), np.empty(0)])
        values = values[np.isfinite(values) & ((values > 0) | (not is_log))]
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.1, 1.0)
        low, high = (min(max(each, -_LARGEST), _LARGEST) for each in (low, high))
        low, high = (math.log10(low), math.log10(high)) if is_log else (low, high)
        more = room * (high - low) if high - low > _SMALLEST else abs(low) * 0.1 or 0.5
        self._low, self._high = low - more, high + more
        if is_log:
            self._low, self._high = max(self._low, _EXPONENTS[0]), min(self._high, _EXPONENTS[1])

    def at(self, values: Any) -> Any:
        """The places of values."""
        with np.errstate(all="ignore"):
            values = np.clip(values, -_LARGEST, _LARGEST)
            values = np.log10(values) if self._is_log else values
            part = (values - self._low) / (self._high - self._low)
        return self._start + part * (self._end - self._start)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Places with texts."""
        if self._is_log:
            whole = range(math.ceil(self._low), math.floor(self._high) + 1)
            values = [10.0**each for each in whole[:: max(1, len(whole) // _TICKS)]]
        else:
            raw = (self._high - self._low) / _TICKS
            size = 10.0 ** math.floor(math.log10(raw))
            step = next(each * size for each in (1, 2, 5, 10) if each * size >= raw)
            first, last = math.ceil(self._low / step), math.floor(self._high / step)
            values = [each * step for each in range(first, last + 1)]
        for value in values:
            at = float(self.at(np.float64(value)))
            if min(self._start, self._end) - 1 < at < max(self._start, self._end) + 1:
                yield at, f"{value:.4g}"


def _frame(across: _Axis, up: _Axis) -> Iterator[str]:
    bottom = _HEIGHT - _BOTTOM
    for at, text in across.ticks():
        yield f'<path d="M{at:.1f} {_TOP}V{bottom}" stroke="#d5dae0"/>'
        yield f'<text x="{at:.1f}" y="{bottom + 15}" text-anchor="middle">{text}</text>'
    for at, text in up.ticks():
        yield f'<path d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}" stroke="#d5dae0"/>'
        yield f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{text}</text>'


def _marks(at: int, line: _Drawn, across: _Axis, up: _Axis) -> str:
    color, x, y = _COLORS[at % len(_COLORS)], across.at(line.x), up.at(line.y)
    found = ""
    if line.low is not None:
        outline = [
            *zip(x, up.at(line.high), strict=True),
            *zip(x[::-1], up.at(line.low)[::-1], strict=True),
        ]
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in outline if math.isfinite(a + b))
        found = f'<polygon points="{points}" fill="{color}" opacity="0.18"/>'
    if len(x) == 1:
        return found + f'<circle cx="{x[0]:.1f}" cy="{y[0]:.1f}" r="3" fill="{color}"/>'
    return found + f'<path d="{_path(x, y)}" fill="none" stroke="{color}" stroke-width="1.5"/>'


def _path(x: Any, y: Any) -> str:
    parts, command = [], "M"
    for a, b in zip(x, y, strict=True):
        if not math.isfinite(a + b):
            command = "M"
            continue
        parts.append(f"{command}{a:.1f} {b:.1f}")
        command = "L"
    return "".join(parts)


def _entry(place: int, at: int, label: str) -> str:
    y, color = _HEIGHT + 16 * place + 8, _COLORS[at % len(_COLORS)]
    box = f'<rect x="{_LEFT}" y="{y - 9}" width="10" height="10" fill="{color}"/>'
    return f'{box}<text x="{_LEFT + 16}" y="{y}">{_text(label)}</text>'


def _lines(message: bytes, names: Mapping[str, str]) -> Iterator[_Drawn]:
    """The lines of the chart in a message of ``charts``; of smoothed ones the smoothed values."""
    header = header_of(message)
    chart = header["charts"][0]
    if "error" in chart:
        return
    take = _taker(message, start_of(message))
    types, counts, band = chart["types"], chart["points"], chart["band"]
    banded = [count if has else 0 for count, has in zip(counts, band, strict=True)]
    x = _rising(types["x"], counts, take)
    y, low, high = take(types["y"], counts), take(types["low"], banded), take(types["high"], banded)
    y = take(types["smooth"], counts) if types["smooth"] else y
    for at, name in enumerate(chart["line"]):
        found: Mapping[str, Any] = header["names"][name]
        ends = (low[at], high[at]) if band[at] else (None, None)
        run, label = found.get("run"), str(found.get("label") or "all records")
        label = names.get(run, str(run)) if run else label
        yield _Drawn(label, not run or run in names, x[at], y[at], *ends)


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
