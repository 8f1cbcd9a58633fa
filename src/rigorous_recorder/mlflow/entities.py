"""What MLflow's functions return and take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Experiment", "FileInfo", "Metric", "Param", "Run", "RunData", "RunInfo", "RunTag"]


@dataclass(frozen=True)
class Experiment:
    """An experiment of MLflow: a collection."""

    name: str
    artifact_location: str
    tags: Mapping[str, Any] = field(default_factory=dict)
    lifecycle_stage: str = "active"

    @property
    def experiment_id(self) -> str:
        """Its name."""
        return self.name


@dataclass
class RunInfo:
    """What identifies a run, and how it is doing; times are milliseconds since 1970."""

    run_id: str
    run_name: str
    experiment_id: str
    artifact_uri: str
    status: str = "RUNNING"
    start_time: int | None = None
    end_time: int | None = None
    lifecycle_stage: str = "active"


class RunData(NamedTuple):
    """What a run logged: the last value of each metric; parameters and tags with their types."""

    metrics: dict[str, float]
    params: dict[str, Any]
    tags: dict[str, Any]


class Run(NamedTuple):
    """A run as it is stored."""

    info: RunInfo
    data: RunData


@dataclass(frozen=True)
class Metric:
    """A value of a metric."""

    key: str
    value: float
    timestamp: int
    step: int = 0


class Param(NamedTuple):
    """A parameter."""

    key: str
    value: Any


class RunTag(NamedTuple):
    """An item of a run's attribute ``tags``."""

    key: str
    value: Any


@dataclass(frozen=True)
class FileInfo:
    """A file or folder of a run."""

    path: str
    is_dir: bool
    file_size: int | None = None
