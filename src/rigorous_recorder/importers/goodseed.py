"""Imports GoodSeed's databases, one for each run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from .contract import Event, Format, Position, Record, Report, Run, Source, utc_time
from .files import files_below
from .sqlite import is_sqlite, opened, resumed, rows
from .texts import iso_time

_TABLES: Final = ("run_meta", "configs", "metric_series", "metric_points")
#: The tables of series and of their points, and the column of a value.
_SERIES: Final = (("metric", "y"), ("string", "value"))
#: The tables of which a position has the numbers of the last rows.
_POINTS: Final = {kind: f"{kind}_points" for kind, _ in _SERIES}
_NEWEST: Final = "1"
#: A position is given after so many records.
_OFTEN: Final = 10_000
#: Series and configuration of the machine.
_SYSTEM: Final = "monitoring/"


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        if file.suffix == ".sqlite" and is_sqlite(file, *_TABLES):
            files = file, file.with_name(f"{file.name}-wal")
            yield Source(file, files, file.stem, is_ordered=False)


def _read(source: Source, report: Report, position: Any) -> Iterator[Event]:
    with opened(source.path, report) as database:
        if database is None:
            return
        meta = {str(key): value for key, value in rows(database, "run_meta", ("key", "value"))}
        if str(meta.get("schema_version", _NEWEST)) != _NEWEST:
            report.add(source.path, "has a newer version: what is known of it is taken")
        run = str(meta.get("run_id") or source.name)
        config = _config(source.path, database, report)
        hosts = [v for k, v in config.items() if k.startswith(_SYSTEM) and k.endswith("/hostname")]
        about = {
            "status": {"finished": "finished", "failed": "failed", "running": "running"}.get(
                str(meta.get("status"))
            ),
            "project": meta.get("project"),
            "notes": config.pop("sys/description", None),
            "tags": config.pop("sys/tags", None),
            "host": hosts[0] if hosts else None,
            "start_time": iso_time(meta.get("created_at")),
            "end_time": iso_time(meta.get("closed_at")),
        }
        described = Run(run, str(meta.get("name") or run), config, about)
        yield from resumed(
            source.path, report, database,
            position=position, tables=_POINTS, read=partial(_points, database, described),
        )  # fmt: skip


def _config(path: Path, database: Any, report: Report) -> dict[str, Any]:
    found = {}
    for key, kind, text in rows(database, "configs", ("path", "type_tag", "value")):
        try:
            found[str(key)] = _value(kind, text)
        except (ValueError, TypeError, RecursionError):
            report.add(path, "configuration that is not of its type: as text")
            found[str(key)] = text
    return found


def _value(kind: str, text: Any) -> Any:
    if kind == "null" or text is None:
        return None
    if kind == "bool":
        return str(text).lower() == "true"
    if kind in {"int", "float"}:
        return int(text) if kind == "int" else float(text)
    if kind == "datetime":
        return iso_time(text) or text
    return json.loads(text) if kind == "string_set" else text


def _points(database: Any, described: Run, last: dict[str, int]) -> Iterator[Event]:
    """The run, the points of numbers, then those of texts, each in the order of its table."""
    yield described
    run, parts = described.id, set[str]()
    for kind, column in _SERIES:
        names = dict(rows(database, f"{kind}_series", ("id", "path")))
        columns = "rowid", "series_id", "step", column, "ts"
        where = "rowid > ?", last.get(kind, 0)
        found = rows(database, f"{kind}_points", columns, where=where)
        for count, (row, series, step, value, seconds) in enumerate(found, 1):
            name = str(names.get(series, series))
            of, fields = run, {name: value}
            if name.startswith(_SYSTEM):
                stream = name.rpartition("/")[2]
                part = "console" if stream in {"stdout", "stderr"} else "system"
                of = f"{run}/{part}"
                fields = {"line": value, "stream": stream} if part == "console" else fields
                if part not in parts:
                    parts.add(part)
                    yield Run(of, parent=run, part=part)
            yield Record(of, fields, _step(step), utc_time(seconds))
            last[kind] = row
            if not count % _OFTEN:
                yield Position(dict(last))
        yield Position(dict(last))


def _step(step: Any) -> int | float | None:
    """GoodSeed writes all steps as floats."""
    if not isinstance(step, int | float):
        return None
    return int(step) if isinstance(step, float) and step.is_integer() else step


FORMAT: Final = Format("goodseed", "GoodSeed", _find, _read)
