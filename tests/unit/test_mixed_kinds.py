"""Values of other kinds under a key stand in columns of their own, and spoil no column."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rigorous_recorder import ExperimentCollection, Recorder, Records
from rigorous_recorder._store.parquet_fragment import ParquetFragment
from rigorous_recorder.errors import MixedKindsWarning

#: Values that are no numbers, each with the column that they stand in.
STRAY = {
    "loss:bool": True,
    "loss:str": "nan",
    "loss:bytes": b"\0",
    "loss:json": {"a": [1]},
    "loss:date": dt.date(2024, 1, 2),
    "loss:datetime": dt.datetime(2024, 1, 2),
    "loss:datetime[UTC]": dt.datetime(2024, 1, 2, tzinfo=dt.UTC),
    "loss:timedelta": dt.timedelta(1),
    "loss:array[float64,2]": np.zeros(2),
}
ignored = pytest.mark.filterwarnings("ignore::rigorous_recorder.errors.MixedKindsWarning")


def _run(collection: ExperimentCollection, seed: int, *losses: Any) -> None:
    with collection.new_experiment(seed=seed) as experiment:
        for step, loss in enumerate(losses):
            experiment.push(step=step, loss=loss)


@contextmanager
def _study(folder: Path, stray: Any, how: str) -> Iterator[ExperimentCollection]:
    """Three runs of floats, and one that logged a stray value before them, or behind them."""
    with ExperimentCollection(folder / "c", quiet=True) as collection:
        runs = [(0, (1.0, 0.5)), (1, (1, 0.25)), (2, (3.0, 4.0)), (9, (stray, stray))]
        for seed, losses in runs[::-1] if "before" in how else runs:
            _run(collection, seed, *losses)
            if "sealed" in how or "compacted" in how:
                collection.save()
    with ExperimentCollection(folder / "c", quiet=True) as collection:
        if "compacted" in how:
            collection.compact()
        if "live" in how:
            _run(collection, 3, 2.0)
        yield collection


HOW = ["live, before", "live, behind", "sealed, before", "sealed, behind", "compacted, behind"]


@ignored
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", ["loss:bool", "loss:str", "loss:json"])
def test_one_odd_value_spoils_no_column(tmp_path: Path, name: str, how: str) -> None:
    """Numbers stay numbers for every reader, wherever and whenever the other value was logged."""
    with _study(tmp_path, STRAY[name], how) as collection:
        records = collection.records
        expected = [1.0, 0.5, 1, 0.25, 3.0, 4.0] + ([2.0] if "live" in how else [])
        numbers = records.to_polars()["loss"]
        assert numbers.dtype == pl.Float64
        assert sorted(numbers.drop_nulls()) == sorted(expected)
        assert records.to_polars()[name].count() == 2
        lazy = records.to_polars(lazy=True)
        assert lazy.select(pl.col("loss").mean()).collect().item() == pytest.approx(
            sum(expected) / len(expected)
        )
        assert lazy.filter(pl.col(name).is_not_null()).select("seed").collect().rows() == [(9,)] * 2
        assert records.to_pandas()["loss"].dtype == float
        (mean,) = collection.sql("SELECT avg(loss) FROM records WHERE seed < 9").fetchall()
        assert mean == (pytest.approx(sum(expected) / len(expected)),)
        odd = collection.sql(f'SELECT seed, loss FROM records WHERE "{name}" IS NOT NULL')
        assert odd.fetchall() == [(9, None), (9, None)]
        assert [row["loss"] for row in records.where(seed=9)] == [STRAY[name]] * 2
        assert sum(records.plot("step", "loss").curves[0].count) == len(expected)


@ignored
@pytest.mark.parametrize("name", STRAY)
def test_each_family_has_a_column_of_its_own(name: str) -> None:
    """Named by the key and the kind of its values."""
    recorder = Recorder()
    for _ in range(2):
        recorder.push(loss=0.5).push(loss=STRAY[name]).push(loss=2)
    table = recorder.records.to_arrow()
    assert table.column_names == ["loss", name]
    assert table["loss"].to_pylist() == [0.5, None, 2, 0.5, None, 2]
    assert [each is None for each in table[name].to_pylist()] == [True, False, True] * 2
    found = recorder.records.sql(f'SELECT count(loss), count("{name}") FROM records').fetchall()
    assert found == [(4, 2)]


@ignored
@pytest.mark.parametrize("is_sealed", [False, True])
def test_text_with_one_number_stays_text(tmp_path: Path, is_sealed: bool) -> None:
    """Numbers are not the main kind where something else is there more than ten times as often."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        for seed in range(11):
            with collection.new_experiment() as run:
                run.push(label=7 if seed == 3 else f"l{seed}", other="x" if seed % 2 else seed)
            if is_sealed:
                collection.save()
        columns = {
            name: str(dtype) for name, dtype in collection.records.to_polars().schema.items()
        }
        assert columns["label"] == "Int64"
        assert columns["label:str"] == "String"
        assert columns["other"] == "Int64"
        with collection.new_experiment() as run:
            run.push(label="one more")
        columns = {
            name: str(dtype) for name, dtype in collection.records.to_polars().schema.items()
        }
        assert columns["label"] == "String"
        assert columns["label:int"] == "Int64"
        collection.save()
        assert collection.sql("SELECT count(label) FROM records").fetchall() == [(11,)]
        # A part that has values of the main kind has them in the same column; one that has none,
        # those that it has.
        assert collection.records.where(other=0).to_arrow()["label"].to_pylist() == ["l0"]
        assert collection[4].to_arrow()["label"].to_pylist() == [7]


