"""The client of MLflow, for runs by their ids."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import files, places, stored
from .absent import absent, delete_run, instead
from .entities import FileInfo, Metric, PagedList, Param, Run, RunTag
from .runs import ActiveRun, begin, running, time_of

__all__ = ["MlflowClient", "copied"]


class MlflowClient:
    """Logs to runs by their ids, and reads runs; the folder is that of ``set_tracking_uri``."""

    def __init__(self, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        if tracking_uri is not None:
            places.set_tracking_uri(tracking_uri)

    @property
    def tracking_uri(self) -> str:
        """The folder."""
        return places.get_tracking_uri()

    def __getattr__(self, name: str) -> Any:
        advice = None if name.startswith("_") else instead(name)
        if advice is None:
            message = f"MlflowClient has no {name!r} here; docs/integrations.md lists what it has"
            raise AttributeError(message)
        return absent(f"MlflowClient.{name}", advice)

    create_experiment = staticmethod(places.create_experiment)
    get_experiment = staticmethod(places.get_experiment)
    get_experiment_by_name = staticmethod(places.get_experiment_by_name)
    search_experiments = staticmethod(places.search_experiments)
    delete_run = staticmethod(delete_run)
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
        """Begin a run that does not become the active one; a child of that in ``mlflow.parentRunId``."""
        parent = (tags or {}).get("mlflow.parentRunId")
        begun = begin(
            experiment_id,
            running(str(parent)) if parent else None,
            run_name=run_name,
            tags=tags,
            about={} if start_time is None else {"start_time": time_of(start_time)},
        )
        if start_time is not None:
            begun.info.start_time = start_time
        return begun

    def search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str = "",
        run_view_type: Any = None,
        max_results: int = 1000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList:
        """A page of the runs of experiments; see ``mlflow.search_runs``."""
        found: list[Run] = stored.search_runs(
            experiment_ids, filter_string, order_by=order_by, output_format="list"
        )
        return places.page(found, max_results, page_token)

    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None:
        """Set an attribute of a collection."""
        places.set_experiment_tag(key, value, experiment_id)

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Remove an attribute of a collection."""
        places.delete_experiment_tag(key, experiment_id)

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
        running(run_id).end(status or "FINISHED", time=end_time)

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

    def log_figure(
        self, run_id: str, figure: Any, artifact_file: str, *, save_kwargs: Any = None
    ) -> None:
        """Write a figure as a file of the run."""
        files.log_figure(figure, artifact_file, save_kwargs=save_kwargs, run_id=run_id)

    def log_image(
        self, run_id: str, image: Any, artifact_file: str | None = None, **options: Any
    ) -> None:
        """Write a picture as a file of the run, or as a value of a record."""
        files.log_image(image, artifact_file, run_id=run_id, **options)

    def log_table(self, run_id: str, data: Any, artifact_file: str) -> None:
        """Log rows as records of a child with ``table``."""
        files.log_table(data, artifact_file, run_id)

    def log_inputs(self, run_id: str, datasets: Iterable[Any] | None = None, *_: Any) -> None:
        """Set the data sets of ``DatasetInput`` as items of the run's attribute ``inputs``."""
        for each in datasets or ():
            tags = {tag.key: tag.value for tag in each.tags}
            running(run_id).add_input(each.dataset, tags.pop("mlflow.data.context", None), tags)

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[FileInfo]:
        """The files and folders in the run's folder, or in one below it."""
        folder = Path(self.get_run(run_id).info.artifact_uri)
        found = sorted((folder / (path or "")).glob("*"))
        return [
            FileInfo(str(each.relative_to(folder)), each.is_dir(), _size(each)) for each in found
        ]

    def download_artifacts(self, run_id: str, path: str = "", dst_path: str | None = None) -> str:
        """The path of a file or folder of the run, or of a copy of it in ``dst_path``."""
        return copied(Path(self.get_run(run_id).info.artifact_uri, path), dst_path)


def copied(found: Path, folder: str | None) -> str:
    """The path of a file or folder, or of a copy of it in another folder."""
    if folder is None:
        return str(found)
    copy = Path(folder, found.name)
    copy.parent.mkdir(parents=True, exist_ok=True)
    if found.is_dir():
        return str(shutil.copytree(found, copy, dirs_exist_ok=True))
    return str(shutil.copy2(found, copy))


def _size(path: Path) -> int | None:
    return None if path.is_dir() else path.stat().st_size
