"""Rows of CSV, JSONL and Parquet files, of which some columns become levels of a tree."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from .contract import Event, Record, Run, Source

__all__ = ["Levels", "options_of"]

_TOP: Final = ""


def options_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of levels, from one or several names."""
    parent = options.get("parent") or []
    return {"parent": [parent] if isinstance(parent, str) else list(parent)}


class Levels:
    """Gives each row to the recorder that has the row's values of some keys.

    Values of the keys ``step`` and ``time`` are those of the record, whatever they are.
    """

    def __init__(self, source: Source) -> None:
        self._keys: list[str] = source.options.get("parent", [])
        self._name = source.name
        self._known: set[str] = set()

    def top(self) -> Run:
        """The run of the whole file."""
        return Run(_TOP, self._name)

    def events(self, rows: Iterable[dict[str, Any]]) -> Iterator[Event]:
        """The record of each row, and before it the recorders above that are new."""
        for row in rows:
            yield from self.event(row)

    def event(self, row: dict[str, Any]) -> Iterator[Event]:
        """The record of a row, and before it the recorders above that are new."""
        run = _TOP
        if self._keys:
            level: list[Any] = []
            for key in self._keys:
                level.append(row.pop(key, None))
                above, run = run, json.dumps(level, default=repr)
                if level[-1] is None:
                    run = above
                    level.pop()
                elif run not in self._known:
                    self._known.add(run)
                    yield Run(run, parent=above, part={key: level[-1]})
        yield Record(run, row)