@ignored
def test_many_shorter_runs_of_another_kind_do_not_take_the_name() -> None:
    """Of equally many values the numbers come first, then text, whatever came first."""
    for values in ([True, "a", 1], [1, "a", True], ["a", True, 1]):
        recorder = Recorder()
        for value in values:
            recorder.push(x=value)
        assert recorder.records.columns == ("x", "x:str", "x:bool")
    for values in ([True, "a"], ["a", True]):
        recorder = Recorder()
        for value in values:
            recorder.push(x=value)
        assert recorder.records.columns == ("x", "x:bool")


@ignored
def test_a_part_has_the_columns_of_its_values(tmp_path: Path) -> None:
    """``where`` and one experiment look at their own records."""
    with _study(tmp_path, "n/a", "sealed, behind") as collection:
        assert collection[1].columns[-2:] == ("step", "loss")
        assert collection[1].sql("SELECT avg(loss) FROM records").fetchall() == [(0.75,)]
        assert "loss:str" not in collection.records.where(seed=0).columns
        assert "loss:str" not in collection.records.where(loss=1).columns
        assert "loss:str" in collection.records.where(step=0).columns
        for part in (collection[4], collection.records.where(seed=9)):
            assert "loss:str" not in part.columns
            assert part.to_arrow()["loss"].to_pylist() == ["n/a"] * 2
        assert len(collection.records.where(loss="n/a")) == 2
        nothing = collection.records.where(seed=77)
        assert "loss:str" not in nothing.columns
        assert nothing.to_polars()["loss"].dtype == pl.Float64


@ignored
def test_an_own_value_of_any_kind_hides_the_inherited_one(tmp_path: Path) -> None:
    """In SQL, Arrow, both kinds of Polars frames and rows alike."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment(loss=0.5) as run:
            run.push(step=0, loss="n/a").push(step=1).push(step=2, loss=2)
            run.child(loss="text").push(step=3).push(step=4, loss=4)
        for _ in range(2):
            records = collection.records
            assert [row["loss"] for row in records] == ["n/a", 0.5, 2, "text", 4]
            expected = [(None, "n/a"), (0.5, None), (2, None), (None, "text"), (4, None)]
            query = 'SELECT loss, "loss:str" FROM records ORDER BY step'
            assert collection.sql(query).fetchall() == expected
            for name, column in zip(("loss", "loss:str"), zip(*expected, strict=True), strict=True):
                assert records.to_arrow()[name].to_pylist() == list(column)
                assert records.to_polars(lazy=True).select(name).collect()[name].to_list() == list(
                    column
                )
                one = collection.sql(f'SELECT "{name}" FROM records ORDER BY step').fetchall()
                assert one == [(value,) for value in column]
            held = records.to_polars(lazy=True).filter(pl.col("loss").is_null())
            assert held.select("step").collect()["step"].to_list() == [0, 3]
            collection.save()


@ignored
def test_attributes_have_the_same_columns(tmp_path: Path) -> None:
    """Of experiments and of all recorders, in SQL and as tables."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        for rate in (0.1, 1, "auto"):
            with collection.new_experiment(rate=rate) as run:
                run.push(step=0)
        expected = [(0.1, None), (1.0, None), (None, "auto")]
        for table in ("experiments", "nodes", "records"):
            query = f'SELECT rate, "rate:str" FROM {table} WHERE experiment_number > 0 ORDER BY 1'
            assert collection.sql(query).fetchall() == expected
        frame = collection.experiments.to_polars()
        assert frame.select("rate", "rate:str").rows() == expected
        assert collection.experiments.to_pandas()["rate"].tolist()[:2] == [0.1, 1.0]
        curves = collection.records.plot("step", "step", by="rate")
        assert {curve.by["rate"] for curve in curves.curves} == {0.1, 1.0, "auto"}


@ignored
def test_a_column_gets_a_name_that_no_key_has() -> None:
    """Behind the kind stands ``_`` until the name is free."""
    recorder = Recorder().push({"x": 1, "x:str": 2}).push({"x": "a", "x:str_": 3})
    recorder.push({"x:str": "b"})
    records = recorder.records
    assert records.columns == ("x", "x:str__", "x:str", "x:str:str", "x:str_")
    assert records.to_arrow()["x:str__"].to_pylist() == [None, "a", None]
    assert records.to_arrow()["x:str"].to_pylist() == [2, None, None]
    assert records.sql('SELECT "x:str:str" FROM records').fetchall() == [(None,), (None,), ("b",)]
    loaded = Recorder().extend(records.to_arrow()).records
    assert [dict(row) for row in loaded] == [dict(row) for row in records]


