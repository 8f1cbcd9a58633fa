"""Writing DataFrames: what is written reads back equal, and is seen as a whole or not at all."""

from __future__ import annotations

import datetime as dt
import json
import math
import pickle
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import types as st
from pyspark.sql.functions import udf

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._store.folder import Folder
from rigorous_recorder._store.store import FolderStore
from rigorous_recorder.errors import (
    ArgumentError,
    DeletedError,
    NotACollectionError,
    ReservedKeyError,
    RigorousError,
    SaveError,
    UnsupportedTypeError,
    UnsupportedValueError,
)
from rigorous_recorder.spark import discard_unfinished, write_job, writer
from rigorous_recorder.spark.write_job import Written
from rigorous_recorder.spark.writer import BatchWriter, batch_writer_of

from ..store.folders import Snapshots, before_every_step, reading

SCHEMA = "model string, episode long, i long, loss double"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a collection is made."""
    return tmp_path / "study.collection"


def begun(path: Path, schema: str = SCHEMA, **options: str) -> BatchWriter:
    """What Spark hands to its tasks: a writer that was pickled."""
    made = batch_writer_of({"path": str(path), **options}, struct(schema), overwrite=False)
    handed: BatchWriter = pickle.loads(pickle.dumps(made))
    return handed


def struct(schema: str) -> st.StructType:
    """A schema without a session."""
    kinds = {"string": st.StringType(), "long": st.LongType(), "double": st.DoubleType()}
    fields = [each.split() for each in schema.split(", ")]
    return st.StructType([st.StructField(name, kinds[kind]) for name, kind in fields])


def rows(*indexes: int, **more: Any) -> Iterator[pa.RecordBatch]:
    """A batch for each index."""
    schema = pa.schema(
        [("model", pa.string()), ("episode", pa.int64()), ("i", pa.int64()), ("loss", pa.float64())]
    )
    for i in indexes:
        row = {"model": f"m{i % 2}", "episode": i // 2, "i": i, "loss": i / 2} | more
        yield pa.RecordBatch.from_pylist([row], schema)


def seen(path: Path) -> list[int]:
    """The records of a collection that is only read."""
    return sorted(row["i"] for row in reading(path).records)


# --- with Spark -----------------------------------------------------------------------------------

FIELDS = [
    ("byte", st.ByteType(), -128),
    ("short", st.ShortType(), -(2**15)),
    ("int", st.IntegerType(), 2**31 - 1),
    ("long", st.LongType(), -(2**63)),
    ("large", st.DecimalType(38, 0), Decimal(2**100)),
    ("float", st.FloatType(), 0.5),
    ("double", st.DoubleType(), 5e-324),
    ("bool", st.BooleanType(), True),
    ("text", st.StringType(), "\0 ü\n"),
    ("bytes", st.BinaryType(), b"\0\xff"),
    ("date", st.DateType(), dt.date(1582, 10, 4)),
    ("naive", st.TimestampNTZType(), dt.datetime(2024, 2, 29, 1, 2, 3, 4)),
    ("zoned", st.TimestampType(), dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, dt.UTC)),
    ("delta", st.DayTimeIntervalType(), dt.timedelta(days=-3, microseconds=1)),
    ("numbers", st.ArrayType(st.FloatType()), [0.5, -1.0]),
    ("tables", st.ArrayType(st.ArrayType(st.ByteType())), [[1, 2], []]),
    ("gaps", st.ArrayType(st.LongType()), [2**62, None]),
    ("texts", st.ArrayType(st.StringType()), ["a", None]),
    ("map", st.MapType(st.StringType(), st.DoubleType()), {"b": math.inf, "a": 1.0}),
    (
        "struct",
        st.StructType(
            [
                st.StructField("x", st.LongType()),
                st.StructField("m", st.MapType(st.StringType(), st.BooleanType())),
            ]
        ),
        {"x": None, "m": {"k": True}},
    ),
    ("A", st.LongType(), 1),
    ("a", st.LongType(), 2),
]


def test_each_kind_of_value_reads_back_equal(spark: SparkSession, path: Path) -> None:
    """Whatever zone the session has; what is missing stays so; parents are set once each."""
    schema = st.StructType([st.StructField("row", st.LongType())])
    for name, kind, _ in FIELDS:
        schema.add(name, kind)
    values = [value for _, _, value in FIELDS]
    said = {"learning_rate": 0.1, "tags": ["x"]}
    settings = {"spark.sql.session.timeZone": "Asia/Kathmandu", "spark.sql.caseSensitive": "true"}
    before = {name: spark.conf.get(name) for name in settings}
    try:
        for name, value in settings.items():
            spark.conf.set(name, value)
        data = [(0, *values), (1, *values), (2, *[None] * len(values))]
        frame = spark.createDataFrame(data, schema).coalesce(1)
        frame.write.format("rigorous").mode("append").option("parents", "text,bool").option(
            "info", json.dumps(said)
        ).save(str(path.with_suffix("")))
    finally:
        for name, old in before.items():
            spark.conf.set(name, old)
    collection = ExperimentCollection(path)
    assert collection.experiment_numbers == (1,)
    assert len(collection.records) == 3
    for number, record in enumerate(sorted(collection.records, key=lambda row: row["row"])):
        for name, _, value in FIELDS:
            found = record[name]
            found = found.tolist() if isinstance(found, np.ndarray) else found
            assert found == (None if number == 2 else value), name
            kind = int if isinstance(value, Decimal) else type(value)
            assert number == 2 or type(found) is kind, name
        assert (record["learning_rate"], record["tags"]) == (0.1, ["x"])
        assert (record["had_error"], record["error_number"]) == (False, 0)
    table = collection.records.to_arrow()
    assert table.schema.field("zoned").type == pa.timestamp("us", "UTC")
    assert table.schema.field("numbers").type == pa.list_(pa.float32())
    (top,) = collection.recorder.children[0].children
    assert [each.local_data for each in top.children] == [{"text": "\0 ü\n"}, {}]
    assert top.children[0].children[0].local_data == {"bool": True}
    assert collection.verify() == []
    # Whoever wrote is gone: nothing of it waits to be recovered.
    assert [each.name for each in (path / "live").iterdir()] == ["experiments.lock"]


def test_a_job_of_which_a_task_fails_leaves_nothing(spark: SparkSession, path: Path) -> None:
    """What its other tasks wrote is never seen, and dropped by a compaction."""

    @udf("long", useArrow=False)
    def fail_at(i: int) -> int:
        if i == 3:
            raise ZeroDivisionError
        return i

    frame = spark.range(4, numPartitions=2).select(fail_at("id").alias("i"))
    with pytest.raises(PySparkException, match="ZeroDivisionError"):
        frame.write.format("rigorous").mode("append").save(str(path))
    collection = ExperimentCollection(path, quiet=True)
    assert len(collection.records) == 0
    assert collection.experiment_numbers == ()
    assert discard_unfinished(path, older_than=dt.timedelta(0)) == 0
    with pytest.raises(PySparkException, match=r"mode\('append'\)"):
        frame.write.format("rigorous").mode("overwrite").save(str(path))
    with pytest.raises(PySparkException, match='"ErrorIfExists" mode'):
        frame.write.format("rigorous").save(str(path))
    collection.compact()
    # What was sealed before the other task failed leaves a file that says how many rows it had.
    assert sum(pq.read_metadata(file).num_rows for file in (path / "records").iterdir()) == 0


# --- who sees what when ---------------------------------------------------------------------------


def test_nothing_is_seen_before_the_commit_and_all_after_it(path: Path) -> None:
    """Also not a number of an experiment."""
    with ExperimentCollection(path).new_experiment() as first:
        first.push(i=-1)
    job = begun(path, parents="model,episode")
    messages = [job.write(rows(0, 1, 2)), job.write(rows(3)), job.write(rows())]
    assert seen(path) == [-1]
    assert reading(path).experiment_numbers == (1,)
    assert "loss" not in reading(path).records.to_arrow().column_names
    ExperimentCollection(path).compact()
    job.commit(pickle.loads(pickle.dumps(messages)))
    assert seen(path) == [-1, 0, 1, 2, 3]
    collection = ExperimentCollection(path)
    assert collection.experiment_numbers == (1, 2)
    found = {row["i"]: (row["model"], row["episode"], row["loss"]) for row in collection[2]}
    assert found == {i: (f"m{i % 2}", i // 2, i / 2) for i in range(4)}
    (experiment,) = collection.experiments.to_arrow().slice(1).to_pylist()
    assert experiment["had_error"] is False
    assert experiment["experiment_start_time"] <= experiment["experiment_end_time"] <= time.time()
    assert collection.verify() == []


def test_a_reader_sees_all_of_a_commit_or_nothing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that dies before any of its steps leaves one or the other, and what can be discarded."""
    job = begun(path)
    messages = [job.write(rows(0, 1)), job.write(rows(2, 3))]
    loser = job.write(rows(2, 3))
    assert loser.node is not None
    shots = Snapshots(path, tmp_path)
    with before_every_step(monkeypatch, shots.take):
        job.commit(messages)
    assert seen(path) == [0, 1, 2, 3]
    found = [seen(copy) for copy in shots.copies]
    assert found == sorted(found, key=len)
    assert {tuple(each) for each in found} == {(), (0, 1, 2, 3)}
    assert len(shots.copies) > 10
    for copy, indexes in list(zip(shots.copies, found, strict=True))[::4]:
        discard_unfinished(copy, older_than=dt.timedelta(0))
        collection = ExperimentCollection(copy, quiet=True)
        collection.compact()
        assert seen(copy) == indexes
        assert sum(pq.read_metadata(each).num_rows for each in (copy / "records").iterdir()) == len(
            indexes
        )


