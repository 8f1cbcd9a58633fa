"""The format ``rigorous``: what Spark reads is the flat table, and nothing of it is lost or doubled."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.errors import AnalysisException, PythonException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import datasource as ds
from pyspark.sql.datasource import CaseInsensitiveDict, Filter
from pyspark.sql.types import StructType

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._engines.spark_types import for_spark, spark_fields
from rigorous_recorder.errors import (
    ArgumentError,
    ColumnError,
    DamagedFileError,
    DeletedError,
    NewerFormatError,
    NotACollectionError,
)
from rigorous_recorder.spark import partitions, plan, register
from rigorous_recorder.spark.filters import held, is_exact, refuses_null
from rigorous_recorder.spark.source import RigorousSource
from tests.property.strategies import scratch_folder
from tests.store.folders import cut, empty, files_below, flip_in_pages, log_as_writers, opened

PUSHDOWN = "spark.sql.python.filterPushdown.enabled"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "c.collection"


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExperimentCollection]:
    """Two experiments in sealed files with differing columns, and one that runs, in a live file."""
    with opened(tmp_path_factory.mktemp("source") / "c.collection") as found:
        found.recorder["study"] = "s"
        for number, rate in enumerate((0.1, 0.01, 1)):
            experiment = found.new_experiment(rate=rate)
            with experiment as recorder:
                for model in ("a", "B", "ä"):
                    shape = np.arange(4, dtype=np.float16).reshape(2, 2) if number else None
                    said = {"model": model, "score": number, "nothing": None, "array": shape}
                    log_model(recorder.child(said), number)
            if number < 2:
                found.save()
        yield found


def log_model(recorder: Any, number: int) -> None:
    for step in range(6):
        more: dict[str, Any] = {"late": step, "Late": "x" * step} if number else {}
        recorder.push(step=step, loss=1 / (1 + step), tag=f"t{step % 2}", **more)
    recorder.push(step=9, score=None, took=dt.timedelta(seconds=number), mixed=number or "text")
    recorder.push(
        step=10, score=7.5, loss=float("nan"), when=dt.datetime(2020, 1, 2, tzinfo=dt.UTC)
    )
    recorder.push(bytes=b"\0", day=dt.date(1900, 1, 1), naive=dt.datetime(1, 1, 1), flag=True)
    recorder.push(array=np.arange(4, dtype=np.float16).reshape(2, 2), u8=np.array([255], np.uint8))


def wanted(collection: ExperimentCollection, schema: pa.Schema | None = None) -> pa.Table:
    """The flat table as Spark should have it."""
    scan = collection.records._scan()
    table = collection.records.to_arrow()
    columns = [for_spark(column.combine_chunks()) for column in table.columns]
    found = pa.Table.from_arrays(columns, names=list(spark_fields(scan)))
    return found if schema is None else found.cast(schema)


class Reads:
    """A reading as Spark does it, in one process: planned now, and read when it is requested.

    Attributes:
        left: the filters that were not taken over.
    """

    def __init__(
        self,
        folder: Path,
        *,
        schema: StructType | None = None,
        filters: Iterable[Filter] = (),
        **options: str,
    ) -> None:
        said = {"path": str(folder), "oneQuery": "true", **options}
        source = RigorousSource(CaseInsensitiveDict(said))
        self.schema = schema or source.schema()
        reader = source.reader(self.schema)
        self.left = list(reader.pushFilters(list(filters)))
        self.parts = list(reader.partitions())
        self._shipped = pickle.dumps((reader, self.parts))

    def table(self, *, is_new_worker: bool = True) -> pa.Table:
        if is_new_worker:
            partitions._opened.forget()
            partitions._files.forget()
        reader, found = pickle.loads(self._shipped)
        batches = [batch for part in found for batch in reader.read(part)]
        empty = pa.schema([each.field for each in found[0].reading.columns]) if found else None
        return pa.Table.from_batches(batches, empty) if found else pa.table({})


def rows(table: pa.Table) -> list[str]:
    return sorted(map(repr, table.to_pylist()))


def load(spark: SparkSession, folder: Path, **options: str) -> DataFrame:
    return spark.read.format("rigorous").options(**options).load(str(folder))


# --- the same rows as every other engine -------------------------------------------------------


def test_spark_reads_the_flat_table(spark: SparkSession, collection: ExperimentCollection) -> None:
    """Found by its name alone: sealed files of differing columns, live rows, all kinds of values."""
    folder = collection._store.folder.path
    found = load(spark, folder).toArrow()
    assert found.equals(wanted(collection, found.schema)) or rows(found) == rows(
        wanted(collection, found.schema)
    )
    assert found.column_names == list(spark_fields(collection.records._scan()))
    register(spark)
    chosen = load(spark, folder, columns='["Late", "loss", "model"]').where("model = 'ä'")
    names = chosen.columns
    assert names == ["Late_2", "loss", "model"]
    assert rows(chosen.toArrow()) == rows(
        wanted(collection).select(names).filter(pa.compute.field("model") == "ä")
    )


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, -0.0, 1e300, float("inf")]),
    st.sampled_from(["", "text", "a text of more than twelve bytes", "ü"]),
    st.lists(st.integers(0, 2), max_size=2),
)
DATA = st.dictionaries(st.sampled_from(["a", "A", "b", "x.y", "_node", "n"]), VALUES, max_size=3)
STEPS = st.lists(
    st.tuples(st.sampled_from(["child", "push", "say", "save"]), st.integers(0, 99), DATA),
    min_size=1,
    max_size=12,
)


@given(steps=STEPS)
@settings(max_examples=60, deadline=None)
def test_any_tree_reads_as_the_flat_table(steps: list[tuple[str, int, dict[str, Any]]]) -> None:
    """Logged in any order, sealed at any time: what workers read equals the Arrow table."""
    with scratch_folder() as scratch:
        folder = Path(scratch) / "t.collection"
        with opened(folder) as collection:
            recorders = [collection.recorder]
            for what, at, data in steps:
                recorder = recorders[at % len(recorders)]
                if what == "child":
                    recorders.append(recorder.child(data))
                elif what == "push":
                    recorder.push(data)
                elif what == "say":
                    recorder.update(data)
                else:
                    collection.save()
            collection._store.flush()
            if folder.exists():
                check_equal(collection, folder)


def check_equal(collection: ExperimentCollection, folder: Path) -> None:
    found = Reads(folder).table()
    expected = wanted(collection)
    if found.num_columns:
        assert found.column_names == expected.column_names
        assert found.equals(expected.cast(found.schema)) or rows(found) == rows(expected)
    else:
        assert expected.num_rows == 0


# --- one moment --------------------------------------------------------------------------------


def log_more(collection: ExperimentCollection, numbers: Iterable[int]) -> None:
    for number in numbers:
        collection.recorder.child(name=f"n{number % 7}").push(i=number)


def indexes(table: pa.Table) -> list[int]:
    return sorted(table.column("i").to_pylist())


def test_what_was_planned_is_read_whatever_happens_meanwhile(folder: Path) -> None:
    """Live rows are sealed, files merged, more logged between planning and reading: no difference."""
    log_as_writers(folder, range(4))
    with opened(folder) as collection:
        log_more(collection, range(4, 20))
        before = Reads(folder)
        log_more(collection, range(20, 30))
        collection.save()
        assert indexes(before.table()) == list(range(20))
        between = Reads(folder)
    with opened(folder) as collection:
        assert collection.compact() > 0
        assert not any((folder / "records").glob("*-0.parquet"))
        assert indexes(before.table()) == list(range(20))
        assert indexes(between.table()) == list(range(30))
        assert set(before.table().column("name").to_pylist()) >= {"w0", "n1"}


def test_rows_that_were_deleted_and_compacted_away_meanwhile_are_reported(folder: Path) -> None:
    """It is no shorter table: the reading fails, and a new one has all others."""
    for number in range(3):
        with opened(folder) as collection, collection.new_experiment() as experiment:
            experiment.push(i=number)
    before = Reads(folder)
    with opened(folder) as collection:
        collection.delete(2)
        assert indexes(Reads(folder).table()) == [0, 2]
        assert indexes(before.table()) == [0, 1, 2]
    opened(folder).compact()
    with pytest.raises(DeletedError, match="Read again"):
        before.table()
    assert indexes(Reads(folder).table()) == [0, 2]


def test_small_groups_are_read_together_and_large_ones_apart(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task reads neighbours until they are enough; live rows are sent in pieces of a size."""
    log_as_writers(folder, range(10))
    assert len(Reads(folder).parts) == 1
    assert len(Reads(folder, minPartitions="5").parts) == 5
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(plan, "_LEAST_ROWS", 1)
    assert len(Reads(folder).parts) == 2
    monkeypatch.setattr(plan, "_MOST_ROWS", 3)
    monkeypatch.setattr(plan, "_UNSEALED_ROWS", 2)
    with opened(folder) as collection:
        recorder = collection.recorder.child(name="live")
        for number in range(10, 17):
            recorder.push(i=number)
        found = Reads(folder)
        assert [len(part.rows) for part in found.parts] == [3, 3, 3, 2, 2, 1]
        assert indexes(found.table()) == list(range(17))
    # Of other nodes than those of its rows a task is told nothing.
    nodes = [partitions.unpacked(part.nodes) for part in found.parts if part.nodes]
    assert [table.num_rows for table in nodes[:3]] == [3, 3, 3]


