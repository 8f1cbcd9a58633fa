"""Tables with many columns: a read costs what its columns cost, and none looks at all for each."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import rigorous_recorder
from rigorous_recorder import ExperimentCollection

_PACKAGE = str(Path(rigorous_recorder.__file__).parent)
_ROWS = 3
_READS: dict[str, Callable[[Any, Path], object]] = {
    "rows": lambda records, _: list(records),
    "one row": lambda records, _: records[1],
    "a condition": lambda records, _: list(records.where(k1=1.0)),
    "a condition in SQL": lambda records, _: list(records.where("k1 > 0 AND k2 > 0")),
    "print": lambda records, _: str(records),
    "to_arrow": lambda records, _: records.to_arrow(),
    "to_polars": lambda records, _: records.to_polars(),
    "lazy": lambda records, _: records.to_polars(lazy=True).collect(),
    "SELECT *": lambda records, _: records.sql("SELECT * FROM records").fetchall(),
    "CSV": lambda records, folder: records.save_to(folder / "rows.csv"),
    "JSON lines": lambda records, folder: records.save_to(folder / "rows.jsonl"),
    "Parquet": lambda records, folder: records.save_to(folder / "rows.parquet"),
}


def _steps_of(function: Callable[[], object]) -> int:
    """How many lines of this library run, each turn of a comprehension counted."""
    steps = 0

    def count(_frame: FrameType, event: str, _: object) -> Any:
        nonlocal steps
        steps += event == "line"
        return count

    def enter(frame: FrameType, _event: str, _: object) -> Any:
        return count if frame.f_code.co_filename.startswith(_PACKAGE) else None

    before = sys.gettrace()
    threading.settrace(enter)
    sys.settrace(enter)
    try:
        function()
    finally:
        sys.settrace(before)
        threading.settrace(before)  # type: ignore[arg-type]
    return steps


def _steps(folder: Path, columns: int, *, sealed: bool) -> dict[str, int]:
    """The steps of each way to read a table, the same one for all."""
    collection = ExperimentCollection(folder / str(columns))
    with collection.new_experiment(lr=0.1) as experiment:
        for row in range(_ROWS):
            experiment.push(**{f"k{at}": float(row * at) for at in range(columns)})
    if sealed:
        collection.close()
        collection = ExperimentCollection(folder / str(columns))
    list(collection.records)  # background threads have nothing left to do
    found = {
        name: _steps_of(lambda read=read: read(collection.records, folder))  # type: ignore[misc]
        for name, read in _READS.items()
    }
    collection.close()
    return found


@pytest.mark.parametrize("sealed", [False, True], ids=["live", "sealed"])
def test_twice_the_columns_are_twice_the_steps_of_every_way_to_read(
    tmp_path: Path, sealed: bool
) -> None:
    _, few, more, most = (_steps(tmp_path, n, sealed=sealed) for n in (5, 20, 40, 80))
    # What does not depend on the columns drops out of the differences.
    growth = {name: (most[name] - more[name]) / (more[name] - few[name]) for name in few}
    assert max(growth.values()) < 2.2, growth
