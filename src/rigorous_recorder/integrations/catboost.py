"""CatBoost: a record of each evaluation set and iteration."""

from __future__ import annotations

from typing import Any

from rigorous_recorder import Recorder, Run

from .boosting import Trainings
from .guest import guest
from .requirement import required

with required("catboost>=1.2"):
    import catboost  # noqa: F401 - its callbacks are of any class

__all__ = ["CatBoostCallback"]


class CatBoostCallback:
    """Logs ``fit``: ``model.fit(..., callbacks=[CatBoostCallback(run)])``.

    Each training is a child with the attribute ``training`` (0, 1, ...), and each evaluation set a
    child of it with ``data``, its name: ``learn``, ``validation``. Their records have ``iteration``
    from 0 and the metrics, also in the iteration in which a metric is NaN, with which CatBoost ends
    the training. CatBoost calls no callback in ``cv``, in ``train`` and on GPUs, and after
    ``init_model=`` it counts iterations from 0 again.

    Args:
        recorder: a started run, or a recorder.
    """

    def __init__(self, recorder: Recorder | Run) -> None:
        self._trainings = Trainings(recorder)
        self._iteration = 0
        self._lengths: dict[tuple[str, str], int] = {}

    def after_iteration(self, info: Any) -> bool:
        """Log the metrics of an iteration; it never ends the training."""
        self._log(info.iteration, info.metrics)
        return True

    @guest
    def _log(self, iteration: int, metrics: Any) -> None:
        if iteration <= self._iteration or self._trainings.current is None:
            self._lengths = {}
            self._trainings.begin()
        self._iteration = iteration
        for data, values in (metrics or {}).items():
            fields = {
                name: each[-1] for name, each in values.items() if self._is_new(data, name, each)
            }
            if fields:
                self._trainings.push(data, {"iteration": iteration - 1, **fields})

    def _is_new(self, data: str, metric: str, values: Any) -> bool:
        """Whether there is a value of this iteration: with ``metric_period`` some have none."""
        before = self._lengths.get((data, metric), 0)
        self._lengths[data, metric] = len(values)
        return len(values) > before
