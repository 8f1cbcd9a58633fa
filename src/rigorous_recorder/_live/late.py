"""Values of a segment's cells that are still on a device."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from .._values.device import DeviceValue, Lost, fetch_each
from .column import Column

__all__ = ["Cells", "Late"]

#: Of columns rows, and what belongs there; at least one of each.
Cells = dict[Column, list[tuple[int, Any]]]


class Late:
    """The values that are still on a device, and the cells that they belong in.

    Many threads may use it: who adds values holds the table's lock, who takes them away holds none.
    """

    def __init__(self, cells: dict[Column, dict[int, DeviceValue]] | None = None) -> None:
        self._cells = cells or {}

    def __len__(self) -> int:
        return sum(map(len, self._columns()))

    def _columns(self) -> Iterator[dict[int, DeviceValue]]:
        return iter(self._cells.copy().values())  # others add to it meanwhile

    def add(self, row: int, column: Column, value: DeviceValue) -> None:
        """Remember the value of a cell."""
        rows = self._cells.get(column)
        if rows is None:
            rows = self._cells[column] = {}
        rows[row] = value

    def copy(self) -> Late:
        """What is there at this moment."""
        return Late({column: rows.copy() for column, rows in self._cells.copy().items() if rows})

    def columns(self) -> set[Column]:
        """The columns that any value is of."""
        return {column for column, rows in self._cells.copy().items() if rows}

    def first_row(self, rows: int) -> int:
        """The first row that any value is of; ``rows`` where there is none."""
        return min(chain.from_iterable(each.copy() for each in self._columns()), default=rows)

    def drop(self, others: Late) -> None:
        """Forget the values of those cells."""
        for column, rows in others._cells.items():
            mine = self._cells.get(column, {})
            for row in rows:
                mine.pop(row, None)

    def fetch(self) -> tuple[Cells, Cells]:
        """The plain values, many at once; and apart from them a ``Lost`` for each without one."""
        values = iter(fetch_each([v for rows in self._cells.values() for v in rows.values()]))
        found: Cells = {}
        lost: Cells = {}
        for column, rows in self._cells.items():
            for row in rows:
                value = next(values)
                cells = lost if isinstance(value, Lost) else found
                cells.setdefault(column, []).append((row, value))
        return found, lost