def test_an_attempt_that_is_not_committed_does_not_count(path: Path) -> None:
    """A task that was tried again, or twice at once; nor one that was killed in the middle."""
    job = begun(path)

    def cut_short() -> Iterator[pa.RecordBatch]:
        yield from rows(0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.write(cut_short())
    job.write(rows(0, 1))
    won = job.write(rows(0, 1))
    job.commit([won])
    late = job.write(rows(0, 1))  # whoever does not know yet that all is over
    assert late.node is not None
    assert seen(path) == [0, 1]
    collection = ExperimentCollection(path)
    collection.compact()
    assert seen(path) == [0, 1]
    assert sum(pq.read_metadata(each).num_rows for each in (path / "records").iterdir()) == 2


def test_an_aborted_job_is_never_seen(path: Path) -> None:
    """Also where it was just committed, and the result was lost."""
    job = begun(path)
    messages = [job.write(rows(0)), None]
    job.abort(messages)
    assert seen(path) == []
    other = begun(path)
    written = [other.write(rows(1))]
    other.commit(written)
    other.abort(written)
    assert seen(path) == []
    assert ExperimentCollection(path).experiment_numbers == ()


@pytest.mark.parametrize(
    ("where", "name"), [(FolderStore, "set_many"), (writer, "set_whole")], ids=["moved", "said"]
)
def test_a_commit_that_cannot_be_saved_is_taken_back(
    path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, name: str
) -> None:
    """And the job fails, of which then nothing is seen."""
    job = begun(path)
    written = [job.write(rows(0))]
    whole = getattr(where, name)

    def fail(*args: Any) -> None:
        whole(*args)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(where, name, fail)
    with pytest.raises(OSError, match="No space"):
        job.commit(written)
    assert seen(path) == []
    job.abort(written)
    assert seen(path) == []


def test_rows_can_be_added_to_an_experiment(path: Path) -> None:
    """By its number, as for reading; of a resumed one to the last attempt; the experiment is as it was."""
    collection = ExperimentCollection(path)
    with collection.new_experiment(lr=0.5) as experiment:
        experiment.push(i=-1)
    with collection.resume(1) as attempt:
        attempt.push(i=-2)
    for _ in range(2):
        job = begun(path, experiment="-1", parents='["model"]')
        job.commit([job.write(rows(0, 1))])
    assert seen(path) == [-2, -1, 0, 0, 1, 1]
    assert {row["lr"] for row in collection.records} == {0.5}
    assert [row["experiment_attempt"] for row in collection.records if row["i"] >= 0] == [2] * 4
    assert collection.experiment_numbers == (1,)


def test_what_was_discarded_cannot_be_committed(path: Path) -> None:
    """A driver that was away for a week gets an error."""
    job = begun(path)
    written = [job.write(rows(0))]
    assert discard_unfinished(path, older_than=dt.timedelta(0)) == 1
    with pytest.raises(DeletedError, match="discarded"):
        job.commit(written)
    assert seen(path) == []


def test_what_the_driver_does_not_see_is_not_committed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is not shared: each machine has one of its own."""
    monkeypatch.setattr(write_job, "_PATIENCE_SECONDS", 0)
    begun_job = begun(path)
    written = [begun_job.write(rows(0)), Written(12345)]
    with pytest.raises(SaveError, match="shared by all machines"):
        begun_job.commit(written)
    assert seen(path) == []
    path.rename(path.with_name("away"))
    with pytest.raises(NotACollectionError, match="is not at"):
        begun_job.write(rows(0))


def test_a_task_whose_clock_is_ahead_is_committed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the driver sets is later all the same."""
    job, now = begun(path, parents="model"), time.time_ns
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: now() + 3600 * 10**9)
        written = [job.write(rows(0))]
    job.commit(written)
    assert seen(path) == [0]


