"""Attempts at tasks, without a cluster: what Spark does with a task's function, and what comes back."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from pyspark import TaskContext
from pyspark.accumulators import Accumulator, AccumulatorParam, _accumulatorRegistry
from pyspark.cloudpickle import dumps

from rigorous_recorder._store.store import FolderStore
from rigorous_recorder.spark import TaskLog

Update = bytes

_IDS = itertools.count(1_000_000)


class Driver:
    """Of a context what a log needs."""

    def accumulator(self, value: Any, param: AccumulatorParam[Any]) -> Accumulator[Any]:
        """A shared variable."""
        return Accumulator(next(_IDS), value, param)


class Attempt(NamedTuple):
    """Which attempt at which task."""

    number: int
    partition: int = 0
    stage: int = 0

    def context(self) -> TaskContext:
        """What Spark tells a task of itself."""
        context = TaskContext()
        context._stageId, context._partitionId = self.stage, self.partition
        context._taskAttemptId = self.number
        return context

    def of(self, log: TaskLog, work: Callable[[TaskLog], object]) -> list[Update]:
        """Run a task in what could be another process; what it hands to Spark at its end.

        Raises:
            Exception: what the task raised; then it hands over nothing.
        """
        function = dumps(lambda: work(log))
        with _elsewhere(), _running(self.context()):
            pickle.loads(function)()
            return [pickle.dumps((aid, each._value)) for aid, each in _accumulatorRegistry.items()]


def accept(updates: list[Update]) -> None:
    """Let an attempt be the one that counts."""
    for aid, value in map(pickle.loads, updates):
        accumulator = _accumulatorRegistry[aid]
        accumulator += value


@contextmanager
def _elsewhere() -> Iterator[None]:
    """No shared variable and no writer of this process is known."""
    known, stores = dict(_accumulatorRegistry), dict(FolderStore._shared)
    _accumulatorRegistry.clear()
    FolderStore._shared.clear()
    try:
        yield
    finally:
        _accumulatorRegistry.clear()
        _accumulatorRegistry.update(known)
        FolderStore._shared.clear()
        FolderStore._shared.update(stores)


@contextmanager
def _running(context: TaskContext) -> Iterator[None]:
    TaskContext._setTaskContext(context)
    try:
        yield
    finally:
        TaskContext._setTaskContext(None)