@pytest.mark.parametrize("how", ["live, behind", "sealed, behind"])
def test_a_query_of_a_key_with_other_kinds_warns_once(tmp_path: Path, how: str) -> None:
    """It names the values of each kind, their columns, and an experiment that has them."""
    with _study(tmp_path, "n/a", how) as collection:
        count = 7 if "live" in how else 6
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert len(list(collection.records)) == count + 2
            assert collection.sql("SELECT count(step) FROM records").fetchall() == [(count + 2,)]
            assert collection.sql('SELECT count("loss:str") FROM records').fetchall() == [(2,)]
            collection[1].sql("SELECT loss FROM records")
            lazy = collection.records.to_polars(lazy=True)
            assert lazy.select("step").collect().height == count + 2
        expected = f"{count} of float in 'loss', 2 of str in 'loss:str' \\(experiment 4\\)"
        with pytest.warns(MixedKindsWarning, match=expected) as caught:
            collection.sql("SELECT avg(loss) FROM records")
        assert [Path(each.filename).name for each in caught] == [Path(__file__).name]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            collection.sql("SELECT min(loss) FROM records")
            collection.sql("FROM records")
            collection.records.to_pandas()
            _run(collection, 5, "again")
            collection.records.to_arrow()


def _by_star(records: Records) -> object:
    return records.sql("FROM records")


def _lazily(records: Records) -> object:
    return records.to_polars(lazy=True).select("x").collect()


@pytest.mark.parametrize(
    "read", [Records.to_arrow, Records.to_polars, Records.to_pandas, _by_star, _lazily]
)
def test_every_reader_of_tables_warns(read: Any) -> None:
    """Each at the place in the user's code."""
    records = Recorder(x=True).push(x=1).push().records
    with pytest.warns(MixedKindsWarning, match=r"1 of int in 'x', 1 of bool in 'x:bool'\. "):
        read(records)


@ignored
@pytest.mark.parametrize("how", ["sealed, behind", "compacted, behind"])
def test_values_are_counted_without_reading_them(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which kind is the main one is known from the footers of files, and counted once a file."""
    with _study(tmp_path, "n/a", how) as collection:
        files = collection.records._scan().files
        read = ParquetFragment._read

        def read_nodes(file: ParquetFragment, *args: Any) -> Any:
            assert file not in files
            return read(file, *args)

        def refuse(*_: Any) -> None:
            raise AssertionError

        monkeypatch.setattr(ParquetFragment, "_read", read_nodes)
        assert "loss:str" in collection.records.columns
        monkeypatch.setattr(ParquetFragment, "_nulls", refuse)
        with collection.new_experiment(loss=3):
            assert "loss:str" in collection.records.columns
        assert collection.records._scan().files == files


def test_keys_of_one_kind_are_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """int and float, several zones and several shapes are one family, and cost nothing."""

    def refuse(*_: Any) -> None:
        raise AssertionError

    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment(rate=1) as run:
            run.push(rate=0.5, at=dt.datetime(2024, 1, 2, tzinfo=dt.UTC), pair=np.zeros(2), n=None)
            zone = dt.timezone(dt.timedelta(hours=1))
            run.push(at=dt.datetime(2024, 1, 2, tzinfo=zone), pair=np.zeros(3), n=1)
        collection.save()
        monkeypatch.setattr(ParquetFragment, "count", refuse)
        table = collection.records.to_arrow()
        assert table.column_names[-4:] == ["rate", "at", "pair", "n"]
        assert table["rate"].to_pylist() == [0.5, 1.0]


@ignored
@pytest.mark.parametrize("is_sealed", [False, True])
def test_arrays_are_counted_by_rows(tmp_path: Path, is_sealed: bool) -> None:
    """Not by their elements; an empty one is none."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment() as run:
            for size in (100, 0, 200, 3):
                run.push(x=np.ones(size))
            run.push(x="a").push(x="b").push(x="c").push(x="d")
        if is_sealed:
            collection.save()
        assert collection.records.columns[-2:] == ("x", "x:list[float64,1]")


@ignored
def test_a_chart_distinguishes_curves_by_values_of_all_kinds() -> None:
    """Runs whose seeds are of different kinds are no one curve; an odd y is counted as left out."""
    top = Recorder()
    seeds = [3, 2**64 + 5, 10**50, 2**128 - 1, "x"]
    for number, seed in enumerate(seeds):
        run = top.child(seed=seed, total=float(number))
        run.push(step=0, loss=float(number)).push(step=1, loss="diverged" if seed == "x" else 0.5)
    for curves in (
        top.all_records.plot("step", "loss", by="seed"),
        top.all_records.plot("step", "total", by="seed"),
    ):
        assert {curve.by["seed"]: curve.mean[0] for curve in curves.curves} == dict(
            zip(seeds, map(float, range(5)), strict=True)
        )
    curves = top.all_records.plot("step", "loss")
    assert (curves.left_out, curves.curves[0].count) == (1, [5, 4])
    assert "left out: 1 with NaN, infinity or a value of another kind" in curves.notes
    assert "left out" not in top.all_records.plot("step", "total").notes