# --- parents --------------------------------------------------------------------------------------


def test_parents_are_distinguished_by_their_exact_values(path: Path) -> None:
    """NaN is one value, 0.0 and -0.0 are two, and nothing is one more; over all batches."""
    job = begun(path, "x double, y long, i long", parents="x,y")
    xs = [math.nan, 0.0, -0.0, None, 1.5, math.nan, -0.0]
    batch = pa.table({"x": xs, "y": [1, 1, 1, None, 2, 1, 1], "i": range(7)})
    batches = batch.to_batches(max_chunksize=3)
    job.commit([job.write(iter(batches))])
    collection = ExperimentCollection(path)
    (top,) = collection.recorder.children[0].children
    found = [each.get("x") for each in top.children]
    assert [str(each) for each in found] == ["nan", "0.0", "-0.0", "None", "1.5"]
    assert [len(each.children) for each in top.children] == [1, 1, 1, 1, 1]
    assert [str(row["x"]) for row in collection.records] == [str(x) for x in xs]
    assert [row["y"] for row in collection.records] == [1, 1, 1, None, 2, 1, 1]


def test_rows_of_parents_alone_are_records(path: Path) -> None:
    """Each row is one, though it has no value of its own."""
    job = begun(path, "i long", parents="i")
    job.commit([job.write(iter([pa.record_batch({"i": pa.array([1, 2, 1, None])})]))])
    assert [row["i"] for row in ExperimentCollection(path).records] == [1, 2, 1, None]


