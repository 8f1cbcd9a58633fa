"""Rows of CSV, JSONL and Parquet files, of which some columns become levels of a tree."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from .contract import Event, Position, Record, Run, Source

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

    def __init__(self, source: Source) -> None:
        self._keys: list[str] = source.options.get("parent", [])
        self._name = source.name
        self._known: set[str] = set()

    def top(self) -> Run:
        """The run of the whole file."""
        return Run(_TOP, self._name)

    def read(
        self, rows: Iterable[tuple[int, dict[str, Any]]], state: dict[str, Any]
    ) -> Iterator[Event]:
        """The events of rows, each with the offset after it, and how far they were read.

        A row with the offset 0, which is the last, may be written on: it is read again.
        """
        for number, (after, row) in enumerate(rows, 1):
            if not after or number % _OFTEN == 0:
                yield Position(dict(state))
            yield from self.event(row)
            if not after:
                return
            state["offset"] = after
        yield Position(dict(state))

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
