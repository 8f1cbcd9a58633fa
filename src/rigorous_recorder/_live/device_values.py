"""Pending device values: values of a segment's cells that are still on a device."""

from __future__ import annotations

from typing import Any

from .._report import warn_or_report
from .._values.devices.libraries import fetch_each
from .._values.devices.values import DeviceValue, Unavailable
from ..errors import DeviceWarning
from .column import Column

__all__ = ["Cells", "PendingValues", "Row", "warn_lost"]

#: For columns, the rows and values; at least one of each.
Cells = dict[Column, list[tuple[int, Any]]]

#: The pending values of a row.
Row = list[tuple[Column, DeviceValue]]


class PendingValues:
    """The values that are still on a device, and their cells.

    Thread-safe: adding requires the table's lock, removing does not. A row's values are added before
    the row is written, and are not read until it is.
    """

    def __init__(self, rows: dict[int, Row] | None = None) -> None:
        self._rows = rows or {}
        self._count = sum(map(len, self._rows.values()))

    def __bool__(self) -> bool:
        return bool(self._rows)

    def __len__(self) -> int:
        """The approximate number of values; exact after each ``drop``, except for later additions."""
        return self._count

    def add(self, row: int, values: Row) -> None:
        """Add the values of a row; all of them or, if interrupted, none."""
        self._rows[row] = values
        self._count += len(values)

    def take_back(self, row: int) -> None:
        """Remove the values of a row, if there are any."""
        self._count -= len(self._rows.pop(row, ()))

    def below(self, row: int) -> PendingValues:
        """The values of the rows before this one."""
        return PendingValues(
            {each: values for each, values in self._rows.copy().items() if each < row}
        )

    def columns(self) -> set[Column]:
        """The columns of the values."""
        return {column for values in self._rows.copy().values() for column, _ in values}

    def first_row(self, rows: int) -> int:
        """The first row with a value; ``rows`` if there is none."""
        return min(self._rows.copy(), default=rows)

    def drop(self, others: PendingValues) -> None:
        """Remove the values of these rows."""
        for row in others._rows:
            self._rows.pop(row, None)
        self._count = sum(map(len, self._rows.copy().values()))

    def fetch(self) -> tuple[Cells, Cells]:
        """Fetch the values, many at once; separately, an ``Unavailable`` for each that failed."""
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
    """Warn about values that could not be fetched."""
    keys = ", ".join(dict.fromkeys(str(column.key) for column in lost))
    values = [value for cells in lost.values() for _, value in cells]
    error = values[0].error
    message = (
        f"{len(values)} values of {keys} could not be fetched from their device and are missing:"
        f" {type(error).__name__}: {error}"
    )
    warn_or_report(message, DeviceWarning, stacklevel=5)