def test_reading_changes_nothing_in_the_folder(folder: Path) -> None:
    """A folder that can't be written is read like any other."""
    log_as_writers(folder, range(3))
    with opened(folder) as collection:
        log_more(collection, range(3, 9))
        before = files_below(folder)
        assert indexes(Reads(folder).table()) == list(range(9))
        assert files_below(folder) == before


# --- filters -----------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")
FILTERED = [
    {"n": n, "x": x, "t": t, "b": b}
    for n, x, t, b in itertools.zip_longest(
        [None, 0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63), 7],
        [NAN, -0.0, 0.0, None, 1.5, INF, -INF, 2.0],
        ["", "a", None, "ab", "ä", "b%", "\0", "zab"],
        [True, False, None],
    )
]
FILTERS: dict[str, Filter] = {
    "x = double('NaN')": ds.EqualTo(("x",), NAN),
    "x < double('NaN')": ds.LessThan(("x",), NAN),
    "x <= double('NaN')": ds.LessThanOrEqual(("x",), NAN),
    "x > double('NaN')": ds.GreaterThan(("x",), NAN),
    "x >= double('NaN')": ds.GreaterThanOrEqual(("x",), NAN),
    "x > 1e0": ds.GreaterThan(("x",), 1.0),
    "x >= 1.5e0": ds.GreaterThanOrEqual(("x",), 1.5),
    "x < 1.5e0": ds.LessThan(("x",), 1.5),
    "x <= 0e0": ds.LessThanOrEqual(("x",), 0.0),
    "x < 0e0": ds.LessThan(("x",), 0.0),
    "x = -0e0": ds.EqualTo(("x",), -0.0),
    "x <=> 0e0": ds.EqualNullSafe(("x",), 0.0),
    "x <=> double('NaN')": ds.EqualNullSafe(("x",), NAN),
    "not (x > 1e0)": ds.Not(ds.GreaterThan(("x",), 1.0)),
    "not (x <=> 2e0)": ds.Not(ds.EqualNullSafe(("x",), 2.0)),
    "not (x = double('NaN'))": ds.Not(ds.EqualTo(("x",), NAN)),
    "x is null": ds.IsNull(("x",)),
    "x is not null": ds.IsNotNull(("x",)),
    "n = 1": ds.EqualTo(("n",), 1),
    "n <> 1": ds.Not(ds.EqualTo(("n",), 1)),
    "n > 9007199254740992": ds.GreaterThan(("n",), 2**53),
    "n <= 0": ds.LessThanOrEqual(("n",), 0),
    "n in (1, 7, 9)": ds.In(("n",), (1, 7, 9)),
    "n not in (1, 7)": ds.Not(ds.In(("n",), (1, 7))),
    "n <=> 1": ds.EqualNullSafe(("n",), 1),
    "t = 'a'": ds.EqualTo(("t",), "a"),
    "t < 'b'": ds.LessThan(("t",), "b"),
    "t >= 'ab'": ds.GreaterThanOrEqual(("t",), "ab"),
    "t like 'a%'": ds.StringStartsWith(("t",), "a"),
    "t like '%ab'": ds.StringEndsWith(("t",), "ab"),
    "t like '%a%'": ds.StringContains(("t",), "a"),
    "not (t like '%a%')": ds.Not(ds.StringContains(("t",), "a")),
    "t in ('a', 'ä')": ds.In(("t",), ("a", "ä")),
    "b": ds.EqualTo(("b",), True),
    "not b": ds.Not(ds.EqualTo(("b",), True)),
    "b <=> false": ds.EqualNullSafe(("b",), False),
}
UNTAKEN: list[Filter] = [
    ds.In(("x",), (1.0, 0.0)),
    ds.In(("n",), (1, None)),
    ds.EqualTo(("x",), 1),
    ds.EqualTo(("n",), None),
    ds.EqualTo(("n",), 2**63),
    ds.EqualTo(("b",), 1),
    ds.EqualTo(("j", "k"), 1),
    ds.Not(ds.EqualTo(("n",), True)),
    ds.StringContains(("n",), "1"),
]


