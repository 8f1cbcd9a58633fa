"""Imports the ``.wandb`` files of W&B's offline runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .columns import as_floats, events_of
from .contract import Event, Format, Position, Record, Report, Run, Source, media, utc_time
from .files import files_below, read_bounded
from .leveldb_log import is_log, records
from .protobuf import BadMessageError, fields, first, signed, text_of
from .wandb_items import Item, items_of, parsed, raw_items, rebuilt
from .wandb_steps import StepMetrics

_HEADER: Final = b":W&B\xe1\xbe\x00"
#: Records are given in groups of at most so many.
_MOST_ROWS: Final = 16_384
_HISTORY, _SUMMARY = 0x12, 0x1A
#: What W&B writes beside what was logged, that is not taken.
_LEFT_OUT: Final = frozenset({6, 8, 9, 11, 16, 19, 20, 21, 22, 23, 24, 25, 27, 100, 200})
_MEDIA_TYPES: Final = ("-file", "html", "molecule")


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        if file.suffix == ".wandb" and is_log(file, _HEADER):
            yield Source(file, (file,), file.stem.removeprefix("run-"))


def _read(source: Source, report: Report, position: Any) -> Iterator[Event]:
    yield from _Reading(source, report, position or {}).events()


class _Reading:
    """The events of one file."""

    def __init__(self, source: Source, report: Report, state: dict[str, Any]) -> None:
        self._source, self._report = source, report
        self._file = source.path
        self._start = state.get("at")
        self._run = state.get("run") or source.name
        self._summary: dict[str, Any] = dict(state.get("summary", {}))
        self._config: dict[str, Any] = dict(state.get("config", {}))
        self._floats = set(state.get("floats", ()))
        self._steps = StepMetrics(state.get("steps"))
        #: Whether the run was given; that waits until its first record has been read.
        self._is_given = False
        self._parts: set[str] = set()
        self._rows: list[dict[bytes, bytes]] = []
        self._mirror: bytes | None = None
        self._clock = b""

    def events(self) -> Iterator[Event]:  # noqa: C901 - what most records need is here
        """All events, in order."""
        if self._start is not None:
            yield from self._begin({})
        at = None
        for data, at in records(self._file, _HEADER, self._report, self._start):
            try:
                kind, begin, end = _payload(data)
                if kind == _SUMMARY:
                    self._summarize(data[begin:end])
                elif kind == _HISTORY:
                    row = self._history(data, begin, end)
                    if not row or (self._rows and row.keys() != self._rows[0].keys()):
                        yield from self._flush()
                    if row is None:
                        yield from self._nested(data[begin:end])
                    elif row:
                        self._rows.append(row)
                else:
                    yield from self._others(data)
            except BadMessageError as error:
                self._report.add(self._file, f"records left out: {error}", offset=at - len(data))
            if len(self._rows) >= _MOST_ROWS:
                yield from self._flush()
                yield self._position(at)
        yield from self._flush()
        yield from self._end()
        if at is not None:
            yield self._position(at)

    def _others(self, data: bytes) -> Iterator[Event]:
        yield from self._flush()
        for number, value in fields(data):
            if number == 2 and not isinstance(value, int):
                yield from self._nested(value)
            elif number == 3 and not isinstance(value, int):
                self._summarize(value)
            elif number > 1:
                yield from self._other(number, value)

    def _position(self, at: int) -> Position:
        state = {
            "at": at,
            "run": self._run,
            "config": self._config,
            "summary": self._summary,
            "floats": sorted(self._floats),
            "steps": self._steps.state(),
        }
        return Position(state)

    def _history(self, data: bytes, begin: int, end: int) -> dict[bytes, bytes] | None:
        """A row of history; None if it has values inside of others."""
        row = raw_items(data, begin, end)
        mirror = self._mirror
        if mirror is not None and not self._summary and _is_mirror(mirror, data, begin, end):
            self._mirror = None
        elif mirror is not None or self._summary:
            self._supersede(data, begin, end, row)
        return row

    def _supersede(self, data: bytes, begin: int, end: int, row: dict[bytes, bytes] | None) -> None:
        """Forget the summary of what is logged now, but for what is not just the logged values."""
        if row is None:
            logged = {path[0] for path, _ in items_of(data[begin:end])[0]}
        else:
            logged = {key.decode("utf-8", "replace") for key in row}
        for key in self._summary.keys() & logged:
            del self._summary[key]
        mirror, self._mirror = self._mirror, None
        if mirror is not None and not _is_mirror(mirror, data, begin, end):
            self._keep_summary(mirror)

    def _flush(self) -> Iterator[Event]:
        """The rows that were collected, all of which have the same keys."""
        rows, self._rows = self._rows, []
        if not rows:
            return
        yield from self._begin({})
        columns = {}
        for key in _in_order(list(rows[0])):
            values = parsed([row[key] for row in rows], self._file, self._report)
            name = key.decode("utf-8", "replace")
            columns[name] = values
        orders = [list(row) for row in rows] if self._steps else []
        if any(dict in set(map(type, values)) for values in columns.values()):
            for at, row in enumerate(rows):
                of_row = {key: each[at] for key, each in columns.items()}
                yield from self._one(of_row, [list(row)])
            return
        numbers = {key: self._numbers(key, each) for key, each in columns.items()}
        yield from self._give(numbers, len(rows), orders)

    def _give(
        self, columns: dict[str, list[Any]], rows: int, orders: list[list[bytes]]
    ) -> Iterator[Event]:
        """Records of columns, among which are W&B's own step and time."""
        steps = columns.pop("_step", [None] * rows)
        seconds = columns.get("_timestamp", [])
        if all(isinstance(each, int | float) for each in seconds) and seconds:
            del columns["_timestamp"]
        else:
            seconds = [None] * rows
        if self._steps:
            columns |= self._steps.marks(columns, orders, self._file, self._report)
        yield from events_of(self._run, columns, steps, seconds)

    def _numbers(self, key: str, values: list[Any]) -> list[Any]:
        """Values of a key, in which ints among floats are floats, since 1.0 is written as 1."""
        kinds = set(map(type, values))
        if float in kinds:
            self._floats.add(key)
        if int in kinds and key in self._floats and key != "_step":
            return as_floats(values)
        if list in kinds:
            return [_as_floats_inside(each) for each in values]
        return values

    def _nested(self, data: bytes) -> Iterator[Event]:
        """A row with dicts in it: pictures, histograms, or what was logged as one."""
        yield from self._flush()
        yield from self._begin({})
        found, step = items_of(data)
        values = rebuilt(found, self._file, self._report)
        values.setdefault("_step", step)
        yield from self._one(values, [[path[0].encode("utf-8", "replace") for path, _ in found]])

    def _one(self, values: dict[str, Any], orders: list[list[bytes]]) -> Iterator[Event]:
        """A row whose values may be dicts."""
        columns: dict[str, list[Any]] = {}
        for key, value in values.items():
            kind = value.get("_type") if isinstance(value, dict) else None
            if isinstance(kind, str) and kind.endswith(_MEDIA_TYPES):
                parts = self._media(key, value)
                columns |= {name: [part] for name, part in parts.items()}
            else:
                columns[key] = self._numbers(key, [value])
        yield from self._give(columns, 1, orders)

    def _media(self, key: str, value: dict[str, Any]) -> dict[str, Any]:
        """The fields of a file that was logged; without its bytes if it is not there."""
        path = str(value.get("path", ""))
        about = {name: each for name, each in value.items() if name not in {"_type", "path"}}
        folder = (self._file.parent / "files").resolve()
        try:
            file = (folder / path).resolve()
        except (OSError, ValueError, RuntimeError):
            file = folder
        if path and file != folder and file.is_relative_to(folder):
            data = read_bounded(file, self._report)
            if data is not None:
                return media(key, data, path, **about)
        else:
            self._report.add(self._file, "media outside of the run's files: not read")
        return {f"{key}/name": path} | {f"{key}/{name}": each for name, each in about.items()}

    def _summarize(self, data: bytes) -> None:
        """Note a summary, unless it only mirrors the history record that comes next."""
        if self._mirror is not None:
            self._keep_summary(self._mirror)
            self._mirror = None
        if b"\x12\x05_step" in data:
            self._mirror = data
        elif data != self._clock:
            self._keep_summary(data)
            self._clock = data

    def _keep_summary(self, data: bytes) -> None:
        try:
            found, _ = items_of(data)
            removed = [_path(value) for number, value in fields(data) if number == 2]
        except BadMessageError as error:
            self._report.add(self._file, f"summaries left out: {error}")
            return
        values = rebuilt(found, self._file, self._report)
        for key in ("_wandb", "_step", "_timestamp", "_runtime"):
            values.pop(key, None)
        _merge(self._summary, values)
        _remove(self._summary, removed)

    def _other(self, number: int, value: int | bytes) -> Iterator[Event]:
        """Records that are rare."""
        known = {
            4: self._console,
            5: self._update,
            7: self._stats,
            10: self._alert,
            12: self._metric,
            13: self._console,
            17: self._about,
            18: self._exit,
            26: self._environment,
        }
        if number in known:
            if isinstance(value, int):
                message = f"field {number} is not a message"
                raise BadMessageError(message)
            yield from known[number](value)
        elif number not in _LEFT_OUT:
            self._report.add(self._file, f"records of the unknown type {number}: left out")

    def _begin(self, about: dict[str, Any]) -> Iterator[Event]:
        if about or not self._is_given:
            default = None if self._is_given or self._start else self._source.name
            self._is_given = True
            name = about.pop("name", None) or default
            yield Run(self._run, name, self._config, about)

    def _part(self, name: str) -> Iterator[Event]:
        yield from self._begin({})
        if name not in self._parts:
            self._parts.add(name)
            yield Run(f"{self._run}/{name}", parent=self._run, part=name)

    def _about(self, data: bytes) -> Iterator[Event]:
        """The run itself."""
        found = first(data)
        texts = {2: "entity", 3: "project", 6: "group", 7: "job_type", 9: "notes", 13: "host"}
        texts |= {8: "name", 12: "sweep"}
        if not self._is_given and found.get(1):
            self._run = text_of(found[1])
        about: dict[str, Any] = {
            name: text_of(found[number]) for number, name in texts.items() if found.get(number)
        }
        tags = [text_of(value) for number, value in fields(data) if number == 10]
        about |= {"tags": tags or None, "start_time": _time(found.get(17)), "status": "running"}
        about |= _git(found.get(21))
        if 4 in found:
            self._configure(_message(found[4]))
        if 5 in found:
            self._keep_summary(_message(found[5]))
        about.setdefault("name", self._run)
        yield from self._begin(about)

    def _update(self, data: bytes) -> Iterator[Event]:
        self._configure(data)
        yield from self._begin({})
        yield Run(self._run, None, self._config)

    def _configure(self, data: bytes) -> None:
        found, _ = items_of(data)
        values = rebuilt(found, self._file, self._report)
        values.pop("_wandb", None)
        for path, _ in found:
            if len(path) > 1 and path[0] in values:
                _merge(self._config, {path[0]: values.pop(path[0])})
        self._config |= values
        _remove(self._config, [_path(value) for number, value in fields(data) if number == 2])

    def _stats(self, data: bytes) -> Iterator[Event]:
        yield from self._part("system")
        found: list[Item] = []
        time = None
        for number, value in fields(data):
            if number == 2:
                time = _time(value)
            elif number == 3:
                item = first(_message(value))
                found.append(([text_of(item.get(1, b""))], _message(item.get(16, b""))))
        values = rebuilt(found, self._file, self._report)
        yield Record(f"{self._run}/system", values, None, time)

    def _console(self, data: bytes) -> Iterator[Event]:
        yield from self._part("console")
        found = first(data)
        stream = {0: "stderr", 1: "stdout"}.get(signed(found.get(1, 0)), "unknown")
        line = {"line": text_of(found.get(3, b"")), "stream": stream}
        yield Record(f"{self._run}/console", line, None, _time(found.get(2)))

    def _alert(self, data: bytes) -> Iterator[Event]:
        yield from self._part("alerts")
        found = first(data)
        names = {1: "alert", 2: "alert/text", 3: "alert/level"}
        values = {name: text_of(found[number]) for number, name in names.items() if number in found}
        yield Record(f"{self._run}/alerts", values)

    def _metric(self, data: bytes) -> Iterator[Event]:
        found = first(data)
        if 4 in found:
            self._steps.define(
                text_of(found.get(1, b"")), text_of(found.get(2, b"")), text_of(found[4])
            )
            yield from self._begin({"step_metrics": self._steps.defined()})

    def _environment(self, data: bytes) -> Iterator[Event]:
        found = first(data)
        names = {1: "os", 2: "python", 6: "program", 12: "host", 13: "user"}
        about = {
            name: text_of(found[number]) for number, name in names.items() if found.get(number)
        }
        args = [text_of(value) for number, value in fields(data) if number == 5]
        yield from self._begin({**about, **_git(found.get(9)), "args": args or None})

    def _exit(self, data: bytes) -> Iterator[Event]:
        found = first(data)
        code = signed(found.get(1, 0))
        about = {"exit_code": code, "status": "failed" if code else "finished"}
        yield from self._begin(about | {"runtime": signed(found.get(2, 0))})

    def _end(self) -> Iterator[Event]:
        if self._mirror is not None:
            self._keep_summary(self._mirror)
            self._mirror = None
        if self._summary:
            yield from self._begin({"summary": self._summary})


