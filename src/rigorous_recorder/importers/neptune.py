"""Imports Neptune's offline runs: databases of neptune-scale, and logs of the client before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from struct import unpack
from typing import Any, Final

from .contract import Event, Format, Position, Record, Report, Run, Source, media, utc_time
from .files import files_below, read_bounded
from .neptune_log import find_logs, read_log
from .protobuf import BadMessageError, fields, first, float_of, signed, text_of, varint
from .sqlite import is_sqlite, opened, resumed, rows
from .texts import file_inside

_TABLES: Final = ("run_operations", "metadata")
_VERSION: Final = "v5"
#: The type of the operation that creates the run.
_CREATE: Final = 1
#: The kind of a value that is a file, and what removes a text from a set.
_FILE: Final = 13
_REMOVE: Final = 2
#: The fields of a histogram beside its edges.
_COUNTS: Final = 4
_DENSITIES: Final = 5
#: What the client itself logs.
_CONSOLE: Final = frozenset({"runtime/stdout", "runtime/stderr"})
_SYSTEM: Final = "monitoring/"
_MICRO: Final = 1_000_000
#: A position is given after so many records.
_OFTEN: Final = 10_000
_ABOUT: Final = {
    "sys/name": "name", "sys/description": "notes", "sys/owner": "user", "sys/hostname": "host",
    "sys/experiment/name": "experiment",
}  # fmt: skip


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    found = [*_databases(path), *find_logs(path)]
    yield from sorted(found, key=lambda source: source.path)


def _databases(path: Path) -> Iterator[Source]:
    for file in files_below(path):
        if file.suffix == ".sqlite3" and is_sqlite(file, *_TABLES):
            yield Source(file, (file, file.with_name(f"{file.name}-wal")), file.parent.name)


def _read(source: Source, report: Report, position: Any) -> Iterator[Event]:
    read = read_log if source.path.is_dir() else _read_database
    yield from read(source, report, position)


def _read_database(source: Source, report: Report, position: Any) -> Iterator[Event]:
    with opened(source.path, report) as database:
        if database is None:
            return
        meta = next(rows(database, "metadata", ("version", "project", "run_id")), None)
        version, project, run = meta or (_VERSION, None, source.name)
        if version != _VERSION:
            report.add(source.path, "has another version: what is known of it is taken")

        def read(known: dict[str, Any]) -> Iterator[Event]:
            reading = _Reading(source.path, report, str(run), known)
            reading.about["project"] = project
            yield from reading.events(database)

        yield from resumed(
            source.path, report, database,
            position=position, tables={"last": "run_operations"}, read=read,
        )  # fmt: skip


class _Reading:
    """The events of one database."""

    def __init__(self, path: Path, report: Report, run: str, state: Mapping[str, Any]) -> None:
        self._path, self._report, self._run = path, report, run
        self._last = state.get("last", 0)
        self._config: dict[str, Any] = {}
        self._parts: set[str] = set()
        self.about: dict[str, Any] = dict(state.get("sets", {}))

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
                yield Run(self._run, None, self._config, self.about)
                yield self._position()
        yield Run(self._run, None, self._config, self.about)
        yield self._position()

    def _position(self) -> Position:
        """What was assigned is stored with the run; sets are given whole, so they are known."""
        sets = {key: value for key, value in self.about.items() if isinstance(value, list)}
        return Position({"last": self._last, "sets": sets})

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
                key = text_of(found.get(1, b""))
                values |= self._fields(key, _message(found.get(2, b"")))
            elif number not in {3, 6, 7, 9}:
                self._report.add(self._path, f"operations of the unknown type {number}: left out")
        for part, own in _by_part(values):
            if part and part not in self._parts:
                self._parts.add(part)
                yield Run(f"{self._run}/{part}", parent=self._run, part=part)
            yield Record(f"{self._run}/{part}" if part else self._run, own, step, time)

    def _create(self, found: Mapping[int, Any]) -> None:
        self.about["start_time"] = _time(_message(found.get(3, b"")))
        if found.get(5):
            self.about["experiment"] = text_of(found[5])

    def _assign(self, data: bytes) -> None:
        found = first(data)
        key = text_of(found.get(1, b""))
        if 2 in found and key:
            values = self._fields(key, _message(found[2]))
            if key in _ABOUT:
                self.about[_ABOUT[key]] = values.get(key)
            else:
                self._config |= values

    def _fields(self, key: str, data: bytes) -> dict[str, Any]:
        """A value; a file is its bytes, which are in a file beside the database."""
        kind, value = next(fields(data), (0, b""))
        if kind != _FILE or isinstance(value, int):
            return {key: _value(data)}
        name = text_of(first(value).get(1, b""))
        file = file_inside(self._path.parent, name.rpartition("/")[2])
        found = None if file is None else read_bounded(file, self._report)
        return {f"{key}/name": name} if found is None else media(key, found, name)

    def _tag(self, data: bytes) -> None:
        """Tags that are added to a set of texts, or removed from it."""
        found = first(data)
        key = text_of(found.get(1, b""))
        changes = [
            first(_message(entry))
            for _, entries in fields(_message(found.get(2, b"")))
            for _, entry in _fields(entries)
        ]
        removed, added = (
            {
                text_of(each[1])
                for each in changes
                if 1 in each and (each.get(2) == _REMOVE) is is_it
            }
            for is_it in (True, False)
        )
        name = "tags" if key == "sys/tags" else key
        known = [each for each in self.about.get(name) or [] if each not in removed]
        self.about[name] = [*known, *sorted(added - set(known))]


def _by_part(values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The fields of a call by the parts of the run that they are of."""
    own: dict[str, Any] = {}
    system: dict[str, Any] = {}
    for key, value in values.items():
        if key in _CONSOLE:
            yield "console", {"line": value, "stream": key.rpartition("/")[2]}
        else:
            (system if key.startswith(_SYSTEM) else own)[key] = value
    yield from ((part, found) for part, found in (("", own), ("system", system)) if found)


def _histogram(value: int | bytes) -> Any:
    """Edges, and counts or densities, of a histogram; its bytes if it is another one."""
    data = _message(value)
    parts = first(data)
    edges = _doubles(_message(parts.get(1, b"")))
    if parts.keys() == {1, _DENSITIES}:
        densities = _doubles(_message(first(_message(parts[_DENSITIES])).get(1, b"")))
        known = {"bin_edges": edges, "densities": densities}
        return data if None in known.values() else known
    if parts.keys() != {1, _COUNTS} or edges is None:
        return data
    numbers = _message(first(_message(parts[_COUNTS])).get(1, b""))
    found, at = [], 0
    while at < len(numbers):
        number, at = varint(numbers, at)
        found.append(signed(number))
    return {"bin_edges": edges, "counts": found}


def _doubles(data: bytes) -> list[float] | None:
    return None if len(data) % 8 else list(unpack(f"<{len(data) // 8}d", data))


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
        14: _histogram,
    }
    for number, value in fields(data):
        return kinds[number](value) if number in kinds else value
    return None


FORMAT: Final = Format("neptune", "Neptune offline", _find, _read)
