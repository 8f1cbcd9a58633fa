"""Imports runs of Sacred's FileStorageObserver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .contract import Event, Format, Record, Report, Run, Source
from .files import files_below, read_bounded, read_json, run_name
from .texts import iso_time

_FILES: Final = ("run.json", "config.json", "metrics.json", "info.json", "cout.txt")
_STATUS: Final = {
    "COMPLETED": "finished",
    "FAILED": "failed",
    "INTERRUPTED": "stopped",
    "RUNNING": "running",
    "TIMED_OUT": "failed",
}


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        folder = file.parent
        if file.name == "run.json" and (folder / "config.json").is_file():
            files = tuple(folder / name for name in _FILES)
            yield Source(folder, files, run_name(folder, path))


def _read(source: Source, report: Report, _position: Any) -> Iterator[Event]:
    found = {}
    for file in source.files[:4]:
        value = read_json(file, report) if file.exists() else {}
        found[file.name] = value if isinstance(value, dict) else {}
    about = _about(found["run.json"])
    about["info"] = found["info.json"] or None
    console = source.files[4]
    if console.is_file() and (data := read_bounded(console, report)):
        about["console"] = data.decode("utf-8", "replace")
    yield Run(source.path.name, source.path.name, found["config.json"], about)
    yield from _records(source, report, found["metrics.json"])


def _about(run: Mapping[str, Any]) -> dict[str, Any]:
    host, experiment, meta = (run.get(key) for key in ("host", "experiment", "meta"))
    status = str(run.get("status"))
    about = {
        "status": _STATUS.get(status, status.lower()) if "status" in run else None,
        "start_time": iso_time(run.get("start_time")),
        "end_time": iso_time(run.get("stop_time")),
        "heartbeat": iso_time(run.get("heartbeat")),
        "result": run.get("result"),
        "command": run.get("command"),
        "error": "".join(map(str, run.get("fail_trace") or ())) or None,
    }
    if isinstance(host, dict):
        about |= {"host": host.get("hostname"), "python": host.get("python_version")}
    if isinstance(experiment, dict):
        about |= {"experiment": experiment.get("name"), **_git(experiment.get("repositories"))}
    if isinstance(meta, dict):
        about |= {"notes": meta.get("comment"), "config_updates": meta.get("config_updates")}
    return about


def _git(repositories: Any) -> dict[str, Any]:
    """The commit of the first repository, and where that is from."""
    found = repositories[0] if isinstance(repositories, list) and repositories else {}
    names = {"url": "git_remote", "commit": "git_commit"}
    return {name: found.get(key) for key, name in names.items()} if isinstance(found, dict) else {}


def _records(source: Source, report: Report, metrics: Mapping[str, Any]) -> Iterator[Event]:
    """A record for each call, in order of their times."""
    points = []
    for name, series in metrics.items():
        columns = series if isinstance(series, dict) else {}
        lists = [columns.get(key) for key in ("steps", "timestamps", "values")]
        found = [each for each in lists if isinstance(each, list)]
        if len(found) < len(lists):
            report.add(source.path / "metrics.json", "metrics that are not lists: left out")
            continue
        if len(set(map(len, found))) > 1:
            text = "metrics with steps and values of different counts: the shortest counts"
            report.add(source.path / "metrics.json", text)
        points += [
            (str(time), name, step, value) for step, time, value in zip(*found, strict=False)
        ]
    points.sort(key=lambda point: point[0])
    for time, name, step, value in points:
        is_number = type(step) in {int, float}
        yield Record(source.path.name, {name: value}, step if is_number else None, iso_time(time))


FORMAT: Final = Format("sacred", "Sacred", _find, _read)
