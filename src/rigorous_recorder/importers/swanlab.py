"""Imports the ``.swanlab`` files of SwanLab's runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from .contract import (
    Event,
    Format,
    Position,
    Record,
    Report,
    Run,
    Source,
    media,
    numbered,
    utc_time,
)
from .files import files_below, read_bounded, read_json, read_yaml
from .leveldb_log import is_log, records
from .protobuf import BadMessageError, fields, first, float_of, signed, text_of
from .swanlab_json import JsonRecord, json_record, number_of
from .texts import file_inside, iso_time

_HEADER: Final = b":SWL\xd6\xe1\x02"
#: Before version 0.8, records are JSON, and the file has the same name in all folders of runs.
_JSON_HEADER: Final = b":SWL\xd6\xe1\x01"
_JSON_NAME: Final = "backup.swanlab"
_CONFIG: Final = "config.yaml"
_METADATA: Final = "swanlab-metadata.json"
#: What the metadata tell, by the names that it has in all formats.
_ABOUT: Final = {
    "runtime": {
        "hostname": "host", "os": "os", "python_version": "python", "command": "command",
        "pid": "process",
    },
    "git": {"remote_url": "git_remote", "branch": "git_branch", "commit": "git_commit"},
}  # fmt: skip
#: The same before version 0.8.
_ABOUT_BEFORE: Final = {
    "hostname": "host", "os": "os", "python": "python", "command": "command", "pid": "process",
    "git_remote": "git_remote",
}  # fmt: skip
_SYSTEM: Final = 2
_STATES: Final = {1: "finished", 2: "crashed", 3: "stopped"}
_KINDS: Final = {2: "image", 3: "audio", 4: "text", 5: "video", 6: "echarts"}
_KINDS_MORE: Final = {7: "object3d", 8: "molecule", 9: "html"}
#: A position is given after so many records of the file.
_OFTEN: Final = 10_000


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        if file.suffix == ".swanlab" and is_log(file, _HEADER):
            beside = [file.parent / "files" / name for name in (_CONFIG, _METADATA)]
            name = file.parent.name if file.name == _JSON_NAME else file.stem
            yield Source(file, (file, *beside), name.rpartition("-")[2], is_joined=True)


def _read(source: Source, report: Report, position: Any) -> Iterator[Event]:
    yield from _Reading(source, report, position or {}).events()


class _Reading:
    """The events of one file; values of one step that follow each other are one record."""

    def __init__(self, source: Source, report: Report, state: Mapping[str, Any]) -> None:
        self._path, self._report = source.path, report
        self._start = state.get("at")
        self._run = state.get("run") or source.name
        self._system = set(state.get("system", ()))
        #: Whether records are JSON, in which values of one call have times of their own.
        self._is_json = _begins_with(source.path, _JSON_HEADER)
        self._header = _JSON_HEADER if self._is_json else _HEADER
        self._texts: set[str] = set(state.get("texts", ()))
        self._is_given = False
        self._parts: set[str] = set()
        self._of, self._step, time, keys = state.get("open", ("", 0, None, ()))
        self._time = iso_time(time)
        self._fields: dict[str, Any] = {}
        #: The keys of the last record that were given already: what follows has its step and time.
        self._open: set[str] = set(keys)

    def events(self) -> Iterator[Event]:
        """All events, in order."""
        at = None
        if self._start is not None:
            yield from self._begin()
        for count, (data, at) in enumerate(
            records(self._path, self._header, self._report, self._start), 1
        ):
            try:
                yield from self._json(data) if self._is_json else self._record(data)
            except BadMessageError as error:
                text = f"records left out: {error}"
                self._report.add(self._path, text, offset=at - len(data))
            if not count % _OFTEN:
                yield from self._flush()
                yield self._position(at)
        yield from self._flush()
        if at is not None:
            yield from self._begin()
            yield self._position(at)

    def _position(self, at: int) -> Position:
        keys = {"system": sorted(self._system), "texts": sorted(self._texts)}
        time = None if self._time is None else self._time.isoformat()
        last = (self._of, self._step, time, sorted(self._open))
        return Position({"at": at, "run": self._run, "open": last, **keys})

    def _record(self, data: bytes) -> Iterator[Event]:
        known = {
            10: self._about,
            11: self._finish,
            12: self._column,
            13: self._scalar,
            14: self._media,
            16: self._log,
        }
        for number, value in fields(data):
            if number in known:
                yield from known[number](_message(value))
            elif number not in {1, 2, 20}:
                text = f"records of the unknown type {number}: left out"
                self._report.add(self._path, text)

    def _json(self, data: bytes) -> Iterator[Event]:
        """The same of a record that is JSON."""
        known = {
            "Header": self._json_about,
            "Project": self._json_about,
            "Experiment": self._json_about,
            "Column": self._json_column,
            "Scalar": self._json_scalar,
            "Media": self._json_media,
            "Log": self._json_log,
            "Footer": self._json_footer,
        }
        record = json_record(data)
        if record.kind in known:
            try:
                yield from known[record.kind](record)
            except (KeyError, TypeError, AttributeError) as error:
                message = f"a {record.kind} has other contents"
                raise BadMessageError(message) from error
        elif record.kind != "Runtime":
            text = f"records of the unknown type {record.kind[:40]}: left out"
            self._report.add(self._path, text)

    def _json_about(self, record: JsonRecord) -> Iterator[Event]:
        found = record.data
        if record.kind == "Header":
            yield from self._begin({"start_time": record.time, "status": "running"})
        elif record.kind == "Project":
            yield from self._begin({"project": found["name"], "workspace": found.get("workspace")})
        else:
            about = {"notes": found.get("description") or None, "tags": found.get("tags") or None}
            yield from self._begin(about, found["name"])

    def _json_column(self, record: JsonRecord) -> Iterator[Event]:
        if record.data.get("cls") == "SYSTEM":
            self._system.add(str(record.data["key"]))
        if record.data.get("column_type") == "TEXT":
            self._texts.add(str(record.data["key"]))
        yield from ()

    def _json_scalar(self, record: JsonRecord) -> Iterator[Event]:
        key, value = str(record.data["key"]), number_of(record.data["metric"]["data"])
        of = "system" if key in self._system else ""
        yield from self._add(of, record.data["step"], record.time, {key: value})

    def _json_media(self, record: JsonRecord) -> Iterator[Event]:
        found, metric = record.data, record.data["metric"]
        key, values = str(found["key"]), metric["data"]
        more = metric.get("more") or []
        for at, value in enumerate(values):
            each = numbered(key, at, len(values))
            about = more[at] if at < len(more) and isinstance(more[at], dict) else {}
            if key in self._texts:
                parts = {each: value, **{f"{each}/{name}": text for name, text in about.items()}}
            else:
                name = str(value)
                parts = self._file(each, name, f"{found.get('kid')}/{name}", about)
            yield from self._add("", found["step"], record.time, parts)

    def _json_log(self, record: JsonRecord) -> Iterator[Event]:
        stream = "stdout" if record.data.get("level") == "INFO" else "stderr"
        line = {"line": str(record.data["message"]), "stream": stream}
        yield from self._part("console")
        yield Record(f"{self._run}/console", line, None, record.time)

    def _json_footer(self, record: JsonRecord) -> Iterator[Event]:
        status = "finished" if record.data.get("success") else "crashed"
        yield from self._end()
        yield from self._begin({"status": status, "end_time": record.time})

    def _begin(self, about: Mapping[str, Any] | None = None, name: str | None = None) -> Any:
        if about or not self._is_given:
            default = None if self._is_given or self._start is not None else self._run
            config = {} if self._is_given else self._config()
            of_machine = {} if self._is_given else self._metadata()
            self._is_given = True
            yield Run(self._run, name or default, config, {**of_machine, **(about or {})})

    def _config(self) -> dict[str, Any]:
        """The configuration, of which each value is in a mapping with its description."""
        file = self._path.parent / "files" / _CONFIG
        found = read_yaml(file, self._report) if file.exists() else {}
        if not isinstance(found, dict):
            return {}
        return {
            str(key): each.get("value") if isinstance(each, dict) else each
            for key, each in found.items()
        }

    def _metadata(self) -> dict[str, Any]:
        """What is known of the machine and the code."""
        file = self._path.parent / "files" / _METADATA
        found = read_json(file, self._report) if file.exists() else {}
        parts: list[tuple[Any, dict[str, str]]] = [
            (found.get(part) if isinstance(found, dict) else None, names)
            for part, names in _ABOUT.items()
        ]
        if self._is_json:
            parts = [(found, _ABOUT_BEFORE)]
        return {
            name: part.get(key)
            for part, names in parts
            if isinstance(part, dict)
            for key, name in names.items()
        }

    def _about(self, data: bytes) -> Iterator[Event]:
        found = first(data)
        if not self._is_given and found.get(10):
            self._run = text_of(found[10])
        texts = {1: "project", 2: "workspace", 5: "notes", 7: "group", 8: "job_type"}
        about: dict[str, Any] = {
            name: text_of(found[number]) for number, name in texts.items() if found.get(number)
        }
        about["tags"] = [text_of(v) for number, v in fields(data) if number == 6] or None
        about |= {"start_time": _time(found.get(12)), "status": "running"}  # until it is finished
        name = text_of(found[4]) if found.get(4) else None
        yield from self._end()
        yield from self._begin(about, name)

    def _finish(self, data: bytes) -> Iterator[Event]:
        found = first(data)
        about = {"status": _STATES.get(signed(found.get(1, 0))), "end_time": _time(found.get(3))}
        about["error"] = text_of(found[2]) if found.get(2) else None
        yield from self._end()
        yield from self._begin(about)

    def _column(self, data: bytes) -> Iterator[Event]:
        found = first(data)
        if found.get(1) == _SYSTEM and 3 in found:
            self._system.add(text_of(found[3]))
        yield from ()

    def _scalar(self, data: bytes) -> Iterator[Event]:
        found = first(data)
        key = text_of(found.get(1, b""))
        number = first(_message(found.get(5, b""))).get(1, bytes(8))
        of = "system" if key in self._system else ""
        step = signed(found.get(2, 0))
        yield from self._add(of, step, _time(found.get(4)), {key: float_of(number)})

    def _media(self, data: bytes) -> Iterator[Event]:
        found = first(data)
        key, step = text_of(found.get(1, b"")), signed(found.get(2, 0))
        kind = (_KINDS | _KINDS_MORE).get(signed(found.get(3, 0)), "unknown")
        items = [v for number, v in fields(_message(found.get(5, b""))) if number == 1]
        for at, item in enumerate(items):
            parts = self._item(numbered(key, at, len(items)), kind, first(_message(item)))
            yield from self._add("", step, _time(found.get(4)), parts)

    def _item(self, key: str, kind: str, item: dict[int, Any]) -> dict[str, Any]:
        """The fields of a file: its bytes are in the record, or in the folder of media."""
        name = text_of(item.get(1, b""))
        about = {"caption": text_of(item[4])} if 4 in item else {}
        data = item.get(5)
        if isinstance(data, bytes):
            fields_ = media(key, data, name, **about)
        else:
            fields_ = self._file(key, name, f"{kind}/{name}", about)
        found = fields_.get(key)
        return fields_ | {key: text_of(found)} if kind == "text" and found is not None else fields_

    def _file(self, key: str, name: str, path: str, about: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a file in the folder of media; without its bytes if it is not there."""
        file = file_inside(self._path.parent / "media", path)
        if file is None:
            self._report.add(self._path, "media outside of the run's folder: not read")
        data = None if file is None else read_bounded(file, self._report)
        if data is None:
            return {f"{key}/name": name, **{f"{key}/{each}": v for each, v in about.items()}}
        return media(key, data, name, **about)

    def _log(self, data: bytes) -> Iterator[Event]:
        found = first(data)
        stream = {0: "stdout", 1: "stderr"}.get(signed(found.get(2, 0)), "unknown")
        line = {"line": text_of(found.get(1, b"")), "stream": stream}
        yield from self._end()
        yield from self._part("console")
        yield Record(f"{self._run}/console", line, None, _time(found.get(3)))

    def _part(self, part: str) -> Iterator[Event]:
        yield from self._begin()
        if part and part not in self._parts:
            self._parts.add(part)
            yield Run(f"{self._run}/{part}", parent=self._run, part=part)

    def _add(
        self, of: str, step: int, time: datetime | None, values: dict[str, Any]
    ) -> Iterator[Event]:
        """Collect values; those of one call have one time, but in JSON."""
        is_same = (of, step) == (self._of, self._step) and (self._is_json or time == self._time)
        known = self._fields.keys() | self._open
        if not (known and is_same) or values.keys() & known:
            yield from self._end()
            self._of, self._step, self._time = of, step, time
        self._fields |= values

    def _end(self) -> Iterator[Event]:
        """Nothing that follows is of the last record."""
        yield from self._flush()
        self._open.clear()

    def _flush(self) -> Iterator[Event]:
        """What there is of the last record by now."""
        if self._fields:
            yield from self._part(self._of)
            of = f"{self._run}/{self._of}" if self._of else self._run
            yield Record(of, self._fields, self._step, self._time)
            self._open |= self._fields.keys()
            self._fields = {}


def _begins_with(path: Path, header: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(header)) == header
    except OSError:
        return False  # which is reported when it is read


def _message(value: int | bytes) -> bytes:
    if isinstance(value, int):
        message = "a field is not a message"
        raise BadMessageError(message)
    return value


def _time(value: int | bytes | None) -> datetime | None:
    if value is None:
        return None
    found = first(_message(value))
    return utc_time(signed(found.get(1, 0)) + signed(found.get(2, 0)) / 1e9)


FORMAT: Final = Format("swanlab", "SwanLab", _find, _read)
