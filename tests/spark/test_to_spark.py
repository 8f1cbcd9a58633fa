"""``Records.to_spark``: the rows of every other engine, from a plan that is Spark's own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._engines import spark_files, spark_nodes, spark_types
from rigorous_recorder.errors import ArgumentError, DamagedFileWarning, MissingPackageError
from rigorous_recorder.spark import register

from ..property.test_tree_model import TreeMachine
from ..sparse import make_all_sparse, make_sparse
from ..store.folders import log_as_writers, opened
from ..store.test_sparse_files import log as log_sparse
from .session import session
from .tables import require_same


def log(folder: Path) -> ExperimentCollection:
    """Three experiments in files with differing columns and kinds, and one in live files."""
    collection = ExperimentCollection(folder, quiet=True)
    collection.recorder["study"] = "s"
    for number, rate in enumerate((0.1, 1, 0.01, 5)):
        with collection.new_experiment(rate=rate) as experiment:
            for model in ("a", "ä"):
                recorder = experiment.child(model=model, score=number)
                for step in range(4):
                    recorder.push(step=step, loss=1 / (1 + step), tag=f"t{step % 2}")
                seed = 2**64 + number if number else 7
                recorder.push(
                    step=9, score=None, seed=seed, took=dt.timedelta(microseconds=-number)
                )
                recorder.push(
                    step=10,
                    score=7.5,
                    wide=-seed if number else 0.5,
                    loss=float("nan"),
                    when=dt.datetime(1, 1, 1),
                )
                recorder.push(step=10 if number else "last", pair=np.zeros(2 + number % 2, "u2"))
                if number == 1:
                    recorder.push(Half=3, half=np.array([0.5], "f2"))
                if number == 2:
                    recorder.push({"a.b": b"x", "": 1, "day": dt.date(1582, 10, 4), "n": None})
        if number < 3:
            collection.save()
    return collection


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExperimentCollection]:
    """What ``log`` logs, and then more was set on the parents."""
    # Characters that paths of Hadoop have other ideas about.
    with log(tmp_path_factory.mktemp("to_spark") / "a [x] {b,c} *? %20 ü" / "c") as found:
        found.recorder["late"] = "said last"
        found.recorder["experiment_duration"] = 1
        yield found


@pytest.fixture(params=["looked up", "joined"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a row finds what its parents know."""
    if request.param == "joined":
        monkeypatch.setattr(spark_nodes, "_MOST_RANGES", 0)
    return str(request.param)


def test_all_rows(spark: SparkSession, collection: ExperimentCollection, way: str) -> None:
    """All kinds, columns that some files lack, names that differ in case, live rows, late data."""
    require_same(collection.records.to_spark(spark), collection.records)


def test_sparse_columns(spark: SparkSession, tmp_path: Path) -> None:
    """Of files that Spark reads itself, and of those that it gets through Arrow."""
    folder = tmp_path / "study.collection"
    log_sparse(folder, sessions=2)
    make_sparse(min((folder / "records").glob("*.parquet")))
    make_all_sparse(folder, lambda column: column.key != "text/1")
    records = opened(folder).records
    require_same(records.to_spark(spark), records)
    some = records.select("i", "loss/3", "text/2").where(**{"loss/3": 1.5})
    require_same(some.to_spark(spark), some)
    register(spark)
    found = spark.read.format("rigorous").load(str(folder)).select("i", "`loss/3`").collect()
    assert {row[0]: row[1] for row in found} == {row["i"]: row.get("loss/3") for row in records}


@pytest.mark.parametrize(
    ("chain", "rows"),
    [
        ([{"model": "ä"}], 30),
        ([{"rate": 1}, {"model": "a"}], 8),
        ([{"step": 9}], 8),
        ([{"model": "none"}], 0),
        ([{"model": "ä"}, {"model": "a"}], 0),
        ([{"step": 9}, {"step": 10}], 0),
    ],
)
def test_conditions(
    spark: SparkSession,
    collection: ExperimentCollection,
    way: str,
    chain: list[dict[str, Any]],
    rows: int,
) -> None:
    """Of parents and of records; each further one narrows."""
    found = collection.records
    for conditions in chain:
        found = found.where(**conditions)
    assert len(found) == rows
    require_same(found.to_spark(spark), found)


