"""Imports trials of Ray Tune: ``result.json``, or ``progress.csv`` where there is only that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .contract import Event, Format, Position, Record, Report, Run, Source, utc_time
from .files import files_below, read_json, run_name
from .lines import json_rows, table_rows

_RESULT: Final = "result.json"
_TABLE: Final = "progress.csv"
_PARAMS: Final = "params.json"
_ERROR: Final = "error.txt"
#: What is the same in each row of a trial: attributes of the run, by these names.
_ABOUT: Final = {"hostname": "host", "node_ip": "node_ip", "pid": "process"}


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        folder = file.parent
        if file.name == _RESULT or (
            file.name == _TABLE and (folder / _PARAMS).exists() and not (folder / _RESULT).exists()
        ):
            others = [folder / name for name in (_PARAMS, _ERROR)]
            files = (file, *(each for each in others if each.exists()))
            yield Source(folder, files, run_name(folder, folder if file == path else path))


def _read(source: Source, report: Report, position: Any) -> Iterator[Event]:
    file, *others = source.files
    state = dict(position or {"offset": 0})
    params = {each.name: each for each in others}
    config = read_json(params[_PARAMS], report) if _PARAMS in params else None
    config = config if isinstance(config, dict) else {}
    about = {"status": "failed"} if _ERROR in params else {}
    yield Run("", source.name, config, about)
    if file.name == _TABLE:
        found = table_rows(file, report, is_written=source.is_written)
    else:
        found = json_rows(file, report, state["offset"])
    for number, (after, row) in enumerate(found):
        if number == 0:
            config = config or row.get("config") or {}
            yield Run("", source.name, config if isinstance(config, dict) else {}, _about(row))
        if row.get("done") is True and not about:
            yield Run("", source.name, about={"status": "finished"})
        yield _record(row, config)
        if after and file.name != _TABLE:
            yield Position({"offset": after})


def _about(row: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: row[key] for key, name in _ABOUT.items() if key in row}
    return {**named, "trial_id": row.get("trial_id"), "start_time": _start(row)}


def _start(row: Mapping[str, Any]) -> Any:
    """When a trial began: the time of a result, less that since the start."""
    now, since = row.get("timestamp"), row.get("time_total_s")
    if isinstance(now, (int, float)) and isinstance(since, (int, float)):
        return utc_time(now - since)
    return None


def _record(row: Mapping[str, Any], config: Any) -> Record:
    """A result; its configuration is left out if it is that of the run."""
    left_out = {*_ABOUT, "trial_id", *(("config",) if row.get("config") == config else ())}
    plain = {key: value for key, value in row.items() if key not in left_out | {"config"}}
    fields = dict(_flat(plain))
    if "config" in row.keys() - left_out:
        fields["config"] = row["config"]
    time = row.get("timestamp")
    step = row.get("training_iteration")
    is_step = isinstance(step, (int, float))
    return Record("", fields, step if is_step else None, None if time is None else utc_time(time))


def _flat(row: Mapping[str, Any], before: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Nested results by the names that Ray itself gives them: joined by ``/``."""
    for key, value in row.items():
        if isinstance(value, dict) and value and depth < 20:
            yield from _flat(value, f"{before}{key}/", depth + 1)
        else:
            yield f"{before}{key}", value


FORMAT: Final = Format("ray", "Ray Tune", _find, _read)
