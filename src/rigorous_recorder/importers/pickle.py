"""Imports pickles of version 1.4.4 of this library, by its safe reader: nothing is executed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rigorous_recorder import Recorder
from rigorous_recorder.errors import RigorousError

from .contract import Event, Format, Record, Report, Run, Source
from .files import files_below, run_name

_SUFFIXES: Final = (".pickle", ".pkl")
_OURS: Final = b"rigorous_recorder"


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        if file.suffix in _SUFFIXES and _is_ours(file):
            yield Source(file, (file,), run_name(file, path))


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _OURS in file.read(4096)
    except OSError:
        return False


def _read(source: Source, report: Report, _position: Any) -> Iterator[Event]:
    try:
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
            yield Record(run.id, own)
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


FORMAT: Final = Format("pickle", "rigorous-recorder 1.4.4", _find, _read)
