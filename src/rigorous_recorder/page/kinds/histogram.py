"""Histogram: how often the values of a key occur."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import Any

from ..._lazy_imports import np
from ..series import INDEX
from ..workspace import Workspace
from .answer import Answer
from .points import Points, header, points, together
from .request import PlotRequest

__all__ = ["histogram"]


def histogram(workspace: Workspace, request: PlotRequest, stop: Event | None = None) -> Answer:
    """Counts by line: ``lines`` with arrays ``0.counts``, ...; all have the same ``edges``.

    A bin has its lower edge, the last one both. Each line has its ``key``, ``run``, ``label``,
    ``n``, and ``nan``, ``inf`` and ``minus_inf``, which are in no bin; ``outside`` are those
    beyond the ends, or that a logarithmic axis can't have.

    Raises:
        ColumnError: no collection has the key.
        ArgumentError: it is not given.
    """
    request.require(y=request.y)
    lines = together(points(workspace, request, INDEX, stop), request)
    edges = _edges(lines, request)
    counts = [np.histogram(_finite(each), edges)[0] for each in lines]
    arrays = {"edges": edges, **{f"{at}.counts": each for at, each in enumerate(counts)}}
    entries = [_entry(line, int(each.sum())) for line, each in zip(lines, counts, strict=True)]
    return Answer({"lines": entries}, arrays)


def _finite(line: Points) -> Any:
    return line.y[np.isfinite(line.y)]


def _edges(lines: Sequence[Points], request: PlotRequest) -> Any:
    """The ends of bins, even on the axis, around all finite values or between the ends."""
    finite = [_finite(each) for each in lines]
    if request.is_log:
        finite = [each[each > 0] for each in finite]
    finite = [each for each in finite if len(each)]
    low = min((float(each.min()) for each in finite), default=1.0)
    high = max((float(each.max()) for each in finite), default=low)
    low = low if request.low is None or (request.is_log and request.low <= 0) else request.low
    high = high if request.high is None else request.high
    if not low < high:
        room = max(0.5, abs(low) / 1e6)  # ends that differ also far from 0
        low, high = (low / 2, low * 2) if request.is_log else (low - room, low + room)
    if request.is_log:
        edges = np.geomspace(low, high, request.bins + 1)
    else:  # also where the distance is beyond the range of floats
        share = np.linspace(0.0, 1.0, request.bins + 1)
        edges = low * (1 - share) + high * share
    edges = np.unique(edges)
    edges[0], edges[-1] = low, high
    return edges


def _entry(line: Points, inside: int) -> dict[str, Any]:
    nan, inf = int(np.isnan(line.y).sum()), int(np.isposinf(line.y).sum())
    minus_inf = int(np.isneginf(line.y).sum())
    outside = len(line.y) - inside - nan - inf - minus_inf
    return header(line) | {"nan": nan, "inf": inf, "minus_inf": minus_inf, "outside": outside}
