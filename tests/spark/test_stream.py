"""The stream: every row once, however it is stored by then, and whoever stopped in between."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.datasource import CaseInsensitiveDict
from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadMaxRows
from pyspark.sql.types import StructType

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._store.node_ids import ROOT
from rigorous_recorder.errors import (
    ArgumentError,
    ColumnError,
    DamagedFileError,
    DeletedError,
    NotACollectionError,
)
from rigorous_recorder.spark import stream
from rigorous_recorder.spark.offsets import Offset, SegmentProgress, onwards
from rigorous_recorder.spark.source import RigorousSource
from tests.faults.test_presumed_dead import lose_lock
from tests.property.strategies import scratch_folder
from tests.store.folders import cut, files_below, log_as_writers, opened, reading


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "c.collection"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks of tests follow each other at once."""
    monkeypatch.setattr(stream, "_PAUSE", 0)
    monkeypatch.setattr(stream, "_SHARE", 1)


class Query:
    """A query as Spark runs it, in one process: offsets are text, what is read was pickled.

    Attributes:
        offset: how far it is, which outlives it as a checkpoint does.
        planned: an offset that was recorded before its rows were read.
    """

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self.options = options
        self.planned: str | None = None
        self.schema: StructType | None = None
        self.start()
        self.offset = json.dumps(self.reader.initialOffset())

    def start(self, schema: StructType | None = None) -> None:
        """Begin, or begin again."""
        source = RigorousSource(CaseInsensitiveDict({"path": str(self.folder), **self.options}))
        self.schema = schema or source.schema()
        source = pickle.loads(pickle.dumps(source))
        self.reader = source.streamReader(self.schema)

    def plan(self) -> bool:
        """Note how far the next batch goes; whether it has any rows."""
        if self.planned is None:
            found = self.reader.latestOffset(
                json.loads(self.offset), self.reader.getDefaultReadLimit()
            )
            said = json.dumps(found)
            self.planned = None if said == self.offset else said
        return self.planned is not None

    def batch(self) -> list[dict[str, Any]]:
        """The rows of the batch that was planned last."""
        assert self.planned is not None
        parts = self.reader.partitions(json.loads(self.offset), json.loads(self.planned))
        reader, shipped = pickle.loads(pickle.dumps((self.reader, parts)))
        batches = [batch for part in shipped for batch in reader.read(part)]
        self.offset, self.planned = self.planned, None
        return [row for batch in batches for row in batch.to_pylist()]

    def rows(self, key: str = "i") -> list[Any]:
        """What there is of a column until nothing more comes."""
        found = []
        while self.plan():
            found += [row[key] for row in self.batch()]
        return found


def log(collection: ExperimentCollection, numbers: Iterable[int]) -> None:
    recorder = collection.recorder.child(name="n")
    for number in numbers:
        recorder.push(i=number)
    collection._store.flush()


# --- each row once -----------------------------------------------------------------------------


STEPS = st.lists(
    st.sampled_from(
        ["log", "log", "look", "look", "plan", "restart", "save", "reopen", "other", "compact"]
    ),
    max_size=25,
)


@given(steps=STEPS, most=st.sampled_from([None, "1", "3", "50"]))
@settings(max_examples=60, deadline=None)
def test_each_row_comes_once_whatever_happens(steps: list[str], most: str | None) -> None:
    """Logged, sealed, merged; the stream stopped between planning a batch and reading it."""
    with scratch_folder() as scratch:
        folder = Path(scratch) / "c.collection"
        log_as_writers(folder, [0])
        options = {} if most is None else {"maxRowsPerBatch": most}
        query = Query(folder, **options)
        numbers, seen = itertools.count(1), []
        collection = opened(folder)
        try:
            for step in steps:
                if step == "log":
                    log(collection, itertools.islice(numbers, 4))
                elif step == "look" and query.plan():
                    rows = query.batch()
                    assert most is None or len(rows) <= int(most)
                    seen += [row["i"] for row in rows]
                elif step == "plan":
                    query.plan()
                elif step == "restart":
                    query.start()
                elif step == "save":
                    collection.save()
                elif step == "reopen":
                    collection.close()
                    collection = opened(folder)
                elif step == "other":
                    log_as_writers(folder, itertools.islice(numbers, 1))
                elif step == "compact":
                    collection.compact()
            seen += query.rows()
        finally:
            collection.close()
        assert sorted(seen) == list(range(next(numbers)))