@pytest.fixture(scope="module")
def filtered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same values in records, and in nodes under other keys, each with a record."""
    folder = tmp_path_factory.mktemp("filters") / "c.collection"
    with opened(folder) as collection:
        for values in FILTERED:
            above = {f"{key}_above": value for key, value in values.items()}
            collection.recorder.child(above).push(values)
    return folder


def test_filters_hold_for_the_rows_that_they_do_in_spark(
    spark: SparkSession, filtered: Path
) -> None:
    """NaN equals itself and is greatest, null is neither true nor false, -0.0 equals 0.0."""
    columns = load(spark, filtered, columns="n,x,t,b").selectExpr(
        "*", *(f"{text} AS c{at}" for at, text in enumerate(FILTERS))
    )
    found = columns.toArrow().combine_chunks()
    types = {field.name: field.dataType for field in columns.schema}
    for at, (text, condition) in enumerate(FILTERS.items()):
        name = getattr(getattr(condition, "child", condition), "attribute", ("",))[0]
        assert is_exact(condition, types[name]), text
        mask = held(condition, found.column(name).combine_chunks())
        assert mask.to_pylist() == found.column(f"c{at}").to_pylist(), text
        assert refuses_null(condition) == (
            not held(condition, pa.nulls(1, types_of(name)))[0].as_py()
        )


def types_of(name: str) -> pa.DataType:
    return {"n": pa.int64(), "x": pa.float64(), "t": pa.string(), "b": pa.bool_()}[name]


@pytest.mark.parametrize("text", FILTERS)
def test_a_filter_on_a_parents_key_is_that_on_the_records_own(filtered: Path, text: str) -> None:
    """Whoever has the value: the same rows are left, and fewer nodes are handed over."""
    condition = FILTERS[text]
    inner = getattr(condition, "child", condition)
    above = type(inner)((f"{inner.attribute[0]}_above",), *list(vars(inner).values())[1:])
    if inner is not condition:
        above = ds.Not(above)
    own, inherited = (Reads(filtered, filters=[each]) for each in (condition, above))
    assert own.left == inherited.left == []
    assert rows(own.table()) == rows(inherited.table())


def test_filters_that_mean_something_else_are_left_to_spark(filtered: Path) -> None:
    """A value of another type, a part of a column, a set of doubles: Spark asks every row itself."""
    found = Reads(filtered, filters=UNTAKEN)
    assert found.left == UNTAKEN
    assert found.table().num_rows == len(FILTERED)


def test_pushed_or_not_the_rows_are_the_same(
    spark: SparkSession, filtered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The session's setting changes how much is read, and nothing else."""
    query = "x_above > 0e0 AND n in (1, 7, 9) AND t like '%b' AND (x = 2e0 OR b)"
    frame = load(spark, filtered).where(query)
    spark.conf.set(PUSHDOWN, "true")
    try:
        pushed = load(spark, filtered, oneQuery="true").where(query)
        assert rows(pushed.toArrow()) == rows(frame.toArrow())
        assert pushed.count() == 1
        pushed.explain("formatted")
    finally:
        spark.conf.unset(PUSHDOWN)
    plan = capsys.readouterr().out
    assert "GreaterThan(x_above,0.0), In(n, [1,7,9]), StringEndsWith(t,b)]" in plan
    assert "Condition : ((x#" in plan


