"""Imports ``progress.csv``, ``progress.json``, ``*.monitor.csv`` and ``evaluations.npz`` of Stable-Baselines3."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from .archive import has_members
from .contract import Event, Format, Record, Report, Run, Source, utc_time
from .files import files_below, run_name
from .lines import json_rows, table_rows
from .npz import arrays_of

_NAMES: Final = ("progress.json", "progress.csv")
#: Ray Tune has a table of that name, too.
_OF_RAY: Final = ("result.json", "params.json")
_MONITOR: Final = "monitor.csv"
_EVALUATIONS: Final = "evaluations.npz"
#: The first line of a table of episodes is not longer than this.
_LONGEST: Final = 1 << 20
_STEP: Final = "time/total_timesteps"


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    done = None
    for file in files_below(path):
        folder = file.parent
        if folder == done or not any(is_one(file) for is_one in _KINDS):
            continue
        done = folder
        files = [folder / name for name in _NAMES if _is_progress(folder / name)]
        files += [each for each in sorted(folder.glob(f"*{_MONITOR}")) if _is_monitor(each)]
        files += filter(_is_of_evaluations, [folder / _EVALUATIONS])
        name = run_name(folder, folder if file == path else path)
        yield Source(folder, tuple([file] if file == path else files), name)


def _is_progress(file: Path) -> bool:
    is_one = file.name in _NAMES and file.exists()
    return is_one and not any((file.parent / name).exists() for name in _OF_RAY)


def _is_monitor(file: Path) -> bool:
    """Whether it is a table of episodes, which begins with a line of JSON."""
    if not file.name.endswith(_MONITOR):
        return False
    with suppress(OSError), file.open("rb") as opened:
        return opened.read(2) == b"#{"
    return False


def _is_of_evaluations(file: Path) -> bool:
    return file.name == _EVALUATIONS and has_members(file, "timesteps.npy", "results.npy")


_KINDS: Final = (_is_progress, _is_monitor, _is_of_evaluations)


def _read(source: Source, report: Report, _position: Any) -> Iterator[Event]:
    """The files have no step, and are written anew for new keys."""
    yield Run("", source.name)
    for row in _progress(source, report):
        step = row.get(_STEP)
        yield Record("", row, step if isinstance(step, (int, float)) else None)
    for file in source.files:
        if file.name == _EVALUATIONS:
            yield from _evaluations(file, report)
        elif file.name not in _NAMES:
            yield from _episodes(file, report)


def _progress(source: Source, report: Report) -> Iterator[dict[str, Any]]:
    """The rows of one file, or of both; while they are being written, those that both have."""
    files = {file.suffix: file for file in source.files if file.name in _NAMES}
    # a row of the table without a line break was not written to its end
    table = files.get(".csv") and table_rows(files[".csv"], report, is_written=True)
    rows = files.get(".json") and json_rows(files[".json"], report)
    if not rows or not table:
        yield from (row for _, row in rows or table or ())
        return
    pairs = zip(rows, table, strict=False) if source.is_written else zip_longest(rows, table)
    for row, cells in pairs:
        yield _exact(row and row[1], cells and cells[1])


def _episodes(file: Path, report: Report) -> Iterator[Event]:
    """The episodes of an environment: reward, length, and seconds since the start."""
    with file.open("rb") as opened:
        line = opened.readline(_LONGEST)
    try:
        head = json.loads(line[1:])
    except (ValueError, RecursionError):
        head = None
    head = head if isinstance(head, dict) else {}
    name = file.name.removesuffix(_MONITOR).rstrip(".")
    env = int(name) if name.isascii() and name.isdigit() else name or 0
    start = utc_time(head.get("t_start"))
    about = {"env_id": head.get("env_id"), "start_time": start}
    yield Run(f"env {env}", about=about, parent="", part={"env": env})
    for _, row in table_rows(file, report, start=len(line), is_written=True):
        seconds = row.get("t")
        is_time = start is not None and type(seconds) in {int, float}
        yield Record(f"env {env}", row, None, _later(start, seconds) if is_time else None)


def _evaluations(file: Path, report: Report) -> Iterator[Event]:
    """The episodes of evaluations: a record for each, with the step and its number in its evaluation."""
    arrays = arrays_of(file, ("timesteps", "results", "ep_lengths", "successes"), report)
    steps = arrays.pop("timesteps", [])
    yield Run("evaluations", parent="", part="evaluations")
    for at, step in enumerate(steps):
        rows = {key: rows[at] for key, rows in arrays.items() if at < len(rows)}
        columns = {key: row if isinstance(row, list) else [row] for key, row in rows.items()}
        for episode in range(max(map(len, columns.values()), default=0)):
            values = {key: row[episode] for key, row in columns.items() if episode < len(row)}
            yield Record("evaluations", {"episode": episode, **values}, step)


def _later(start: Any, seconds: Any) -> Any:
    """The time so many seconds later; None if there is none."""
    try:
        return start + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return None


def _exact(row: dict[str, Any] | None, cells: dict[str, Any] | None) -> dict[str, Any]:
    """A row of JSON, in which ints and bools of NumPy are floats, with those that the table has."""
    if row is None:
        return cells or {}
    found = dict(row)
    for key, value in (cells or {}).items():
        rounded = row.get(key)
        if type(value) in {int, bool} and isinstance(rounded, float) and rounded == float(value):
            found[key] = value
    return found


FORMAT: Final = Format("sb3", "Stable-Baselines3", _find, _read)
