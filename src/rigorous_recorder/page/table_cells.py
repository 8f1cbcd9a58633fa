"""The cells of the table of runs: attributes, what is known of runs, and statistics of records."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from threading import Lock
from time import time
from typing import Any, Final

from .summaries import STATISTICS, Summary
from .table_rows import LevelRows, TableRow, attribute_keys

__all__ = [
    "FIXED",
    "Cells",
    "Metrics",
    "Table",
    "column_of",
    "identity",
    "is_attribute",
    "is_metric",
    "is_number",
    "order_of",
]

#: The columns of what is known of runs.
FIXED: Final = (":number", ":status", ":start", ":duration")
_COLLECTION: Final = ":collection"
#: The column of an attribute whose key begins like others.
_ATTRIBUTE: Final = ":a:"
#: The column of the course of a key, which is requested for itself.
_COURSE: Final = ":line:"
#: Summaries beyond are read again when they are requested.
_MOST_SUMMARIES: Final = 24


class Table:
    """All rows of a level, as of one look at the collections."""

    def __init__(self, parts: Sequence[LevelRows]) -> None:
        self.parts = list(parts)
        self.rows: list[TableRow] = [row for part in parts for row in part.rows]
        #: The number of the first row of each part.
        self.starts = list(accumulate((len(each.rows) for each in parts), initial=0))[:-1]
        self.attributes = attribute_keys(self.rows)
        self.by_key = {row.key: at for at, row in enumerate(self.rows)}

    def part_of(self, at: int) -> LevelRows:
        """The part in which a row is."""
        return self.parts[bisect_right(self.starts, at) - 1]

    def texts(self, at: int) -> Iterator[Any]:
        """The values of a row in which words are looked for."""
        row = self.rows[at]
        yield from (row.fixed.get(_COLLECTION), row.fixed.get(":number"), row.fixed.get(":status"))
        yield from row.attributes.values()


class Metrics:
    """Statistics of records' numbers by row; of each key the latest."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._summaries: OrderedDict[tuple[str, str], Summary] = OrderedDict()

    def column(self, table: Table, statistic: str, key: str) -> list[float | None]:
        """A statistic of a key in each row of a table."""
        found: list[float | None] = []
        for part in table.parts:
            summary = self._summary(part, key)
            found += summary.of_rows(part.nodes, part.owner(), len(part.rows))[statistic]
        return found

    def _summary(self, part: LevelRows, key: str) -> Summary:
        with self._lock:
            place = part.opened.name, key
            found = self._summaries.get(place) or Summary(part.opened.collection, key)
            self._summaries[place] = found
            self._summaries.move_to_end(place)
            while len(self._summaries) > _MOST_SUMMARIES:
                self._summaries.popitem(last=False)
            return found


class Cells:
    """Reads cells of a table of one snapshot by column and number of the row."""

    def __init__(self, table: Table, metrics: Metrics) -> None:
        self._table, self._metrics, self._now = table, metrics, time()
        self._readers: dict[str, Callable[[int], Any]] = {}

    def get(self, column: str) -> Callable[[int], Any]:
        """The values of a column, by the number of a row; None where there is none."""
        if column not in self._readers:
            self._readers[column] = self._reader(column)
        return self._readers[column]

    def _reader(self, column: str) -> Callable[[int], Any]:
        rows = self._table.rows
        if column == ":duration":
            return lambda at: self._duration(rows[at])
        if is_metric(column):
            _, statistic, key = column.split(":", 2)
            return self._metrics.column(self._table, statistic, key).__getitem__
        if column.startswith(":") and not column.startswith(_ATTRIBUTE):
            return lambda at: rows[at].fixed.get(column)
        key = column.removeprefix(_ATTRIBUTE)
        return lambda at: rows[at].attributes.get(key)

    def _duration(self, row: TableRow) -> float | None:
        known, start = row.fixed.get(":duration"), row.fixed.get(":start")
        if known is None and start is not None and row.fixed.get(":status") == "running":
            return self._now - float(start)
        return None if known is None else float(known)

    def is_known(self, column: str) -> bool:
        """Whether there is such a column."""
        if is_attribute(column):
            return column.removeprefix(_ATTRIBUTE) in self._table.attributes
        return column in {*FIXED, _COLLECTION} or is_metric(column) or column.startswith(_COURSE)

    def named(self, name: str) -> str:
        """The column that a comparison such as ``lr<0.1`` is about."""
        is_other = name not in self._table.attributes and self.is_known(f":{name}")
        return f":{name}" if is_other else column_of(name)

    def described(self, column: str) -> dict[str, str]:
        """A column for the browser: its id, and what it shows."""
        kind, key = "attribute", column.removeprefix(_ATTRIBUTE)
        if column.startswith(_COURSE):
            kind, key = "line", column.removeprefix(_COURSE)
        elif is_metric(column):
            _, statistic, key = column.split(":", 2)
            kind, key = "metric", f"{statistic} {key}"
        elif not is_attribute(column):
            kind, key = column[1:], column[1:]
        return {"id": column, "kind": kind, "title": key}


def column_of(key: str) -> str:
    """The column of an attribute."""
    return f"{_ATTRIBUTE}{key}" if key.startswith(":") else key


def is_attribute(column: str) -> bool:
    """Whether a column has an attribute."""
    return not column.startswith(":") or column.startswith(_ATTRIBUTE)


def is_metric(column: str) -> bool:
    """Whether a column has a statistic of records' numbers."""
    parts = column.split(":", 2)
    return len(parts) == 3 and not parts[0] and parts[1] in STATISTICS


def is_number(value: Any) -> bool:
    """Whether a value is a number, and not NaN."""
    is_any = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_any and not math.isnan(value)


def identity(value: Any) -> Any:
    """What is equal for equal values: 1 and 1.0, NaN and NaN, but not 1, True and "1"."""
    if value is None or isinstance(value, (bool, str)):
        return type(value), value
    if isinstance(value, (int, float)):
        return float, None if math.isnan(value) else value
    return type(value), repr(value)


def order_of(value: Any) -> tuple[int, Any] | None:
    """The place of a value in an order: numbers, then text; None for no value and NaN."""
    if is_number(value):
        return 0, value
    if value is None or isinstance(value, float):
        return None
    return 1, str(value).casefold()
