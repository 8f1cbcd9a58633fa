"""Imports any file of JSON lines: a record for each object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .contract import Event, Format, Position, Report, Source
from .files import files_below, run_name
from .lines import json_rows
from .tables import Levels, options_of

_SUFFIXES: Final = (".jsonl", ".ndjson")


def _find(path: Path, options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        if file.suffix.lower() in _SUFFIXES:
            yield Source(file, (file,), run_name(file, path), options_of(options))


def _read(source: Source, report: Report, position: Any) -> Iterator[Event]:
    start = dict(position or {"offset": 0})
    if source.path.stat().st_size < start["offset"]:
        yield Position(None)
        start = {"offset": 0}
    levels = Levels(source, report)
    yield levels.top()
    yield from levels.read(json_rows(source.path, report, start["offset"]), start)


FORMAT: Final = Format(
    "jsonl", "JSON lines", _find, _read, is_general=True, options=("parent",), only_grows=True
)
