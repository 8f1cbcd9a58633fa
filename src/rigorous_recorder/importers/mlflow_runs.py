"""Runs of MLflow as they are in any of its stores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .contract import Run, utc_time

__all__ = ["SYSTEM", "in_order", "part_of", "run_of"]

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
_NAME: Final = "mlflow.runName"
#: What names of system metrics begin with.
SYSTEM: Final = "system/"
#: Tags that have a name that is the same for all formats.
_TAGS: Final = {
    "mlflow.note.content": "notes",
    "mlflow.user": "user",
    "mlflow.source.name": "command",
    "mlflow.source.git.commit": "git_commit",
    "mlflow.source.git.branch": "git_branch",
    "mlflow.source.git.repoURL": "git_remote",
}
#: Tags that are of a run's own.
_TAKEN: Final = frozenset({*_TAGS, _PARENT, _NAME})


def run_of(
    key: str, about: Mapping[str, Any], params: Mapping[str, Any], tags: Mapping[str, Any]
) -> Run:
    """A run; of its tags those of a user are the attribute ``tags``, MLflow's own ``source_tags``."""
    status = about.get("status")
    named = {name: tags[tag] for tag, name in _TAGS.items() if tag in tags}
    rest = {tag: value for tag, value in tags.items() if tag not in _TAKEN}
    of_tool = {tag: value for tag, value in rest.items() if tag.startswith("mlflow.")}
    found = {
        "user": about.get("user_id") or None,
        **named,
        "experiment": about.get("experiment"),
        "status": _STATES.get(status, status),
        "start_time": _time(about.get("start_time")),
        "end_time": _time(about.get("end_time")),
        "tags": {tag: value for tag, value in rest.items() if tag not in of_tool} or None,
        "source_tags": of_tool or None,
        "deleted": True if about.get("lifecycle_stage") == "deleted" else None,
    }
    name = tags.get(_NAME) or about.get("name") or about.get("run_name") or key
    parent = tags.get(_PARENT)
    return Run(key, str(name), params, found, None if parent is None else str(parent))


def part_of(run: str) -> Run:
    """The part of a run that has its system metrics."""
    return Run(f"{run}/system", parent=run, part="system")


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
            yield _below(each, None if each.parent is None else by_id.get(each.parent))


def _below(run: Run, parent: Run | None) -> Run:
    """A run as it is below its parent: MLflow deletes that alone, so its attribute is not inherited."""
    if parent is None:
        return run._replace(parent=None)
    if parent.about["deleted"] and not run.about["deleted"]:
        return run._replace(about={**run.about, "deleted": False})
    return run
