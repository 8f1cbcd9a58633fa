"""LightGBM: the callback and the summary of W&B."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rigorous_recorder import wandb
from rigorous_recorder.integrations.guest import guest

from .shared import log_importance, log_model, need_run, summarize

__all__ = ["log_summary", "wandb_callback"]

#: The parts of a result of ``train``; ``cv`` has one more.
_OF_TRAIN = 4


class _Callback:
    """Logs each iteration, after LightGBM's own callbacks before early stopping."""

    order = 20
    before_iteration = False

    def __init__(self, *, has_parameters: bool, is_defined: bool) -> None:
        self._has_parameters, self._is_defined = has_parameters, is_defined

    @guest
    def __call__(self, env: Any) -> None:
        fields: dict[str, Any] = {}
        for result in env.evaluation_result_list:
            data, metric, value = result[:3]
            if len(result) == _OF_TRAIN:
                found = {f"{data}_{metric}": value}
            else:
                data, metric = metric.split() if " " in metric else (data, metric)
                found = {f"{data}_{metric}-mean": value, f"{data}_{metric}-stdv": result[4]}
            if env.iteration == env.begin_iteration and self._is_defined:
                for key in found:
                    summarize(key, key.removeprefix(f"{data}_"))
            fields |= found
        if env.iteration == env.begin_iteration and self._has_parameters:
            wandb.config.update(env.params, allow_val_change=True)
        wandb.log({**fields, "iteration": env.iteration})


def wandb_callback(log_params: bool = True, define_metric: bool = True) -> Callable[..., None]:
    """A callback that logs ``<data>_<metric>`` and ``iteration`` of each iteration.

    Args:
        log_params: whether to set what ``train`` was given as parameters.
        define_metric: whether the summary has the best value of a metric.
    """
    return _Callback(has_parameters=log_params, is_defined=define_metric)


@guest
def log_summary(
    model: Any, feature_importance: bool = True, save_model_checkpoint: bool = False
) -> None:
    """Set ``best_iteration`` and ``best_score`` in the summary, and log importances and the model."""
    run = need_run("log_summary")
    run.summary.update({"best_iteration": model.best_iteration, "best_score": model.best_score})
    if feature_importance:
        found = zip(model.feature_name(), model.feature_importance().tolist(), strict=True)
        log_importance(found, commit=False)
    if save_model_checkpoint:
        path = Path(run.dir, f"model_ckpt_{model.best_iteration}.txt")
        model.save_model(path, num_iteration=model.best_iteration)
        log_model(path, f"model_{run.id}", ["best"])