def test_one_recorder(spark: SparkSession, collection: ExperimentCollection, way: str) -> None:
    """Only its columns, its rows and those below it; also of a recorder in memory."""
    experiment = collection.recorder.children[1]
    require_same(experiment.all_records.to_spark(spark), experiment.all_records)
    require_same(experiment.children[0].records.to_spark(spark), experiment.children[0].records)
    require_same(experiment.records.to_spark(spark), experiment.records)
    memory = Recorder(a=1).child(b=2).push(c=3)
    require_same(memory.records.to_spark(spark), memory.records)
    require_same(Recorder().records.to_spark(spark), Recorder().records)
    bare = Recorder().push().push()
    require_same(bare.records.to_spark(spark), bare.records)


def test_an_experiment_that_runs(spark: SparkSession, tmp_path: Path) -> None:
    """Its end has the type that it will have, wherever it is read."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment() as experiment:
            experiment.push(i=1)
            for records in (collection.records, collection.records.where(i=1)):
                assert dict(records.to_spark(spark).dtypes)["experiment_end_time"] == "double"
                require_same(records.to_spark(spark), records)


@pytest.mark.parametrize("is_compacted", [False, True])
def test_many_writers(spark: SparkSession, tmp_path: Path, way: str, is_compacted: bool) -> None:
    """Their nodes' ids are far from each other, and on both sides of 0."""
    log_as_writers(tmp_path / "c", range(12))
    collection = opened(tmp_path / "c")
    if is_compacted:
        collection.compact()
    require_same(collection.records.to_spark(spark), collection.records)
    some = collection.records.where(name="w3")
    require_same(some.to_spark(spark), some)


def test_deleted_experiments(spark: SparkSession, tmp_path: Path, way: str) -> None:
    """Are among no rows, before and after they are dropped from the files."""
    with log(tmp_path / "c") as collection:
        collection.delete(1)
        require_same(collection.records.to_spark(spark), collection.records)
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        collection.compact()
        require_same(collection.records.to_spark(spark), collection.records)


def test_lost_nodes(spark: SparkSession, tmp_path: Path, way: str) -> None:
    """Records of which nobody knows whose they are have no parents, and are there."""
    log_as_writers(tmp_path / "c", range(4))
    files = sorted((tmp_path / "c" / "nodes").iterdir())
    for lost, path in enumerate(files[1:], start=1):
        path.unlink()
        records = opened(tmp_path / "c").records
        assert records.to_spark(spark).where("name IS NULL").count() == lost
        require_same(records.to_spark(spark), records)


def test_records_of_the_root_beside_deleted_ones(
    spark: SparkSession, tmp_path: Path, way: str
) -> None:
    """Nothing was set on it, and so it was not deleted either."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        collection.recorder.push(n=1)
        with collection.new_experiment() as experiment:
            experiment.push(n=2)
        collection.delete(1)
        require_same(collection.records.to_spark(spark), collection.records)


class SparkMachine(TreeMachine):
    """Any tree; Spark has what Arrow has at the end."""

    def everything_is_as_in_the_model(self) -> None:
        require_same(self.collection.records.to_spark(session()), self.collection.records)


TestAnyTree = SparkMachine.TestCase
TestAnyTree.settings = settings(max_examples=2, stateful_step_count=20)


class LongerSparkMachine(SparkMachine):
    """More of the same."""


@pytest.mark.slow
class TestMoreTrees(LongerSparkMachine.TestCase):  # type: ignore[misc, name-defined]
    """More trees."""

    settings = settings(max_examples=5, stateful_step_count=40)


# --- the plan -----------------------------------------------------------------------------------


def plan(frame: DataFrame, capsys: pytest.CaptureFixture[str]) -> str:
    frame.explain()
    return capsys.readouterr().out


def test_columns_are_pruned_and_filters_pushed(
    spark: SparkSession, tmp_path: Path, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Spark's own reader reads only what a query uses, with its conditions on the records."""
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment(rate=0.1) as experiment:
            for i in range(5):
                experiment.child(episode=i).push(step=i, loss=0.5, unused=1)
    frame = ExperimentCollection(tmp_path / "c", quiet=True).records.to_spark(spark)
    shown = plan(frame.where("loss > 0.1 AND episode = 3").select("step"), capsys)
    assert "GreaterThan(loss,0.1)" in shown
    assert "ReadSchema: struct<_node:bigint,step:bigint,loss:double>" in shown
    assert ("BroadcastHashJoin" in shown) == (way == "joined")
    assert "Python" not in shown


