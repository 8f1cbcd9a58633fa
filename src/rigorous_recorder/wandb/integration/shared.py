"""What the callbacks of boosting libraries share: the best value of a metric, importances, models."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from rigorous_recorder import wandb

__all__ = ["log_importance", "log_model", "need_run", "summarize"]

#: Metrics of which the summary has the least value, and the greatest one.
_LEAST: Final = frozenset(
    {
        *("rmse", "rmsle", "mae", "mape", "mphe", "logloss", "error", "error@t", "merror"),
        *("l1", "l2", "huber", "fair", "poisson", "gamma", "binary_logloss"),
    }
)
_GREATEST: Final = frozenset(
    {"auc", "aucpr", "ndcg", "map", "ndcg@n", "map@n", "average_precision"}
)


def need_run(what: str) -> Any:
    """The run.

    Raises:
        Error: there is none.
    """
    if wandb.run is None:
        message = f"{what} needs a run: call wandb.init() first"
        raise wandb.Error(message)
    return wandb.run


def summarize(key: str, metric: str) -> None:
    """Let the summary have the best value of a metric, if it is known which that is."""
    metric = metric.lower()
    if "loss" in metric or metric in _LEAST:
        wandb.define_metric(key, summary="min")
    elif metric in _GREATEST:
        wandb.define_metric(key, summary="max")


def log_importance(importances: Iterable[tuple[str, Any]], *, commit: bool) -> None:
    """Log a table of features with their importance."""
    rows = [list(each) for each in importances]
    table = wandb.Table(columns=["Feature", "Importance"], data=rows)
    name = "Feature Importance"
    chart = wandb.plot.bar(table, "Feature", "Importance", title=name)
    wandb.log({name: chart}, commit=commit)


def log_model(path: Path, name: str, aliases: list[str] | None = None) -> None:
    """Log the file of a model as an artifact."""
    artifact = wandb.Artifact(name, "model")
    artifact.add_file(path)
    wandb.log_artifact(artifact, aliases=aliases)
