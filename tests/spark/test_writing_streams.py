"""Writing streams: each batch is seen once and whole, however often it is tried."""

from __future__ import annotations

import datetime as dt
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._store.store import FolderStore
from rigorous_recorder.errors import (
    ArgumentError,
    DeletedError,
    ReservedKeyError,
    RigorousError,
)
from rigorous_recorder.spark import discard_unfinished, register, stream_writer
from rigorous_recorder.spark.stream_writer import StreamWriter, stream_writer_of

from ..store.folders import Snapshots, before_every_step
from .test_writing import SCHEMA, rows, seen, struct


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a collection is made."""
    return tmp_path / "study.collection"


def begun(path: Path, **options: str) -> StreamWriter:
    """What Spark hands to tasks, and makes anew for each commit."""
    said = {"path": str(path), "stream": "losses", **options}
    handed: StreamWriter = pickle.loads(
        pickle.dumps(stream_writer_of(said, struct(SCHEMA), overwrite=False))
    )
    return handed


def files(path: Path) -> int:
    """How many records there are in files."""
    return sum(pq.read_metadata(each).num_rows for each in (path / "records").glob("*.parquet"))


def test_each_batch_is_seen_once(path: Path) -> None:
    """Also one that is tried again after it was committed, as after a restart; a stream is one run."""
    for batch, indexes in enumerate([(0, 1), (2,), ()]):
        for _ in range(2):
            messages = [begun(path, parents="model").write(rows(*indexes))]
            before = seen(path)
            begun(path, info='{"lr": 0.1}').commit(messages, batch)
            assert set(seen(path)) - set(before) in (set(indexes), set())
    assert seen(path) == [0, 1, 2]
    other = begun(path, stream="others")
    other.commit([other.write(rows(3))], 0)
    collection = ExperimentCollection(path)
    found = [(row["spark_stream"], row["spark_batch"], row["i"]) for row in collection.records]
    assert sorted(found) == [("losses", 0, 0), ("losses", 0, 1), ("losses", 1, 2), ("others", 0, 3)]
    assert {row["lr"] for row in collection[1]} == {0.1}
    assert collection.experiment_numbers == (1, 2)
    collection.compact()
    assert files(path) == 4


def test_a_name_is_of_one_checkpoint(path: Path, tmp_path: Path) -> None:
    """The batches of another one have the same numbers: they are refused, not taken for the same."""
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "metadata").write_text(f'{{"id": "query {number}"}}')
    job = begun(path, checkpointLocation=f"file://{tmp_path}/0")
    job.commit([job.write(rows(0))], 0)
    again = begun(path, checkpointLocation=str(tmp_path / "0"))
    again.commit([again.write(rows(1))], 1)
    assert seen(path) == [0, 1]
    with pytest.raises(ArgumentError, match=r"'losses' was written from another checkpoint"):
        begun(path, checkpointLocation=str(tmp_path / "1"))
    begun(path, checkpointLocation=str(tmp_path / "1"), stream="others")


def test_an_aborted_batch_is_tried_again(path: Path) -> None:
    """What was written before is never seen; nor what an attempt left that did not count."""
    job = begun(path)
    messages = [job.write(rows(0))]
    job.abort([*messages, None], 0)
    job.write(rows(0))
    job.commit([job.write(rows(0))], 0)
    job.abort(messages, 0)
    assert seen(path) == [0]
    assert discard_unfinished(path, older_than=dt.timedelta(0)) == 1
    ExperimentCollection(path).compact()
    assert seen(path) == [0]
    assert files(path) == 1


@pytest.mark.parametrize("earlier", [0, 1])
def test_a_reader_sees_all_of_a_batch_or_nothing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, earlier: int
) -> None:
    """A driver that dies before any of its steps goes on with the same batch, which is seen once."""
    job = begun(path)
    for batch in range(earlier):
        job.commit([job.write(rows(10 + batch))], batch)
    messages = [job.write(rows(0, 1)), job.write(rows(2))]
    shots = Snapshots(path, tmp_path)
    with before_every_step(monkeypatch, shots.take):
        job.commit(messages, earlier)
    before = list(range(10, 10 + earlier))
    assert len(shots.copies) > 7
    for copy in shots.copies:
        assert seen(copy) in (before, [0, 1, 2, *before])
    for copy in shots.copies[::4]:
        again = begun(copy)
        again.commit([again.write(rows(0, 1)), again.write(rows(2))], earlier)
        assert seen(copy) == [0, 1, 2, *before]


@pytest.mark.parametrize(
    ("where", "name"),
    [(FolderStore, "set_many"), (stream_writer, "set_whole")],
    ids=["moved", "said"],
)
def test_a_batch_that_cannot_be_saved_is_taken_back(
    path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, name: str
) -> None:
    """And tried again; nothing of it is left waiting."""
    job = begun(path)
    messages = [job.write(rows(0))]
    whole = getattr(where, name)

    def fail(*args: Any) -> None:
        whole(*args)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(where, name, fail)
        with pytest.raises(OSError, match="No space"):
            job.commit(messages, 0)
    job.abort(messages, 0)
    assert seen(path) == []
    assert discard_unfinished(path, older_than=dt.timedelta(0)) == 0
    job.commit([job.write(rows(0))], 0)
    assert seen(path) == [0]


def test_a_batch_that_was_discarded_is_tried_again(path: Path) -> None:
    """It can't be committed, and the stream gets an error."""
    job = begun(path)
    messages = [job.write(rows(0))]
    assert discard_unfinished(path, older_than=dt.timedelta(0)) == 1
    with pytest.raises(DeletedError, match="discarded"):
        job.commit(messages, 0)
    job.commit([job.write(rows(0))], 0)
    assert seen(path) == [0]


