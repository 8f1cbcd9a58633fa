"""What MLflow's functions return and take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, NamedTuple

from .absent import stand_in

__all__ = [
    "Dataset",
    "DatasetInput",
    "Experiment",
    "ExperimentTag",
    "FileInfo",
    "InputTag",
    "LifecycleStage",
    "Metric",
    "PagedList",
    "Param",
    "Run",
    "RunData",
    "RunInfo",
    "RunInputs",
    "RunStatus",
    "RunTag",
    "SourceType",
    "ViewType",
]


@dataclass(frozen=True)
class Experiment:
    """An experiment of MLflow: a collection; times are milliseconds since 1970."""

    name: str
    artifact_location: str
    tags: Mapping[str, Any] = field(default_factory=dict)
    lifecycle_stage: str = "active"
    creation_time: int | None = None
    last_update_time: int | None = None

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
    user_id: str = ""


class RunData(NamedTuple):
    """What a run logged: the last value of each metric; parameters and tags with their types."""

    metrics: dict[str, float]
    params: dict[str, Any]
    tags: dict[str, Any]

    def to_dictionary(self) -> dict[str, Any]:
        """The three as items."""
        return self._asdict()


class Dataset(NamedTuple):
    """A data set that a run read."""

    name: str
    digest: str | None = None
    source_type: str | None = None
    source: str | None = None
    schema: str | None = None
    profile: str | None = None


class InputTag(NamedTuple):
    """What a data set was for, under the key ``mlflow.data.context``."""

    key: str
    value: str


class DatasetInput(NamedTuple):
    """A data set with its tags."""

    dataset: Dataset
    tags: list[InputTag]


class RunInputs(NamedTuple):
    """The data sets of a run; no models are stored."""

    dataset_inputs: list[DatasetInput]
    model_inputs: tuple[()] = ()


class Run(NamedTuple):
    """A run as it is stored."""

    info: RunInfo
    data: RunData

    @property
    def inputs(self) -> RunInputs:
        """What ``log_input`` logged."""
        return RunInputs([_input(each) for each in self.data.params.get("inputs") or ()])

    def to_dictionary(self) -> dict[str, Any]:
        """``info``, ``data`` and ``inputs`` as dicts."""
        data = self.data.to_dictionary()
        return {"info": asdict(self.info), "data": data, "inputs": self.inputs._asdict()}


def _input(known: Mapping[str, Any]) -> DatasetInput:
    tags = dict(known.get("tags") or {})
    if known.get("context"):
        tags["mlflow.data.context"] = known["context"]
    dataset = Dataset(known["name"], known.get("digest"), None, known.get("source"))
    return DatasetInput(dataset, [InputTag(key, str(each)) for key, each in tags.items()])


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


class ExperimentTag(NamedTuple):
    """An attribute of a collection."""

    key: str
    value: Any


@dataclass(frozen=True)
class FileInfo:
    """A file or folder of a run."""

    path: str
    is_dir: bool
    file_size: int | None = None


class PagedList(list[Any]):
    """A page of what was searched for; ``token`` asks for the next one, and is None at the end."""

    def __init__(self, items: Iterable[Any], token: str | None = None) -> None:
        super().__init__(items)
        self.token = token


class ViewType:
    """Which runs to search for; all are active here."""

    ACTIVE_ONLY, DELETED_ONLY, ALL = 1, 2, 3


class LifecycleStage:
    """The stage of a run or an experiment."""

    ACTIVE, DELETED = "active", "deleted"


class SourceType:
    """What began a run."""

    NOTEBOOK, JOB, PROJECT, LOCAL, UNKNOWN = 1, 2, 3, 4, 1000


class RunStatus:
    """The states of a run, as numbers; ``RunInfo.status`` is their name."""

    RUNNING, SCHEDULED, FINISHED, FAILED, KILLED = 1, 2, 3, 4, 5
    _NAMES: ClassVar = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}

    @staticmethod
    def to_string(status: int) -> str:
        """Its name."""
        return RunStatus._NAMES[status]

    @staticmethod
    def from_string(status: str) -> int:
        """The state of a name."""
        return {name: number for number, name in RunStatus._NAMES.items()}[status]

    @staticmethod
    def is_terminated(status: int | str) -> bool:
        """Whether the run has ended."""
        return status in {3, 4, 5, "FINISHED", "FAILED", "KILLED"}


def __getattr__(name: str) -> Any:
    if name[0].isupper():  # of models and traces
        return stand_in(name)
    raise AttributeError(name)
