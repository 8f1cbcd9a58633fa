"""What pictures of charts are made of: axes, texts, marks and a legend, as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final, NamedTuple

from .._lazy_imports import np

__all__ = [
    "BOX",
    "Axis",
    "Look",
    "color_at",
    "finish",
    "frame",
    "marks",
    "outline",
    "text_in",
    "tick",
]

#: Those of the page on a light ground (``palette.js``).
_COLORS: Final = (
    "#4b46a2", "#e90014", "#779c7d", "#d660b6", "#94954b",
    "#1b97ff", "#3f0030", "#00635f", "#554026", "#4664ff",
)  # fmt: skip
_WIDTH, _HEIGHT = 480, 300
_MOST_IN_LEGEND: Final = 10
_MOST_LETTERS: Final = 60
_TICKS: Final = 5
#: Values beyond are drawn at these: differences of larger ones are infinite. Less is no difference.
_LARGEST: Final = 1e307
_SMALLEST: Final = 1e-300
_EXPONENTS: Final = (-307.0, 307.0)


class _Box(NamedTuple):
    left: int
    top: int
    right: int
    bottom: int


#: Where values are drawn.
BOX: Final = _Box(62, 28, _WIDTH - 12, _HEIGHT - 40)


class Look(NamedTuple):
    """How a view shows its lines.

    Attributes:
        names: what the runs that are drawn are called, by key; in the order of their start.
        places: the places of runs in the palette.
        runs: those that are drawn, with their attributes.
        is_log: whether the axes of x and y are logarithmic.
        ends: of x that are shown, where these are not all.
        off: lines that are not of a run, and are hidden, by their keys on the page.
    """

    names: Mapping[str, str]
    places: Mapping[str, int]
    runs: Sequence[Mapping[str, Any]]
    is_log: tuple[bool, bool] = (False, False)
    ends: tuple[float | None, float | None] = (None, None)
    off: frozenset[str] = frozenset()

    def is_shown(self, run: str | None) -> bool:
        """Whether a line is drawn: of a run, or of several."""
        return run is None or run in self.names

    def line(self, run: str | None, label: str, at: int) -> tuple[str, str]:
        """The name and color of a line; the one at a place, if it is not of a run."""
        if run is None:
            return label or "all records", color_at(at)
        return self.names.get(run, run), color_at(self.places.get(run, at))


def color_at(place: int) -> str:
    """The color at a place of the palette."""
    return _COLORS[place % len(_COLORS)]


def text_in(text: str, most: int = _MOST_LETTERS) -> str:
    """Text for XML, cut if it is long."""
    cut = text if len(text) <= most else f"{text[:most]}…"
    return escape("".join(each if each.isprintable() else "�" for each in cut))


class Axis:
    """Where values are drawn; those that a logarithmic axis lacks are NaN.

    Args:
        arrays: the values.
        start, end: where the lowest and the highest are.
        room: the part of the axis that stays free beyond them.
        ends: the lowest and the highest value to show, if these are not those of the values.
        names: texts in place of 0, 1, ...
    """

    def __init__(  # noqa: PLR0913 - an axis has this many options
        self,
        arrays: Any,
        start: float,
        end: float,
        *,
        is_log: bool = False,
        room: float = 0,
        ends: tuple[float | None, float | None] = (None, None),
        names: Sequence[str] | None = None,
    ) -> None:
        self._start, self._end, self._is_log, self._names = start, end, is_log, names
        values = np.concatenate([*map(np.asarray, arrays), np.empty(0)])
        values = values[np.isfinite(values) & ((values > 0) | (not is_log))]
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.1, 1.0)
        low, high = (
            own if end is None else end for own, end in zip((low, high), ends, strict=True)
        )
        low, high = (min(max(each, -_LARGEST), _LARGEST) for each in (low, high))
        low, high = (_exponent(low), _exponent(high)) if is_log else (low, high)
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
        for value, text in self._texts():
            at = float(self.at(np.float64(value)))
            if min(self._start, self._end) - 1 < at < max(self._start, self._end) + 1:
                yield at, text

    def _texts(self) -> Iterable[tuple[float, str]]:
        if self._names is not None:
            every = math.ceil(len(self._names) / (2 * _TICKS)) or 1
            return list(enumerate(text_in(each, 12) for each in self._names))[::every]
        if self._is_log:
            whole = range(math.ceil(self._low), math.floor(self._high) + 1)
            return [
                (10.0**each, f"{10.0**each:.4g}") for each in whole[:: max(1, len(whole) // _TICKS)]
            ]
        raw = (self._high - self._low) / _TICKS
        size = 10.0 ** math.floor(math.log10(raw))
        step = next(each * size for each in (1, 2, 5, 10) if each * size >= raw)
        first, last = math.ceil(self._low / step), math.floor(self._high / step)
        return [(each * step, f"{each * step:.4g}") for each in range(first, last + 1)]


def _exponent(value: float) -> float:
    return math.log10(value) if value > 0 else _EXPONENTS[0]


def tick(x: float, y: float, text: str, anchor: str = "middle") -> str:
    """A text at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def frame(across: Axis, up: Axis) -> Iterator[str]:
    """The grid and the texts of two axes."""
    for at, text in across.ticks():
        yield f'<path d="M{at:.1f} {BOX.top}V{BOX.bottom}" stroke="#d5dae0"/>'
        yield tick(at, BOX.bottom + 15, text)
    for at, text in up.ticks():
        yield f'<path d="M{BOX.left} {at:.1f}H{BOX.right}" stroke="#d5dae0"/>'
        yield tick(BOX.left - 6, at + 4, text, "end")


