"""Charts of several keys as SVG, drawn here: for reports without a script."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from .._lazy_imports import np
from .packing import header_of, start_of
from .svg_frame import BOX, Axis, Look, color_at, finish, frame, marks, outline, text_in, tick

__all__ = ["plot_svg"]

_Spec = Mapping[str, Any]
_Arrays = Mapping[str, Any]
#: Cells of a picture: of larger arrays one of each few is drawn.
_MOST_CELLS: Final = 60
#: Viridis, of Matplotlib; and around 0 from blue to red. As in ``heatmap.js``.
_RISING: Final = (
    "440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725",
)  # fmt: skip
_AROUND: Final = ("0b4a8f", "4a86bd", "9fc3df", "f2f2f2", "e9b08e", "c4663c", "7f2704")


def plot_svg(spec: _Spec, message: bytes, look: Look) -> str:
    """A picture of the chart in a message.

    Args:
        spec: what the chart is of, as in the page's address.
    """
    header, arrays = header_of(message), _arrays(message)
    return _KINDS[spec["kind"]](spec, header, arrays, look)


def _arrays(message: bytes) -> dict[str, Any]:
    at, found = start_of(message), {}
    for name, count in header_of(message)["arrays"]:
        found[name] = np.frombuffer(message, "<f8", count, at)
        at += 8 * count
    return found


def _shown(header: Mapping[str, Any], spec: _Spec, look: Look) -> Iterator[tuple[int, str, str]]:
    """The places, names and colors of the lines that are drawn."""
    for at, line in enumerate(header["lines"]):
        if look.is_shown(line["run"]) and line["key"] not in (spec.get("off") or ()):
            yield at, *look.line(line["run"], line["label"] or "no value", at)


def _scatter(spec: _Spec, header: Any, arrays: _Arrays, look: Look) -> str:
    lines = list(_shown(header, spec, look))
    zoom = spec.get("zoom") or {}
    is_log = bool(spec.get("logx")), bool(spec.get("logy"))
    xs = [arrays[f"{at}.{name}"] for at, _, _ in lines for name in ("x", "mark_x")]
    ys = [arrays[f"{at}.y"] for at, _, _ in lines]
    across = Axis(
        xs, BOX.left, BOX.right, is_log=is_log[0], room=0.03, ends=_ends(zoom, "low", "high")
    )
    up = Axis(
        ys, BOX.bottom, BOX.top, is_log=is_log[1], room=0.05, ends=_ends(zoom, "bottom", "top")
    )
    parts = [*frame(across, up)]
    for at, _, color in lines:
        places = zip(across.at(arrays[f"{at}.x"]), up.at(arrays[f"{at}.y"]), strict=True)
        some = (f"M{x:.0f} {y:.0f}h0" for x, y in places if _is_inside(x, y))
        dots = "".join(dict.fromkeys(some))  # one of each pixel
        parts.append(f'<path d="{dots}" stroke="{color}" stroke-width="3" stroke-linecap="round"/>')
        parts.append(marks(across.at(arrays[f"{at}.mark_x"]), arrays[f"{at}.mark_kind"], color))
    title = f"{spec['y']} over {spec['x']}"
    return finish(title, str(spec["x"]), parts, [each[1:] for each in lines])


def _ends(zoom: Mapping[str, Any], low: str, high: str) -> tuple[Any, Any]:
    return zoom.get(low), zoom.get(high)


def _is_inside(x: float, y: float) -> bool:
    return BOX.left - 1 <= x <= BOX.right + 1 and BOX.top - 1 <= y <= BOX.bottom + 1


def _histogram(spec: _Spec, header: Any, arrays: _Arrays, look: Look) -> str:
    lines, edges = list(_shown(header, spec, look)), arrays["edges"]
    counts = [arrays[f"{at}.counts"] for at, _, _ in lines]
    across = Axis([edges], BOX.left, BOX.right, is_log=bool(spec.get("logx")))
    up = Axis([[0.0, 1.0], *counts], BOX.bottom, BOX.top, room=0.03)
    x = np.repeat(across.at(edges), 2)[1:-1]
    parts = [*frame(across, up)]
    for (_, _, color), values in zip(lines, counts, strict=True):
        line = outline(x, np.repeat(up.at(values), 2))
        parts.append(f'<path d="{line}" fill="none" stroke="{color}" stroke-width="1.3"/>')
    names = {"nan": "NaN", "inf": "inf", "minus_inf": "-inf", "outside": "beyond the axis"}
    sums = {name: sum(each[key] for each in header["lines"]) for key, name in names.items()}
    note = "; ".join(f"{count:,} {name}" for name, count in sums.items() if count)
    return finish(
        f"{spec['y']}, counted", str(spec["y"]), parts, [each[1:] for each in lines], note
    )


def _bars(spec: _Spec, header: Any, arrays: _Arrays, _: Look) -> str:
    names = [each["label"] or "no value" for each in header["bars"]]
    mean, low, high = arrays["mean"], arrays["low"], arrays["high"]
    across = Axis([[-0.6, len(names) - 0.4]], BOX.left, BOX.right, names=names)
    up = Axis([[0.0], mean, low, high], BOX.bottom, BOX.top, room=0.03)
    half, zero = 0.38 * float(across.at(1.0) - across.at(0.0)), float(up.at(0.0))
    parts = [*frame(across, up)]
    for at, ends in enumerate(zip(up.at(mean), up.at(low), up.at(high), strict=True)):
        x, (middle, bottom, top) = float(across.at(float(at))), map(float, ends)
        if math.isfinite(middle):
            size = f'y="{min(middle, zero):.1f}" height="{abs(zero - middle):.1f}" width="{2 * half:.1f}"'
            parts.append(f'<rect x="{x - half:.1f}" {size} fill="{color_at(0)}" opacity="0.55"/>')
        if math.isfinite(bottom + top):
            parts.append(f'<path d="M{x:.1f} {bottom:.1f}V{top:.1f}" stroke="#1b1f24"/>')
    title = f"{spec['y']} by {spec['by']}"
    note = f"{spec.get('statistic', 'last')} of a run, mean over runs"
    return finish(title, str(spec["by"]), parts, (), note)


def _parallel(spec: _Spec, header: Any, arrays: _Arrays, look: Look) -> str:
    runs = look.runs
    axes: list[tuple[str, dict[str, Any]]] = [
        (key, {run["key"]: _attribute(run, key) for run in runs})
        for key in spec.get("attributes") or []
    ]
    for at, key in enumerate(spec.get("keys") or []):
        last = dict(zip(header["runs"], arrays.get(str(at), ()), strict=False))
        axes.append((key, {run["key"]: last.get(run["key"]) for run in runs}))
    gap = (BOX.right - BOX.left) / max(1, len(axes) - 1)
    parts: list[str] = []
    places: dict[str, list[tuple[float, float]]] = {run["key"]: [] for run in runs}
    for at, (key, values) in enumerate(axes):
        x = BOX.left + at * gap
        numbers, axis = _axis_of(values)
        anchor = "start" if at == 0 else "end" if at == len(axes) - 1 else "middle"
        parts.append(f'<path d="M{x:.1f} {BOX.top}V{BOX.bottom}" stroke="#1b1f24"/>')
        parts.append(tick(x, BOX.bottom + 16, text_in(str(key), 16), anchor))
        parts += [tick(x - 4, y + 4, text, "end") for y, text in axis.ticks()]
        for run, value in numbers.items():
            places[run].append((x, float(axis.at(value))))
    for run, points in places.items():
        line = outline(*zip(*points, strict=True)) if points else ""
        color = look.line(run, "", 0)[1]
        parts.append(
            f'<path d="{line}" fill="none" stroke="{color}" stroke-width="1.4" opacity="0.8"/>'
        )
    entries = [look.line(run, "", 0) for run in places]
    return finish(", ".join(str(key) for key, _ in axes), "", parts, entries)


def _attribute(run: Mapping[str, Any], key: Any) -> Any:
    return run["duration"] if key == "duration" else run["attributes"].get(key)


def _axis_of(values: Mapping[str, Any]) -> tuple[dict[str, float], Axis]:
    """Values as numbers, which for texts are places among these, and their axis."""
    there = {run: each for run, each in values.items() if each is not None}
    if all(isinstance(each, (int, float)) for each in there.values()):
        numbers = {run: float(each) for run, each in there.items() if not math.isnan(each)}
        finite = [each for each in numbers.values() if math.isfinite(each)]
        is_log = bool(finite) and min(finite) > 0 and max(finite) / min(finite) >= 100
        return numbers, Axis([[*numbers.values()]], BOX.bottom, BOX.top, is_log=is_log)
    names = sorted({str(each) for each in there.values()})
    numbers = {run: float(names.index(str(each))) for run, each in there.items()}
    return numbers, Axis([[*numbers.values()]], BOX.bottom, BOX.top, names=names)


def _heatmap(spec: _Spec, header: Any, arrays: _Arrays, _: Look) -> str:
    cells = arrays["cells"].reshape(header["shape"])
    row_step, column_step = (-(-size // _MOST_CELLS) or 1 for size in cells.shape)
    cells = cells[::row_step, ::column_step]
    rows, columns = cells.shape
    finite = cells[np.isfinite(cells)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if low < 0 < high:
        low, high = min(low, -high), max(high, -low)
    width, height = (BOX.right - BOX.left) / max(1, columns), (BOX.bottom - BOX.top) / max(1, rows)
    parts = [
        f'<rect x="{BOX.left + column * width:.1f}" y="{BOX.top + row * height:.1f}"'
        f' width="{width + 0.3:.1f}" height="{height + 0.3:.1f}" fill="{_color(value, low, high)}"/>'
        for row, values in enumerate(cells.tolist())
        for column, value in enumerate(values)
    ]
    has_x = header.get("at_x") is not None
    at = f", {spec.get('x') or 'record number'} {header['at_x']:.6g}" if has_x else ""
    note = f"from {low:.4g} (dark) to {high:.4g}{at}"
    thinned = "; one of each few is drawn" if max(row_step, column_step) > 1 else ""
    return finish(str(spec["y"]), "", parts, (), note + thinned)


def _color(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return "#d5dae0"
    palette = _AROUND if low < 0 < high else _RISING
    place = ((value - low) / (high - low) if high > low else 0.5) * (len(palette) - 1)
    at = min(len(palette) - 2, int(place))
    channels = (
        (1 - place + at) * int(palette[at][each : each + 2], 16)
        + (place - at) * int(palette[at + 1][each : each + 2], 16)
        for each in (0, 2, 4)
    )
    return "#" + "".join(f"{round(each):02x}" for each in channels)


_KINDS: Final[Mapping[str, Callable[[_Spec, Any, _Arrays, Look], str]]] = {
    "scatter": _scatter,
    "histogram": _histogram,
    "bars": _bars,
    "parallel": _parallel,
    "heatmap": _heatmap,
}
