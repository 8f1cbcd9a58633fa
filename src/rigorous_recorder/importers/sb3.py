"""Imports ``progress.csv`` and ``progress.json`` of Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from .contract import Event, Format, Record, Report, Run, Source
from .files import files_below, run_name
from .lines import json_rows, table_rows

_NAMES: Final = ("progress.json", "progress.csv")
#: Ray Tune has a table of that name, too.
_OF_RAY: Final = ("result.json", "params.json")
_STEP: Final = "time/total_timesteps"


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    done = None
    for file in files_below(path):
        folder = file.parent
        if file.name not in _NAMES or folder == done or _is_of_ray(folder):
            continue
        done = folder
        both = [folder / name for name in _NAMES if (folder / name).exists()]
        name = run_name(folder, folder if file == path else path)
        yield Source(folder, tuple([file] if file == path else both), name)


def _is_of_ray(folder: Path) -> bool:
    return any((folder / name).exists() for name in _OF_RAY)


def _read(source: Source, report: Report, _position: Any) -> Iterator[Event]:
    """The files have no step, and are written anew for new keys."""
    yield Run("", source.name)
    by_suffix = {file.suffix: file for file in source.files}
    is_written = source.is_written
    rows_of = by_suffix.get(".csv")
    cells = () if rows_of is None else table_rows(rows_of, report, is_written=is_written)
    table: Iterator[dict[str, Any]] = (row for _, row in cells)
    if ".json" in by_suffix:
        rows = (row for _, row in json_rows(by_suffix[".json"], report))
        table = (_exact(row, cells) for row, cells in zip_longest(rows, table))
    for row in table:
        step = row.get(_STEP)
        yield Record("", row, step if isinstance(step, (int, float)) else None)


def _exact(row: dict[str, Any] | None, cells: dict[str, Any] | None) -> dict[str, Any]:
    """A row of JSON, in which numpy's ints are rounded floats, with the exact ints of the table."""
    if row is None:
        return cells or {}
    found = dict(row)
    for key, value in (cells or {}).items():
        rounded = row.get(key)
        if type(value) is int and isinstance(rounded, float) and rounded == float(value):
            found[key] = value
    return found


FORMAT: Final = Format("sb3", "Stable-Baselines3", _find, _read)