def test_offsets_stay_short(folder: Path) -> None:
    """They tell of each writer one span of segments, however many these were."""
    with opened(folder) as collection:
        log(collection, [0])
        query = Query(folder)
        for number in range(1, 20):
            log(collection, [number])
            collection.save()
            query.rows()
        log(collection, [20, 21])
        query.rows()
        (said,) = json.loads(query.offset)["writers"].values()
        first, _, last = said.partition(",")
        assert first.startswith("0-")
        assert last.endswith(":2")
        assert "," not in last


def test_an_offset_round_trips_through_text() -> None:
    """Segments that were skipped are delivered once they appear; partial ones continue."""
    texts = {"a": "0-2,5,7:3", "b": "1:4"}
    offset = Offset.of(texts)
    assert offset.texts() == texts
    held = [SegmentProgress("a", n, 10, True) for n in range(9)]
    found = onwards(offset, held, None, None)
    assert found.texts() == {"a": "0-8", "b": "1:4"}
    assert onwards(found, held, None, None) is found
    assert onwards(offset, held, 12, None).texts() == {"a": "0-3,5,4:2,7:3", "b": "1:4"}


def test_of_more_rows_than_a_batch_takes_each_writer_has_a_share() -> None:
    """One that logs much does not keep others waiting."""
    held = [
        SegmentProgress("a", 0, 100, False),
        SegmentProgress("b", 0, 3, False),
        SegmentProgress("c", 0, 100, False),
    ]
    found = onwards(Offset(), held, 20, None)
    assert (
        found.texts() == {"a": "0:8", "b": "0:3", "c": "0:9"}
        or sum(int(text.split(":")[1]) for text in found.texts().values()) == 20
    )
    assert found.texts()["b"] == "0:3"


def test_a_batch_is_the_same_when_it_is_read_again(folder: Path) -> None:
    """Also where its rows were live then, and are in a file of several writers now."""
    log_as_writers(folder, range(3))
    collection = opened(folder)
    log(collection, range(3, 8))
    query = Query(folder)
    assert query.plan()
    log(collection, range(8, 12))
    collection.close()
    opened(folder).compact()
    query.start()
    assert sorted(row["i"] for row in query.batch()) == list(range(8))
    assert query.rows() == list(range(8, 12))


def test_reading_changes_nothing_in_the_folder(folder: Path) -> None:
    """A folder that can't be written is followed like any other."""
    log_as_writers(folder, range(3))
    with opened(folder) as collection:
        log(collection, range(3, 9))
        before = files_below(folder)
        assert sorted(Query(folder).rows()) == list(range(9))
        assert files_below(folder) == before


@pytest.mark.parametrize("is_interrupted", [False, True])
def test_a_writer_that_was_presumed_dead_goes_on(
    folder: Path, tmp_path: Path, is_interrupted: bool
) -> None:
    """What it logs before it notices comes once that is under its new name, and once."""
    with opened(folder) as collection:
        recorder = collection.recorder.child(name="n")
        for number in range(10):
            recorder.push(i=number)
        query = Query(folder)
        assert query.rows() == list(range(10))
        lose_lock(collection)
        kept = {path: tmp_path / path.name for path in (folder / "live").iterdir()}
        for path, aside in kept.items():
            os.link(path, aside)
        opened(folder).close()
        for path, aside in kept.items():
            if is_interrupted and not path.exists():  # as before the last step of the recovery
                os.link(aside, path)
        for number in range(10, 15):
            recorder.push(i=number)
        seen = query.rows()
        collection.save()
        assert sorted(row["i"] for row in reading(folder).records) == list(range(15))
        recorder.push(i=15)
        seen += query.rows()
        collection.save()
        assert seen + query.rows() == list(range(10, 16))


