"""Imports any CSV or TSV file with a header: a record for each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .contract import Event, Format, Position, Report, Source
from .files import files_below, run_name
from .lines import header, table_rows
from .tables import Levels, options_of

_SEPARATORS: Final = {".csv": ",", ".tsv": "\t"}


def _find(path: Path, options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        if file.suffix.lower() in _SEPARATORS:
            yield Source(file, (file,), run_name(file, path), options_of(options))


def _read(source: Source, report: Report, position: Any) -> Iterator[Event]:
    file = source.path
    separator = _SEPARATORS.get(file.suffix.lower(), ",")
    names = header(file, separator=separator)
    state = dict(position or {"offset": 0, "names": names})
    if state["names"] != names or file.stat().st_size < state["offset"]:
        yield Position(None)
        state = {"offset": 0, "names": names}
    levels = Levels(source)
    yield levels.top()
    found = table_rows(
        file, report, separator=separator, offset=state["offset"], is_written=source.is_written
    )
    yield from levels.read(found, state)


FORMAT: Final = Format(
    "csv", "CSV", _find, _read, is_general=True, options=("parent",), only_grows=True
)
