"""``select``, ``sort``, ``head`` and ``tail``: the same rows in Python and in every engine."""

from __future__ import annotations

import copy
import datetime as dt
import math
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Recorder, Records, RecordsView, Row
from rigorous_recorder.errors import (
    ArgumentError,
    ArgumentTypeError,
    ColumnError,
    RecordIndexError,
    RigorousError,
)


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExperimentCollection]:
    """Records in sealed files and in a live one, some with gaps, text that is inherited, dicts."""
    with ExperimentCollection(tmp_path_factory.mktemp("views") / "c", quiet=True) as found:
        for run in range(3):
            with found.new_experiment(lr=0.1 * run, prompt="x" * 1_000) as experiment:
                for i in range(4):
                    loss = [0.5, math.nan, None, 0.25][i] if run else 1.0 * i
                    values = {"i": 10 * run + i, "loss": loss, "scores": {"a": i}}
                    experiment.child(model="ab"[i % 2]).push(values)
            if run < 2:
                found.save()
        yield found


def _same_everywhere(view: RecordsView | Records) -> list[int]:
    """The numbers of the rows, after all engines gave them."""
    rows = [row["i"] for row in view]
    assert len(view) == len(rows)
    assert view.to_arrow()["i"].to_pylist() == rows
    assert view.to_polars()["i"].to_list() == rows
    assert view.to_polars(lazy=True).select("i").collect()["i"].to_list() == rows
    assert view.to_pandas()["i"].tolist() == rows
    assert [i for (i,) in view.sql("SELECT i FROM records").fetchall()] == rows
    assert [row["i"] for row in view[:]] == rows
    assert [view[at]["i"] for at in range(len(rows))] == rows
    assert tuple(view.schema.names) == view.columns == tuple(view.to_arrow().column_names)
    assert [row["i"] for row in pickle.loads(pickle.dumps(view))] == rows
    assert view.schema == view.to_arrow().schema
    assert str(view)
    assert copy.copy(view) is not None
    return rows


def test_rows_are_ordered_and_cut_alike_in_every_engine(collection: ExperimentCollection) -> None:
    """Missing values and NaN last in both directions, equal ones in the order of logging."""
    records = collection.records
    every = [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]
    rising = [0, 13, 23, 10, 20, 1, 2, 3, 11, 21, 12, 22]
    falling = [3, 2, 1, 10, 20, 13, 23, 0, 11, 21, 12, 22]
    for view, wanted in (
        (records.head(5), every[:5]),
        (records.tail(3), every[-3:]),
        (records.head(99).tail(2), every[-2:]),
        (records.tail(7).head(3), every[5:8]),
        (records.head(0), []),
        (records.sort("loss"), rising),
        (records.sort("loss", descending=True), falling),
        (records.sort("loss").head(3), rising[:3]),
        (records.sort("loss").head(3).sort("i"), sorted(rising[:3])),
        (records.sort("loss").tail(4).head(2), rising[-4:-2]),
        (
            records.tail(8).sort("model", "i", descending=[True, False]).head(5),
            [11, 13, 21, 23, 10],
        ),
        (records.where("loss < 1").sort("i", descending=True).head(2), [23, 20]),
        (records.where(model="b").head(3), [1, 3, 11]),
        (collection[2].sort("loss"), [13, 10, 11, 12]),
        (records.select("i", "model").tail(2), [22, 23]),
        (records.sort("loss").head(3).select("i"), rising[:3]),
        (records.where(model="b").select("i"), [1, 3, 11, 13, 21, 23]),
    ):
        assert _same_everywhere(view) == wanted


def test_rows_of_views_have_the_exact_values(collection: ExperimentCollection) -> None:
    """As those of the records, with what they inherit."""
    records = collection.records
    assert repr(list(records.tail(3))) == repr(records[-3:])
    assert records.sort("i", descending=True)[0] == records[-1]
    assert isinstance(records.head(1)[0], Row)
    assert records.sort("loss").head(1)[0]["scores"] == {"a": 0}


