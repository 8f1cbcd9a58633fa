"""Files of runs, read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from .client import MlflowClient, copied
from .runs import running

__all__ = ["download_artifacts", "list_artifacts", "load_dict", "load_text"]


def load_text(artifact_uri: str) -> str:
    """The text of a file."""
    return Path(_path(artifact_uri)).read_text(encoding="utf-8")


def load_dict(artifact_uri: str) -> Any:
    """The contents of a JSON file."""
    return json.loads(load_text(artifact_uri))


def download_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str = "",
    dst_path: str | None = None,
    *_: Any,
    **__: Any,
) -> str:
    """The path of a file or folder of a run, or of a copy of it."""
    if artifact_uri is not None:
        return copied(Path(_path(artifact_uri)), dst_path)
    return MlflowClient().download_artifacts(_id(run_id), artifact_path, dst_path)


def list_artifacts(
    artifact_uri: str | None = None, run_id: str | None = None, artifact_path: str | None = None
) -> list[Any]:
    """The files and folders of a run."""
    if artifact_uri is not None and artifact_uri.startswith("runs:"):
        run_id, _, path = artifact_uri.removeprefix("runs:").strip("/").partition("/")
        return MlflowClient().list_artifacts(run_id, path)
    return MlflowClient().list_artifacts(_id(run_id), artifact_path)


def _id(run_id: str | None) -> str:
    return run_id or running().info.run_id


def _path(uri: str) -> str:
    parts = urlparse(uri)
    if parts.scheme == "runs":
        run_id, _, path = uri.removeprefix("runs:").strip("/").partition("/")
        return MlflowClient().download_artifacts(run_id, path)
    return parts.path if parts.scheme == "file" else uri