def test_a_frame_of_several_queries(spark: SparkSession, filtered: Path) -> None:
    """Spark keeps the plan of one for the others: none of them may have left anything out."""
    spark.conf.set(PUSHDOWN, "true")
    try:
        frame = load(spark, filtered)
        assert frame.where("n = 7").count() == 1
        assert frame.count() == len(FILTERED)
        both = frame.where("n = 7").unionAll(frame.where("n = 1")).toArrow()
        assert sorted(both.column("n").to_pylist()) == [1, 7]
    finally:
        spark.conf.unset(PUSHDOWN)


def test_groups_without_the_nodes_that_are_requested_are_not_read(folder: Path) -> None:
    """Nor is anything planned for them."""
    log_as_writers(folder, range(6))
    found = Reads(folder, filters=[ds.EqualTo(("name",), "w3")])
    assert found.left == []
    assert [len(part.rows) for part in found.parts] == [1]
    assert indexes(found.table()) == [3]
    assert not Reads(folder, filters=[ds.EqualTo(("name",), "w9")]).parts


def test_a_record_whose_node_is_lost_has_nothing_of_it(folder: Path) -> None:
    """So it is among those that have no value of a parent's key."""
    log_as_writers(folder, range(3))
    min((folder / "nodes").iterdir()).unlink()
    (lost,) = [row["i"] for row in Reads(folder).table().to_pylist() if row["name"] is None]
    found = Reads(folder, filters=[ds.IsNull(("name",))])
    assert found.left == []
    assert indexes(found.table()) == [lost]
    assert not Reads(folder, filters=[ds.EqualTo(("name",), f"w{lost}")]).parts


