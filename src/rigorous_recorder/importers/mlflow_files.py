"""MLflow's folders of files: a folder for each run, a file for each metric, parameter and tag."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from .contract import Event, Position, Record, Report, Run, Source, utc_time
from .files import files_below, read_bounded, read_yaml, run_name
from .lines import lines
from .mlflow_runs import SYSTEM, in_order, part_of, run_of

__all__ = ["find", "read"]

_META: Final = "meta.yaml"
#: More metrics of a run than this are given one after the other, since each is an open file.
_MOST_OPEN: Final = 200

#: Time, step, metric and value of a line.
Point = tuple[int, int | float, str, float]


def find(path: Path) -> Iterator[Source]:
    """A source for each experiment: a folder with runs, or the folder of one run."""
    found: dict[Path, list[Path]] = {}
    for file in files_below(path):
        if file.name == _META and _is_of_run(file.parent):
            found.setdefault(file.parent.parent, []).append(file)
    for folder, metas in sorted(found.items()):
        files = [
            each for meta in metas for each in files_below(meta.parent) if _is_read(each, meta)
        ]
        yield Source(folder, tuple(files), run_name(folder, path), is_ordered=False)


def _is_of_run(folder: Path) -> bool:
    """Whether a folder with metadata is that of a run, not of a model that was logged."""
    is_model = folder.parent.name == "models" and folder.name.startswith("m-")
    return (folder / "metrics").is_dir() and not is_model


def _is_read(file: Path, meta: Path) -> bool:
    return file == meta or file.relative_to(meta.parent).parts[0] in {"metrics", "params", "tags"}


def read(source: Source, report: Report, position: Any) -> Iterator[Event]:
    """The runs of an experiment, and then the records of each."""
    offsets: dict[str, int] = dict((position or {}).get("offsets", {}))
    above = source.path / _META
    experiment = read_yaml(above, report) if above.exists() else None
    name = experiment.get("name") if isinstance(experiment, dict) else None
    folders = {}
    runs = []
    for file in source.files:
        if file.name == _META and file.parent.parent == source.path:
            meta = read_yaml(file, report)
            if not isinstance(meta, dict):
                continue
            run = _run(file.parent, {**meta, "experiment": name}, report)
            folders[run.id] = file.parent
            runs.append(run)
    yield from in_order(sorted(runs, key=lambda run: str(run.about.get("start_time"))))
    for run_id, folder in folders.items():
        yield from _records(run_id, folder, source.path, report, offsets)
        yield Position({"offsets": dict(offsets)})


def _run(folder: Path, meta: dict[str, Any], report: Report) -> Run:
    key = str(meta.get("run_id") or meta.get("run_uuid") or folder.name)
    return run_of(key, meta, _texts(folder / "params", report), _texts(folder / "tags", report))


def _texts(folder: Path, report: Report) -> dict[str, str]:
    """The content of each file by its path, in which a part of the name is a folder."""
    found = {}
    for file in files_below(folder):
        data = read_bounded(file, report, most=1 << 22)
        if data is not None:
            found[file.relative_to(folder).as_posix()] = data.decode("utf-8", "replace")
    return found


def _records(
    run: str, folder: Path, top: Path, report: Report, offsets: dict[str, int]
) -> Iterator[Event]:
    """Metrics that were logged at one time and step are one record."""
    metrics = folder / "metrics"
    parts: dict[bool, list[Path]] = {}
    for file in files_below(metrics):
        is_system = file.relative_to(metrics).as_posix().startswith(SYSTEM)
        parts.setdefault(is_system, []).append(file)
    for is_system, files in sorted(parts.items()):
        part = part_of(run)
        if is_system:
            yield part
        points = [_points(file, metrics, top, report, offsets) for file in files]
        yield from _merged(part.id if is_system else run, points)


def _merged(run: str, points: list[Iterator[Point]]) -> Iterator[Event]:
    """A record for each time and step; of many metrics, one after the other."""
    for several in [points] if len(points) <= _MOST_OPEN else [[each] for each in points]:
        merged = heapq.merge(*several, key=lambda point: point[0])
        for (time, step), group in groupby(merged, key=lambda point: point[:2]):
            fields: dict[str, float] = {}
            for _, _, metric, value in group:
                if metric in fields:
                    yield Record(run, fields, step, utc_time(time / 1000))
                    fields = {}
                fields[metric] = value
            yield Record(run, fields, step, utc_time(time / 1000))


def _points(
    file: Path, folder: Path, top: Path, report: Report, offsets: dict[str, int]
) -> Iterator[Point]:
    metric, key = file.relative_to(folder).as_posix(), file.relative_to(top).as_posix()
    for offset, after, line in lines(file, report, offsets.get(key, 0)):
        if not after:
            report.add(file, "ends within a line", offset=offset, once=True)
            return
        offsets[key] = after
        try:
            yield _point(line, metric)
        except (ValueError, IndexError, OverflowError):
            report.add(file, "lines that are not a metric: skipped", offset=offset)


def _point(line: bytes, metric: str) -> Point:
    time, value, step, *_ = [*line.split(), b"0"] if line.count(b" ") == 1 else line.split()
    number = float(step)
    whole = int(step) if step.lstrip(b"-").isdigit() else number
    return int(time), whole, metric, float(value)