def test_rows_that_wait_come_when_they_count(folder: Path) -> None:
    """As those of a task that did not commit yet do; those behind them in a file then, too."""
    with opened(folder) as collection:
        store, recorder = collection._store, collection.recorder.child(name="n")
        recorder.push(i=0)
        query = Query(folder)
        waiting = [store.new_node() for _ in range(2)]
        for node in waiting:
            store.hold(node)
        for number, node in enumerate(waiting, 1):
            store.records.append(node, {"i": number})
            recorder.push(i=10 * number)
        assert query.rows() == [0]
        store.set_attributes(waiting[0], {}, ROOT)
        assert query.rows() == [1, 10]
        collection.save()
        recorder.push(i=30)
        assert query.rows() == [30]
        store.delete([waiting[1]])
        query.start()
        assert query.rows() == [20]


def test_what_is_available_now_is_all_that_is_given(folder: Path) -> None:
    """What is logged after that waits for the next query."""
    with opened(folder) as collection:
        log(collection, range(5))
        query = Query(folder, maxRowsPerBatch="2")
        query.reader.prepareForTriggerAvailableNow()
        log(collection, range(5, 9))
        assert query.rows() == list(range(5))
        query.start()
        assert query.reader.getDefaultReadLimit() == ReadMaxRows(2)
        everything = query.reader.latestOffset(json.loads(query.offset), ReadAllAvailable())
        assert set(everything["writers"].values()) == {"0:9"}


def test_records_that_were_deleted_are_not_given(folder: Path) -> None:
    """If others of a segment were dropped since, an error reports that the new ones are unknown."""
    collection = opened(folder)
    for number in range(3):
        with collection.new_experiment() as experiment:
            experiment.push(i=number)
            experiment.push(i=number + 10)
    partly, fresh = Query(folder, maxRowsPerBatch="3"), Query(folder)
    assert partly.plan()
    assert [row["i"] for row in partly.batch()] == [0, 10, 1]
    collection.delete(2)
    collection.close()
    assert sorted(fresh.rows()) == [0, 2, 10, 12]
    opened(folder).compact()
    assert fresh.rows() == []
    assert sorted(Query(folder).rows()) == [0, 2, 10, 12]
    assert partly.plan()
    with pytest.raises(DeletedError, match="Start the stream again"):
        partly.batch()


# --- columns -----------------------------------------------------------------------------------


def test_columns_that_come_later_stop_the_stream_until_it_starts_again(folder: Path) -> None:
    """It goes on where it was, and nothing of them is lost; or without them, if so said."""
    with opened(folder) as collection:
        log(collection, range(2))
        query, careless = Query(folder), Query(folder, newColumns="ignore")
        chosen = Query(folder, columns="i")
        assert query.rows() == careless.rows() == chosen.rows() == [0, 1]
        collection.recorder.child(name="m").push(i=2, late=0.5)
        assert careless.rows() == chosen.rows() == [2]
        with pytest.raises(
            ColumnError, match="new columns appeared that the stream does not have: 'late'"
        ):
            query.plan()
        query.start()
        assert query.plan()
        assert query.batch() == [{"name": "m", "i": 2, "late": 0.5}]


def test_kinds_that_change_stop_the_stream(folder: Path) -> None:
    """Ints that become doubles do not, where the schema has doubles from the start."""
    with opened(folder) as collection:
        log(collection, range(2))
        query, wide = Query(folder), Query(folder)
        wide.start(StructType().add("i", "double"))
        assert query.rows() == wide.rows() == [0, 1]
        collection.recorder.child(name="m").push(i=2.5)
        assert wide.rows() == [2.5]
        with pytest.raises(ColumnError, match="column 'i' is double, not bigint"):
            query.plan()
        query.start()
        assert query.rows() == [2.5]


