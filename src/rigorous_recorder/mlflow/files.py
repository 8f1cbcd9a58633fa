"""Files, pictures and tables of a run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rigorous_recorder.integrations.guest import guest
from rigorous_recorder.integrations.media import picture

from .runs import free, inside, running

__all__ = [
    "get_artifact_uri",
    "log_artifact",
    "log_artifacts",
    "log_dict",
    "log_figure",
    "log_image",
    "log_table",
    "log_text",
]


def get_artifact_uri(artifact_path: str | None = None) -> str:
    """The folder of the run's files, or the path of one below it."""
    folder = Path(running().info.artifact_uri)
    return str(folder / artifact_path if artifact_path else folder)


def log_artifact(
    local_path: str | os.PathLike[str],
    artifact_path: str | None = None,
    run_id: str | None = None,
) -> None:
    """Copy a file, or the files of a folder, to the run's folder; a record tells of each."""
    path = Path(local_path)
    if path.is_dir():
        log_artifacts(path, str(Path(artifact_path or "") / path.name), run_id)
    else:
        running(run_id).store(path, str(Path(artifact_path or "") / path.name))


def log_artifacts(
    local_dir: str | os.PathLike[str],
    artifact_path: str | None = None,
    run_id: str | None = None,
) -> None:
    """Copy the files below a folder to the run's folder."""
    folder = Path(local_dir)
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        running(run_id).store(path, str(Path(artifact_path or "") / path.relative_to(folder)))


def log_text(text: str, artifact_file: str, run_id: str | None = None) -> None:
    """Write a text as a file of the run."""
    running(run_id).store(text.encode(), artifact_file)


def log_dict(dictionary: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Write JSON as a file of the run, which is YAML as well."""
    running(run_id).store(json.dumps(dictionary, indent=2, default=str).encode(), artifact_file)


def log_figure(figure: Any, artifact_file: str, *, save_kwargs: Any = None) -> None:
    """Write a figure of Matplotlib, or the page of one of Plotly, as a file of the run."""
    if hasattr(figure, "savefig"):
        path = Path(running().info.artifact_uri, inside(artifact_file))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, **(save_kwargs or {}))
        running().store(path.read_bytes(), artifact_file)
    else:
        running().store(figure.to_html().encode(), artifact_file)


def log_image(image: Any, artifact_file: str | None = None, **options: Any) -> None:
    """Write a picture as PNG: a file of the run; with ``key`` and ``step`` a value of a record."""
    if hasattr(image, "save"):
        image = image.convert("RGB")
    png, _ = picture(image, "HW" if getattr(image, "ndim", 3) == len("HW") else "HWC")
    if artifact_file is not None:
        running().store(png, artifact_file)
    else:
        key = str(options.get("key", "image"))
        running().log({key: png}, options.get("step"), options.get("timestamp"))


def log_table(data: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Log rows, a dict of columns or a DataFrame, as records of a child with ``table``."""
    columns = data if isinstance(data, dict) else {key: list(data[key]) for key in data.columns}

    @guest
    def log_rows() -> None:
        child = running(run_id).recorder.child(table=artifact_file)
        child.extend({free(str(key), "metric"): list(each) for key, each in columns.items()})

    log_rows()