def test_of_nodes_without_records_no_task_is_started(folder: Path) -> None:
    """Where ids are far apart, it is looked up which nodes rows are of."""
    with opened(folder) as collection:
        recorders = [collection.recorder.child(name=f"n{number}") for number in range(50)]
        recorders[0].push(i=0)
        recorders[-1].push(i=1)
        collection.save()
        found = Reads(folder)
    (part,) = found.parts
    assert partitions.unpacked(part.nodes).num_rows == 2
    assert found.table().column("name").to_pylist() == ["n0", "n49"]


def test_one_experiment(folder: Path) -> None:
    """Of the others nothing is read."""
    with opened(folder) as collection:
        for number in range(3):
            with collection.new_experiment() as experiment:
                experiment.child(name=f"n{number}").push(i=number)
            collection.save()
        assert indexes(Reads(folder, experiment="2").table()) == [1]
        found = Reads(folder, experiment="-1")
        assert [len(part.rows) for part in found.parts] == [1]
        assert indexes(found.table()) == [2]
    with pytest.raises(ArgumentError, match="there is no experiment 9"):
        Reads(folder, experiment="9")


# --- bad input ---------------------------------------------------------------------------------


def test_errors_reach_the_user(spark: SparkSession, folder: Path) -> None:
    """Spark's own exception, on the driver, has what was wrong and what to do, and little else."""
    with pytest.raises(AnalysisException) as caught:
        load(spark, folder)
    text = str(caught.value)
    assert f"NotACollectionError: there is no collection at {folder}" in text
    assert text.count("File ") <= 2
    log_as_writers(folder, range(2))
    with pytest.raises(AnalysisException, match="ColumnError: column 'i' is bigint, not string"):
        spark.read.format("rigorous").schema("i string").load(str(folder)).collect()


def test_a_file_that_breaks_after_planning_is_reported_by_the_worker(
    spark: SparkSession, folder: Path
) -> None:
    """What a worker finds out fails the query with the file's name."""
    log_as_writers(folder, range(2))
    frame = load(spark, folder)
    flip_in_pages(next((folder / "records").iterdir()))
    with pytest.raises(PythonException, match=r"(?s)DamagedFileError: .*\.parquet is damaged"):
        frame.collect()


@pytest.mark.parametrize("damage", [cut, flip_in_pages, empty])
def test_workers_refuse_or_leave_out_what_broke_after_planning(folder: Path, damage: Any) -> None:
    """As the driver does with what was broken before."""
    log_as_writers(folder, range(3))
    found, rest = Reads(folder), Reads(folder, damaged="skip")
    damage(min((folder / "records").iterdir()))
    with pytest.raises(
        DamagedFileError, match=r"\.parquet is damaged: .*option\('damaged', 'skip'\)"
    ):
        found.table()
    assert rest.table().num_rows == 2


def test_what_one_query_left_out_is_reported_to_the_next(folder: Path) -> None:
    """A worker that serves both keeps files open, and not that there was nothing to be read."""
    log_as_writers(folder, range(3))
    found, rest = Reads(folder), Reads(folder, damaged="skip")
    path = min((folder / "records").iterdir())
    data = bytearray(path.read_bytes())
    data[8] ^= 0xFF  # in the first column, which says whose the rows are
    path.write_bytes(data)
    assert rest.table().num_rows == 2
    with pytest.raises(DamagedFileError, match=r"option\('damaged', 'skip'\)"):
        found.table(is_new_worker=False)


