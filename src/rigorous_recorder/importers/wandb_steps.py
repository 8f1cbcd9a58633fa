"""Marks the values of step metrics that W&B fills in where a call leaves them out."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from .contract import Report

__all__ = ["StepMetrics"]

#: Up to so many keys of a record stand in the order in which they were logged, from any of them on.
_IN_ORDER: Final = 8


class StepMetrics:
    """The metrics that were defined with a step metric, and the last values of those."""

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        state = state or {}
        self._by_name: dict[str, str] = dict(state.get("names", {}))
        self._by_glob: dict[str, str] = dict(state.get("globs", {}))
        self._last: dict[str, Any] = dict(state.get("last", {}))

    def __bool__(self) -> bool:
        return bool(self._by_name or self._by_glob)

    def state(self) -> dict[str, Any]:
        """What ``StepMetrics`` takes to go on."""
        return {"names": self._by_name, "globs": self._by_glob, "last": self._last}

    def define(self, name: str, glob: str, step_metric: str) -> None:
        """Note that metrics have a step metric."""
        if name:
            self._by_name[name] = step_metric
        elif glob:
            self._by_glob[glob] = step_metric

    def defined(self) -> dict[str, str]:
        """The step metrics by the names and patterns of metrics."""
        return {**self._by_glob, **self._by_name}

    def marks(
        self,
        columns: Mapping[str, list[Any]],
        orders: list[list[bytes]],
        file: Path,
        report: Report,
    ) -> dict[str, list[Any]]:
        """Columns ``<step metric>/carried``: true where a value may not have been logged.

        That is where it equals the one before, and stands where W&B puts what it fills in.
        """
        found = {}
        wanted = {self._step_metric(key) for key in columns}
        for key in columns:
            if key in set(self._by_name.values()) | set(self._by_glob.values()):
                marks = self._carried(key, columns[key], orders, is_used=key in wanted)
                if any(marks):
                    found[f"{key}/carried"] = marks
                    text = f"values of {key!r} that W&B may have filled in: marked"
                    report.add(file, text, count=sum(map(bool, marks)))
        return found

    def _carried(
        self, key: str, values: list[Any], orders: list[list[bytes]], *, is_used: bool
    ) -> list[bool | None]:
        marks: list[bool | None] = []
        for value, order in zip(values, orders, strict=True):
            is_same = key in self._last and self._last[key] == value
            marks.append(True if is_used and is_same and _may_be_added(key, order) else None)
            self._last[key] = value
        return marks

    def _step_metric(self, key: str) -> str | None:
        if key in self._by_name:
            return self._by_name[key] if self._by_name[key] != key else None
        for glob, step_metric in self._by_glob.items():
            if key != step_metric and fnmatchcase(key, glob):
                return step_metric
        return None


def _may_be_added(key: str, order: list[bytes]) -> bool:
    """Whether a key stands behind ``_step``, or the order of keys tells nothing."""
    name = key.encode()
    if len(order) > _IN_ORDER or name not in order:
        return True
    return order[order.index(name) - 1] == b"_step"
