"""Imports the ``.wandb`` files of W&B's offline runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final, cast

from .columns import as_floats, events_of
from .contract import Event, Format, Position, Record, Report, Run, Source, utc_time
from .files import files_below, read_json
from .leveldb_log import is_log, records
from .protobuf import BadMessageError, fields, first, signed, text_of
from .wandb_console import Console, Line
from .wandb_items import Item, items_of, merge, parsed, path_of, raw_items, rebuilt, remove
from .wandb_media import Media
from .wandb_steps import StepMetrics
from .wandb_summary import Summary

_HEADER: Final = b":W&B\xe1\xbe\x00"
#: Rows are given together, since a later one can tell that ints are floats: at most so many, and
#: so many bytes.
_MOST_ROWS: Final = 16_384
_MOST_BYTES: Final = 1 << 26
_HISTORY, _SUMMARY = 0x12, 0x1A
#: What W&B writes beside what was logged, that is not taken.
_LEFT_OUT: Final = frozenset({6, 8, 9, 11, 16, 19, 20, 22, 23, 24, 25, 27, 100, 200})
_METADATA: Final = "wandb-metadata.json"
#: What the metadata of older versions tell, by the names that it has in all formats.
_ABOUT: Final = {
    "os": "os", "python": "python", "program": "command", "host": "host", "username": "user",
    "args": "args",
}  # fmt: skip

#: A row of history: its JSON by keys, or its items and its step if some are inside of others.
Row = dict[bytes, bytes] | tuple[list[Item], int | None]
#: Rows of the same keys as columns, and the order of the keys of each.
Group = tuple[dict[str, list[Any]], list[list[bytes]]]


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
        self._summary = Summary(self._file, report, state.get("summary"))
        self._config: dict[str, Any] = dict(state.get("config", {}))
        self._floats = set(state.get("floats", ()))
        self._steps = StepMetrics(state.get("steps"))
        self._lines = Console(state.get("console"))
        #: Whether the run was given; that waits until its first record has been read.
        self._is_given = False
        self._parts: set[str] = set()
        self._rows: list[Row] = []
        self._held = 0
        self._media = Media(self._file, report)
        #: Whether 1.0 is written like that, as older versions do, and not as 1.
        self._is_exact = bool(state.get("exact"))

    def events(self) -> Iterator[Event]:
        """All events, in order."""
        if self._start is not None:
            yield from self._begin({})
        at = None
        for data, at in records(self._file, _HEADER, self._report, self._start):
            try:
                kind, begin, end = _payload(data)
                if kind == _SUMMARY:
                    self._summary.note(data[begin:end])
                elif kind == _HISTORY:
                    self._history(data, begin, end)
                else:
                    yield from self._others(data)
            except BadMessageError as error:
                self._report.add(self._file, f"records left out: {error}", offset=at - len(data))
            if len(self._rows) >= _MOST_ROWS or self._held > _MOST_BYTES:
                yield from self._flush()
                yield self._position(at)
        yield from self._flush()
        if not self._source.is_written:
            yield from self._printed(self._lines.rest())
        if summary := self._summary.final():
            yield from self._begin({"summary": summary})
        if at is not None:
            yield self._position(at)

    def _others(self, data: bytes) -> Iterator[Event]:
        for number, value in fields(data):
            if number == 2 and not isinstance(value, int):
                self._rows.append(items_of(value))
            elif number == 3 and not isinstance(value, int):
                self._summary.note(value)
            elif number > 1:
                yield from self._other(number, value)

    def _position(self, at: int) -> Position:
        state = {
            "at": at,
            "run": self._run,
            "config": self._config,
            "summary": self._summary.state(),
            "floats": sorted(self._floats),
            "steps": self._steps.state(),
            "console": self._lines.state(),
            "exact": self._is_exact,
        }
        return Position(state)

    def _history(self, data: bytes, begin: int, end: int) -> None:
        row = raw_items(data, begin, end)
        self._summary.before(data, begin, end)
        if row is None:
            self._rows.append(items_of(data[begin:end]))
        elif row:
            self._rows.append(row)
        self._held += end - begin

    def _flush(self) -> Iterator[Event]:
        """The rows that were collected."""
        rows, self._rows, self._held = self._rows, [], 0
        if not rows:
            return
        yield from self._begin({})
        groups = [self._parsed(list(group)) for _, group in groupby(rows, _kind_of)]
        for columns, _ in groups:
            self._summary.logged(columns)
            self._floats |= {
                key
                for key, values in columns.items()
                if key not in self._floats and float in set(map(type, values))
            }
        for columns, orders in groups:
            yield from self._given(columns, orders)

    def _parsed(self, rows: list[Row]) -> Group:
        """Rows of the same keys as columns."""
        first = rows[0]
        if isinstance(first, tuple):
            found, step = first
            values = {"_step": step, **rebuilt(found, self._file, self._report)}
            order = [path[0].encode("utf-8", "replace") for path, _ in found]
            return {key: [each] for key, each in values.items()}, [order]
        flat = cast("list[dict[bytes, bytes]]", rows)
        columns = {}
        for key in _in_order(list(first)):
            raw = [row[key] for row in flat]
            columns[key.decode("utf-8", "replace")] = parsed(raw, self._file, self._report)
        return columns, list(map(list, flat)) if self._steps else []

    def _given(self, columns: dict[str, list[Any]], orders: list[list[bytes]]) -> Iterator[Event]:
        """The records of a group."""
        rows = len(next(iter(columns.values())))
        if any(dict in set(map(type, values)) for values in columns.values()):
            for at in range(rows):
                values = {key: each[at] for key, each in columns.items()}
                found = {key: [each] for key, each in self._media.fields(values).items()}
                numbers = {key: self._numbers(key, each) for key, each in found.items()}
                yield from self._give(numbers, 1, orders[at : at + 1])
            return
        numbers = {key: self._numbers(key, each) for key, each in columns.items()}
        yield from self._give(numbers, rows, orders)

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
        if self._is_exact:
            return values
        if int in kinds and key in self._floats and key != "_step":
            return as_floats(values)
        if list in kinds:
            return [_as_floats_inside(each) for each in values]
        return values

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
            21: self._version,
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
        yield from self._flush()
        found = first(data)
        texts = {2: "entity", 3: "project", 6: "group", 7: "job_type", 9: "notes", 13: "host"}
        texts |= {8: "name", 12: "sweep"}
        if not self._is_given and found.get(1):
            self._run = text_of(found[1])
        about: dict[str, Any] = {
            name: text_of(found[number]) for number, name in texts.items() if found.get(number)
        }
        tags = [text_of(value) for number, value in fields(data) if number == 10]
        about = {**self._metadata(), **about}
        about |= {"tags": tags or None, "start_time": _time(found.get(17)), "status": "running"}
        about |= _git(found.get(21))
        if 4 in found:
            self._configure(_message(found[4]))
        if 5 in found:
            self._summary.take(_message(found[5]))
        about.setdefault("name", self._run)
        yield from self._begin(about)

    def _metadata(self) -> dict[str, Any]:
        """What older versions write into a file of its own."""
        file = self._file.parent / "files" / _METADATA
        found = read_json(file, self._report) if file.exists() else {}
        if not isinstance(found, dict):
            return {}
        about = {name: found.get(key) for key, name in _ABOUT.items()}
        git = found.get("git")
        if isinstance(git, dict):
            about |= {"git_commit": git.get("commit"), "git_remote": git.get("remote")}
        return {name: value for name, value in about.items() if value not in (None, [])}

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
                merge(self._config, {path[0]: values.pop(path[0])})
        self._config |= values
        remove(self._config, [path_of(value) for number, value in fields(data) if number == 2])

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
        found = first(data)
        stream = {0: "stderr", 1: "stdout"}.get(signed(found.get(1, 0)), "unknown")
        text = text_of(found.get(3, b""))
        yield from self._printed(self._lines.lines(stream, text, _time(found.get(2))))

    def _printed(self, lines: Iterator[Line]) -> Iterator[Event]:
        for line in lines:
            yield from self._part("console")
            fields_ = {"line": line.text, "stream": line.stream}
            yield Record(f"{self._run}/console", fields_, None, line.time)

    def _alert(self, data: bytes) -> Iterator[Event]:
        yield from self._part("alerts")
        found = first(data)
        names = {1: "alert", 2: "alert/text", 3: "alert/level"}
        values = {name: text_of(found[number]) for number, name in names.items() if number in found}
        yield Record(f"{self._run}/alerts", values)

    def _metric(self, data: bytes) -> Iterator[Event]:
        found = first(data)
        self._summary.has_rules |= 7 in found
        if 4 in found:
            yield from self._flush()
            self._steps.define(
                text_of(found.get(1, b"")), text_of(found.get(2, b"")), text_of(found[4])
            )
            yield from self._begin({"step_metrics": self._steps.defined()})

    def _environment(self, data: bytes) -> Iterator[Event]:
        found = first(data)
        names = {1: "os", 2: "python", 6: "command", 12: "host", 13: "user"}
        about = {
            name: text_of(found[number]) for number, name in names.items() if found.get(number)
        }
        args = [text_of(value) for number, value in fields(data) if number == 5]
        yield from self._begin({**about, **_git(found.get(9)), "args": args or None})

    def _version(self, data: bytes) -> Iterator[Event]:
        """The header, which has no version where the Python of older versions wrote the file."""
        self._is_exact = not data
        yield from ()

    def _exit(self, data: bytes) -> Iterator[Event]:
        yield from self._printed(self._lines.rest())
        found = first(data)
        code = signed(found.get(1, 0))
        about = {"exit_code": code, "status": "failed" if code else "finished"}
        yield from self._begin(about | {"runtime": signed(found.get(2, 0))})


def _kind_of(row: Row) -> Any:
    """Equal for rows that are columns of one length together."""
    return row.keys() if isinstance(row, dict) else id(row)


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


FORMAT: Final = Format("wandb", "W&B offline", _find, _read)
