"""The keys that a page can draw, over all of its collections."""

from __future__ import annotations

from .kinds.heatmap import array_keys
from .series import metric_keys, x_keys
from .workspace import Workspace

__all__ = ["keys_of"]


def keys_of(workspace: Workspace) -> dict[str, list[str]]:
    """Keys of charts, of x, of all columns, and of arrays, each in order of first occurrence."""
    metrics: dict[str, None] = {}
    xs: dict[str, None] = {}
    columns: dict[str, None] = {}
    arrays: dict[str, None] = {}
    for each in workspace.opened:
        metrics |= dict.fromkeys(metric_keys(each.collection))
        xs |= dict.fromkeys(x_keys(each.collection))
        columns |= dict.fromkeys(each.collection.records.columns)
        arrays |= dict.fromkeys(array_keys(each.collection))
    found = {"metrics": metrics, "x": xs, "columns": columns, "arrays": arrays}
    return {name: list(keys) for name, keys in found.items()}
