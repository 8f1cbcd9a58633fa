"""The metrics by which others are plotted, as ``define_metric`` sets them."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

__all__ = ["StepMetrics"]


class StepMetrics:
    """Adds the last value of a step metric to a record that has metrics of it, and not itself."""

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self.names = dict(names or {})
        self._filled = dict.fromkeys(self.names, True)
        self._last: dict[str, Any] = {}
        self._chosen: dict[str, str] = {}

    def define(self, name: str, step_metric: str, *, is_filled: bool) -> None:
        """Set the step metric of a metric, or of those that a pattern fits."""
        self.names[name], self._filled[name] = step_metric, is_filled
        self._chosen.clear()

    def fill(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields, with ``<step metric>`` and ``<step metric>/carried`` where it is missing."""
        for name in set(self.names.values()) & fields.keys():
            self._last[name] = fields[name]
        wanted = (self._last.keys() - fields.keys()) & {self._of(key) for key in fields}
        carried = {f"{name}/carried": True for name in wanted}
        return {**fields, **{name: self._last[name] for name in wanted}, **carried}

    def _of(self, key: str) -> str:
        if key not in self._chosen:
            fitting = [key] if key in self.names else []
            fitting += [each for each in self.names if fnmatchcase(key, each)]
            found = fitting[0] if fitting and self._filled[fitting[0]] else None
            self._chosen[key] = self.names[found] if found else ""
        return self._chosen[key]
