"""Imports the databases of Neptune's offline runs (neptune-scale)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from .contract import Event, Format, Position, Record, Report, Run, Source, utc_time
from .files import files_below
from .protobuf import BadMessageError, fields, first, float_of, signed, text_of
from .sqlite import is_sqlite, opened, rows

_TABLES: Final = ("run_operations", "metadata")
_VERSION: Final = "v5"
#: The type of the operation that creates the run.
_CREATE: Final = 1
_MICRO: Final = 1_000_000
#: A position is given after so many records.
_OFTEN: Final = 10_000
_ABOUT: Final = {
    "sys/name": "name", "sys/description": "notes", "sys/owner": "user", "sys/hostname": "host",
    "sys/experiment/name": "experiment",
}  # fmt: skip


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        if file.suffix == ".sqlite3" and is_sqlite(file, *_TABLES):
            yield Source(file, (file, file.with_name(f"{file.name}-wal")), file.parent.name)


def _read(source: Source, report: Report, position: Any) -> Iterator[Event]:
    with opened(source.path, report) as database:
        if database is None:
            return
        meta = next(rows(database, "metadata", ("version", "project", "run_id")), None)
        version, project, run = meta or (_VERSION, None, source.name)
        if version != _VERSION:
            report.add(source.path, "has another version: what is known of it is taken")
        state = position or {"config": {}, "about": {}, "last": 0}
        reading = _Reading(source.path, report, str(run), state)
        reading.about["project"] = project
        yield from reading.events(database)


class _Reading:
    """The events of one database."""

    def __init__(self, path: Path, report: Report, run: str, state: Mapping[str, Any]) -> None:
        self._path, self._report, self._run = path, report, run
        self._last = state["last"]
        self._config: dict[str, Any] = dict(state["config"])
        self.about: dict[str, Any] = dict(state["about"])

    def events(self, database: Any) -> Iterator[Event]:
        """The run, its records, and the run again with all that was assigned to it."""
        yield Run(self._run, self._run, self._config, self.about)
        columns = "sequence_id", "timestamp", "operation_type", "operation"
        found = rows(
            database, "run_operations", columns,
            where=("sequence_id > ?", self._last), order="sequence_id",
        )  # fmt: skip
        for count, (self._last, time, kind, operation) in enumerate(found, 1):
            try:
                if kind == _CREATE:
                    self._create(first(bytes(operation)))
                else:
                    yield from self._operation(bytes(operation), time)
            except (BadMessageError, TypeError) as error:
                self._report.add(self._path, f"operations left out: {error}")
            if not count % _OFTEN:
                yield self._position()
        yield Run(self._run, None, self._config, self.about)
        yield self._position()

    def _position(self) -> Position:
        about = {key: v for key, v in self.about.items() if not isinstance(v, datetime)}
        plain = {key: v for key, v in self._config.items() if not isinstance(v, datetime)}
        return Position({"last": self._last, "config": plain, "about": about})

    def _operation(self, data: bytes, milliseconds: Any) -> Iterator[Event]:
        step: int | float | None = None
        time = utc_time(milliseconds / 1000)
        values: dict[str, Any] = {}
        for number, value in fields(data):
            if number == 1:
                step = _step(_message(value))
            elif number == 2:
                time = _time(_message(value))
            elif number == 4:
                self._assign(_message(value))
            elif number == 5:
                self._tag(_message(value))
            elif number == 8:
                found = first(_message(value))
                values[text_of(found.get(1, b""))] = _value(_message(found.get(2, b"")))
            elif number not in {3, 6, 7, 9}:
                self._report.add(self._path, f"operations of the unknown type {number}: left out")
        if values:
            yield Record(self._run, values, step, time)

    def _create(self, found: Mapping[int, Any]) -> None:
        self.about["start_time"] = _time(_message(found.get(3, b"")))
        if found.get(5):
            self.about["experiment"] = text_of(found[5])

    def _assign(self, data: bytes) -> None:
        found = first(data)
        key = text_of(found.get(1, b""))
        if 2 in found and key:
            value = _value(_message(found[2]))
            if key in _ABOUT:
                self.about[_ABOUT[key]] = value
            else:
                self._config[key] = value

    def _tag(self, data: bytes) -> None:
        """Tags that are added to a set of texts."""
        found = first(data)
        key = text_of(found.get(1, b""))
        texts = {
            text_of(each)
            for _, entries in fields(_message(found.get(2, b"")))
            for _, entry in _fields(entries)
            for _, each in _fields(entry)
            if not isinstance(each, int)
        }
        name = "tags" if key == "sys/tags" else key
        known = self.about.get(name) or []
        self.about[name] = [*known, *sorted(texts - set(known))]


def _fields(value: int | bytes) -> Iterator[tuple[int, int | bytes]]:
    return fields(value) if isinstance(value, bytes) else iter(())


def _message(value: int | bytes) -> bytes:
    if isinstance(value, int):
        message = "a field is not a message"
        raise BadMessageError(message)
    return value


def _step(data: bytes) -> int | float:
    found = first(data)
    whole, micro = signed(found.get(1, 0)), signed(found.get(2, 0))
    return whole + micro / _MICRO if micro else whole


def _time(data: bytes) -> datetime | None:
    found = first(data)
    return utc_time(signed(found.get(1, 0)) + signed(found.get(2, 0)) / 1e9)


def _value(data: bytes) -> Any:
    """A value of any of the types; those that are not known are their bytes."""
    kinds: dict[int, Callable[[Any], Any]] = {
        1: float_of,
        3: signed,
        5: bool,
        6: text_of,
        8: lambda value: _time(_message(value)),
    }
    for number, value in fields(data):
        return kinds[number](value) if number in kinds else value
    return None


FORMAT: Final = Format("neptune", "Neptune offline", _find, _read)
