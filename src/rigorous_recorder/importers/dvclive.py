"""Imports the folders of DVCLive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .contract import Event, Format, Record, Report, Run, Source, media, utc_time
from .files import files_below, read_bounded, read_json, read_yaml, run_name
from .lines import cell, csv_rows
from .texts import file_inside

_FLOATS: Final = {"inf", "-inf", "nan"}
_TIMED: Final = 3


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    folders: dict[Path, list[Path]] = {}
    for file in files_below(path):
        parts = file.parts
        for at in range(len(parts) - 1, 1, -1):
            if parts[at - 1] == "plots" and parts[at] in {"metrics", "images"}:
                folders.setdefault(Path(*parts[: at - 1]), []).append(file)
                break
    for folder, files in sorted(folders.items()):
        if any(file.suffix == ".tsv" for file in files):
            more = [folder / "metrics.json", folder / "params.yaml"]
            yield Source(folder, (*more, *files), run_name(folder, path))


def _read(source: Source, report: Report, _position: Any) -> Iterator[Event]:
    summary, params = source.files[:2]
    config = read_yaml(params, report) if params.exists() else {}
    last = read_json(summary, report) if summary.exists() else {}
    last = last if isinstance(last, dict) else {}
    series = {}
    for file in source.files[2:]:
        if file.suffix == ".tsv" and file.is_relative_to(source.path / "plots" / "metrics"):
            name = file.relative_to(source.path / "plots" / "metrics").with_suffix("").as_posix()
            series[name] = list(_points(file, report))
    rest = {key: _number(value) for key, value in _flat(last).items() if key not in series}
    config = config if isinstance(config, dict) else {}
    yield Run("", source.name, config, {"summary": rest or None})
    for name, points in series.items():
        for step, time, value in points:
            yield Record("", {name: value}, step, time)
    yield from _images(source, report)


def _points(file: Path, report: Report) -> Iterator[tuple[Any, Any, Any]]:
    """Step, time and value of each row; with a time, a row has a cell more than others."""
    for number, (offset, _after, cells) in enumerate(csv_rows(file, report, separator="\t")):
        if not number and "step" in cells:
            continue
        if len(cells) not in {2, _TIMED}:
            report.add(file, "rows without step and value: left out", offset=offset)
            continue
        *time, step, value = cells
        when = cell(time[0]) if time else None
        at = cell(step)
        yield (
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
    """A record for each image, with the step if its folder has one."""
    top = source.path / "plots" / "images"
    for file in source.files[2:]:
        if not file.is_relative_to(top):
            continue
        name = file.relative_to(top)
        if file_inside(source.path, str(file.relative_to(source.path))) is None:
            report.add(file, "images outside of the folder: not read")
        elif (data := read_bounded(file, report)) is not None:
            step = int(file.stem) if name.parent.name and file.stem.isdecimal() else None
            key = name.parent.as_posix() if step is not None else name.as_posix()
            yield Record("", media(key, data, name.as_posix()), step)


FORMAT: Final = Format("dvclive", "DVCLive", _find, _read)
