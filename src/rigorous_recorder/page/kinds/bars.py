"""Bars: a mean over runs for each value of an attribute, with a band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from threading import Event
from typing import Any, Final

from ..._lazy_imports import np
from ..reduce import mean_by_x
from ..series import INDEX
from ..workspace import Workspace
from .answer import Answer
from .points import Points, points
from .request import PlotRequest

__all__ = ["bars"]

_MOST: Final = 200


def bars(workspace: Workspace, request: PlotRequest, stop: Event | None = None) -> Answer:
    """A bar for each value of ``by``: ``bars``, with arrays ``mean``, ``low`` and ``high``.

    The values of a run become one by ``statistic``, so that each run counts once however much it has
    logged; the bar is their mean. Each has its ``label``, ``runs``, and ``odd``: those runs whose value
    is NaN or infinite, which are not in the mean. A bar of no runs has NaN. ``cut`` are left out.

    Raises:
        ColumnError: no collection has the keys.
        ArgumentError: one is not given.
    """
    request.require(y=request.y, by=request.by[0] if request.by else "")
    groups: dict[tuple[str, ...], list[float]] = {}
    for each in points(workspace, request, INDEX, stop):
        if len(each.y):
            groups.setdefault(each.labels, []).append(_one(each, request.statistic))
    labels = sorted(groups, key=lambda label: [_sortable(each) for each in label])
    shown = labels[:_MOST]
    found = [_bar(np.array(groups[each]), request.band) for each in shown]
    arrays = dict(zip(("mean", "low", "high"), np.array(found).reshape(-1, 3).T, strict=True))
    entries = [_entry(each, groups[each]) for each in shown]
    return Answer({"bars": entries, "cut": len(labels) - len(shown)}, arrays)


def _one(found: Points, statistic: str) -> float:
    """The value of a run."""
    if statistic == "last":
        return float(found.y[-1])
    finite = found.y[np.isfinite(found.y)]
    if not len(finite):
        return float("nan")
    return float({"mean": np.mean, "min": np.min, "max": np.max}[statistic](finite))


def _sortable(label: str) -> tuple[int, float, str]:
    """Numbers in order, then text."""
    try:
        number = float(label)
    except ValueError:
        number = math.nan
    return (1, 0.0, label) if math.isnan(number) else (0, number, label)


def _bar(values: Any, band: str) -> tuple[float, float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return (float("nan"),) * 3
    found = mean_by_x(np.zeros(len(finite)), finite, band)
    return float(found.mean[0]), float(found.low[0]), float(found.high[0])


def _entry(label: Sequence[str], values: Sequence[float]) -> dict[str, Any]:
    odd = int((~np.isfinite(values)).sum())
    return {"label": ", ".join(label), "runs": len(values), "odd": odd}