@pytest.mark.parametrize("damage", [cut, flip_in_pages])
def test_damaged_files_are_refused_or_left_out(folder: Path, damage: Any) -> None:
    """By default nothing is read that is not all; on demand the rest is."""
    log_as_writers(folder, range(3))
    damage(min((folder / "records").iterdir()))
    with pytest.raises(DamagedFileError, match=r"option\('damaged', 'skip'\)"):
        Reads(folder).table()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a worker's are unseen
        assert Reads(folder, damaged="skip").table().num_rows == 2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"colums": "a"}, "option 'colums' is not known; there are: columns"),
        ({"columns": "[1]"}, "expected names separated by commas, or a JSON list"),
        ({"experiment": "last"}, "experiment='last': expected a whole number"),
        ({"damaged": "ignore"}, "expected 'fail' .* or 'skip'"),
        ({"maxRowsPerBatch": "0"}, "expected a whole number, at least 1"),
        ({"path": "s3://bucket/c"}, "a folder that every worker sees"),
        ({"path": ""}, "expected the folder of one collection"),
    ],
)
def test_options_that_are_wrong_are_reported(
    folder: Path, options: dict[str, str], text: str
) -> None:
    """Each with what was expected."""
    log_as_writers(folder, [0])
    with pytest.raises(ArgumentError, match=text):
        RigorousSource(CaseInsensitiveDict({"path": str(folder), **options})).schema()


def test_a_folder_that_is_no_collection_is_reported(folder: Path) -> None:
    """As is one of a newer version, or with an unknown feature, before anything is read."""
    folder.mkdir()
    (folder / "x").touch()
    with pytest.raises(NotACollectionError, match="is not a collection"):
        Reads(folder)
    (folder / "x").unlink()
    folder.rmdir()
    log_as_writers(folder, [0])
    info = folder / "collection.json"
    info.write_text(info.read_text().replace('"version": 1', '"version": 9'))
    with pytest.raises(NewerFormatError, match="has format 9"):
        Reads(folder)
    info.write_text(info.read_text().replace('"version": 9', '"version": 1, "features": ["new"]'))
    with pytest.raises(NewerFormatError, match="uses 'new'"):
        Reads(folder)


def test_a_schema_of_the_users_own(folder: Path) -> None:
    """It may have fewer columns, doubles for ints, and, if so said, columns that are not there."""
    log_as_writers(folder, range(2))
    schema = StructType().add("I", "double").add("later", "string")
    with pytest.raises(ColumnError, match="there is no column 'later'; there are: name, i"):
        Reads(folder, schema=schema)
    found = Reads(folder, schema=schema, missing="null").table()
    assert found.to_pylist() == [{"I": 0.0, "later": None}, {"I": 1.0, "later": None}]
    with pytest.raises(ColumnError, match="column 'name' is string, not double"):
        Reads(folder, schema=StructType().add("name", "double"))
    with pytest.raises(ColumnError, match="'name' is NOT NULL in the schema"):
        Reads(folder, schema=StructType().add("name", "string", nullable=False))


def test_a_folder_that_is_gone_when_workers_read(folder: Path) -> None:
    """The error names the way out."""
    log_as_writers(folder, range(2))
    found = Reads(folder)
    shutil.rmtree(folder)
    with pytest.raises(
        DeletedError, match=r"was deleted after the query was planned.*load the collection"
    ):
        found.table()


def test_a_path_may_be_given_as_elsewhere(folder: Path) -> None:
    """Without the extension, or as a URI of this machine's files."""
    log_as_writers(folder, range(2))
    for path in (folder.with_suffix(""), f"file://{folder}", f"file:{folder}"):
        source = RigorousSource(CaseInsensitiveDict({"path": str(path)}))
        assert source.schema().names == ["name", "i"]


def test_an_older_pyspark_is_reported_and_breaks_no_other_format() -> None:
    """What Spark finds by name can be imported, and says what to install once it is asked."""
    code = """
import sys
from types import ModuleType
import pyspark
pyspark.__version__ = "4.0.1"
sys.modules["pyspark.sql.streaming.datasource"] = ModuleType("empty")
sys.modules["pyspark.sql.datasource"] = older = ModuleType("older")
older.DataSource = object
import pyspark_rigorous
try:
    pyspark_rigorous.DefaultSource().schema()
except ImportError as error:
    print(pyspark_rigorous.DefaultSource.name(), error)
import rigorous_recorder.spark
try:
    rigorous_recorder.spark.register(sys)
except ImportError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    text = (
        "the format 'rigorous' needs PySpark 4.3 or newer, and 4.0.1 is installed:"
        " pip install 'rigorous-recorder[spark]'"
    )
    assert done.stdout == f"rigorous {text}\nMissingPackageError {text}\n", done.stderr