def test_many_rows_of_many_parents(path: Path) -> None:
    """More than a live table has, in many batches."""
    job = begun(path, "model string, i long", parents="model")
    count = 300_000
    table = pa.table({"i": range(count), "model": [f"model {i % 1000}" for i in range(count)]})
    job.commit([job.write(iter(table.to_batches(max_chunksize=10_000)))])
    records = ExperimentCollection(path).records
    found = records.to_arrow().select(["i", "model"]).sort_by("i")
    assert found.equals(table.select(["i", "model"]).cast(found.schema))
    nodes = sum(pq.read_metadata(each).num_rows for each in (path / "nodes").iterdir())
    assert nodes < 1100


# --- what is refused on the driver, before anything is written ------------------------------------

REFUSED: list[tuple[str, st.DataType, str]] = [
    ("decimal", st.DecimalType(10, 2), "double"),
    ("months", st.YearMonthIntervalType(), "string"),
    ("time", st.TimeType(), "string"),
    ("variant", st.VariantType(), "string"),
    ("keys", st.MapType(st.LongType(), st.LongType()), "make them strings"),
    ("dates", st.ArrayType(st.DateType()), "nested values"),
    ("inner", st.StructType([st.StructField("x", st.DecimalType())]), "nested values"),
    (
        "same",
        st.StructType([st.StructField("x", st.LongType()), st.StructField("x", st.LongType())]),
        "nested values",
    ),
]


