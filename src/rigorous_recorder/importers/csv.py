"""Imports any CSV or TSV file with a header: a record for each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .contract import Event, Format, Report, Source
from .files import files_below, run_name
from .lines import table_records
from .tables import Levels, options_of

_SEPARATORS: Final = {".csv": ",", ".tsv": "\t"}


def _find(path: Path, options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        if file.suffix.lower() in _SEPARATORS:
            yield Source(file, (file,), run_name(file, path), options_of(options))


def _read(source: Source, report: Report, _position: Any) -> Iterator[Event]:
    levels = Levels(source)
    yield levels.top()
    separator = _SEPARATORS.get(source.path.suffix.lower(), ",")
    yield from levels.events(table_records(source.path, report, separator=separator))


FORMAT: Final = Format(
    "csv", "CSV", _find, _read, is_general=True, options=("parent",), only_grows=True
)
