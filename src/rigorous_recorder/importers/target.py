"""Writes what a source gives into the tree of a collection, each record once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._arrow import pa, pc
from rigorous_recorder._engines.source import Source
from rigorous_recorder._experiments_lock import unwritable
from rigorous_recorder._keys import RESERVED
from rigorous_recorder._lazy import lazy_module
from rigorous_recorder._recorder import recorder_at
from rigorous_recorder._store.node_ids import ROOT
from rigorous_recorder.errors import RigorousError

from .columns import plain
from .contract import Event, Format, Position, Record, Report, Rows, Run
from .contract import Source as ImportSource
from .experiments import NewExperiments, outcome
from .states import States, turn
from .stored import Stored, has_parts, missing, was_torn

if TYPE_CHECKING:
    from rigorous_recorder import _columns as column_values
else:
    column_values = lazy_module("rigorous_recorder._columns")

__all__ = ["SourceTarget", "Target"]

#: Attributes of a run and keys of a record that no configuration and no metric replaces.
_OF_RUNS: Final = frozenset({"run", "run_id", "source", "source_format", "part"})
_OF_RECORDS: Final = frozenset({"step", "time"}) | _OF_RUNS
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TORN: Final = "a row was imported before it was written to its end: it is there again, as a whole"


class Target:
    """A collection that is imported into: its runs of earlier imports, and how far they were read."""

    def __init__(self, collection: ExperimentCollection) -> None:
        self._store = collection._to_write()
        self._collection = collection
        self._name = os.urandom(16).hex()
        self._states = States(self._store.folder.path / "imports.jsonl")
        #: The nodes of runs; None until a source has something new.
        self._runs: dict[tuple[str, str, str], int] | None = None
        self._children: dict[int, tuple[Recorder, list[Recorder]]] = {}
        self._unsaved: dict[str, dict[str, Any]] = {}
        self.new_experiments = NewExperiments(self._store)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other import writes to the collection; at the end all is stored.

        Raises:
            SaveError: the folder can't be written.
        """
        with ExitStack() as held:
            folder = self._store.folder
            try:
                folder.create(self._store.identity)
                is_changed = held.enter_context(turn(folder.live / "imports.lock", self._name))
            except OSError as error:
                raise unwritable(self._store, error) from error
            if is_changed:
                self._states.load()
                self._runs = None
            held.callback(self.flush)
            yield

    def _known_runs(self) -> dict[tuple[str, str, str], int]:
        """The nodes of runs that were imported before, also by other processes."""
        if self._runs is None:
            nodes = Source(self._store).now().nodes
            positions = nodes.child_positions(ROOT)
            ids = nodes.ids.take(positions).to_pylist()
            data = nodes.own_data(positions, ("run_id", "source", "source_format"))
            self._runs = {
                _key_of_run(each): node
                for node, each in zip(ids, data, strict=True)
                if "run_id" in each
            }
        return self._runs

    def state(self, format_: Format, source: ImportSource) -> dict[str, Any]:
        """How far a source was imported: empty if it was not."""
        key = _key(format_, source)
        return self._unsaved[key] if key in self._unsaved else self._states[key]

    def set_state(self, format_: Format, source: ImportSource, state: Mapping[str, Any]) -> None:
        """Note how far a source was imported, which ``flush`` stores."""
        self._unsaved[_key(format_, source)] = dict(state)

    def flush(self) -> None:
        """Store how far all sources were imported, once what they gave survives a power loss.

        Raises:
            SaveError: some of it is only in memory, as when the disk is full.
        """
        self.new_experiments.release()
        if self._unsaved:
            self._collection.recorder.sync()
            self._store.require_saved()
            self._states.update(self._unsaved)
            self._unsaved.clear()

    def run(
        self, format_: Format, source: ImportSource, run: Run, parent: Recorder | None
    ) -> tuple[Recorder, bool]:
        """The recorder of a run, or of a part of one, and whether it is new."""
        key = format_.name, str(source.path), run.id or source.path.name
        of_run = {"run": run.name, "run_id": key[2], "source": key[1], "source_format": key[0]}
        if parent is None:
            runs = self._known_runs()
            if key in runs:
                return recorder_at(self._store, runs[key]), False
            recorder = self.new_experiments.begin(of_run)
            runs[key] = recorder._node
            self._children[id(recorder)] = recorder, []
            return recorder, True
        wanted = of_run if run.part is None else _keys_of_part(run.part)
        known = wanted if run.part is not None else {**of_run, "run": None}
        below = self._below(parent)
        if (found := next((each for each in below if _has(each, known)), None)) is not None:
            return found, False
        recorder = parent.child(wanted)
        below.append(recorder)
        self._children[id(recorder)] = recorder, []
        return recorder, True

    def _below(self, parent: Recorder) -> list[Recorder]:
        """The recorders below one, which are looked up once for each source."""
        place = id(parent)
        if place not in self._children:
            self._children[place] = parent, list(parent.children)
        return self._children[place][1]

    def append(self, nodes: Any, columns: Mapping[str, Any]) -> None:
        """Log columns, each row to the recorder of a node.

        Raises:
            RigorousError, ValueError: something in them can't be stored; nothing is logged.
        """
        _, found = column_values.columns_of(columns)
        self._store.records.append_columns(nodes, found)

    def forget(self) -> None:
        """Forget the recorders of the source that was imported last."""
        self._children.clear()