def test_a_column_that_is_expected_is_null_until_it_comes(folder: Path) -> None:
    """Its type is that of the schema; what comes is read, although it was not there at the start."""
    with opened(folder) as collection:
        log(collection, range(1))
        query = Query(folder, missing="null")
        query.start(StructType().add("i", "long").add("late", "string"))
        assert query.rows("late") == [None]
        collection.recorder.child().push(i=1, late="x")
        assert query.rows("late") == ["x"]


def test_an_experiment_may_end_while_it_is_followed(folder: Path) -> None:
    """That it has an end then is no change of its columns."""
    with opened(folder) as collection:
        experiment = collection.new_experiment()
        with experiment as recorder:
            recorder.push(i=0)
            query = Query(folder)
            assert query.rows("experiment_end_time") == [None]
        with collection.new_experiment() as recorder:
            recorder.push(i=1)
        assert query.rows() == [1]


def test_one_experiment_is_followed_by_its_number(folder: Path) -> None:
    """Rows of others are passed over; which is the last one would change."""
    with opened(folder) as collection:
        for number in range(2):
            with collection.new_experiment() as experiment:
                experiment.push(i=number)
        query = Query(folder, experiment="2")
        assert query.rows() == [1]
        with collection.new_experiment() as experiment:
            experiment.push(i=2)
        assert query.rows() == []
        with pytest.raises(ArgumentError, match="a stream needs a fixed number"):
            Query(folder, experiment="-1")


def test_a_damaged_file_stops_a_stream_or_is_passed_over(folder: Path) -> None:
    """Nothing is left out in silence."""
    log_as_writers(folder, range(3))
    cut(min((folder / "records").iterdir()))
    with pytest.raises(DamagedFileError, match=r"option\('damaged', 'skip'\)"):
        Query(folder)
    assert len(Query(folder, damaged="skip").rows()) == 2


def test_a_checkpoint_of_another_collection_is_refused(folder: Path, tmp_path: Path) -> None:
    """As where the folder was made anew."""
    log_as_writers(folder, range(2))
    query = Query(folder)
    query.rows()
    folder.rename(tmp_path / "old")
    log_as_writers(folder, range(2))
    query.start()
    with pytest.raises(NotACollectionError, match="the checkpoint belongs to another collection"):
        query.plan()


# --- in Spark ----------------------------------------------------------------------------------

LOGGER = """
import sys
from rigorous_recorder import ExperimentCollection
collection = ExperimentCollection(sys.argv[1], extension="", quiet=True)
collection.save = lambda: collection._store.seal()
first = int(sys.argv[2])
recorder = collection.recorder.child(model=f"m{first}")
for i in range(first, first + 100_000_000):
    recorder.push(i=i, x=i / 2)
    if i % 500 == 499:
        print(i, flush=True)
        sys.stdin.readline()
    if i % 3_000 == 2_999:
        collection.save()
"""


