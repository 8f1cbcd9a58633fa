"""Runs of MLflow as they are in any of its stores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .contract import Run, utc_time

__all__ = ["in_order", "run_of"]

#: By text, and by number as in files.
_STATES: Final = {
    "RUNNING": "running",
    "SCHEDULED": "scheduled",
    "FINISHED": "finished",
    "FAILED": "failed",
    "KILLED": "stopped",
    1: "running",
    2: "scheduled",
    3: "finished",
    4: "failed",
    5: "stopped",
}
_PARENT: Final = "mlflow.parentRunId"
#: Tags that have a name that is the same for all formats.
_TAGS: Final = {
    "mlflow.note.content": "notes",
    "mlflow.user": "user",
    "mlflow.source.name": "command",
    "mlflow.source.git.commit": "git_commit",
    "mlflow.source.git.branch": "git_branch",
}


def run_of(
    key: str, about: Mapping[str, Any], params: Mapping[str, Any], tags: Mapping[str, Any]
) -> Run:
    """A run; of its tags those of a user are the attribute ``tags``."""
    status = about.get("status")
    named = {name: tags[tag] for tag, name in _TAGS.items() if tag in tags}
    own = {tag: value for tag, value in tags.items() if tag not in _TAGS and tag != _PARENT}
    found = {
        "user": about.get("user_id") or None,
        **named,
        "experiment": about.get("experiment"),
        "status": _STATES.get(status, status),
        "start_time": _time(about.get("start_time")),
        "end_time": _time(about.get("end_time")),
        "tags": own or None,
        "deleted": True if about.get("lifecycle_stage") == "deleted" else None,
    }
    name = tags.get("mlflow.runName") or about.get("name") or about.get("run_name") or key
    parent = tags.get(_PARENT)
    return Run(key, str(name), params, found, None if parent is None else str(parent))


def _time(milliseconds: Any) -> Any:
    return utc_time(milliseconds / 1000) if isinstance(milliseconds, (int, float)) else None


def in_order(runs: list[Run]) -> Iterator[Run]:
    """The runs, each after the one that it is below; a parent that is not there is left out."""
    by_id = {run.id: run for run in runs}
    given: set[str] = set()
    for run in runs:
        above: list[Run] = []
        now: Run | None = run
        while now is not None and now.id not in given:
            given.add(now.id)
            above.append(now)
            now = by_id.get(now.parent) if now.parent is not None else None
        for each in reversed(above):
            yield each if each.parent in by_id else each._replace(parent=None)
