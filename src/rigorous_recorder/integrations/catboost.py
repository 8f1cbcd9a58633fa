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
    from 0 and the metrics, also those that are NaN, with which CatBoost's ``fit`` itself raises an
    error. CatBoost calls no callback in ``cv``, in ``train`` and on GPUs, and after
    ``init_model=`` it counts iterations from 0 again.

    Args:
        recorder: a started run, or a recorder.
    """

    def __init__(self, recorder: Recorder | Run) -> None:
        self._trainings = Trainings(recorder)

    def after_iteration(self, info: Any) -> bool:
        """Log the metrics of an iteration; it never ends the training."""
        self._log(info.iteration - 1, info.metrics)
        return True

    @guest
    def _log(self, iteration: int, metrics: Any) -> None:
        training = self._trainings.current
        if training is None or iteration <= training.iteration:
            training = self._trainings.begin()
        training.log(
            iteration,
            [
                (data, metric, {metric: value})
                for data, values in (metrics or {}).items()
                for metric, each in values.items()
                for value in training.new(data, metric, each)[-1:]
            ],
        )
