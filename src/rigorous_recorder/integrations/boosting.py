"""What the callbacks of boosting libraries share: a child for each training and evaluation set."""

from __future__ import annotations

from typing import Any

from rigorous_recorder import Recorder, Run

__all__ = ["Trainings"]


class Trainings:
    """Children of a run: ``training`` 0, 1, ..., and below them ``data``, an evaluation set each."""

    def __init__(self, recorder: Recorder | Run) -> None:
        self._recorder = recorder
        self._number = 0
        self.current: Recorder | None = None
        self._data: dict[str, Recorder] = {}

    def begin(self, **attributes: Any) -> None:
        """Begin the next training."""
        self.current = self._recorder.child({**attributes, "training": self._number})
        self._number += 1
        self._data = {}

    def push(self, data: str, fields: dict[str, Any]) -> None:
        """Log a record of an evaluation set."""
        assert self.current is not None
        if data not in self._data:
            self._data[data] = self.current.child(data=data)
        self._data[data].push(fields)
