"""Imports TensorBoard's event files, of any writer: each folder is a run, each file a part of it."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final
from zlib import crc32

from rigorous_recorder._arrow import pa, pc
from rigorous_recorder._values.chunks import int64_scalar

from . import tensorboard_values as values
from .contract import Event, Format, Position, Record, Report, Rows, Run, Source, utc_time
from .event_frames import FOOTER, HEADER, NO_TIME, Scanned, find_frame, scan
from .files import files_below, run_name
from .protobuf import BadMessageError, fields, float_of, signed, text_of

_BLOCK: Final = 1 << 20
#: A record is not larger than this; others are skipped.
_MOST: Final = 1 << 28
#: Fewer rows than this, or of more tags, are given one by one.
_FEWEST: Final = 64
_MOST_TAGS: Final = 32
#: How many bytes of a file tell that it is the same one as before.
_HEAD: Final = 64
_NAME: Final = re.compile(
    r".*tfevents\.\d+\.(?P<host>.+?)(?:\.(?P<pid>\d+)\.\d+\D.*|\.(\d+)\.\d+)?"
)
_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RUN: Final = ""
_NOT_TAKEN: Final = {4: "graphs", 6: "log messages", 8: "run metadata", 9: "meta graphs"}
#: What plugins show that is the same.
_OF_PLUGINS: Final = dict.fromkeys(("graph_run_metadata", "graph_run_metadata_graph"), 8)
_HIDDEN: Final = (
    "a restart, before which TensorBoard hides records from its step on: they are imported, and their"
    " part of the run has that step as purged_from"
)


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    folders: defaultdict[Path, list[Path]] = defaultdict(list)
    for file in files_below(path):
        if "tfevents" in file.name and not file.name.endswith(".profile-empty"):
            folders[file.parent].append(file)
    for folder, files in sorted(folders.items()):
        yield Source(folder, tuple(files), run_name(folder, path))


def _read(source: Source, report: Report, position: Any) -> Iterator[Event]:
    return _Folder(source, report, position or {}).events()


class _Folder:
    """Reads the event files of a folder in the order in which TensorBoard does."""

    def __init__(self, source: Source, report: Report, position: Mapping[str, Any]) -> None:
        self._source = source
        self._report = report
        #: Of each file: how often it began anew, how far it was read, and a checksum of its beginning.
        self._files: dict[str, list[int]] = dict(position.get("files", {}))
        #: The parts of the run in order, and the step from which TensorBoard hides their records.
        self._parts: dict[str, int | None] = dict(position.get("parts", {}))
        self._plugins: dict[str, str] = dict(position.get("plugins", {}))
        #: Whether the first event was read, which has the time of the start.
        self._is_begun = bool(position.get("begun"))
        self._part = ""
        self._rows = 0

    def events(self) -> Iterator[Event]:
        yield Run(_RUN, self._source.name)
        for part in list(self._parts):
            yield self._run_of(part)
        for file in self._source.files or sorted(self._source.path.glob("*tfevents*")):
            yield from self._file(file)

    def _run_of(self, part: str, **about: Any) -> Run:
        if (step := self._parts[part]) is not None:
            about["purged_from"] = step
        return Run(part, about=about, parent=_RUN, part=part)

    def _begin(self, part: str, **about: Any) -> Iterator[Event]:
        self._part, self._rows = part, 0
        if part not in self._parts:
            self._parts[part] = None
            yield self._run_of(part, **about)

    # --- a file ----------------------------------------------------------------------------------

    def _file(self, path: Path) -> Iterator[Event]:
        try:
            file = path.open("rb")
        except OSError as error:
            self._report.add(path, f"can't be read: {error.strerror}")
            return
        with file:
            if not (head := file.read(_HEAD)):
                self._report.add(
                    path, "is empty: its writer ended before it wrote something", once=True
                )
                return
            times, offset, known = self._files.get(path.name, [1, 0, 0])
            end = file.seek(0, 2)
            if offset > end or (offset >= _HEAD and known != crc32(head)):
                self._report.add(
                    path, "was replaced or cut off: read from its start, as another part"
                )
                times, offset = times + 1, 0
            yield from self._begin(self._name(path, times), **_about_name(path))
            file.seek(offset)
            for at, event in self._blocks(path, file, offset):
                if event is not None:
                    yield event
                    continue
                self._files[path.name] = [times, at, crc32(head)]
                yield self._position()

    def _name(self, path: Path, times: int) -> str:
        name = path.name.encode("utf-8", "backslashreplace").decode()
        return name if times == 1 else f"{name} ({times})"

    def _position(self) -> Position:
        state = {
            "files": self._files,
            "parts": self._parts,
            "plugins": self._plugins,
            "begun": self._is_begun,
        }
        return Position(json.loads(json.dumps(state)))

    def _blocks(self, path: Path, file: BinaryIO, base: int) -> Iterator[tuple[int, Event | None]]:
        """The events of each block, and None with the offset after it."""
        data = b""
        while more := file.read(_BLOCK):
            data += more
            start = 0
            while True:
                found = scan(data, start)
                for event in self._scanned(path, data, base, found):
                    yield 0, event
                start = found.end
                if not found.stop:
                    break
                start = find_frame(data, found.end + 1)
                text = "a wrong checksum of a length: skipped to the next record"
                self._report.add(path, text, offset=base + found.end)
            start = self._skipped(path, file, data, base, start)
            data, base = data[start:], base + start
            yield base, None
        if data:
            self._report.add(path, "ends within a record", offset=base, once=True)

    def _skipped(self, path: Path, file: BinaryIO, data: bytes, base: int, at: int) -> int:
        """The offset after a record that is too large to be read; else the same."""
        size = int.from_bytes(data[at : at + 8], "little") if len(data) - at >= HEADER else 0
        after = at + size + HEADER + FOOTER
        here, end = file.tell(), file.seek(0, 2)
        if size <= _MOST or base + after > end:
            file.seek(here if size <= _MOST else end)
            return at
        self._report.add(path, "records that are too large: not taken", offset=base + at)
        file.seek(max(here, base + after))
        return after

    # --- a block ---------------------------------------------------------------------------------

    def _scanned(self, path: Path, data: bytes, base: int, found: Scanned) -> Iterator[Event]:
        block, done = _Block(found), 0
        for row, at, size, is_bad in found.others:
            yield from self._counted(block.rows(self._part, done, row), row - done)
            done = row
            if is_bad:
                self._report.add(path, "records with a wrong checksum: skipped", offset=base + at)
                continue
            event = data[at + HEADER : at + HEADER + size]
            try:
                yield from self._other(path, event, base + at)
            except (BadMessageError, KeyError, ValueError, IndexError):
                text = "records that are not valid or too large: skipped"
                self._report.add(path, text, offset=base + at)
        yield from self._counted(block.rows(self._part, done, block.size), block.size - done)

    def _counted(self, events: Iterator[Event], rows: int) -> Iterator[Event]:
        self._rows += rows
        yield from events

    def _other(self, path: Path, data: bytes, offset: int) -> Iterator[Event]:
        """An event that is not one scalar."""
        event = dict(fields(data))
        time = utc_time(float_of(event.get(1, bytes(8))))
        step = signed(event.get(2, 0))
        if 3 in event and not self._is_begun:
            self._is_begun = True
            yield Run(_RUN, self._source.name, about={"start_time": time})
        if isinstance(event.get(10), bytes):
            writer = dict(fields(event[10])).get(1)  # type: ignore[arg-type]
            about = {"writer": text_of(writer)} if writer is not None else {}
            yield self._run_of(self._part, **about)
        if isinstance(log := event.get(7), bytes) and dict(fields(log)).get(1) == 1:
            yield from self._restarted(path, step, offset)
        for number in event.keys() & _NOT_TAKEN.keys():
            self._report.add(path, f"{_NOT_TAKEN[number]}: not taken", offset=offset)
        if isinstance(summary := event.get(5), bytes):
            yield from self._summary(path, summary, step, time, offset)

    def _restarted(self, path: Path, step: int, offset: int) -> Iterator[Event]:
        if self._rows:
            yield from self._begin(f"{self._part}@{offset}")
        earlier = [part for part in self._parts if part != self._part]
        for part in earlier:
            before = self._parts[part]
            self._parts[part] = step if before is None else min(before, step)
            yield self._run_of(part)
        if earlier:
            self._report.add(path, _HIDDEN, offset=offset)

    def _summary(
        self, path: Path, summary: bytes, step: int, time: Any, offset: int
    ) -> Iterator[Event]:
        """The record of a summary; its values are those of one call."""
        record: dict[str, Any] = {}
        for value in values.summary_values(summary, self._plugins):
            if (found := self._read_value(path, value, step, offset)) is None:
                continue
            if found.config or found.about:
                yield Run(_RUN, self._source.name, config=found.config, about=found.about)
            if found.fields.keys() & record.keys():
                self._rows += 1
                yield Record(self._part, record, step, time)
                record = {}
            record |= found.fields
        if record:
            self._rows += 1
            yield Record(self._part, record, step, time)

    def _read_value(
        self, path: Path, value: values.Value, step: int, offset: int
    ) -> values.Summary | None:
        """What a value of a summary is; None, which is reported, for one that is not taken."""
        if value.plugin in _OF_PLUGINS:
            text = f"{_NOT_TAKEN[_OF_PLUGINS[value.plugin]]}: not taken"
        else:
            try:
                if (found := values.read(value, step)) is not None:
                    return found
                text = "values of an unknown kind: not taken"
            except values.UnknownTypeError:
                text = "tensors of a type that is not known: not taken"
            except (BadMessageError, KeyError, ValueError, IndexError):
                text = "values that are not valid or too large: skipped"
        self._report.add(path, text, offset=offset)
        return None


class _Block:
    """The scalars of a block as columns."""

    def __init__(self, found: Scanned) -> None:
        self.size = len(found.steps) // 8
        self._found = found
        self._tags = [tag.decode("utf-8", "replace") for tag in found.tags]
        self._is_plain = len(set(self._tags)) == len(self._tags) <= _MOST_TAGS

    def rows(self, part: str, start: int, stop: int) -> Iterator[Event]:
        """Rows ``start`` to ``stop``."""
        if self._is_plain and stop - start >= _FEWEST:
            yield self._columns(part, start, stop - start)
        elif stop > start:
            yield from self._one_by_one(part, start, stop)

    def _one_by_one(self, part: str, start: int, stop: int) -> Iterator[Event]:
        found = self._found
        steps, times = memoryview(found.steps).cast("q"), memoryview(found.times).cast("q")
        numbers, places = memoryview(found.values).cast("d"), memoryview(found.places).cast("i")
        for row in range(start, stop):
            time = None if times[row] == NO_TIME else _moment_of(times[row])
            yield Record(part, {self._tags[places[row]]: numbers[row]}, steps[row], time)

    def _columns(self, part: str, start: int, size: int) -> Rows:
        def column(kind: Any, data: bytes) -> Any:
            return pa.Array.from_buffers(kind, self.size, [None, pa.py_buffer(data)]).slice(
                start, size
            )

        # scalars of arrays: pyarrow would import pandas to convert those of Python
        numbers = column(pa.float64(), self._found.values)
        places = column(pa.int32(), self._found.places).cast(pa.int64())
        times = column(pa.int64(), self._found.times)
        is_none = pc.equal(times, int64_scalar(NO_TIME))
        if pc.any(is_none).as_py():
            times = pc.if_else(is_none, pa.nulls(1, pa.int64())[0], times)
        missing = pa.nulls(1, pa.float64())[0]
        columns: dict[str, Any] = {}
        for place, tag in enumerate(self._tags):
            is_its = pc.equal(places, int64_scalar(place))
            if len(self._tags) == 1:
                columns[tag] = numbers
            elif pc.any(is_its).as_py():
                columns[tag] = pc.if_else(is_its, numbers, missing)
        steps = column(pa.int64(), self._found.steps)
        return Rows(part, size, columns, steps, times.cast(pa.timestamp("us", "UTC")))


def _moment_of(microseconds: int) -> Any:
    """The time so many microseconds after 1970."""
    return _START + timedelta(microseconds=microseconds)


def _about_name(path: Path) -> dict[str, Any]:
    """What the name of a file tells: the host, and the process."""
    match = _NAME.fullmatch(path.name.encode("utf-8", "backslashreplace").decode())
    if match is None:
        return {}
    pid = match["pid"] or match[3]
    return {"host": match["host"], **({"process": int(pid)} if pid else {})}


FORMAT: Final = Format("tensorboard", "TensorBoard", _find, _read, is_quick=True)