def test_only_what_is_selected_is_there(collection: ExperimentCollection, tmp_path: Path) -> None:
    """In the order in which it is requested; conditions may be on what is not."""
    selected = collection.records.where("loss < 0.3", lr=[0.1, 0.2]).select("model", "i")
    rows = [{"model": "b", "i": 13}, {"model": "b", "i": 23}]
    assert selected.columns == ("model", "i")
    assert list(selected) == [selected[0], selected[1]] == rows
    assert selected.to_polars().to_dicts() == selected.to_arrow().to_pylist() == rows
    assert selected.sql("FROM records").columns == ["model", "i"]
    assert "prompt" not in str(selected)
    selected.save_to(tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text().splitlines() == ['"model","i"', '"b",13', '"b",23']
    assert list(selected.select("i").where(i=23)) == [{"i": 23}]
    assert [row["i"] for row in collection.records.sort("loss").head(2).select("i")] == [0, 13]
    assert selected.plot("i", "i").curves[0].x == [13, 23]
    one = collection.records.select("lr")
    assert one.to_arrow().nbytes < 1_000
    assert len(one) == 12


def test_a_key_of_several_kinds_has_all_of_its_columns() -> None:
    """And rows the values as they were logged."""
    records = Recorder().push(x=1, y=2).push(x="a").records
    with pytest.warns(match="several kinds"):
        selected = records.select("x").to_arrow()
    assert selected.column_names == ["x", "x:str"]
    assert [dict(row) for row in records.select("x")] == [{"x": 1}, {"x": "a"}]


@pytest.mark.parametrize(
    "values",
    [
        [dt.timedelta(days=200_000), dt.timedelta(1), dt.timedelta(-5)],
        [dt.date(2026, 1, 2), dt.date(2026, 1, 1), dt.date(1, 1, 1)],
        [dt.datetime(2026, 1, 2, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)],
        [2**70, 2**69, 0],
        [True, False],
        ["b", "a", ""],
        [b"b", b"a"],
        [math.inf, 2.5, 1, -math.inf],
    ],
)
def test_every_kind_that_has_an_order_is_sorted(values: list[Any]) -> None:
    """As Python sorts it."""
    recorder = Recorder()
    for value in values:
        recorder.push(x=value)
    assert [row["x"] for row in recorder.records.sort("x")] == sorted(values)
    assert [row["x"] for row in recorder.records.sort("x", descending=True)] == values


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda r: r.select(), ArgumentError, r"select\(\): expected at least one key"),
        (lambda r: r.select("los"), ColumnError, "no column 'los'; did you mean 'loss'"),
        (lambda r: r.select(3), ArgumentTypeError, "expected keys"),
        (lambda r: r.select("i").select("loss"), ColumnError, "no column 'loss'"),
        (lambda r: r.sort(), ArgumentError, "at least one key"),
        (lambda r: r.sort("los"), ColumnError, "did you mean 'loss'"),
        (lambda r: r.sort("i", descending=[True, False]), ArgumentError, "1 keys.*is of 2"),
        (lambda r: list(r.sort("scores")), ColumnError, "are json, which have no order"),
        (lambda r: r.head(-1), ArgumentError, r"head\(-1\): expected 0 or more"),
        (lambda r: r.tail("3"), ArgumentTypeError, "expected a number of rows"),
        (lambda r: r.head(True), ArgumentTypeError, "expected a number of rows"),
        (lambda r: r.head(2).sql(3), ArgumentTypeError, "a query is text"),
        (lambda r: r.head(2)[5], RecordIndexError, "row 5 of 2"),
        (lambda r: r.where(modle=1).head(2).to_arrow(), ColumnError, "did you mean 'model'"),
    ],
)
def test_what_views_cant_do_is_reported(
    collection: ExperimentCollection, call: Any, error: type[RigorousError], message: str
) -> None:
    """With what was wrong, and near names."""
    with pytest.raises(error, match=message):
        call(collection.records)


def test_a_view_has_the_rows_of_now(tmp_path: Path) -> None:
    """Also of a collection that was empty."""
    recorder = Recorder()
    last, best = recorder.records.tail(1), recorder.records.select("i")
    assert (list(last), len(best), list(recorder.records.head(3))) == ([], 0, [])
    recorder.push(i=1).push(i=2)
    assert [row["i"] for row in last] == [2]
    assert [row["i"] for row in best] == [1, 2]