REFUSED: list[tuple[dict[str, str], bool, type[RigorousError], str]] = [
    ({"stream": ""}, False, ArgumentError, "needs a name"),
    ({"stream": "s"}, True, ArgumentError, "complete"),
    ({"stream": "s", "info": '{"spark_batch": 1}'}, False, ReservedKeyError, "'spark_batch'"),
    ({"stream": "s", "experiment": "1"}, False, ArgumentError, "'experiment' is not known"),
]


@pytest.mark.parametrize(("options", "overwrite", "error", "text"), REFUSED)
def test_what_a_stream_cannot_be_is_refused(
    path: Path, options: dict[str, str], overwrite: bool, error: type[RigorousError], text: str
) -> None:
    """Before anything is written."""
    with pytest.raises(error, match=text):
        stream_writer_of({"path": str(path), **options}, struct(SCHEMA), overwrite=overwrite)
    assert not path.exists()


@pytest.mark.slow
def test_a_stream_of_spark_that_is_started_again_writes_each_row_once(
    spark: SparkSession, path: Path, tmp_path: Path
) -> None:
    """Also where it is told to do a batch again that was committed; the checkpoint names it."""
    register(spark)
    source, checkpoint = tmp_path / "source", tmp_path / "checkpoint"
    source.mkdir()

    def add(*indexes: int) -> None:
        pq.write_table(pa.table({"i": indexes}), source / f"{indexes[0]}.parquet")

    def run() -> None:
        stream = spark.readStream.schema("i long").parquet(str(source))
        query = (
            stream.writeStream.format("rigorous")
            .option("checkpointLocation", str(checkpoint))
            .trigger(availableNow=True)
            .start(str(path))
        )
        query.awaitTermination()

    add(0, 1)
    run()
    add(2)
    run()
    assert seen(path) == [0, 1, 2]
    for name in ("1", ".1.crc"):  # as if the driver had died behind the commit
        (checkpoint / "commits" / name).unlink()
    run()
    add(3)
    run()
    assert seen(path) == [0, 1, 2, 3]
    (experiment,) = ExperimentCollection(path).experiments.to_arrow().to_pylist()
    assert experiment["spark_stream"] == str(checkpoint)
    with pytest.raises(PySparkException, match="expected the folder"):
        spark.range(1).write.format("rigorous").mode("append").save()
