"""The flat table as an Excel sheet: numbers, dates and text that a cell can hold, else text."""

from __future__ import annotations

import datetime as dt
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ._engines.arrow import stream
from ._engines.scan import Scan
from ._lazy import lazy_module
from ._text_files import cell_texts
from ._values.kinds import BOOL, DATE, DATETIME, FLOAT, INT, NULL, TEXT, Kind
from .errors import UnsupportedValueError

if TYPE_CHECKING:
    import xlsxwriter
else:
    xlsxwriter = lazy_module("xlsxwriter", install="rigorous-recorder[excel]")

__all__ = ["save_sheet"]

#: The limits of a sheet, by Excel's specifications.
MOST_ROWS: Final = 1_048_576
MOST_COLUMNS: Final = 16_384
MOST_TEXT: Final = 32_767
#: Excel has numbers of 15 digits.
_EXACT: Final = 10**15
#: Excel's calendar is right from this day on: it has a 29th of February 1900.
_FIRST_DAY: Final = "1900-03-01"
_OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_numbers": False,
    "strings_to_formulas": False,
    "strings_to_urls": False,
}


def save_sheet(scan: Scan, path: Path, progress: Callable[[int], None]) -> None:
    """Write the flat table as the only sheet of an ``.xlsx`` file.

    Raises:
        MissingPackageError: ``xlsxwriter`` is not installed.
        UnsupportedValueError: there are more rows, columns or characters than a sheet can hold.
    """
    _require_room(scan)
    kinds = scan.flat_kinds
    with xlsxwriter.Workbook(str(path), _OPTIONS) as workbook:
        sheet = _Sheet(workbook, list(kinds))
        for batch in stream(scan):
            pairs = zip(kinds.values(), batch.columns, strict=True)
            columns = [_cells(kind, values) for kind, values in pairs]
            for number in range(batch.num_rows):
                sheet.append([column[number] for column in columns])
            progress(batch.num_rows)


class _Sheet:
    """The sheet of a workbook, written row by row."""

    def __init__(self, workbook: Any, names: list[str]) -> None:
        self._names = names
        self._rows = 0
        self._sheet = workbook.add_worksheet("records")
        self._sheet.freeze_panes(1, 0)
        self._styles = {
            dt.date: workbook.add_format({"num_format": "yyyy-mm-dd"}),
            dt.datetime: workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"}),
        }
        self.append(names)

    def append(self, row: list[Any]) -> None:
        """Write the cells of a row; None leaves one empty."""
        for column, value in enumerate(row):
            if value is not None:
                self._write(column, value)
        self._rows += 1

    def _write(self, column: int, value: Any) -> None:
        if isinstance(value, bool):
            self._sheet.write_boolean(self._rows, column, value)
        elif isinstance(value, str):
            _require_short(self._names[column], value)
            self._sheet.write_string(self._rows, column, value)
        elif isinstance(value, dt.date):
            self._sheet.write_datetime(self._rows, column, value, self._styles[type(value)])
        else:
            self._sheet.write_number(self._rows, column, value)


def _require_room(scan: Scan) -> None:
    rows, columns = scan.row_count() + 1, len(scan.flat_kinds)
    if rows > MOST_ROWS or columns > MOST_COLUMNS:
        message = (
            f"{rows - 1:,} records of {columns:,} columns: an Excel sheet can hold"
            f" {MOST_ROWS - 1:,} below the header, and {MOST_COLUMNS:,} columns. Select some by where"
            " and select, or save as .parquet or .csv"
        )
        raise UnsupportedValueError(message)


def _cells(kind: Kind, values: Any) -> list[Any]:
    """The cell of each value: a bool, a number, a date, a time or text."""
    if kind == NULL:
        return [None] * len(values)
    if kind in {BOOL, TEXT}:
        return list(values.to_pylist())
    if kind in {INT, FLOAT}:
        return [_number(each) for each in values.to_pylist()]
    if kind in {DATE, DATETIME}:
        return [_instant(each) for each in kind.values(values)]
    return cell_texts(kind, values)


def _number(value: float | None) -> float | str | None:
    """A number; or its text if Excel would round it or does not have it."""
    if value is None or (isinstance(value, int) and abs(value) < _EXACT):
        return value
    if isinstance(value, int) or 0 < abs(value) < sys.float_info.min or math.isinf(value):
        return str(value)
    return "NaN" if math.isnan(value) else value


def _instant(value: dt.date | None) -> dt.date | str | None:
    """A date or a time; or its text if Excel would round it or does not have it."""
    if value is None:
        return None
    text, microseconds = value.isoformat(), getattr(value, "microsecond", 0)
    return text if text < _FIRST_DAY or microseconds % 1000 else value


def _require_short(name: str, text: str) -> None:
    if len(text.encode("utf-16-le")) > 2 * MOST_TEXT:
        message = (
            f"{name[:100]!r}: a text of {len(text):,} characters does not fit into an Excel cell, which"
            f" holds {MOST_TEXT:,}. Leave the column out by select, or save as .parquet or .csv"
        )
        raise UnsupportedValueError(message)
