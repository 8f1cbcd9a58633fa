"""The client of MLflow, for runs by their ids."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import files, places, stored
from .entities import FileInfo, Metric, Param, Run, RunTag
from .runs import ActiveRun, begin, running

__all__ = ["MlflowClient"]


class MlflowClient:
    """Logs to runs by their ids, and reads runs; the folder is that of ``set_tracking_uri``."""

    def __init__(self, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        if tracking_uri is not None:
            places.set_tracking_uri(tracking_uri)

    create_experiment = staticmethod(places.create_experiment)
    get_experiment = staticmethod(places.get_experiment)
    get_experiment_by_name = staticmethod(places.get_experiment_by_name)
    search_experiments = staticmethod(places.search_experiments)
    get_run = staticmethod(stored.get_run)
    get_parent_run = staticmethod(stored.get_parent_run)
    get_metric_history = staticmethod(stored.get_metric_history)

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: Mapping[str, Any] | None = None,
        run_name: str | None = None,
    ) -> ActiveRun:
        """Begin a run that does not become the active one."""
        return begin(experiment_id, run_name=run_name, tags=tags)

    def search_runs(self, experiment_ids: Sequence[str], *values: Any, **options: Any) -> list[Run]:
        """Runs of experiments; see ``mlflow.search_runs``."""
        found: list[Run] = stored.search_runs(
            experiment_ids, *values, **{**options, "output_format": "list"}
        )
        return found

    def log_metric(
        self,
        run_id: str,
        key: str,
        value: float,
        timestamp: int | None = None,
        step: int | None = None,
        *_: Any,
        **__: Any,
    ) -> None:
        """Log a record with a metric."""
        running(run_id).log({key: value}, step, timestamp)

    def log_param(self, run_id: str, key: str, value: Any, *_: Any, **__: Any) -> Any:
        """Set a parameter; the value."""
        running(run_id).set_params({key: value})
        return value

    def log_batch(
        self,
        run_id: str,
        metrics: Iterable[Metric] = (),
        params: Iterable[Param] = (),
        tags: Iterable[RunTag] = (),
        *_: Any,
        **__: Any,
    ) -> None:
        """Log a record for each metric, and set parameters and tags."""
        run = running(run_id)
        for each in metrics:
            run.log({each.key: each.value}, each.step, each.timestamp)
        run.set_params({each.key: each.value for each in params})
        run.set_tags({each.key: each.value for each in tags})

    def set_tag(self, run_id: str, key: str, value: Any, *_: Any, **__: Any) -> None:
        """Set an item of the run's attribute ``tags``."""
        running(run_id).set_tags({key: value})

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove an item of the run's attribute ``tags``."""
        running(run_id).set_tags({key: None})

    def update_run(self, run_id: str, status: str | None = None, name: str | None = None) -> None:
        """Set the name of a run, or end it with a status."""
        if name is not None:
            running(run_id).set_tags({"mlflow.runName": name})
        if status is not None:
            self.set_terminated(run_id, status)

    def set_terminated(
        self, run_id: str, status: str | None = None, end_time: int | None = None
    ) -> None:
        """End a run."""
        running(run_id).end(status or "FINISHED")

    def log_artifact(self, run_id: str, local_path: Any, artifact_path: str | None = None) -> None:
        """Copy a file, or the files of a folder, to the run's folder."""
        files.log_artifact(local_path, artifact_path, run_id)

    def log_artifacts(self, run_id: str, local_dir: Any, artifact_path: str | None = None) -> None:
        """Copy the files below a folder to the run's folder."""
        files.log_artifacts(local_dir, artifact_path, run_id)

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        """Write a text as a file of the run."""
        files.log_text(text, artifact_file, run_id)

    def log_dict(self, run_id: str, dictionary: Any, artifact_file: str) -> None:
        """Write JSON as a file of the run."""
        files.log_dict(dictionary, artifact_file, run_id)

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[FileInfo]:
        """The files and folders in the run's folder, or in one below it."""
        folder = Path(self.get_run(run_id).info.artifact_uri)
        found = sorted((folder / (path or "")).glob("*"))
        return [
            FileInfo(str(each.relative_to(folder)), each.is_dir(), _size(each)) for each in found
        ]

    def download_artifacts(self, run_id: str, path: str = "", dst_path: str | None = None) -> str:
        """The path of a file or folder of the run, or of a copy of it in ``dst_path``."""
        found = Path(self.get_run(run_id).info.artifact_uri, path)
        if dst_path is None:
            return str(found)
        copy = Path(dst_path, found.name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        return str((shutil.copytree if found.is_dir() else shutil.copy2)(found, copy))


def _size(path: Path) -> int | None:
    return None if path.is_dir() else path.stat().st_size
