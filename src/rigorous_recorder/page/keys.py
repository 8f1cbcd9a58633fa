"""The keys of charts and of x, over all collections, and what most likely is requested first."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from threading import Event
from typing import Any, Final

from ..errors import RigorousError
from .kinds.heatmap import array_keys
from .levels import LIKELY_X, level_keys
from .series import INDEX, Cancelled, metric_keys, whole_beside, x_keys
from .workspace import Opened, Workspace

__all__ = ["MOST_BESIDE", "keys_beside", "keys_of", "likely_keys", "prepare"]

#: Charts that a window shows at first.
_FIRST_CHARTS: Final = 8
#: Keys that a chart without points names.
MOST_BESIDE: Final = 8


def keys_of(workspace: Workspace) -> dict[str, Any]:
    """The keys of charts, of x, of the flat table and of arrays, and x unless one is chosen.

    ``metrics`` are those that records have. In charts of others a recorder is a point.
    """
    metrics: dict[str, None] = {}
    xs: dict[str, None] = {}
    columns: dict[str, None] = {}
    arrays: dict[str, None] = {}
    levels: dict[str, None] = {}
    for each in workspace.opened:
        metrics |= dict.fromkeys(metric_keys(each.collection))
        xs |= dict.fromkeys(x_keys(each.collection))
        columns |= dict.fromkeys(each.collection.records.columns)
        arrays |= dict.fromkeys(array_keys(each.collection))
        levels |= dict.fromkeys(level_keys(each.collection))
    likely = next((key for key in LIKELY_X if key in xs), INDEX)
    charts = {**{key: None for key in levels if key not in metrics}, **metrics}
    found = {"charts": charts, "metrics": metrics, "x": xs, "columns": columns, "arrays": arrays}
    return {name: list(keys) for name, keys in found.items()} | {"likely_x": likely}


def likely_keys(opened: Iterable[Opened]) -> list[str]:
    """The keys of x that charts have one after the other, unless one is chosen."""
    there = {key for each in opened for key in each.collection.records.columns}
    return [key for key in LIKELY_X if key in there]


def keys_beside(opened: Iterable[Opened], key: str, x: str) -> list[str]:
    """What could be x in place of one that no record with a key has, as the first of these have it."""
    for each in opened:
        if key in each.collection.records.columns:
            found = whole_beside(each.collection, key)
            likely = [one for one in LIKELY_X if one in found]
            return [one for one in dict.fromkeys([*likely, *found]) if one != x][:MOST_BESIDE]
    return []


def prepare(workspace: Workspace, stop: Event) -> None:
    """Read what the page shows first, while the browser starts.

    Args:
        stop: set once the page ends.
    """
    with suppress(RigorousError, OSError, Cancelled):
        keys = keys_of(workspace)
        x = keys["likely_x"]
        charts = [key for key in keys["metrics"] if key != x]
        section = charts[0].partition("/")[0] if charts and "/" in charts[0] else None
        first = [key for key in charts if section is None or key.startswith(f"{section}/")]
        for each in workspace.opened if first else ():
            workspace.states(each, first[:_FIRST_CHARTS], x, None, stop)