class Logger:
    """A process that logs, some hundred rows at a word."""

    def __init__(self, folder: Path, first: int) -> None:
        self.first = first
        self.last = first - 1
        self._process = subprocess.Popen(
            [sys.executable, "-c", LOGGER, str(folder), str(first)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def log(self, words: int) -> None:
        """So many times 500 rows; all that were pushed are there when it returns."""
        for _ in range(words):
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self.last = int(self._process.stdout.readline())
            self._process.stdin.write("\n")
            self._process.stdin.flush()

    def kill(self) -> range:
        """Kill it in the middle; returns what it logged at least."""
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()
        return range(self.first, self.last + 1)


class Followed:
    """A stream of Spark into Parquet files, whose checkpoint outlives it."""

    def __init__(self, spark: SparkSession, folder: Path, place: Path) -> None:
        self._spark = spark
        self._folder = folder
        self._place = place

    def start(self, **trigger: Any) -> Any:
        """Begin, or go on."""
        frame = self._spark.readStream.format("rigorous").option("maxRowsPerBatch", "3000")
        return (
            frame.load(str(self._folder))
            .writeStream.format("parquet")
            .option("checkpointLocation", str(self._place / "checkpoint"))
            .trigger(**trigger)
            .start(str(self._place / "out"))
        )

    def all_there(self) -> None:
        """Go on until all that is there now was given."""
        query = self.start(availableNow=True)
        query.awaitTermination()

    @property
    def numbers(self) -> Counter[int]:
        """How often each row came."""
        found = self._spark.read.parquet(str(self._place / "out")).select("i").toArrow()
        return Counter(found.column("i").to_pylist())


@pytest.mark.slow
def test_a_stream_of_spark_goes_on_where_it_was(
    spark: SparkSession, folder: Path, tmp_path: Path
) -> None:
    """The logger is killed, its rows recovered and merged; the stream is stopped and started again."""
    followed = Followed(spark, folder, tmp_path)
    logger = Logger(folder, 0)
    logger.log(5)
    followed.all_there()
    logger.log(2)
    first = logger.kill()
    opened(folder).close()
    logger = Logger(folder, 1_000_000)
    logger.log(3)
    opened(folder).compact()
    followed.all_there()
    second = logger.kill()
    opened(folder).close()
    opened(folder).compact()
    followed.all_there()
    numbers = followed.numbers
    with opened(folder) as collection:
        logged = [row["i"] for row in collection.records]
    assert set(numbers.values()) == {1}
    assert sorted(numbers) == sorted(logged)
    assert {*first, *second} <= set(numbers)


@pytest.mark.slow
def test_a_stream_of_spark_loses_and_doubles_nothing_in_a_storm(
    spark: SparkSession, folder: Path, tmp_path: Path
) -> None:
    """Loggers are killed at any time, files merged, the stream stopped in the middle of batches."""
    followed = Followed(spark, folder, tmp_path)
    chance = random.Random(1)
    certain: set[int] = set()
    loggers = [Logger(folder, 0)]
    loggers[0].log(1)
    query = followed.start(processingTime="0 seconds")
    query.processAllAvailable()  # Spark refuses a checkpoint that was left before its first commit
    for turn in range(1, 41):
        for logger in loggers:
            logger.log(chance.randrange(1, 4))
        if chance.random() < 0.4 and loggers:
            certain |= {*loggers.pop(chance.randrange(len(loggers))).kill()}
        if chance.random() < 0.5 or not loggers:
            loggers.append(Logger(folder, turn * 1_000_000))
        if chance.random() < 0.3:
            opened(folder).close()
        if chance.random() < 0.3:
            opened(folder).compact()
        if chance.random() < 0.2:
            query.stop()
            query = followed.start(processingTime="0 seconds")
        assert query.exception() is None
    for logger in loggers:
        certain |= {*logger.kill()}
    query.stop()
    with opened(folder) as collection:
        followed.all_there()
        logged = [row["i"] for row in collection.records]
    numbers = followed.numbers
    assert set(numbers.values()) == {1}
    assert sorted(numbers) == sorted(logged)
    assert certain <= set(numbers)
    assert len(numbers) > 20_000


@pytest.mark.slow
def test_what_is_wrong_with_a_stream_reaches_the_user(
    spark: SparkSession, folder: Path, tmp_path: Path
) -> None:
    """The exception of the query names what came, and what to do."""
    with opened(folder) as collection:
        log(collection, range(3))
        frame = spark.readStream.format("rigorous").load(str(folder))
        query = (
            frame.writeStream.format("noop")
            .option("checkpointLocation", str(tmp_path / "checkpoint"))
            .start()
        )
        query.processAllAvailable()
        collection.recorder.child().push(late=1)
        collection._store.flush()
        with pytest.raises(
            StreamingQueryException, match="ColumnError: new columns appeared .*'late'"
        ):
            query.awaitTermination(60)
