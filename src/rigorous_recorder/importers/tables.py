"""Rows of CSV, JSONL and Parquet files, of which some columns become levels of a tree."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any, Final

from .contract import Event, Position, Record, Report, Run, Source

__all__ = ["Levels", "options_of"]

_TOP: Final = ""
#: A position is given after so many rows.
_OFTEN: Final = 10_000


def options_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of levels, from one or several names."""
    parent = options.get("parent") or []
    return {"parent": [parent] if isinstance(parent, str) else list(parent)}


class Levels:
    """Gives each row to the recorder that has the row's values of some keys.

    Values of the keys ``step`` and ``time`` are those of the record, whatever they are.
    """

    def __init__(self, source: Source, report: Report) -> None:
        self.keys: list[str] = source.options.get("parent", [])
        self._source = source
        self._report = report
        self._known: set[str] = set()
        #: The keys of which no row had a value so far.
        self._missing = set(self.keys)

    def top(self) -> Run:
        """The run of the whole file."""
        return Run(_TOP, self._source.name)

    def read(
        self, rows: Iterable[tuple[int, dict[str, Any]]], state: dict[str, Any]
    ) -> Iterator[Event]:
        """The events of rows, each with the offset after it, and how far they were read.

        A row with the offset 0, which is the last, may be written on: it is read again.
        """
        is_whole = not state["offset"]
        for number, (after, row) in enumerate(rows, 1):
            if not after or number % _OFTEN == 0:
                yield Position(dict(state))
            yield from self.event(row)
            if not after:
                break
            state["offset"] = after
        else:
            yield Position(dict(state))
        if is_whole:
            self.end()

    def event(self, row: dict[str, Any]) -> Iterator[Event]:
        """The record of a row, and before it the recorders above that are new."""
        run = yield from self.above(row.pop(key, None) for key in self.keys)
        yield Record(run, row)

    def above(self, values: Iterable[Any]) -> Generator[Event, None, str]:
        """The recorders of the values of the levels that are new; returns the one that is lowest."""
        run = _TOP
        level: list[Any] = []
        for key, value in zip(self.keys, values, strict=True):
            level.append(value)
            if value is None:
                continue  # the row has no such level; it can have those below
            above, run = run, json.dumps(level, default=repr)
            if run not in self._known:
                self._known.add(run)
                self._missing.discard(key)
                yield Run(run, parent=above, part={key: value})
        return run

    def end(self) -> None:
        """Report the keys of levels that no row has, as of one that is misspelled."""
        for key in sorted(self._missing):
            self._report.add(self._source.path, f"no row has a value of --parent {key}", once=True)
