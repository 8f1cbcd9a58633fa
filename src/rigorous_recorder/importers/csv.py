"""Imports any CSV or TSV file with a header: a record for each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .contract import Event, Format, Position, Report, Source
from .files import files_below, run_name
from .lines import header, table_rows
from .tables import Levels, options_of

_SUFFIXES: Final = (".csv", ".tsv")
#: What can separate cells, the first of all that do.
_SEPARATORS: Final = (",", ";", "\t")
#: Python's words, and those of other languages and of databases.
_WORDS: Final = dict.fromkeys(("True", "true", "TRUE"), True) | dict.fromkeys(
    ("False", "false", "FALSE"), False
)


def _find(path: Path, options: Mapping[str, Any]) -> Iterator[Source]:
    for file in files_below(path):
        if file.suffix.lower() in _SUFFIXES:
            yield Source(file, (file,), run_name(file, path), options_of(options))


def _read(source: Source, report: Report, position: Any) -> Iterator[Event]:
    file = source.path
    separator, names = _columns(file)
    state = dict(position or {"offset": 0, "names": names})
    if state["names"] != names or file.stat().st_size < state["offset"]:
        yield Position(None)
        state = {"offset": 0, "names": names}
    levels = Levels(source, report)
    yield levels.top()
    found = table_rows(
        file,
        report,
        separator=separator,
        offset=state["offset"],
        is_written=source.is_written,
        words=_WORDS,
    )
    yield from levels.read(found, state)


def _columns(file: Path) -> tuple[str, list[str]]:
    """The separator of a table, by which it has several columns if by any, and their names."""
    wanted = ("\t",) if file.suffix.lower() == ".tsv" else _SEPARATORS
    found = [(each, header(file, separator=each)) for each in wanted]
    return next((each for each in found if len(each[1]) > 1), found[0])


FORMAT: Final = Format(
    "csv", "CSV", _find, _read, is_general=True, options=("parent",), only_grows=True
)
