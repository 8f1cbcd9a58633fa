"""Files, pictures and tables of a run."""

from __future__ import annotations

import io
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
    "log_stream",
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
    running(run_id).store(str(text).encode(), artifact_file)


@guest
def log_stream(stream: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Write what an open file has as a file of the run."""
    content = stream.read()
    running(run_id).store(
        content if isinstance(content, bytes) else content.encode(), artifact_file
    )


def log_dict(dictionary: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Write JSON as a file of the run, which is YAML as well."""
    running(run_id).store(json.dumps(dictionary, indent=2, default=str).encode(), artifact_file)


@guest
def log_figure(
    figure: Any, artifact_file: str, *, save_kwargs: Any = None, run_id: str | None = None
) -> None:
    """Write a figure of Matplotlib, or one of Plotly as a page or a picture, as a file of the run."""
    run, kind = running(run_id), Path(inside(artifact_file)).suffix.removeprefix(".")
    if hasattr(figure, "savefig"):
        file = io.BytesIO()
        figure.savefig(file, **{"format": kind or None, **(save_kwargs or {})})
        run.store(file.getvalue(), artifact_file)
    elif kind in {"", "html", "htm"}:
        run.store(figure.to_html(**(save_kwargs or {})).encode(), artifact_file)
    else:
        run.store(figure.to_image(kind, **(save_kwargs or {})), artifact_file)


@guest
def log_image(
    image: Any,
    artifact_file: str | None = None,
    key: str | None = None,
    step: int | None = None,
    timestamp: int | None = None,
    synchronous: bool | None = None,
    *,
    run_id: str | None = None,
) -> None:
    """Write a picture as PNG: a file of the run; with ``key`` and ``step`` a value of a record."""
    image = getattr(image, "to_pil", lambda: image)()
    if hasattr(image, "save"):
        image = image.convert("RGB")
    png, _ = picture(image, "HW" if getattr(image, "ndim", 3) == len("HW") else "HWC")
    if artifact_file is not None:
        running(run_id).store(png, artifact_file)
    else:
        running(run_id).log({str(key or "image"): png}, step, timestamp)


@guest
def log_table(data: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Log rows, a dict of columns or a DataFrame, as records of a child with ``table``."""
    columns = data if isinstance(data, dict) else {key: list(data[key]) for key in data.columns}
    child = running(run_id).recorder.child(table=artifact_file)
    found = {
        key: each if isinstance(each, list | tuple) else [each] for key, each in columns.items()
    }
    child.extend({free(str(key), "metric"): list(each) for key, each in found.items()})
