"""Further kinds of charts, by name: each has a function that reads what the browser draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event
from typing import Final

from ..._lazy_imports import np
from ..workspace import Workspace
from . import bars, heatmap, histogram, parallel, scatter
from .answer import Answer
from .request import PlotRequest

__all__ = ["PlotRequest", "plot"]

_KINDS: Final[Mapping[str, Callable[[Workspace, PlotRequest, Event | None], Answer]]] = {
    "bars": bars.bars,
    "heatmap": heatmap.heatmap,
    "histogram": histogram.histogram,
    "parallel": parallel.parallel,
    "scatter": scatter.scatter,
}


def plot(workspace: Workspace, request: PlotRequest, stop: Event | None = None) -> bytes:
    """A chart of a kind, as the length of a header in 8 bytes, the header padded to 8, and float64.

    The header's ``arrays`` has the name and the length of each array that follows; the rest of it is
    described by the kind's function.

    Raises:
        ColumnError: no collection has the keys.
        ArgumentError: the kind lacks something.
        Cancelled: ``stop`` was set.
    """
    with np.errstate(all="ignore"):  # a mean beyond the range of floats is infinite
        return _KINDS[request.kind](workspace, request, stop).packed()
