"""A drop-in for MLflow's tracking: ``import rigorous_recorder.mlflow as mlflow``.

Runs are experiments of the collection of their MLflow experiment; nested runs are children.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

from . import artifacts, data, entities, exceptions, tracking
from .absent import Library, autolog, delete_run, start_span, trace
from .client import MlflowClient
from .entities import Experiment, Run, RunInfo
from .exceptions import MlflowException
from .files import (
    get_artifact_uri,
    log_artifact,
    log_artifacts,
    log_dict,
    log_figure,
    log_image,
    log_table,
    log_text,
)
from .places import (
    create_experiment,
    get_experiment,
    get_experiment_by_name,
    get_tracking_uri,
    is_tracking_uri_set,
    search_experiments,
    set_experiment,
    set_experiment_tag,
    set_experiment_tags,
    set_tracking_uri,
)
from .runs import ActiveRun, active_run, end_run, last_active_run, running, start_run
from .stored import get_parent_run, get_run, search_runs

__all__ = [
    "ActiveRun",
    "Experiment",
    "MlflowClient",
    "MlflowException",
    "Run",
    "RunInfo",
    "__version__",
    "active_run",
    "artifacts",
    "autolog",
    "create_experiment",
    "data",
    "delete_run",
    "delete_tag",
    "disable_system_metrics_logging",
    "enable_system_metrics_logging",
    "end_run",
    "entities",
    "exceptions",
    "flush_async_logging",
    "get_artifact_uri",
    "get_experiment",
    "get_experiment_by_name",
    "get_parent_run",
    "get_run",
    "get_tracking_uri",
    "is_tracking_uri_set",
    "last_active_run",
    "log_artifact",
    "log_artifacts",
    "log_dict",
    "log_figure",
    "log_image",
    "log_input",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "log_table",
    "log_text",
    "search_experiments",
    "search_runs",
    "set_experiment",
    "set_experiment_tag",
    "set_experiment_tags",
    "set_tag",
    "set_tags",
    "set_tracking_uri",
    "start_run",
    "start_span",
    "trace",
    "tracking",
]

#: The version of MLflow whose functions these are; scripts compare it.
__version__ = "3.17.2"
#: Libraries of which scripts call ``mlflow.<library>.autolog`` and ``log_model``.
_LIBRARIES: Final = frozenset(
    [
        "catboost",
        "keras",
        "lightgbm",
        "openai",
        "prophet",
        "pyfunc",
        "pytorch",
        "sklearn",
        "spacy",
        "spark",
        "statsmodels",
        "tensorflow",
        "transformers",
        "xgboost",
        "langchain",
        "onnx",
        "sentence_transformers",
    ]
)


def log_metric(
    key: str,
    value: float,
    step: int | None = None,
    synchronous: bool | None = None,
    timestamp: int | None = None,
    run_id: str | None = None,
    model_id: str | None = None,
    dataset: Any = None,
) -> None:
    """Log a record with ``step``, 0 by default, ``time`` and the metric.

    Args:
        timestamp: milliseconds since 1970.
        model_id: logged as ``model_id``.
        dataset: its name is logged as ``dataset``.
    """
    running(run_id).log({key: value, **_source(model_id, dataset)}, step, timestamp)


def log_metrics(
    metrics: Mapping[str, float],
    step: int | None = None,
    synchronous: bool | None = None,
    run_id: str | None = None,
    timestamp: int | None = None,
    model_id: str | None = None,
    dataset: Any = None,
) -> None:
    """Log several metrics as one record."""
    running(run_id).log({**metrics, **_source(model_id, dataset)}, step, timestamp)


def _source(model_id: str | None, dataset: Any) -> dict[str, Any]:
    """What a metric was measured with."""
    found = {"model_id": model_id, "dataset": getattr(dataset, "name", dataset)}
    return {key: str(each) for key, each in found.items() if each is not None}


def log_param(key: str, value: Any, synchronous: bool | None = None) -> Any:
    """Set a parameter as an attribute of the run, with its type; the value."""
    running().set_params({key: value})
    return value


def log_params(
    params: Mapping[str, Any], synchronous: bool | None = None, run_id: str | None = None
) -> None:
    """Set several parameters."""
    running(run_id).set_params(params)


def set_tag(key: str, value: Any, synchronous: bool | None = None) -> None:
    """Set an item of the run's attribute ``tags``."""
    running().set_tags({key: value})


def set_tags(tags: Mapping[str, Any], synchronous: bool | None = None) -> None:
    """Set several items of the run's attribute ``tags``."""
    running().set_tags(tags)


def delete_tag(key: str) -> None:
    """Remove an item of the run's attribute ``tags``."""
    running().set_tags({key: None})


def log_input(
    dataset: Any, context: str | None = None, tags: Any = None, *_: Any, **__: Any
) -> None:
    """Set the name and source of a data set as an item of the run's attribute ``inputs``."""
    run = running()
    name = str(getattr(dataset, "name", dataset))
    about = {"name": name, "digest": getattr(dataset, "digest", None), "context": context}
    known = run.recorder.attributes.get("inputs") or []
    run.set_params({"inputs": [*known, {key: v for key, v in about.items() if v is not None}]})


def flush_async_logging() -> None:
    """Nothing waits: what was logged survives the process."""


def enable_system_metrics_logging() -> None:
    """Nothing: ``start_run(log_system_metrics=True)`` logs them."""


disable_system_metrics_logging = enable_system_metrics_logging


def __getattr__(name: str) -> Any:
    if name in _LIBRARIES:
        return Library(name)
    return _missing(name)


def _missing(name: str) -> NoReturn:
    message = f"rigorous_recorder.mlflow has no {name!r}; docs/integrations.md lists what it has"
    raise AttributeError(message)
