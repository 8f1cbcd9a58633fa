"""Reads the offline runs of Neptune's client before neptune-scale: operations as JSON lines."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from .contract import Event, Position, Record, Report, Run, Source, media, utc_time
from .files import files_below, first_bytes, read_bounded, read_json, run_name
from .lines import json_values
from .texts import file_inside, iso_time

__all__ = ["find_logs", "read_log"]

_META: Final = "metadata.json"
_LOG: Final = re.compile(r"data-(\d{1,18})\.log", re.ASCII)
_FIRST: Final = b'{"obj": {"type":'
#: ``run__<id>__<pid>__<key>``; in older versions ``run__<id>``, first only the id.
_FOLDER: Final = re.compile(
    r"(?:(run|project|model|model_version)__)?(.+?)(?:__\d+__[a-z0-9]+)?", re.ASCII | re.DOTALL
)
#: In older versions, what was not sent yet is in a folder for each process, in that of the run.
_EXECUTION: Final = "exec-"
#: The name of a run without one.
_NO_NAME: Final = "Untitled"
_SYSTEM: Final = "monitoring"
_STREAMS: Final = frozenset({"stdout", "stderr", "traceback"})
#: Points are of one record only if they are less apart than this.
_APART: Final = timedelta(seconds=1)
#: A line of the console that is longer is given in parts.
_LONGEST: Final = 1 << 16
#: A position is given after so many operations, by their own numbers: there, records end, wherever
#: the reading began.
_OFTEN: Final = 10_000
_ABOUT: Final = {
    "sys/description": "notes", "sys/hostname": "host", "sys/tags": "tags",
    "source_code/entrypoint": "command",
}  # fmt: skip
_SCALARS: Final = (str, int, float)
_ERRORS: Final = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


def find_logs(path: Path) -> Iterator[Source]:
    """The folders with logs, each of which is what one process logged of a run."""
    folders: dict[Path, dict[int, Path]] = {}
    for file in files_below(path):
        if found := _LOG.fullmatch(file.name):
            folders.setdefault(file.parent, {})[int(found[1])] = file
    for folder, numbered in folders.items():
        if any(first_bytes(file).startswith(_FIRST) for file in numbered.values()):
            files = (file for _, file in sorted(numbered.items()))
            name = run_name(folder, path)
            yield Source(folder, (folder / _META, *files), name, is_joined=True)


def read_log(source: Source, report: Report, position: Any) -> Iterator[Event]:
    """The events of a folder with logs, in order of logging."""
    state = position or {}
    last = source.path / f"data-{state.get('file', 0)}.log"
    if last in source.files and last.stat().st_size < state["offset"]:
        yield Position(None)
        state = {}
    yield from _Reading(source, report, state).events()


class _Points(NamedTuple):
    """Points that are one record."""

    fields: dict[str, Any]
    step: int | float | None
    time: datetime | None
    #: The keys of others that were given by themselves, at the same step and time.
    given: frozenset[str] = frozenset()

    def takes(self, keys: Iterable[str], step: Any, time: datetime | None) -> bool:
        """Whether a point of these keys is of the same record."""
        is_new = self.given.isdisjoint(keys) and self.fields.keys().isdisjoint(keys)
        return is_new and self.step == step and _near(self.time, time)

    def rest(self) -> _Points:
        """What is still to come of it."""
        return self._replace(fields={}, given=self.given | self.fields.keys())

    def state(self) -> tuple[Any, str | None, list[str]]:
        """What of it is known when the log is read on."""
        return self.step, None if self.time is None else self.time.isoformat(), sorted(self.given)


class _Reading:
    """The events of one folder."""

    def __init__(self, source: Source, report: Report, state: Mapping[str, Any]) -> None:
        self._source, self._report = source, report
        self._file, self._offset = state.get("file", 0), state.get("offset", 0)
        self._name = state.get("name") or source.name
        #: Sets of texts, and what artifacts and sets of files have: each operation adds to them.
        self._lists: dict[str, dict[str, None]] = {
            key: dict.fromkeys(values) for key, values in state.get("lists", {}).items()
        }
        self._series: set[str] = set(state.get("series", ()))
        self._monitors: set[str] = {_SYSTEM, *state.get("monitors", ())}
        self._about: dict[str, Any] = {}
        self._configs: dict[str, dict[str, Any]] = {"": {}}
        self._points = {
            part: _Points({}, step, iso_time(time), frozenset(keys))
            for part, (step, time, keys) in state.get("points", {}).items()
        }
        self._lines: dict[str, tuple[str, Any]] = {}
        self._given: set[str] = set()
        self._run = self._describe()
        self._kinds: dict[str, Callable[[str, Mapping[str, Any]], Iterable[Event] | None]] = {
            **dict.fromkeys(
                ("AssignFloat", "AssignInt", "AssignBool", "AssignString"), self._assign
            ),
            **dict.fromkeys(
                ("ClearFloatLog", "ClearStringLog", "ClearImageLog"), self._clear_series
            ),
            **dict.fromkeys(("ClearStringSet", "ClearArtifact"), self._clear_list),
            "AssignDatetime": lambda key, found: self._set(key, utc_time(found["value"] / 1000)),
            "AssignArtifact": lambda key, found: self._set(key, str(found["hash"])),
            "AddStrings": lambda key, found: self._add(key, sorted(map(str, found["values"]))),
            "RemoveStrings": self._remove,
            "TrackFilesToArtifact": lambda key, found: self._add(
                key, map(_entry, found["entries"])
            ),
            "UploadFileSet": self._file_set,
            "UploadFile": self._upload,
            "UploadFileContent": self._content,
            "LogFloats": self._floats,
            "LogStrings": self._strings,
            "LogImages": self._images,
            "ConfigFloatSeries": self._configure,
            "CopyAttribute": self._copy,
            "DeleteAttribute": self._delete,
        }

    def _describe(self) -> str:
        """The run's id; what is known of it beside the log is in the attributes."""
        folder, meta = self._source.path, self._source.files[0]
        name = folder.parent.name if folder.name.startswith(_EXECUTION) else folder.name
        found = _FOLDER.fullmatch(name)
        kind, run = (found[1], found[2]) if found else (None, name)
        about = read_json(meta, self._report) if meta.is_file() else None
        if isinstance(about, dict):
            run = str(about.get("containerId") or run)
            kind = about.get("containerType") or kind
            self._about = {
                "start_time": iso_time(about.get("createdAt")),
                "os": about.get("os"),
                "python": str(about.get("pythonVersion") or "").partition(" ")[0] or None,
            }
        if kind not in {None, "run"}:
            self._about["type"] = kind
        return run

    def events(self) -> Iterator[Event]:
        """The run, its records, and the run again with all that was assigned to it."""
        yield Run(self._run, self._name, {}, self._about)
        for file in self._source.files[1:]:
            found = _LOG.fullmatch(file.name)
            number = int(found[1]) if found else 0
            if number > self._file:
                self._file, self._offset = number, 0
            if number < self._file:
                continue
            for after, row in self._rows(file):
                yield from self._operation(file, row)
                self._offset = after
                if _number(row) % _OFTEN == 0:
                    yield from self._flush()
        yield from self._flush()

    def _rows(self, file: Path) -> Iterator[tuple[int, Any]]:
        """What the lines from the offset on have, and the offset after each, or after its last brace."""
        for (at, after, line), row in json_values(file, self._report, self._offset):
            yield after or at + len(line), row

    def _flush(self) -> Iterator[Event]:
        """All that is known, and the position."""
        rest = {part: points.rest() for part, points in self._points.items()}
        for part in rest:
            yield from self._end_points(part)
        self._points = rest
        for key, (text, time) in self._lines.items():
            yield from self._record("console", _line(key, text), None, time)
        self._lines.clear()
        lists = {key: list(values) for key, values in self._lists.items()}
        for key, values in lists.items():
            self._set(key, values)
        yield Run(self._run, self._name, self._configs[""], self._about)
        for part, config in self._configs.items():
            if part:
                yield self._part(part, config)
        yield Position(
            {
                "file": self._file, "offset": self._offset, "name": self._name,
                "lists": lists, "series": sorted(self._series),
                "monitors": sorted(self._monitors), "points": {part: points.state() for part, points in rest.items()},
            }
        )  # fmt: skip

    def _operation(self, file: Path, row: Any) -> Iterator[Event]:
        try:
            found = row["obj"]
            kind, key = found["type"], "/".join(found["path"])
            if not (known := self._kinds.get(kind)):
                self._report.add(file, "operations of other types: left out")
                return
            yield from known(key, found) or ()
        except _ERRORS:
            self._report.add(file, "operations with other contents: left out")

    def _assign(self, key: str, found: Mapping[str, Any]) -> None:
        value = found["value"]
        if not isinstance(value, _SCALARS):
            raise TypeError
        above, _, last = key.rpartition("/")
        if last == "pid" and f"{above}/hostname" in self._configs[""]:
            self._monitors.add(above)
        if key == "sys/name":
            self._name = value if value not in {"", _NO_NAME} else self._source.name
        elif key == "sys/failed":
            self._about["status"] = "failed" if value else None
        else:
            self._set(key, value)

    def _set(self, key: str, value: Any) -> None:
        if key in _ABOUT:
            self._about[_ABOUT[key]] = value if value != "" else None
        else:
            self._configs[""][key] = value

    def _add(self, key: str, values: Iterable[str]) -> None:
        self._lists.setdefault(key, {}).update(dict.fromkeys(values))

    def _remove(self, key: str, found: Mapping[str, Any]) -> None:
        known = self._lists.setdefault(key, {})
        for value in found["values"]:
            known.pop(value, None)

    def _clear_list(self, key: str, _found: Mapping[str, Any]) -> None:
        self._lists[key] = {}

    def _file_set(self, key: str, found: Mapping[str, Any]) -> None:
        """Files are not in the folder: only their patterns are known."""
        if found.get("reset") == "True":
            self._lists.pop(key, None)
        self._add(key, map(str, found["file_globs"]))

    def _upload(self, key: str, found: Mapping[str, Any]) -> None:
        """A file is its bytes if it is in the folder, else its name."""
        name = found.get("tmp_file_name")
        file = name and file_inside(self._source.path / "upload_path", name)
        if not file:
            self._set(f"{key}/name", str(found.get("file_path") or name))
        elif (data := read_bounded(file, self._report)) is None:
            self._set(f"{key}/name", name)
        else:
            self._configs[""] |= media(key, data, f"{key.rpartition('/')[2]}.{found['ext']}")

    def _content(self, key: str, found: Mapping[str, Any]) -> None:
        data = b64decode(found["file_content"], validate=True)
        self._configs[""] |= media(key, data, f"{key.rpartition('/')[2]}.{found['ext']}")

    def _configure(self, key: str, found: Mapping[str, Any]) -> None:
        config = self._configs.setdefault(self._part_of(key), {})
        for name in ("min", "max", "unit"):
            if isinstance(value := found.get(name), _SCALARS):
                config[f"{key}/{name}"] = value

    def _copy(self, key: str, found: Mapping[str, Any]) -> None:
        self._report.add(
            self._source.path, "attributes that were to be copied by the server: as copied_from"
        )
        self._set(f"{key}/copied_from", "/".join([found["container_id"], *found["source_path"]]))

    def _delete(self, key: str, found: Mapping[str, Any]) -> None:
        self._clear_series(key, found)
        self._lists.pop(key, None)
        for name in (key, f"{key}/name"):
            if name == key or name in self._configs[""]:
                self._set(name, None)

    def _clear_series(self, key: str, _found: Mapping[str, Any]) -> None:
        if key in self._series:
            self._series.remove(key)
            text = "series that were cleared or deleted later: their points are imported"
            self._report.add(self._source.path, text)

    def _floats(self, key: str, found: Mapping[str, Any]) -> Iterator[Event]:
        for value, step, time in _values(found, (int, float)):
            yield from self._point(key, {key: value}, step, time)

    def _strings(self, key: str, found: Mapping[str, Any]) -> Iterator[Event]:
        above, _, last = key.rpartition("/")
        is_console = last in _STREAMS and self._is_monitor(above)
        for value, step, time in _values(found, (str,)):
            if is_console:
                yield from self._text(key, value, time)
            else:
                yield from self._point(key, {key: value}, step, time)

    def _text(self, key: str, value: str, time: Any) -> Iterator[Event]:
        """The lines that are whole by now; the client writes what it gets, often a character."""
        if key.endswith("/traceback") and not value.endswith("\n"):
            value += "\n"
        before, start = self._lines.pop(key, ("", time))
        *whole, rest = (before + value).split("\n")
        for line in whole:
            yield from self._record("console", _line(key, line), None, start)
            start = time
        if len(rest) > _LONGEST:
            yield from self._record("console", _line(key, rest), None, start)
        elif rest:
            self._lines[key] = rest, start

    def _images(self, key: str, found: Mapping[str, Any]) -> Iterator[Event]:
        for value, step, time in _values(found, (str, dict)):
            of_image = value if isinstance(value, dict) else {"data": value}
            name = of_image.get("name") or key.rpartition("/")[2]
            more = {"description": of_image["description"]} if of_image.get("description") else {}
            fields = media(key, b64decode(of_image["data"], validate=True), str(name), **more)
            yield from self._point(key, fields, step, time)

    def _point(self, key: str, fields: dict[str, Any], step: Any, time: Any) -> Iterator[Event]:
        """A point becomes part of the record before if that is at its step and time, without its key."""
        self._series.add(key)
        part = self._part_of(key)
        last = self._points.get(part)
        if last and last.takes(fields, step, time):
            last.fields.update(fields)
            return
        yield from self._end_points(part)
        self._points[part] = _Points(fields, step, time)

    def _end_points(self, part: str) -> Iterator[Event]:
        points = self._points.pop(part, None)
        if points and points.fields:
            yield from self._record(part, points.fields, points.step, points.time)

    def _is_monitor(self, path: str) -> bool:
        return path in self._monitors or path.rpartition("/")[0] == _SYSTEM

    def _part_of(self, key: str) -> str:
        return "system" if self._is_monitor(key.rpartition("/")[0]) else ""

    def _part(self, part: str, config: Mapping[str, Any]) -> Run:
        self._given.add(part)
        return Run(f"{self._run}/{part}", None, config, parent=self._run, part=part)

    def _record(self, part: str, fields: dict[str, Any], step: Any, time: Any) -> Iterator[Event]:
        if part and part not in self._given:
            yield self._part(part, {})
        yield Record(f"{self._run}/{part}" if part else self._run, fields, step, time)


def _number(row: Any) -> int:
    """The number of an operation; 1 if it has none."""
    number = row.get("version") if isinstance(row, dict) else None
    return number if type(number) is int else 1


def _entry(entry: Any) -> str:
    """A file of an artifact, and where it is there if that is another path."""
    path, place = entry
    return str(path) if place is None else f"{path} -> {place}"


def _line(key: str, text: str) -> dict[str, Any]:
    return {"line": text, "stream": key.rpartition("/")[2]}


def _near(first: datetime | None, second: datetime | None) -> bool:
    if first is None or second is None:
        return first is second
    return abs(second - first) < _APART


def _values(found: Mapping[str, Any], kinds: tuple[type, ...]) -> Iterator[tuple[Any, Any, Any]]:
    """The points of an operation: value, step and time."""
    for each in found["values"]:
        value, step = each["value"], each.get("step")
        if not isinstance(value, kinds):
            raise TypeError
        yield value, step if type(step) in {int, float} else None, utc_time(each.get("ts"))