def test_what_no_query_uses_costs_nothing(
    spark: SparkSession, collection: ExperimentCollection, capsys: pytest.CaptureFixture[str]
) -> None:
    """A query of the records' own columns knows nothing of parents, nor of columns as JSON."""
    shown = plan(collection.records.to_spark(spark).selectExpr("avg(loss)"), capsys)
    assert "Subquery" not in shown
    assert "ArrowEvalPython" not in shown


# --- whatever the session says ------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting",
    [
        {"spark.sql.caseSensitive": "true"},
        {"spark.sql.ansi.enabled": "false"},
        {"spark.sql.session.timeZone": "Asia/Kathmandu"},
        {"spark.sql.adaptive.enabled": "false"},
        {"spark.sql.codegen.wholeStage": "false"},
        {"spark.sql.parquet.enableVectorizedReader": "false"},
    ],
    ids=str,
)
def test_settings_change_nothing(
    spark: SparkSession, collection: ExperimentCollection, setting: dict[str, str]
) -> None:
    """The rows are the same under every setting that changes how Spark reads."""
    before = {key: spark.conf.get(key) for key in setting}
    for key, value in setting.items():
        spark.conf.set(key, value)
    try:
        require_same(collection.records.to_spark(spark), collection.records)
    finally:
        for key, value in before.items():
            spark.conf.set(key, value)


