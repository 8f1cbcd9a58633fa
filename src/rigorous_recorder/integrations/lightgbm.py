"""LightGBM: a record of each evaluation set and round."""

from __future__ import annotations

from typing import Any, Final

from rigorous_recorder import Recorder, Run

from .boosting import Trainings
from .guest import guest
from .requirement import required

with required("lightgbm>=4.6"):
    from lightgbm.callback import CallbackEnv

__all__ = ["LightGBMCallback"]

#: Early stopping has 30, and ends a round: what comes later does not see the last one.
_BEFORE_EARLY_STOPPING: Final = 20


class LightGBMCallback:
    """Logs ``train``, ``cv`` and the estimators: ``callbacks=[LightGBMCallback(run)]``.

    Each training is a child with the attribute ``training`` (0, 1, ...) and ``params``; each
    evaluation set is a child of it with ``data``, its name. Their records have ``iteration`` and the
    metrics; ``cv`` also logs ``<metric>_std``.

    Args:
        recorder: a started run, or a recorder.
    """

    def __init__(self, recorder: Recorder | Run) -> None:
        self._trainings = Trainings(recorder)
        self.order = _BEFORE_EARLY_STOPPING  # of the instance: that of a class is ignored
        self.before_iteration = False

    @guest
    def __call__(self, env: CallbackEnv) -> None:
        """Log the metrics of an iteration."""
        if env.iteration == env.begin_iteration:
            self._trainings.begin(params=_params(env.params))
        training = self._trainings.current
        if training is not None:
            training.log(env.iteration, map(_result, env.evaluation_result_list or []))


def _result(result: Any) -> tuple[str, str, dict[str, float]]:
    # A named tuple whose length is 4 in train, though it has a fifth field.
    data, metric, value, _, *std = list(result)
    found = {metric: float(value)}
    if std and std[0] is not None:
        found[f"{metric}_std"] = float(std[0])
    return data, metric, found


def _params(params: Any) -> dict[str, Any]:
    """The parameters that are plain values: not objectives and metrics that are functions."""
    plain = (bool, int, float, str, list, tuple)
    return {key: value for key, value in params.items() if isinstance(value, plain)}
