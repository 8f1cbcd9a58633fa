"""Values of a segment's cells that are still on a device."""

from __future__ import annotations

from typing import Any

from .._report import warn_or_report
from .._values.devices.libraries import fetch_each
from .._values.devices.values import DeviceValue, Unavailable
from ..errors import DeviceWarning
from .column import Column

__all__ = ["Cells", "PendingValues", "Row", "warn_lost"]

#: Of columns rows, and what belongs there; at least one of each.
Cells = dict[Column, list[tuple[int, Any]]]

#: The pending values of a row.
Row = list[tuple[Column, DeviceValue]]


class PendingValues:
    """The values that are still on a device, and the cells that they belong in.

    Many threads may use it: who adds values holds the table's lock, who takes them away holds none.
    A row's values are added before it is written; nobody else looks at them until it is.
    """

    def __init__(self, rows: dict[int, Row] | None = None) -> None:
        self._rows = rows or {}
        self._count = sum(map(len, self._rows.values()))

    def __bool__(self) -> bool:
        return bool(self._rows)

    def __len__(self) -> int:
        """About how many they are: exactly so after each ``drop``, whatever other threads add."""
        return self._count

    def add(self, row: int, values: Row) -> None:
        """Remember the values of a row, all of them or, where that is interrupted, none."""
        self._rows[row] = values
        self._count += len(values)

    def take_back(self, row: int) -> None:
        """Forget the values of a row, where there are any."""
        self._count -= len(self._rows.pop(row, ()))

    def below(self, row: int) -> PendingValues:
        """The values of the rows before this one."""
        return PendingValues(
            {each: values for each, values in self._rows.copy().items() if each < row}
        )

    def columns(self) -> set[Column]:
        """The columns that any value is of."""
        return {column for values in self._rows.copy().values() for column, _ in values}

    def first_row(self, rows: int) -> int:
        """The first row that any value is of; ``rows`` where there is none."""
        return min(self._rows.copy(), default=rows)

    def drop(self, others: PendingValues) -> None:
        """Forget the values of those rows."""
        for row in others._rows:
            self._rows.pop(row, None)
        self._count = sum(map(len, self._rows.copy().values()))

    def fetch(self) -> tuple[Cells, Cells]:
        """The plain values, many at once; and apart from them an ``Unavailable`` for each without one."""
        values = iter(fetch_each([value for row in self._rows.values() for _, value in row]))
        found: Cells = {}
        lost: Cells = {}
        for number, row in self._rows.items():
            for column, _ in row:
                value = next(values)
                cells = lost if isinstance(value, Unavailable) else found
                cells.setdefault(column, []).append((number, value))
        return found, lost


def warn_lost(lost: Cells) -> None:
    """Warn of values that could not be fetched."""
    keys = ", ".join(dict.fromkeys(str(column.key) for column in lost))
    values = [value for cells in lost.values() for _, value in cells]
    error = values[0].error
    message = (
        f"{len(values)} values of {keys} could not be fetched from their device and are missing:"
        f" {type(error).__name__}: {error}"
    )
    warn_or_report(message, DeviceWarning, stacklevel=5)
