"""XGBoost: the callback of W&B."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rigorous_recorder import wandb
from rigorous_recorder.integrations.guest import guest
from rigorous_recorder.integrations.requirement import required

from .shared import log_importance, log_model, need_run, summarize

with required("xgboost>=3.0"):
    from xgboost.callback import TrainingCallback

__all__ = ["WandbCallback"]


class WandbCallback(TrainingCallback):
    """Logs ``<data>-<metric>`` and ``epoch`` of each iteration, and the model's configuration.

    Args:
        log_model: whether to log the model as an artifact at the end.
        log_feature_importance: whether to log a table of importances at the end.
        importance_type: as of ``Booster.get_score``.
        define_metric: whether the summary has the best value of a metric.

    Raises:
        Error: there is no run.
    """

    def __init__(
        self,
        log_model: bool = False,
        log_feature_importance: bool = True,
        importance_type: str = "gain",
        define_metric: bool = True,
    ) -> None:
        super().__init__()
        self._run = need_run("WandbCallback")
        self._has_model, self._has_importance = log_model, log_feature_importance
        self._importance, self._is_defined = importance_type, not define_metric

    def before_training(self, model: Any) -> Any:
        """Set the model's configuration as parameters; the model is not changed."""
        self._configure(model)
        return model

    @guest
    def _configure(self, model: Any) -> None:
        wandb.config.update(json.loads(model.save_config()), allow_val_change=True)

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Log the metrics of an iteration; it never ends the training."""
        self._log(epoch, evals_log)
        return False

    @guest
    def _log(self, epoch: int, evals_log: Mapping[str, Mapping[str, Sequence[Any]]]) -> None:
        fields: dict[str, Any] = {}
        for data, metrics in evals_log.items():
            for metric, values in metrics.items():
                key = f"{data}-{metric}"
                fields[key] = values[-1]
                if not self._is_defined:
                    summarize(key, metric)
        self._is_defined = True
        wandb.log({**fields, "epoch": epoch})

    def after_training(self, model: Any) -> Any:
        """Log what is known at the end; the model is not changed."""
        self._log_end(model)
        return model

    @guest
    def _log_end(self, model: Any) -> None:
        if self._has_model:
            name = f"{self._run.id}_model.json"
            path = Path(self._run.dir, name)
            model.save_model(path)
            log_model(path, name)
        if self._has_importance:
            scores = model.get_score(importance_type=self._importance)
            log_importance(scores.items(), commit=True)
        if model.attr("best_score") is not None:
            best = int(model.attr("best_iteration"))
            wandb.log({"best_score": float(model.attr("best_score")), "best_iteration": best})
