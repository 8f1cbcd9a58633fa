"""Tables with many columns: a read costs what its columns cost, and none looks at all for each."""

import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import rigorous_recorder
from rigorous_recorder import ExperimentCollection
from rigorous_recorder._live import split
from rigorous_recorder._store.parquet_fragment import ParquetFragment

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
    _, few, more, most = (_steps(tmp_path, n, sealed=sealed) for n in (5, 40, 80, 160))
    # What does not depend on the columns drops out of the differences.
    growth = {name: (most[name] - more[name]) / (more[name] - few[name]) for name in few}
    assert max(growth.values()) < 2.5, growth


_NARROW: dict[str, Callable[[Any], object]] = {
    "plot": lambda records: records.plot("step", "loss", by="model"),
    "select": lambda records: list(records.select("loss")),
    "SQL": lambda records: records.sql("SELECT avg(loss) FROM records").fetchall(),
    "lazy": lambda records: records.to_polars(lazy=True).select("loss").collect(),
    "columns": lambda records: records.columns,
    "len": len,
    "no match": lambda records: list(records.where(step=-1)),
    "no match in SQL": lambda records: list(records.where("loss > 1000")),
}


@pytest.fixture
def pictures(tmp_path: Path) -> ExperimentCollection:
    """Two models with an image in each record, in one file, opened again."""
    with ExperimentCollection(tmp_path / "pictures") as collection:
        models = [collection.recorder.child(model=f"m{n}") for n in range(2)]
        for step in range(6):
            for model in models:
                model.push(step=step, loss=step / 2, image=np.zeros((2, 2), np.float32))
    return ExperimentCollection(tmp_path / "pictures")


@pytest.mark.parametrize("how", ["whole", "by condition", "by SQL", "by recorder"])
def test_images_are_not_read_for_other_columns(
    pictures: ExperimentCollection, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = set[str]()
    read_all = ParquetFragment._read

    def spy(file: ParquetFragment, group: int, names: list[str]) -> Any:
        read.update(names)
        return read_all(file, group, names)

    monkeypatch.setattr(ParquetFragment, "_read", spy)
    recorder = pictures.recorder.children[0]
    records = {
        "whole": pictures.records,
        "by condition": pictures.records.where(step=[1, 2, 3]),
        "by SQL": pictures.records.where("loss > 0.5", model="m1"),
        "by recorder": recorder.records,
    }[how]
    for name, use in _NARROW.items():
        use(records)
        assert "image" not in read, name
    assert records[0]["image"].shape == (2, 2)
    assert "image" in read


@pytest.mark.parametrize("several", [False, True], ids=["one file", "several files"])
def test_a_warning_counts_all_keys(
    tmp_path: Path, several: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those with columns of their own, too, each once, and the warning names the pattern once."""
    monkeypatch.setattr(split, "_MANY_KEYS", 400)
    found = []
    for keys in (398, 399):
        folder = tmp_path / str(keys)
        with (
            warnings.catch_warnings(record=True) as caught,
            ExperimentCollection(folder) as collection,
        ):
            warnings.simplefilter("always")
            recorder = collection.recorder.child()
            for number in [*range(keys), *range(keys)]:
                recorder.push({"step": number, f"loss/{number}/a": 0.5})
                if several and number % 150 == 0:
                    collection.save()
        found.append([str(each.message)[:60] for each in caught])
    assert found == [[], ["400 different keys were logged, such as 'loss/<number>/a'. R"]]


def test_a_value_in_a_sparse_column_is_in_its_own_row_alone(tmp_path: Path) -> None:
    """Also where it replaces an inherited one, in a loop that lets each row go."""
    logged = [{"step": step, f"k{step * 7 % 500}": step / 2} for step in range(1_500)]
    inherited: dict[str, Any] = {f"k{number}": "inherited" for number in range(0, 500, 50)}
    expected = [inherited | fields for fields in logged]

    def read() -> list[dict[str, Any]]:
        return [
            {key: row[key] for key in row if key[1:].isdigit() or key == "step"} for row in rows
        ]

    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        rows = collection.records
        with collection.new_experiment(inherited) as experiment:
            for fields in logged:
                experiment.push(fields)
            assert read() == expected
        assert any(piece.sparse() for piece in rows._scan().pieces())
        assert read() == expected
