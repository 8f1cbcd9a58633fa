"""Imports the folders of DVCLive."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .contract import Event, Format, Position, Record, Report, Run, Source, media, utc_time
from .files import files_below, read_bounded, read_json, read_yaml, run_name
from .lines import cell, csv_rows
from .texts import file_inside

_SUMMARY: Final = "metrics.json"
_PARAMS: Final = "params.yaml"
_FLOATS: Final = {"inf", "-inf", "nan"}
_TIMED: Final = 3


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    folders: dict[Path, list[Path]] = {}
    for file in files_below(path):
        parts = file.parts
        if file.name == _PARAMS:
            folders.setdefault(file.parent, [])
        for at in range(len(parts) - 1, 1, -1):
            if parts[at - 1] == "plots" and parts[at] in {"metrics", "images"}:
                folders.setdefault(Path(*parts[: at - 1]), []).append(file)
                break
    for folder, files in sorted(folders.items()):
        if any(file.suffix == ".tsv" for file in files) or _has_summary(folder):
            more = [folder / _SUMMARY, folder / _PARAMS]
            yield Source(folder, (*more, *files), run_name(folder, path))


def _has_summary(folder: Path) -> bool:
    """Whether there is a summary of a run without metrics: it has its step, or nothing."""
    try:
        found = json.loads((folder / _SUMMARY).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and (not found or type(found.get("step")) is int)


def _read(source: Source, report: Report, position: Any) -> Iterator[Event]:
    """Each file of a metric is a part of the run, since they do not grow evenly."""
    summary, params = source.files[:2]
    config = read_yaml(params, report, is_newer=True) if params.exists() else {}
    last = read_json(summary, report) if summary.exists() else {}
    last = last if isinstance(last, dict) else {}
    files = {}
    for file in source.files[2:]:
        if file.suffix == ".tsv" and file.is_relative_to(source.path / "plots" / "metrics"):
            name = file.relative_to(source.path / "plots" / "metrics").with_suffix("").as_posix()
            files[name] = file
    rest = {key: _number(value) for key, value in _flat(last).items() if key not in files}
    config = config if isinstance(config, dict) else {}
    yield Run("", source.name, config, {"summary": rest or None})
    read_to: dict[str, list[int]] = dict((position or {}).get("metrics", {}))
    for name, file in files.items():
        yield from _metric(name, file, report, read_to)
        yield Position({"metrics": dict(read_to)})
    yield from _images(source, report)


def _metric(
    name: str, file: Path, report: Report, read_to: dict[str, list[int]]
) -> Iterator[Event]:
    """The rows of a metric from where they were read to: how often it began anew, and an offset."""
    times, offset = read_to.get(name, [1, 0])
    try:
        if offset > file.stat().st_size:
            report.add(file, "was replaced or cut off: read from its start, as another part")
            times, offset = times + 1, 0
    except OSError as error:
        report.add(file, f"can't be read: {error.strerror}")
        return
    part = name if times == 1 else f"{name} ({times})"
    yield Run(f"metrics/{part}", parent="", part=part)
    for after, step, time, value in _points(file, report, offset):
        yield Record(f"metrics/{part}", {name: value}, step, time)
        offset = after or offset
    read_to[name] = [times, offset]


def _points(file: Path, report: Report, start: int) -> Iterator[tuple[int, Any, Any, Any]]:
    """The offset after each row, its step, time and value; with a time, it has a cell more.

    A last row without an end can be cut off anywhere, and is left for the next time.
    """
    for offset, after, cells in csv_rows(file, report, separator="\t", offset=start):
        if not offset and "step" in cells:
            continue
        if not after:
            report.add(file, "ends within a line", offset=offset, once=True)
            continue
        if len(cells) not in {2, _TIMED}:
            report.add(file, "rows without step and value: left out", offset=offset)
            continue
        *time, step, value = cells
        when = cell(time[0]) if time else None
        at = cell(step)
        yield (
            after,
            at if type(at) in {int, float} else None,
            utc_time(when / 1000) if isinstance(when, int | float) else None,
            cell(value),
        )


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) and value in _FLOATS else value


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """The last values, in which names are parted by ``/``."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and before.count("/") < 100:
            found |= _flat(value, f"{before}{key}/")
        else:
            found[f"{before}{key}"] = value
    return found


def _images(source: Source, report: Report) -> Iterator[Event]:
    """A record for each image, in the part of its folder if its name is a step, else of its own."""
    top = source.path / "plots" / "images"
    found: dict[str, list[tuple[int | None, Path]]] = {}
    for file in source.files[2:]:
        if not file.is_relative_to(top):
            continue
        name = file.relative_to(top)
        step = int(file.stem) if name.parent.name and file.stem.isdecimal() else None
        key = name.parent.as_posix() if step is not None else name.as_posix()
        found.setdefault(key, []).append((step, file))
    for key, files in found.items():
        yield Run(f"images/{key}", parent="", part=f"images/{key}")
        for step, file in sorted(files, key=lambda each: each[0] or 0):
            yield from _image(source, report, key, step, file)


def _image(
    source: Source, report: Report, key: str, step: int | None, file: Path
) -> Iterator[Event]:
    if file_inside(source.path, str(file.relative_to(source.path))) is None:
        report.add(file, "images outside of the folder: not read")
    elif (data := read_bounded(file, report)) is not None:
        name = file.relative_to(source.path / "plots" / "images").as_posix()
        yield Record(f"images/{key}", media(key, data, name), step)


FORMAT: Final = Format("dvclive", "DVCLive", _find, _read)