def test_many_parents_in_several_tables(
    spark: SparkSession, collection: ExperimentCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrays that are too large for one table stand in several."""
    monkeypatch.setattr(spark_nodes, "_TABLE_BYTES", 1)
    require_same(collection.records.to_spark(spark), collection.records)


@pytest.mark.parametrize("values", [1, 128, 129], ids="{} values".format)
def test_text_of_few_values(spark: SparkSession, tmp_path: Path, values: int) -> None:
    """Text that stands in the plan is what was logged, whatever its characters; null is null."""
    odd = ["", " ", "\0", "'", '"', "\\", "\n\r", "${x}", "%s", "`", "é\U0001f600", "null", "NaN"]
    texts = [*odd, *map(str, range(values))][:values]
    with ExperimentCollection(tmp_path / "c") as collection:
        for text in (*texts, None):
            collection.recorder.child(text=text, long="x" * 5_000).push(x=1.0)
        frame = collection.records.to_spark(spark)
        require_same(frame, collection.records)
        counted = {row.text: row["count"] for row in frame.groupBy("text").count().collect()}
        assert counted == dict.fromkeys((*texts, None), 1)
        # Null is no number, and the longer text is not in the plan.
        plan = frame._jdf.queryExecution().analyzed().toString()
        assert plan.count("get(array(") == (values <= 128)


# --- bad input ----------------------------------------------------------------------------------


def damage(folder: Path) -> Path:
    """Change a byte of the values of one file."""
    path = max(folder.glob("records/*.parquet"), key=lambda each: each.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 0xFF
    path.write_bytes(data)
    return path


def two_files(folder: Path) -> None:
    for number in range(2):
        with opened(folder) as collection, collection.new_experiment(number=number) as experiment:
            experiment.extend({"x": np.random.default_rng(number).random(1000 + number)})


def test_a_damaged_file(spark: SparkSession, tmp_path: Path) -> None:
    """The driver warns as every engine does, and Spark reads all other columns and rows."""
    two_files(tmp_path / "c")
    path = damage(tmp_path / "c")
    with pytest.warns(DamagedFileWarning, match=path.name):
        frame = opened(tmp_path / "c").records.to_spark(spark)
    counts = frame.selectExpr("count(*) AS rows", "count(x) AS x", "count(number) AS number")
    assert [tuple(row) for row in counts.collect()] == [(2001, 1000, 2001)]


@pytest.mark.usefixtures("way")
def test_no_inherited_value_stands_in_for_a_damaged_one(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Of records whose own value can't be read it is unknown, of others the inherited one is read."""
    for run in range(2):
        with opened(tmp_path / "c") as collection, collection.new_experiment(x=-1.0) as experiment:
            values = np.random.default_rng(run).random(1000)
            experiment.extend({"x": values, "i": range(1000 * run, 1000 * run + 1000)})
            experiment.push(i=-1 - run)
    damage(tmp_path / "c")
    with pytest.warns(DamagedFileWarning, match="column 'x'"):
        frame = opened(tmp_path / "c").records.to_spark(spark)
    counts = frame.selectExpr("count(*)", "count(x)", "count_if(x = -1)", "count(i)")
    assert [tuple(row) for row in counts.collect()] == [(2002, 1001, 1, 2002)]


def test_a_damaged_file_of_many(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is too much to look at before, Spark compares checksums, and names the file."""
    monkeypatch.setattr(spark_files, "_MOST_CHECKED", 0)
    two_files(tmp_path / "c")
    path = damage(tmp_path / "c")
    frame = opened(tmp_path / "c").records.to_spark(spark)
    with pytest.raises(Exception, match=path.name):
        frame.selectExpr("sum(x)").collect()


def test_files_that_were_compacted_away(spark: SparkSession, tmp_path: Path) -> None:
    """A frame has its snapshot: later its error names the missing file, a new one is right."""
    two_files(tmp_path / "c")
    collection = opened(tmp_path / "c")
    old = collection.records.to_spark(spark)
    assert collection.compact() == 2
    with pytest.raises(Exception, match="FILE_NOT_EXIST"):
        old.count()
    require_same(collection.records.to_spark(spark), collection.records)


def test_no_session(tmp_path: Path) -> None:
    """Something else than a session is refused with a word of what it should be."""
    with pytest.raises(ArgumentError, match="takes a SparkSession, not a str"):
        Recorder().push(a=1).records.to_spark("spark")  # type: ignore[arg-type]


def test_an_older_pyspark(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told which package to install."""
    monkeypatch.setattr(spark_types, "pyspark", SimpleNamespace(__version__="3.5.1"))
    with pytest.raises(MissingPackageError, match=r"PySpark 3\.5\.1 is too old.*pip install"):
        Recorder().push(a=1).records.to_spark(spark)


def test_an_older_server(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told which setting lets it read the files."""
    monkeypatch.setattr(SparkSession, "version", property(lambda _: "4.1.0"))
    with pytest.raises(MissingPackageError, match=r"4\.1\.0.*enableVectorizedReader"):
        Recorder().push(a=1).records.to_spark(spark)


def test_names_that_differ_only_in_case_are_no_column(spark: SparkSession) -> None:
    """Each has a number, and Spark suggests both: neither key's values stand for the other's."""
    records = Recorder().push(loss=0.5, i=0).push(Loss=7.0, i=1).records
    frame = records.to_spark(spark)
    assert frame.columns == ["loss_1", "i", "Loss_2"]
    assert frame.select("loss_1", "LOSS_2").collect() == [(0.5, None), (None, 7.0)]
    for name in ("loss", "Loss", "LOSS"):
        with pytest.raises(AnalysisException, match=r"`loss_1`.*`Loss_2`|`Loss_2`.*`loss_1`"):
            frame.select(name).collect()
    assert Recorder().push(loss=1).records.to_spark(spark).select("LOSS").collect() == [(1,)]


def test_several_collections_are_one_table(spark: SparkSession, tmp_path: Path) -> None:
    """Rows of both, with the names of the collections; also those of their roots, and live ones."""
    with ExperimentCollection(tmp_path / "a") as a, ExperimentCollection(tmp_path / "b") as b:
        for number, collection in enumerate((a, b), 1):
            collection.recorder["owner"] = number
            collection.recorder.push(note=f"top of {number}")
            with collection.new_experiment(rate=number) as experiment:
                experiment.push(step=number)
        a.save()
        union = ExperimentCollection.union([a, b])
        require_same(union.records.to_spark(spark), union.records)
        found = union.records.to_spark(spark).where("collection = 'b'").select("owner", "note")
        assert sorted(map(tuple, found.collect()), key=str) == [(2, "top of 2"), (2, None)]


def test_sql_conditions_and_selected_keys_are_those_of_other_engines(
    collection: ExperimentCollection,
) -> None:
    """On what records have, what they inherit, and both."""
    for text, keys in (
        ("loss < 0.5 and model = 'ä'", ("model", "loss")),
        ("rate > 0.05", ("step", "rate")),
        ("rate > 0.05 and step < 2", ("rate", "step", "tag")),
    ):
        records = collection.records.where(text).select(*keys)
        found = records.to_spark(session()).collect()
        assert found
        assert tuple(found[0].asDict()) == records.columns
        wanted = [tuple(row.values()) for row in records.to_arrow().to_pylist()]
        assert sorted(map(repr, map(tuple, found))) == sorted(map(repr, wanted))
