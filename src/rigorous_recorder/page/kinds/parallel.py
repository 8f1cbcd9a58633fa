"""Parallel coordinates: the last value of some keys for each run, besides its attributes."""

from __future__ import annotations

from threading import Event
from typing import Any

from ..._lazy_imports import np
from ..series import INDEX
from ..workspace import Workspace
from .answer import Answer
from .points import points
from .request import PlotRequest

__all__ = ["parallel"]


def parallel(workspace: Workspace, request: PlotRequest, stop: Event | None = None) -> Answer:
    """For the number of each key an array, with a value for each of ``runs``; NaN where it has none.

    The attributes of runs are in the table of runs already.

    Raises:
        ColumnError: no collection has a key.
    """
    last: list[dict[str, float]] = []
    for key in request.keys:
        of_key: dict[str, float] = {}
        wanted = request._replace(y=key, by=())
        for each in points(workspace, wanted, INDEX, stop):
            if each.run is not None and len(each.y):
                of_key[each.run] = float(each.y[-1])
        last.append(of_key)
    runs = list(dict.fromkeys(run for each in last for run in each))
    missing = float("nan")
    arrays: dict[str, Any] = {
        str(at): np.array([of_key.get(run, missing) for run in runs], "f8")
        for at, of_key in enumerate(last)
    }
    return Answer({"runs": runs}, arrays)