def _payload(data: bytes) -> tuple[int, int, int]:
    """Tag, begin and end of the first field after the number; 0 if it takes another look."""
    try:
        at = 0
        if data[0] == 8:
            at = 1
            while data[at] > 127:
                at += 1
            at += 1
        tag, size = data[at], data[at + 1]
        at += 2
        if size > 127:
            high = data[at]
            if high > 127:
                return 0, 0, 0
            size, at = size & 127 | high << 7, at + 1
    except IndexError:
        return 0, 0, 0
    return (tag, at, at + size) if at + size <= len(data) else (0, 0, 0)


def _as_floats_inside(value: Any) -> Any:
    """A list of numbers as floats if one of them is, since arrays have one type."""
    is_mixed = isinstance(value, list) and set(map(type, value)) == {int, float}
    return as_floats(value) if is_mixed else value


def _is_mirror(summary: bytes, history: bytes, begin: int, end: int) -> bool:
    """Whether a summary has the same items as a history record, behind which there is its step."""
    at = begin + len(summary)
    return at + 1 < end and history[at] == 0x12 and at + 2 + history[at + 1] == end


def _in_order(keys: list[bytes]) -> list[bytes]:
    """Keys as they were logged: W&B begins at any of them, and its own ``_step`` is the last."""
    at = keys.index(b"_step") + 1 if b"_step" in keys else 0
    return keys[at:] + keys[:at]