def outline(x: Any, y: Any) -> str:
    """A line through places, with gaps where there are none."""
    parts, command = [], "M"
    for a, b in zip(x, y, strict=True):
        if not math.isfinite(a + b):
            command = "M"
            continue
        parts.append(f"{command}{a:.1f} {b:.1f}")
        command = "L"
    return "".join(parts)


def marks(x: Any, kinds: Any, color: str) -> str:
    """Crosses for NaN, at the bottom, and triangles for infinities, at the top and the bottom."""
    parts = []
    for a, kind in zip(x, kinds, strict=True):
        if BOX.left <= a <= BOX.right:
            y, tip = (BOX.top + 5, -4) if kind == 1 else (BOX.bottom - 5, 4)
            parts.append(_MARKS[int(bool(kind))](float(a), y, tip))
    return f'<path d="{"".join(parts)}" fill="none" stroke="{color}"/>' if parts else ""


_MARKS: Final[Sequence[Callable[[float, int, int], str]]] = (
    lambda x, y, _: f"M{x - 4:.1f} {y - 4}l8 8M{x - 4:.1f} {y + 4}l8 -8",
    lambda x, y, tip: f"M{x - 4:.1f} {y - tip}h8L{x:.1f} {y + tip}Z",
)


def finish(
    title: str, x: str, parts: Iterable[str], entries: Sequence[tuple[str, str]], note: str = ""
) -> str:
    """A picture.

    Args:
        x: the text of the axis of x.
        entries: names and colors in the legend.
        note: a line below it.
    """
    rows = [*entries[:_MOST_IN_LEGEND]]
    more = len(entries) - len(rows)
    lines = [_entry(place, *each) for place, each in enumerate(rows)]
    for text in (f"and {more} more" if more else "", note):
        if text:
            lines.append(tick(BOX.left, _HEIGHT + 16 * len(lines) + 8, text_in(text, 90), "start"))
    height = _HEIGHT + 16 * len(lines) + 4
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}"'
        f' viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="11" fill="#1b1f24" role="img">'
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/><title>{text_in(title)}</title>'
        f'<text x="{BOX.left}" y="17" font-size="13" font-weight="bold">{text_in(title)}</text>'
        f"{''.join(parts)}{''.join(lines)}{tick(BOX.right, _HEIGHT - 6, text_in(x), 'end')}</svg>"
    )


def _entry(place: int, name: str, color: str) -> str:
    y = _HEIGHT + 16 * place + 8
    box = f'<rect x="{BOX.left}" y="{y - 9}" width="10" height="10" fill="{color}"/>'
    return f'{box}<text x="{BOX.left + 16}" y="{y}">{text_in(name)}</text>'
