"""Imports pickles and collections of version 1.4.4 of this library, by its safe reader: nothing is executed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rigorous_recorder import Recorder
from rigorous_recorder._keys import EXPERIMENT_KEYS
from rigorous_recorder._pickles import load_old_records
from rigorous_recorder.errors import RigorousError

from .contract import Event, Format, Record, Report, Run, Source, utc_time
from .files import files_below, run_name

_SUFFIXES: Final = (".pickle", ".pkl")
_OURS: Final = b"rigorous_recorder"
#: The files of a collection.
_RECORDS, _INFO, _ID = "records.pickle", "collection_info.pickle", "collection_id.txt"
_NUMBER: Final = "experiment_number"

Fields = dict[Any, Any]


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        folder = file.parent
        if file.name in {_RECORDS, _INFO} and (folder / _ID).is_file():
            if file.name == _RECORDS:
                yield Source(folder, (file,), run_name(folder, folder if file == path else path))
        elif file.suffix in _SUFFIXES and _is_ours(file):
            yield Source(file, (file,), run_name(file, path))


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _OURS in file.read(4096)
    except OSError:
        return False


def _read(source: Source, report: Report, _position: Any) -> Iterator[Event]:
    try:
        if source.path.is_dir():
            yield from _Collection(source.name).events(load_old_records(source.files[0]))
            return
        recorder = Recorder.load_from(source.path)
    except (RigorousError, ValueError, MemoryError, RecursionError) as error:
        report.add(source.path, f"can't be read: {type(error).__name__}")
        return
    while recorder.parent is not None:
        recorder = recorder.parent
    yield from _below(recorder, Run("", source.name))


def _below(top: Recorder, run: Run) -> Iterator[Event]:
    """The recorders in order, each with its own attributes and records."""
    todo = [(top, run)]
    while todo:
        recorder, run = todo.pop()
        yield run._replace(config=recorder.local_data)
        inherited = recorder.attributes
        for row in recorder.records:
            own = {key: value for key, value in row.items() if not _is(inherited, key, value)}
            yield _record(run.id, own)
        todo += [
            (child, Run(f"{run.id}/{number}", parent=run.id, part=str(number)))
            for number, child in reversed(list(enumerate(recorder.children)))
        ]


def _is(inherited: Mapping[str, Any], key: str, value: Any) -> bool:
    """Whether a record has a value only because it inherits it."""
    return (
        key in inherited
        and type(inherited[key]) is type(value)
        and repr(inherited[key]) == repr(value)
    )


class _Collection:
    """The records of a collection, and the experiments and recorders that they are below."""

    def __init__(self, name: str) -> None:
        self._name = name
        #: The run of each recorder, by the identity of its fields.
        self._runs: dict[int, str] = {}
        #: How many are below each; experiments are below the empty one.
        self._counts: Counter[str] = Counter()

    def events(self, records: list[tuple[Fields, tuple[Fields, ...]]]) -> Iterator[Event]:
        """All events; the own fields of an experiment are attributes of its run."""
        for own, above in records:
            levels = above[::-1] or ({},)
            top = next((at for at, each in enumerate(levels) if _NUMBER in each), 0)
            run, is_new = self._run("", levels[top] if above else self._runs)
            if is_new:
                yield self._experiment(run, levels[: top + 2])
            for fields in levels[top + 2 :]:
                parent = run
                run, is_new = self._run(f"{parent}/", fields)
                if is_new:
                    part = run.removeprefix(f"{parent}/")
                    yield Run(run, config=fields, parent=parent, part=part)
            yield _record(run, own)

    def _run(self, before: str, fields: object) -> tuple[str, bool]:
        """The run of a recorder, and whether it is new."""
        is_new = id(fields) not in self._runs
        if is_new:
            self._runs[id(fields)] = f"{before}{self._counts[before]}"
            self._counts[before] += 1
        return self._runs[id(fields)], is_new

    def _experiment(self, run: str, levels: tuple[Fields, ...]) -> Run:
        fields = {key: value for level in levels for key, value in level.items()}
        start, end = (utc_time(fields.get(f"experiment_{each}_time")) for each in ("start", "end"))
        status = "failed" if fields.get("had_error") else "finished"
        about = {"status": status, "start_time": start, "end_time": end}
        config = {key: each for key, each in fields.items() if key not in EXPERIMENT_KEYS}
        return Run(run, f"{self._name} {fields.get(_NUMBER, run)}", config, about)


def _record(run: str, own: Fields) -> Record:
    step = own.get("step")
    is_step = type(step) in {int, float}
    rest = {key: value for key, value in own.items() if key != "step" or not is_step}
    return Record(run, rest, step if is_step else None)


FORMAT: Final = Format("pickle", "rigorous-recorder 1.4.4", _find, _read)
