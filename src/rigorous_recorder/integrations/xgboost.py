"""XGBoost: a record of each evaluation set and round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rigorous_recorder import Recorder, Run

from .boosting import Trainings
from .guest import guest
from .requirement import required

with required("xgboost>=3.0"):
    from xgboost.callback import TrainingCallback

__all__ = ["XGBoostCallback"]


class XGBoostCallback(TrainingCallback):
    """Logs ``train``, ``cv`` and the estimators: ``callbacks=[XGBoostCallback(run)]``.

    Each training is a child with the attribute ``training`` (0, 1, ...), and each evaluation set a
    child of it with ``data``, its name. Their records have ``iteration`` and the metrics; ``cv`` also
    logs ``<metric>_std``. After ``xgb_model=`` the iterations go on. At the end, a training gets
    ``best_iteration`` and ``best_score`` if there was early stopping.

    Args:
        recorder: a started run, or a recorder.
    """

    def __init__(self, recorder: Recorder | Run) -> None:
        super().__init__()
        self._trainings = Trainings(recorder)

    def before_training(self, model: Any) -> Any:
        """Begin a training; the model is not changed."""
        self._begin(model)
        return model

    @guest
    def _begin(self, model: Any) -> None:
        is_cv = not hasattr(model, "num_boosted_rounds")
        self._trainings.begin(first=0 if is_cv else model.num_boosted_rounds())

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Log the metrics of an iteration; it never ends the training."""
        self._log(epoch, evals_log)
        return False

    @guest
    def _log(self, epoch: int, evals_log: Mapping[str, Mapping[str, Sequence[Any]]]) -> None:
        training = self._trainings.current
        if training is not None:
            # Sets with one name share a list, which gets a value of each.
            training.log(
                training.first + epoch,
                [
                    (data, metric, _fields(metric, value))
                    for data, metrics in evals_log.items()
                    for metric, values in metrics.items()
                    for value in training.new(data, metric, values)
                ],
            )

    def after_training(self, model: Any) -> Any:
        """Set what early stopping found; the model is not changed."""
        self._end(model)
        return model

    @guest
    def _end(self, model: Any) -> None:
        training, best = self._trainings.current, getattr(model, "best_iteration", None)
        # That of the training before it stays in a model that goes on without early stopping.
        if training is not None and best is not None and best >= training.first:
            training.recorder.update(best_iteration=best, best_score=model.best_score)


def _fields(metric: str, value: Any) -> dict[str, float]:
    """A value, or in cv the mean and the standard deviation over the folds."""
    if isinstance(value, tuple):
        return {metric: float(value[0]), f"{metric}_std": float(value[1])}
    return {metric: float(value)}
