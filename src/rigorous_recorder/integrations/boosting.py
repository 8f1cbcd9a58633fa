"""What the callbacks of boosting libraries share: a child for each training and evaluation set."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from typing import Any

from rigorous_recorder import Recorder, Run

from .target import Target

__all__ = ["Training", "Trainings"]


class Training:
    """A child of a run, and below it one with ``data`` for each evaluation set.

    Args:
        recorder: the child.
        first: the number of its first iteration.
    """

    def __init__(self, recorder: Recorder, first: int = 0) -> None:
        self.recorder = recorder
        self.first = first
        #: The number of the last iteration.
        self.iteration = first - 1
        self._data: dict[str, Recorder] = {}
        self._lengths: Counter[tuple[str, str]] = Counter()

    def new(self, data: str, metric: str, values: Any) -> Any:
        """What was appended to the values of a metric since the last call."""
        done = self._lengths[data, metric]
        self._lengths[data, metric] = len(values)
        return values[done:]

    def log(self, iteration: int, results: Iterable[tuple[str, str, dict[str, Any]]]) -> None:
        """Log an iteration: a record of each evaluation set.

        Args:
            iteration: its number.
            results: the name of an evaluation set, that of a metric, and its fields. Where they come
                again, they are of another set with this name, which becomes "name (2)".
        """
        self.iteration = iteration
        rows: dict[str, dict[str, Any]] = {}
        seen: Counter[tuple[str, str]] = Counter()
        for data, metric, fields in results:
            seen[data, metric] += 1
            number = seen[data, metric]
            rows.setdefault(data if number == 1 else f"{data} ({number})", {}).update(fields)
        for data, fields in rows.items():
            if data not in self._data:
                self._data[data] = self.recorder.child(data=data)
            self._data[data].push({"iteration": iteration, **fields})


class Trainings:
    """Children of a run with ``training`` 0, 1, ...; each thread has its own running one.

    Copies, such as those in clones of an estimator, count on together; in another process a copy
    counts alone.
    """

    def __init__(self, recorder: Recorder | Run) -> None:
        self.__setstate__(Target(recorder))

    def begin(self, *, first: int = 0, **attributes: Any) -> Training:
        """Begin the next training of this thread."""
        self._running.training = None  # if no child can begin, nothing is logged to the last one
        child = self._target.recorder.child({**attributes, "training": self._target.next_number()})
        self._running.training = training = Training(child, first)
        return training

    @property
    def current(self) -> Training | None:
        """The training that runs in this thread."""
        return getattr(self._running, "training", None)

    def __getstate__(self) -> Target:
        """Without what runs here."""
        return self._target

    def __setstate__(self, target: Target) -> None:
        self._target = target
        self._running = threading.local()
