"""Imports Trackio's databases, one for each project."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .contract import Event, Format, Position, Record, Report, Run, Source, media
from .files import files_below, read_bounded
from .sqlite import columns_of, is_sqlite, opened, resumed, rows
from .texts import file_inside, float_named, iso_time

#: What the table of metrics of any version has; other tools have tables of this name, too.
_COLUMNS: Final = ("id", "run_name", "timestamp", "step", "metrics")
_OWN: Final = ("_Username", "_Created", "_Group")
#: The tables of which a position has the last ids.
_LAST: Final = {table: table for table in ("metrics", "system_metrics", "alerts")}
#: A position is given after so many records.
_OFTEN: Final = 10_000
_TURNED: Final = "texts NaN and Infinity among numbers: as floats"


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        if file.suffix == ".db" and is_sqlite(file, "metrics", columns=_COLUMNS):
            yield Source(file, (file, file.with_name(f"{file.name}-wal")), file.stem)


def _read(source: Source, report: Report, position: Any) -> Iterator[Event]:
    with opened(source.path, report) as database:
        if database is not None:
            reading = _Reading(source.path, report, database)
            yield from resumed(
                source.path, report, database,
                position=position, tables=_LAST, read=reading.events,
            )  # fmt: skip


class _Reading:
    """The events of one database."""

    def __init__(self, path: Path, report: Report, database: Any) -> None:
        self._path, self._report, self._database = path, report, database
        known = columns_of(database, "metrics")
        #: Older versions know runs by their names alone.
        self._id = "run_id" if "run_id" in known else "run_name"
        #: Tables, runs and metrics in which texts such as NaN are floats.
        self._numbers: set[tuple[str, str, str]] = set()

    def events(self, position: Mapping[str, int]) -> Iterator[Event]:
        """All events behind a position: the last ids of its tables."""
        yield from self._runs()
        self._numbers = self._number_keys("metrics") | self._number_keys("system_metrics")
        last = dict(position)
        yield from self._records("metrics", "", last)
        yield from self._records("system_metrics", "system", last)
        yield from self._alerts(last)

    def _runs(self) -> Iterator[Event]:
        configs = {}
        for run, name, config in rows(
            self._database, "configs", (self._id, "run_name", "config"), order="id"
        ):
            configs[str(run)] = str(name), self._object(config)
        found = dict.fromkeys(configs)
        parts: dict[str, set[str]] = {}
        names = {"metrics": "", "system_metrics": "system", "alerts": "alerts"}
        for table, part in names.items():
            seen: dict[str, str] = {}
            for run, name in rows(self._database, table, (self._id, "run_name")):
                seen[str(run)] = str(name)
            for run, name in seen.items():
                found.setdefault(run)
                configs.setdefault(run, (name, {}))
                parts.setdefault(run, set()).add(part)
        for run in found:
            yield self._run(run, *configs[run])
            for part in sorted(parts.get(run, set()) - {""}):
                yield Run(f"{run}/{part}", parent=run, part=part)

    def _run(self, run: str, name: str, config: dict[str, Any]) -> Run:
        about = {"project": self._path.stem, "user": config.get("_Username")}
        about |= {"group": config.get("_Group"), "start_time": iso_time(config.get("_Created"))}
        return Run(run, name, {key: v for key, v in config.items() if key not in _OWN}, about)

    def _object(self, data: Any) -> dict[str, Any]:
        try:
            found = json.loads(data)
        except (ValueError, TypeError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
        self._report.add(self._path, "values that are not valid JSON: left out")
        return {}

    def _number_keys(self, table: str) -> set[tuple[str, str, str]]:
        """The metrics of runs that have numbers, of those that have texts such as NaN."""
        texts: set[tuple[str, str, str]] = set()
        columns = self._id, "metrics"
        where = "instr(CAST(metrics AS TEXT), ?) OR instr(CAST(metrics AS TEXT), 'Infinity\"')"
        for run, data in rows(self._database, table, columns, where=(where, '"NaN"')):
            found = self._object(data)
            texts |= {(table, str(run), key) for key, v in found.items() if float_named(v) is not v}
        if not texts:
            return texts
        numbers: set[tuple[str, str, str]] = set()
        for run, data in rows(self._database, table, columns):
            found = self._object(data)
            numbers |= {
                (table, str(run), key) for key, v in found.items() if type(v) in {int, float}
            }
        return texts & numbers

    def _records(self, table: str, part: str, last: dict[str, int]) -> Iterator[Event]:
        columns = "id", self._id, "timestamp", "step", "metrics"
        where = "id > ?", last.get(table, 0)
        found = rows(self._database, table, columns, where=where, order="id")
        for count, (id_, run, time, step, data) in enumerate(found, 1):
            fields: dict[str, Any] = {}
            for key, value in self._object(data).items():
                fields |= self._field((table, str(run), key), value)
            of = f"{run}/{part}" if part else str(run)
            yield Record(of, fields, step, iso_time(time))
            last[table] = id_
            if not count % _OFTEN:
                yield Position(dict(last))
        yield Position(dict(last))

    def _field(self, of: tuple[str, str, str], value: Any) -> dict[str, Any]:
        *_, key = of
        if isinstance(value, str) and of in self._numbers:
            turned = float_named(value)
            if turned is not value:
                self._report.add(self._path, _TURNED)
            return {key: turned}
        if isinstance(value, dict) and isinstance(value.get("file_path"), str):
            return self._media(key, value)
        return {key: value}

    def _media(self, key: str, value: dict[str, Any]) -> dict[str, Any]:
        """The fields of a file, whose path is relative to the folder of media."""
        name = value["file_path"]
        file = file_inside(self._path.parent / "media", name)
        if file is None:
            self._report.add(self._path, "media outside of the store: not read")
        data = None if file is None else read_bounded(file, self._report)
        about = {each: v for each, v in value.items() if each not in {"_type", "file_path"}}
        if data is not None:
            return media(key, data, name, **about)
        return {f"{key}/name": name, **{f"{key}/{each}": v for each, v in about.items()}}

    def _alerts(self, last: dict[str, int]) -> Iterator[Event]:
        columns = "id", self._id, "timestamp", "step", "title", "text", "level"
        where = "id > ?", last.get("alerts", 0)
        found = rows(self._database, "alerts", columns, where=where, order="id")
        for id_, run, time, step, title, text, level in found:
            fields = {"alert": title, "alert/text": text, "alert/level": level}
            yield Record(f"{run}/alerts", fields, step, iso_time(time))
            last["alerts"] = id_
        yield Position(dict(last))


FORMAT: Final = Format("trackio", "Trackio", _find, _read)
