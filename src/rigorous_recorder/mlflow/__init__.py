"""A drop-in for MLflow's tracking: ``import rigorous_recorder.mlflow as mlflow``.

Runs are experiments of the collection of their MLflow experiment; nested runs are children.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from . import artifacts, data, entities, exceptions, places, tracking
from .absent import LIBRARIES, Nothing, absent, autolog, delete_run, instead, stand_in, trace
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
    log_stream,
    log_table,
    log_text,
)
from .modules import patch, register
from .places import (
    create_experiment,
    delete_experiment_tag,
    get_experiment,
    get_experiment_by_name,
    get_registry_uri,
    get_tracking_uri,
    is_tracking_uri_set,
    search_experiments,
    set_experiment,
    set_experiment_tag,
    set_experiment_tags,
    set_registry_uri,
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
    "delete_experiment_tag",
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
    "get_registry_uri",
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
    "log_inputs",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "log_stream",
    "log_table",
    "log_text",
    "patch",
    "search_experiments",
    "search_runs",
    "set_experiment",
    "set_experiment_tag",
    "set_experiment_tags",
    "set_registry_uri",
    "set_system_metrics_node_id",
    "set_system_metrics_samples_before_logging",
    "set_system_metrics_sampling_interval",
    "set_tag",
    "set_tags",
    "set_tracking_uri",
    "start_run",
    "trace",
    "tracking",
]

#: The version of MLflow whose functions these are; scripts compare it.
__version__ = "3.17.2"


def log_metric(
    key: str,
    value: float,
    step: int | None = None,
    synchronous: bool | None = None,
    timestamp: int | None = None,
    run_id: str | None = None,
    model_id: str | None = None,
    dataset: Any = None,
) -> Any:
    """Log a record with ``step``, 0 by default, ``time`` and the metric.

    Args:
        timestamp: milliseconds since 1970.
        model_id: logged as ``model_id``.
        dataset: its name is logged as ``dataset``.
    """
    running(run_id).log({key: value, **_source(model_id, dataset)}, step, timestamp)
    return _operation(synchronous)


def log_metrics(
    metrics: Mapping[str, float],
    step: int | None = None,
    synchronous: bool | None = None,
    run_id: str | None = None,
    timestamp: int | None = None,
    model_id: str | None = None,
    dataset: Any = None,
) -> Any:
    """Log several metrics as one record."""
    running(run_id).log({**metrics, **_source(model_id, dataset)}, step, timestamp)
    return _operation(synchronous)


def _operation(synchronous: bool | None) -> Any:
    """What ``wait()`` is called on after ``synchronous=False``; all is logged already."""
    return Nothing() if synchronous is False else None


def _source(model_id: str | None, dataset: Any) -> dict[str, Any]:
    """What a metric was measured with."""
    found = {"model_id": model_id, "dataset": getattr(dataset, "name", dataset)}
    return {key: str(each) for key, each in found.items() if each is not None}


def log_param(key: str, value: Any, synchronous: bool | None = None) -> Any:
    """Set a parameter as an attribute of the run, with its type; the value."""
    running().set_params({key: value})
    return value if synchronous is not False else _operation(synchronous)


def log_params(
    params: Mapping[str, Any], synchronous: bool | None = None, run_id: str | None = None
) -> Any:
    """Set several parameters."""
    running(run_id).set_params(params)
    return _operation(synchronous)


def set_tag(key: str, value: Any, synchronous: bool | None = None) -> Any:
    """Set an item of the run's attribute ``tags``."""
    running().set_tags({key: value})
    return _operation(synchronous)


def set_tags(tags: Mapping[str, Any], synchronous: bool | None = None) -> Any:
    """Set several items of the run's attribute ``tags``."""
    running().set_tags(tags)
    return _operation(synchronous)


def delete_tag(key: str) -> None:
    """Remove an item of the run's attribute ``tags``."""
    running().set_tags({key: None})


def log_input(
    dataset: Any, context: str | None = None, tags: Any = None, *_: Any, **__: Any
) -> None:
    """Set the name and source of a data set as an item of the run's attribute ``inputs``."""
    running().add_input(dataset, context, tags)


def log_inputs(
    datasets: Sequence[Any] | None = None,
    contexts: Sequence[str | None] | None = None,
    tags_list: Sequence[Any] | None = None,
    *_: Any,
    **__: Any,
) -> None:
    """Set several data sets, each with its context and its tags."""
    for each, context, tags in zip_longest(datasets or (), contexts or (), tags_list or ()):
        running().add_input(each, context, tags)


def flush_async_logging() -> None:
    """Nothing waits: what was logged survives the process."""


def enable_system_metrics_logging() -> None:
    """Log what the runs that follow use of the machine, as ``start_run(log_system_metrics=True)``."""
    places.CHOSEN["system"] = "yes"


def disable_system_metrics_logging() -> None:
    """Log it no more."""
    places.CHOSEN.pop("system", None)


def set_system_metrics_sampling_interval(interval: float) -> None:
    """Nothing: they are logged every ten seconds."""


def set_system_metrics_samples_before_logging(samples: int) -> None:
    """Nothing: each is logged."""


def set_system_metrics_node_id(node_id: Any) -> None:
    """Nothing: the environment has the host."""


def __getattr__(name: str) -> Any:
    if name in LIBRARIES:
        return sys.modules[f"{__name__}.{name}"]
    advice = None if name.startswith("_") else instead(name)
    if advice is None:
        message = (
            f"rigorous_recorder.mlflow has no {name!r}; docs/integrations.md lists what it has"
        )
        raise AttributeError(message)
    return stand_in(name) if name[0].isupper() else absent(name, advice)


register(sys.modules[__name__])
