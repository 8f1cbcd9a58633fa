"""Imports ClearML's offline sessions, which are zip files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .archive import has_members, json_lines, member, opened_zip
from .contract import Event, Format, Record, Report, Run, Source, media, utc_time
from .files import files_below

#: The iteration of values that were reported without one.
_SINGLE: Final = -2_147_483_648
_ZEROS: Final = "values that are 0: ClearML writes NaN and infinities so, and also that number"
_SYSTEM: Final = ":monitor:"
#: What is known of the code, by the names that it has in all formats.
_SCRIPT: Final = {
    "repository": "git_remote", "branch": "git_branch", "version_num": "git_commit",
    "entry_point": "command",
}  # fmt: skip


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        if file.suffix == ".zip" and has_members(file, "task.json", "metrics.jsonl"):
            yield Source(file, (file,), file.stem)


def _read(source: Source, report: Report, _position: Any) -> Iterator[Event]:
    with opened_zip(source.path, report) as archive:
        if archive is None:
            return
        try:
            task = json.loads(member(archive, "task.json", source.path, report) or b"null")
        except (ValueError, RecursionError):
            task = None
        if not isinstance(task, dict):
            report.add(source.path, "task.json is not valid JSON")
            task = {}
        run = str(task.get("id") or source.name)
        yield _run(run, task)
        yield from _records(run, archive, source.path, report)


def _run(run: str, task: Mapping[str, Any]) -> Run:
    config = {}
    sections = task.get("hyperparams")
    for section, entries in sections.items() if isinstance(sections, dict) else ():
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            key = str(name) if section == "General" else f"{section}/{name}"
            config[key] = _value(entry) if isinstance(entry, dict) else entry
    texts = task.get("configuration")
    for name, entry in texts.items() if isinstance(texts, dict) else ():
        config[f"configuration/{name}"] = entry.get("value") if isinstance(entry, dict) else entry
    names = {"project": "project_name", "notes": "comment", "status": "status", "type": "type"}
    about = {name: task.get(key) for name, key in names.items()}
    about["tags"] = task.get("tags") or None
    script = task.get("script")
    if isinstance(script, dict):
        about |= {name: script.get(key) or None for key, name in _SCRIPT.items()}
    return Run(run, str(task.get("name") or run), config, about)


def _value(entry: Mapping[str, Any]) -> Any:
    """The value of a text with its type; the text where it is not of that type."""
    text, kind = entry.get("value"), entry.get("type")
    try:
        if kind in {"int", "float"}:
            return int(str(text)) if kind == "int" else float(str(text))
    except ValueError:
        return text
    if kind == "bool" and text in {"True", "False"}:
        return text == "True"
    return None if kind == "NoneType" or (kind is None and text == "") else text


def _records(run: str, archive: Any, path: Path, report: Report) -> Iterator[Event]:
    parts: set[str] = set()
    for name in ("metrics.jsonl", "log.jsonl"):
        for line in json_lines(archive, name, path, report):
            for entry in line if isinstance(line, list) else [line]:
                if not isinstance(entry, dict):
                    report.add(path, "entries that are no objects: left out")
                    continue
                part, fields, step = _entry(entry)
                if isinstance(file := entry.get("key"), str):
                    fields = _picture(archive, next(iter(fields)), file, path, report)
                if 0.0 in fields.values():
                    report.add(path, _ZEROS)
                if part and part not in parts:
                    parts.add(part)
                    yield Run(f"{run}/{part}", parent=run, part=part)
                yield Record(f"{run}/{part}" if part else run, fields, step, _time(entry))


def _picture(archive: Any, key: str, file: str, path: Path, report: Report) -> dict[str, Any]:
    """The fields of a file of the session."""
    data = member(archive, f"data/{file}", path, report)
    return {f"{key}/name": file} if data is None else media(key, data, file)


def _entry(entry: Mapping[str, Any]) -> tuple[str, dict[str, Any], int | float | None]:
    """The part, the fields and the step of an entry; a metric is ``title/series``."""
    kind = entry.get("type")
    if kind == "log":
        return "console", {"line": entry.get("msg"), "level": entry.get("level")}, None
    title, series = str(entry.get("metric")), str(entry.get("variant"))
    step = entry.get("iter")
    part = "system" if title.startswith(_SYSTEM) else ""
    if kind == "training_stats_scalar":
        key = series if step == _SINGLE else f"{title}/{series}"
        return part, {key: entry.get("value")}, None if step == _SINGLE else _number(step)
    own = {"timestamp", "type", "task", "iter", "metric", "variant", "method", "worker"}
    rest = {each: value for each, value in entry.items() if each not in own}
    return part, {f"{title}/{series}": rest}, _number(step)


def _number(value: Any) -> int | float | None:
    return value if type(value) in {int, float} else None


def _time(entry: Mapping[str, Any]) -> Any:
    time = _number(entry.get("timestamp"))
    return None if time is None else utc_time(time / 1000)


FORMAT: Final = Format("clearml", "ClearML offline", _find, _read)