def _keys_of_part(part: str | Mapping[str, Any]) -> dict[str, Any]:
    return {"part": part} if isinstance(part, str) else dict(part)


def _has(recorder: Recorder, attributes: Mapping[str, Any]) -> bool:
    """Whether a recorder has these attributes itself; None stands for any value."""
    return all(
        value is None or (key in recorder and _same(recorder[key], value))
        for key, value in attributes.items()
    )


def _key(format_: Format, source: ImportSource) -> str:
    return f"{format_.name}:{source.path}"


def _key_of_run(data: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(data.get("source_format")), str(data.get("source")), str(data["run_id"])


class SourceTarget:
    """Writes the events of one source; those that an earlier import wrote are skipped."""

    def __init__(
        self, target: Target, format_: Format, source: ImportSource, report: Report
    ) -> None:
        self._target = target
        self._format = format_
        self._source = source
        self._report = report
        self._taken = RESERVED | (frozenset() if format_.is_general else _OF_RECORDS)
        self.state = target.state(format_, source)
        #: How many records of each run were written before the position of the state.
        self._counts: dict[str, int] = dict(self.state.get("counts", {}))
        #: How many records of each run were written after that; they are given first.
        self._skip: dict[str, int] = {}
        #: The same of sources whose records do not stay in order.
        self._stored: dict[str, Stored] = {}
        #: Those of which records have been given.
        self._given: set[str] = set()
        self._recorders: dict[str, Recorder] = {}
        #: The top run of each run, and the time of the last record of each.
        self._tops: dict[str, str] = {}
        self._lasts: dict[str, datetime] = {}
        #: The runs below others that have no end of their own.
        self._endless: set[str] = set()
        self._names: dict[str, str] = {}
        #: Attributes that are also metrics, which are moved: no record may inherit them. Those of a
        #: configuration get another word in front than those that all formats have.
        self._moved: set[str] = set(self.state.get("moved", ()))
        self._of_source: set[str] = set()
        self._metrics: set[str] = set()
        self.written = 0

    def write(self, events: Iterator[Event], checkpoint: Callable[[], bool]) -> None:
        """Write all events.

        Args:
            checkpoint: whether it is time to store how far it is.
        """
        actions: dict[type, Callable[[Any], None]] = {
            Record: self._push,
            Rows: self._extend,
            Run: self._begin,
            Position: self._note,
        }
        for event in events:
            actions[type(event)](event)
            if type(event) is Position and checkpoint():
                self.save()
                self._target.flush()
        self._set_ends()
        self._set_outcomes()

    def _note(self, position: Position) -> None:
        """Remember a position; None is the start of a source that is read anew."""
        if position.value is None:
            self._counts.clear()
            for known in (self._recorders, self._tops, self._lasts, self._endless):
                known.clear()
        for run in self._stored:
            if run in self._given:
                self._counts[run] = len(self._recorders[run].records)
        self.state |= {"position": position.value, "counts": dict(self._counts)}

    def restart(self) -> None:
        """Skip as many records as were written, since the source is read from its start."""
        self._note(Position(None))

    def save(self, **more: Any) -> None:
        """Note how far it is."""
        if levels := self._source.options.get("parent"):
            more["parent"] = levels
        state = {**self.state, "moved": sorted(self._moved), **more}
        self._target.set_state(self._format, self._source, state)

    def _begin(self, run: Run) -> None:
        recorder = self._recorders.get(run.id)
        if recorder is None:
            parent = None if run.parent is None else self._recorders.get(run.parent)
            recorder, is_new = self._target.run(self._format, self._source, run, parent)
            self._recorders[run.id] = recorder
            self._tops[run.id] = self._tops.get(run.parent or "", run.id)
            before = self._counts.setdefault(run.id, 0)
            self._skip[run.id] = 0 if is_new else max(len(recorder.records) - before, 0)
            source = self._source
            if self._skip[run.id] and (
                not source.is_ordered or (source.is_joined and has_parts(recorder, before))
            ):
                self._stored[run.id] = Stored(recorder, before)
        self._set(recorder, run)
        if run.about.get("end_time") is not None:
            self._endless.discard(run.id)
        elif run.parent is not None and run.part is None:
            self._endless.add(run.id)

    def _set(self, recorder: Recorder, run: Run) -> None:
        """Set the attributes of a run that are new or have changed."""
        given = {key: value for key, value in run.about.items() if value is not None}
        self._of_source |= given.keys()
        known = recorder.local_data
        taken = _OF_RECORDS | self._of_source  # also of what was read before, which W&B tells once
        self._moved |= {key for key in run.config.keys() - taken if f"config.{key}" in known}
        self._moved |= self._metrics & (given.keys() | run.config.keys())
        config = {
            _free(key, taken | self._moved, "config"): value for key, value in run.config.items()
        }
        about = {_free(key, self._moved, "source"): value for key, value in given.items()}
        name = {} if run.name is None else {"run": run.name}
        for key, value in {**config, **about, **name}.items():
            if key not in known or not _same(known[key], value):
                self._set_one(recorder, _free(key, RESERVED, "source"), value)

    def _set_ends(self) -> None:
        """Set when runs below others ended that have no end: they would inherit that of another run."""
        end_time, start_time = (
            _free(key, self._moved, "source") for key in ("end_time", "start_time")
        )
        for run in self._endless:
            recorder = self._recorders[run]
            own = recorder.get(end_time), self._lasts.get(run), recorder.get(start_time)
            ends = [each for each in own if isinstance(each, datetime)]
            if ends and (end := max(ends)) != own[0]:
                recorder[end_time] = end

    def _set_outcomes(self) -> None:
        """Set how and when the experiments ended, as the source tells it by now."""
        lasts: dict[str, datetime] = {}
        for run, time in self._lasts.items():
            top = self._tops[run]
            lasts[top] = max(time, lasts.get(top, time))
        for top in {*self._tops.values()}:
            recorder = self._recorders[top]
            known = recorder.local_data
            moved = {key: known.get(f"source.{key}") for key in self._moved & self._of_source}
            ended = outcome({**known, **moved}, lasts.get(top), known.get("experiment_end_time"))
            if changed := {key: each for key, each in ended.items() if known.get(key) != each}:
                recorder._set(changed)

    def _set_one(self, recorder: Recorder, key: str, value: Any) -> None:
        try:
            recorder[key] = value
        except (RigorousError, ValueError, OverflowError):
            self._report.add(self._source.path, "attributes that can't be stored: as text")
            recorder[_printable(key)] = ascii(value)[:100_000]

    def _push(self, record: Record) -> None:
        run = record.run
        if self._skip[run] > 1 and run not in self._stored:
            self._skip[run] -= 1
            self._counts[run] += 1
            return
        fields: dict[str, Any] = {}
        if record.step is not None:
            fields["step"] = record.step
        if record.time is not None:
            fields["time"] = self._lasts[run] = record.time
        for key, value in record.fields.items():
            if value is not None:  # else it would be new each time that the record is given again
                fields[self._names.get(key) or self._name(key)] = value
        self._push_new(run, fields)

    def _push_new(self, run: str, fields: dict[str, Any]) -> None:
        """Push what is not stored of the fields of a record."""
        if run in self._stored:
            self._given.add(run)
            if not (fields := self._stored[run].new(fields)):
                return
        else:
            self._counts[run] += 1
            if self._skip[run]:
                self._skip[run] = 0
                if not (fields := self._rest_of_last(run, fields)):
                    return
                self._counts[run] += 1
        self.written += 1
        self._push_one(self._recorders[run], fields)

    def _rest_of_last(self, run: str, fields: dict[str, Any]) -> dict[str, Any]:
        """What the source has by now of the last record that is stored, and is not in that yet."""
        last = self._recorders[run].records[-1]
        if self._format.only_grows and fields and was_torn(fields, last):
            self._report.add(self._source.path, _TORN)
            return fields
        return missing(fields, last)

    def _push_one(self, recorder: Recorder, fields: dict[str, Any]) -> None:
        try:
            recorder.push(fields)
        except (RigorousError, ValueError, OverflowError):
            self._push_in_parts(recorder, fields)

    def _push_in_parts(self, recorder: Recorder, fields: dict[str, Any]) -> None:
        """Push fields of which some can't be stored: those become text."""
        scratch = Recorder()
        recorder.push(dict(self._storable(scratch, *each) for each in fields.items()))

    def _storable(self, scratch: Recorder, key: str, value: Any) -> tuple[str, Any]:
        """A key and a value; as text what can't be stored."""
        try:
            scratch.push({key: value})
        except (RigorousError, ValueError, OverflowError):
            self._report.add(self._source.path, "values that can't be stored: as text")
            return _printable(key), ascii(value)[:100_000]
        return key, value

    def _extend(self, rows: Rows) -> None:
        if rows.runs is not None:
            self._extend_several(rows)
            return
        run, count = rows.run, rows.size
        skipped = count if run in self._stored else min(self._skip[run], count)
        columns = {self._name(key): values for key, values in rows.columns.items()}
        of_record = {"step": rows.steps, "time": rows.times}
        columns = {key: each for key, each in of_record.items() if each is not None} | columns
        if run in self._stored or skipped == self._skip[run] > 0:
            self._skip_carefully(run, columns, skipped)
        else:
            self._skip[run] -= skipped
            self._counts[run] += skipped
        if rows.times is not None and (last := _latest(rows.times)) is not None:
            self._lasts[run] = last
        if skipped < count:
            self._counts[run] += count - skipped
            self.written += count - skipped
            rest = {key: values[skipped:] for key, values in columns.items()}
            self._extend_by(self._recorders[run], rest)

    def _extend_several(self, rows: Rows) -> None:
        """Write records of several runs in their order; one by one if some may be there already."""
        runs = rows.runs.dictionary.to_pylist()
        of_record = {"step": rows.steps, "time": rows.times}
        named = {self._name(key): values for key, values in rows.columns.items()}
        columns = {key: each for key, each in of_record.items() if each is not None} | named
        is_new = not any(self._skip[run] or run in self._stored for run in runs)
        if not is_new or not self._append(rows.runs, columns):
            none = [None] * rows.size
            each_step, each_time = (none if each is None else each for each in of_record.values())
            of_rows = zip(
                rows.runs.to_pylist(), _records_of(rows.columns), each_step, each_time, strict=True
            )
            for run, found, step, time in of_rows:
                self._push(Record(run, found, plain(step), plain(time)))
            return
        self.written += rows.size
        for number, run in enumerate(runs):
            own = pc.equal(rows.runs.indices, number)
            self._counts[run] += pc.sum(own).as_py()
            if rows.times is not None and (last := _latest(rows.times.filter(own))) is not None:
                self._lasts[run] = last

    def _append(self, runs: Any, columns: dict[str, Any]) -> bool:
        """Write columns of records of several runs; whether all of it can be stored."""
        of_runs = [self._recorders[run]._node for run in runs.dictionary.to_pylist()]
        nodes = pa.array(of_runs, pa.int64()).take(runs.indices)
        try:
            self._target.append(nodes, columns)
        except (RigorousError, ValueError, OverflowError):
            return False
        return True

    def _skip_carefully(self, run: str, columns: dict[str, Any], count: int) -> None:
        """Skip rows that are stored, but for what is new in them: the last one, or any if in no order."""
        first = 0 if run in self._stored else count - 1
        self._counts[run] += first
        for fields in _records_of({key: each[first:count] for key, each in columns.items()}):
            self._push_new(run, fields)

    def _extend_by(self, recorder: Recorder, columns: dict[str, Any]) -> None:
        try:
            recorder.extend(columns)
        except (RigorousError, ValueError, OverflowError):
            # Nothing was written: column by column it is clear which values it is.
            recorder.extend(dict(self._storable_column(*each) for each in columns.items()))

    def _storable_column(self, key: str, values: Any) -> tuple[str, Any]:
        """A key and a column, in which values that can't be stored are text."""
        scratch = Recorder()
        try:
            scratch.extend({key: values})
        except (RigorousError, ValueError, OverflowError):
            found = [self._storable(scratch, key, plain(each))[1] for each in values]
            return _printable(key), found
        return key, values

    def _name(self, key: str) -> str:
        name = _free(_printable(key), self._taken, "metric")
        for recorder in self._recorders.values() if name not in self._moved | _OF_RUNS else ():
            if recorder.get(name) is not None:
                self._move(recorder, name)
        if len(self._names) < 100_000:
            self._names[key] = name
            self._metrics.add(name)
        return name

    def _move(self, recorder: Recorder, key: str) -> None:
        """Give an attribute another name, since a metric has its own."""
        self._moved.add(key)
        before = "source" if key in self._of_source else "config"
        recorder.update({key: None, f"{before}.{key}": recorder[key]})


def _latest(times: pa.Array) -> datetime | None:
    """The latest of times; as an int, since pyarrow would import pandas to convert a time."""
    if times.type.unit != "us":
        times = times.cast(pa.timestamp("us", "UTC"))
    last = pc.max(times.view(pa.int64())).as_py()
    return None if last is None else _EPOCH + timedelta(microseconds=last)


def _free(key: str, taken: Any, before: str) -> str:
    """The name of a key, in front of which there is another word if an attribute has it."""
    return f"{before}.{key}" if key in taken else key


def _records_of(columns: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of columns, without what is null."""
    for values in zip(*columns.values(), strict=True):
        fields = dict(zip(columns, map(plain, values), strict=True))
        yield {key: each for key, each in fields.items() if each is not None}


def _printable(key: str) -> str:
    return key.encode("utf-8", "backslashreplace").decode()


def _same(one: Any, other: Any) -> bool:
    """Whether a value that is stored is this one: of the same kind, and NaN is NaN."""
    return repr(one) == repr(other) or json.dumps(one, default=repr) == json.dumps(
        other, default=repr
    )