def _message(value: int | bytes) -> bytes:
    if isinstance(value, int):
        message = "a field is not a message"
        raise BadMessageError(message)
    return value


def _time(value: int | bytes | None) -> Any:
    """The time of a timestamp message."""
    if value is None:
        return None
    found = first(_message(value))
    return utc_time(signed(found.get(1, 0)) + signed(found.get(2, 0)) / 1e9)


def _git(value: int | bytes | None) -> dict[str, str]:
    found = {} if value is None else first(_message(value))
    names = {1: "git_remote", 2: "git_commit"}
    return {name: text_of(found[number]) for number, name in names.items() if found.get(number)}


def _path(value: int | bytes) -> list[str]:
    (path, _), *_ = items_of(b"\x0a" + _length(len(_message(value))) + _message(value))[0] or [
        ([], b"")
    ]
    return path


def _length(size: int) -> bytes:
    """A length as a varint."""
    found = bytearray()
    while size > 127:
        found.append(size & 127 | 128)
        size >>= 7
    return bytes([*found, size])


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Set values, inside of the dicts that there are already."""
    for key, value in values.items():
        known = into.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            into[key] = dict(known)
            _merge(into[key], value)
        else:
            into[key] = value


def _remove(values: dict[str, Any], paths: list[list[str]]) -> None:
    for path in paths:
        if len(path) == 1:
            values.pop(path[0], None)


FORMAT: Final = Format("wandb", "W&B offline", _find, _read)
