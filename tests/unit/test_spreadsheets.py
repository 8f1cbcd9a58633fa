"""Sheets of Excel: each cell has the value that was logged, or its text where Excel would round it."""

from __future__ import annotations

import datetime as dt
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest

from rigorous_recorder import ExperimentCollection, Recorder, _spreadsheets
from rigorous_recorder.errors import UnknownFileTypeError, UnsupportedValueError

#: What was logged, and what its cell has.
CELLS: list[tuple[Any, Any]] = [
    (1, 1),
    (-(10**15) + 1, -(10**15) + 1),
    (10**15, "1000000000000000"),
    (2**63 - 1, "9223372036854775807"),
    (2**64, "18446744073709551616"),
    (1.5, 1.5),
    (5e-324, "5e-324"),
    (2.5e-308, 2.5e-308),
    (math.nan, "NaN"),
    (-math.inf, "-inf"),
    (True, True),
    ("=1+1", "=1+1"),
    ("https://example.org", "https://example.org"),
    ("0123", "0123"),
    ("a\nb\x01c", "a\nb_x0001_c"),
    (b"\xff", "ff"),
    (dt.date(2026, 1, 31), dt.datetime(2026, 1, 31)),
    (dt.date(1900, 2, 28), "1900-02-28"),
    (dt.datetime(2026, 1, 31, 12, 30, 15, 250_000), dt.datetime(2026, 1, 31, 12, 30, 15, 250_000)),
    (dt.datetime(2026, 1, 31, 12, 30, 15, 250_001), "2026-01-31T12:30:15.250001"),
    (dt.datetime(2026, 1, 31, tzinfo=dt.UTC), "2026-01-31T00:00:00+00:00"),
    (dt.timedelta(seconds=1.5), "1.5"),
    ({"a": [1, None]}, '{"a":[1,null]}'),
    (np.array([[1, 2]]), "[[1,2]]"),
    (None, None),
]


def _rows(path: Path) -> list[tuple[Any, ...]]:
    sheet = openpyxl.load_workbook(path)["records"]
    return list(sheet.iter_rows(values_only=True))


def test_cells_have_what_was_logged(tmp_path: Path) -> None:
    """Numbers as numbers where Excel has them, text as text whatever it begins with."""
    recorder = Recorder(name="above").push({f"c{n}": value for n, (value, _) in enumerate(CELLS)})
    recorder.records.save_to(tmp_path / "x.xlsx")
    names, cells = _rows(tmp_path / "x.xlsx")
    found = dict(zip(names, cells, strict=True))
    assert found.pop("name") == "above"
    expected = {f"c{n}": cell for n, (_, cell) in enumerate(CELLS)}
    assert {name: (type(cell), cell) for name, cell in found.items()} == {
        name: (type(cell), cell) for name, cell in expected.items()
    }
    with zipfile.ZipFile(tmp_path / "x.xlsx") as parts:
        assert b"<f>" not in parts.read("xl/worksheets/sheet1.xml")  # a formula


def test_what_has_no_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the key, the size and the way out; no file is left behind."""
    recorder = Recorder().push(text="x" * 32_768).push(text="y")
    with pytest.raises(UnsupportedValueError, match=r"'text'.*32,768.*32,767.*select"):
        recorder.records.save_to(tmp_path / "x.xlsx")
    recorder = Recorder().push(a=1).push(a=2)
    monkeypatch.setattr(_spreadsheets, "MOST_ROWS", 2)
    with pytest.raises(UnsupportedValueError, match=r"2 records of 1 columns.*where"):
        recorder.records.save_to(tmp_path / "x.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_sheets_are_written_and_not_read(tmp_path: Path) -> None:
    """The error names who reads them; and experiments that are chosen are in a sheet as well."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        for lr in (0.1, 0.2):
            with collection.new_experiment(lr=lr) as experiment:
                experiment.push(step=0)
        collection.records.where("lr > 0.15").save_to(tmp_path / "x.xlsx")
    names, cells = _rows(tmp_path / "x.xlsx")
    assert dict(zip(names, cells, strict=True))["lr"] == 0.2
    with pytest.raises(UnknownFileTypeError, match="read_excel"):
        Recorder.load_from(tmp_path / "x.xlsx")