@pytest.mark.parametrize(("name", "kind", "advice"), REFUSED, ids=[each[0] for each in REFUSED])
def test_what_cannot_be_stored_is_refused(
    path: Path, name: str, kind: st.DataType, advice: str
) -> None:
    """The error names the column, its type, and the way out."""
    schema = struct("i long").add(name, kind)
    with pytest.raises(UnsupportedTypeError, match=f"'{name}': .*{advice}") as told:
        batch_writer_of({"path": str(path)}, schema, overwrite=False)
    assert kind.simpleString() in str(told.value)
    assert not path.exists()


OPTIONS: list[tuple[dict[str, str], type[RigorousError], str]] = [
    ({"path": ""}, ArgumentError, "expected the folder"),
    ({"path": "s3://bucket/study"}, ArgumentError, "mount"),
    ({"parent": "model"}, ArgumentError, "'parent' is not known; there are: parents"),
    ({"parents": "model,mode"}, ArgumentError, "no column 'mode'; there are: model, episode"),
    ({"parents": "model,model"}, ArgumentError, "once"),
    ({"parents": "[1]"}, ArgumentError, "JSON list"),
    ({"parents": "[1"}, ArgumentError, "not valid JSON"),
    ({"experiment": "one"}, ArgumentError, "number of an experiment"),
    ({"experiment": "7"}, ArgumentError, "no experiment 7"),
    ({"experiment": "1", "info": "{}", "x": ""}, ArgumentError, "'x' is not known"),
    ({"experiment": "-1", "info": '{"a": 1}'}, ArgumentError, "for a new experiment"),
    ({"info": "lr=1"}, ArgumentError, "not valid JSON"),
    ({"info": "[1]"}, ArgumentError, "JSON object"),
    ({"info": '{"had_error": 1}'}, ReservedKeyError, "had_error"),
    ({"info": '{"loss": 1}'}, ArgumentError, "'loss' is an attribute of info, too"),
    ({"info": '{"a": "\\ud800"}'}, UnsupportedValueError, "surrogate"),
]


@pytest.mark.parametrize(("options", "error", "text"), OPTIONS, ids=[o[2] for o in OPTIONS])
def test_options_that_cannot_be_used_are_refused(
    path: Path, options: dict[str, str], error: type[RigorousError], text: str
) -> None:
    """The error says what was expected."""
    with pytest.raises(error, match=text):
        batch_writer_of({"path": str(path), **options}, struct(SCHEMA), overwrite=False)
    assert not path.exists()


def test_columns_that_would_inherit_a_value_are_refused(path: Path) -> None:
    """A row without a value would read back as what is known above it."""
    collection = ExperimentCollection(path)
    with collection.new_experiment(loss=1):
        pass
    with pytest.raises(ArgumentError, match="'loss' is an attribute of the experiment, too"):
        begun(path, experiment="1")
    collection.recorder["episode"] = 1
    with pytest.raises(ArgumentError, match="'episode' is an attribute of the study, too"):
        begun(path)
    with pytest.raises(ReservedKeyError, match="experiment_number"):
        begun(path, "experiment_number long")
    schema = st.StructType([st.StructField("x", st.LongType())] * 2)
    with pytest.raises(UnsupportedValueError, match="more than one column has the name 'x'"):
        batch_writer_of({"path": str(path)}, schema, overwrite=False)
    with pytest.raises(UnsupportedTypeError, match="can't be a parent"):
        batch_writer_of(
            {"path": str(path), "parents": "x"},
            st.StructType([st.StructField("x", st.ArrayType(st.LongType()))]),
            overwrite=False,
        )


def test_times_beyond_the_year_9999_are_refused(path: Path) -> None:
    """The task fails: nothing could read them."""
    schema = st.StructType([st.StructField("x", st.DateType())])
    job = batch_writer_of({"path": str(path)}, schema, overwrite=False)
    days = pa.array([2_932_896, 2_932_897], pa.int32()).cast(pa.date32())
    job.write(iter([pa.record_batch({"x": days.slice(0, 1)})]))
    with pytest.raises(
        UnsupportedValueError,
        match=r"'x': a column of date32\[day\] has a date that is outside the years 1 to 9999",
    ):
        job.write(iter([pa.record_batch({"x": days})]))


def test_another_folder_is_left_alone(tmp_path: Path) -> None:
    """One that is no collection."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    with pytest.raises(NotACollectionError):
        begun(tmp_path / "other")
    assert not Folder(tmp_path / "other").live.exists()
