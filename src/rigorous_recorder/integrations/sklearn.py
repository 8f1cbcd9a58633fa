"""scikit-learn: the results of a search, and the tree of tasks of a fit."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

from rigorous_recorder import Recorder, Run

from .guest import guest, push, set_attributes
from .requirement import required
from .target import Target, run_or_recorder

with required("scikit-learn>=1.5"):
    from sklearn.base import BaseEstimator

__all__ = ["RigorousCallback", "log_search"]

_Path = tuple[Any, ...]


@guest
def log_search(recorder: Recorder | Run, search: BaseEstimator) -> None:
    """Log the ``cv_results_`` of a fitted search, such as ``GridSearchCV``.

    Each candidate is a child with ``candidate``, its number, the parameters by their own names, and
    means, deviations and ranks, such as ``mean_test_score``. Its records are the splits: ``split``
    and the scores of that split, such as ``test_score``. A search by halving also has ``iter``. A
    parameter with the name of one of these is ``param_<name>``, as in ``cv_results_``.
    """
    place, results = run_or_recorder(recorder), search.cv_results_
    for candidate, params in enumerate(results["params"]):
        child = place.child(candidate=candidate)
        values = {key: each[candidate] for key, each in results.items() if key != "params"}
        splits = {key: each for key, each in values.items() if key.startswith("split")}
        known = {k: v for k, v in values.items() if k not in splits and not k.startswith("param_")}
        taken = {"candidate", "split", *known}
        named = {f"param_{key}" if key in taken else key: value for key, value in params.items()}
        set_attributes(child, known | named)
        for fields in _by_split(splits, search.n_splits_):
            push(child, fields)


def _by_split(splits: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    for split in range(number):
        start = f"split{split}_"
        found = {key.removeprefix(start): v for key, v in splits.items() if key.startswith(start)}
        yield {"split": split, **found}


class RigorousCallback:
    """Logs the tasks of a fit, with scikit-learn 1.9: ``estimator.set_callbacks(RigorousCallback(run))``.

    A task that has subtasks is a child with ``task`` (its name), ``task_id``, ``estimator`` and that
    one's ``params``, and at its end ``task_duration`` in seconds; the first one of a fit has
    ``fit``, which counts from 0. A task without subtasks, such as an iteration, is a record of its
    parent. Tasks of other processes are logged by them.

    Args:
        recorder: a started run, or a recorder.
    """

    #: It is passed on to all estimators inside of the one that it is set on.
    max_propagation_depth = None

    def __init__(self, recorder: Recorder | Run) -> None:
        self._target = Target(recorder)
        self._children: dict[_Path, Recorder] = {}
        self._starts: dict[_Path, float] = {}

    @guest
    def setup(self, estimator: Any, context: Any) -> None:
        """Nothing to prepare: a fit begins with its first task."""

    @guest
    def teardown(self, estimator: Any, context: Any) -> None:
        """Forget the tasks of a fit."""
        root = context.root_uuid
        for known in (self._children, self._starts):
            for path in [path for path in known if path[0] == root]:
                known.pop(path, None)

    @guest
    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Begin a child, if the task can have subtasks."""
        path = _path(context)
        self._starts[path] = time.monotonic()
        if context.max_subtasks != 0:
            child = self._child(context)
            set_attributes(child, {"params": estimator.get_params(deep=False)})

    def _child(self, context: Any) -> Recorder:
        """The child of a task; in another process those above it were begun, and sent with this."""
        path = _path(context)
        if path not in self._children:
            parent = (
                self._target.recorder if context.parent is None else self._child(context.parent)
            )
            first = {"fit": self._target.next_number()} if context.parent is None else {}
            self._children[path] = parent.child(
                task=context.task_name,
                task_id=context.task_id,
                estimator=context.estimator_name,
                **first,
            )
        return self._children[path]

    @guest
    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Log the duration of a task."""
        path = _path(context)
        duration = time.monotonic() - self._starts.pop(path, math.nan)
        if path in self._children:
            self._children[path].update(task_duration=duration)
            return
        parent = self._target.recorder if context.parent is None else self._child(context.parent)
        fields = {"task_id": context.task_id, "estimator": context.estimator_name}
        parent.push({"task": context.task_name, **fields, "task_duration": duration})


def _path(context: Any) -> _Path:
    above = (context.root_uuid,) if context.parent is None else _path(context.parent)
    return (*above, context.task_id)
