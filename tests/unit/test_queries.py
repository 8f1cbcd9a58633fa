"""Queries in SQL and Polars give what a plain table of the same rows gives."""

from __future__ import annotations

import datetime as dt
import gc
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from rigorous_recorder import ExperimentCollection, Recorder, Records
from rigorous_recorder._engines import duckdb as duckdb_engine
from rigorous_recorder.errors import ArgumentError


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExperimentCollection]:
    """Two experiments in sealed files with differing columns, and one in a live file."""
    with ExperimentCollection(tmp_path_factory.mktemp("queries") / "c") as found:
        found.recorder["study"] = "s"
        for number, rate in enumerate((0.1, 0.01, 1)):
            with found.new_experiment(rate=rate) as experiment:
                for model in ("a", "B", "ä"):
                    recorder = experiment.child(model=model, score=number)
                    for step in range(6):
                        more: dict[str, Any] = {"late": step} if number else {}
                        recorder.push(step=step, loss=1 / (1 + step), tag=f"t{step % 2}", **more)
                    recorder.push(step=9, score=None, took=dt.timedelta(seconds=number))
                    recorder.push(step=10, score=7.5, loss=float("nan"))
            if number < 2:
                found.save()
        yield found


def _plain(collection: ExperimentCollection, query: str) -> duckdb.DuckDBPyRelation:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("arrow", collection.records.to_arrow())
    connection.execute("CREATE TABLE records AS FROM arrow")
    return connection.sql(query)


def _rows(relation: duckdb.DuckDBPyRelation) -> Counter[str]:
    return Counter(map(repr, relation.fetchall()))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM records",
        "SELECT count() FILTER (WHERE true) FROM records",
        "SELECT 1 FROM records",
        "SELECT count(*) FROM records AS a, records AS b",
        "SELECT count(*) FROM records AS a JOIN records AS b USING (step)",
        "SELECT count(*) FROM (FROM records) WHERE EXISTS (FROM records WHERE loss > 5)",
        "FROM records",
        "SELECT * EXCLUDE (step) FROM records",
        "SELECT COLUMNS('s.*') FROM records",
        "SELECT records FROM records",
        "SELECT r FROM records AS r",
        "SELECT max(loss), min(loss) FROM records",
        "SELECT step FROM records WHERE loss > 5",
        "SELECT r.step FROM records AS r WHERE r.model = 'a'",
        "SELECT step AS model FROM records WHERE model = 'a'",
        "SELECT step AS score, count(*) FROM records GROUP BY ALL ORDER BY score",
        "WITH a AS (FROM records) SELECT max(a.loss) FROM a",
        "WITH model AS (SELECT 1 AS x) SELECT x FROM model",
        "SELECT t.b FROM records AS t(a, b)",
        "SELECT #3 FROM records",
        "SELECT step FROM records AS x WHERE loss = (SELECT max(loss) FROM records WHERE model = x.model)",
        "SELECT x.step, y.step FROM records x JOIN records y USING (model, step, rate)",
        "SELECT model, s FROM records, LATERAL (SELECT step + 1 AS s) AS l",
        "SELECT MODEL, avg(LOSS) FROM records GROUP BY Model",
        "PIVOT records ON model USING count(*) GROUP BY step",
        "UNPIVOT (SELECT step, score FROM records) ON score",
        "SELECT step, row_number() OVER (PARTITION BY model, rate ORDER BY step) FROM records",
        "SELECT step FROM records QUALIFY rank() OVER (PARTITION BY model ORDER BY loss) = 1",
        "SELECT late, count(*) FROM records GROUP BY late",
        "SELECT epoch(took) FROM records WHERE took IS NOT NULL",
        "SELECT tag, list(step ORDER BY step) FROM records GROUP BY tag",
        "SELECT max(i) FROM records, range(3) AS t(i)",
        "SELECT study, rate, score FROM records WHERE score > 1",
        "DESCRIBE records",
        "SUMMARIZE SELECT tag, model FROM records",
    ],
)
def test_sql_is_that_of_a_plain_table(collection: ExperimentCollection, query: str) -> None:
    """Whatever columns a query takes, named or not."""
    found, wanted = collection.sql(query), _plain(collection, query)
    assert found.columns == wanted.columns
    assert list(map(str, found.types)) == list(map(str, wanted.types))
    assert _rows(found) == _rows(wanted)


@pytest.mark.parametrize("which", [{"rate": 0.1}, {"rate": 99}, {"model": "ä"}, {"tag": "t1"}])
def test_sql_over_some_records_has_all_types(
    collection: ExperimentCollection, which: dict[str, Any]
) -> None:
    """A column has its type, also where no record that is left has a value of it."""
    records = collection.records.where(**which)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("records", records.to_arrow())
    for query in (
        "FROM records",
        "SELECT count(*) FROM records",
        "SELECT sum(epoch(took)), max(late * 2) FROM records",
    ):
        found, wanted = records.sql(query), connection.sql(query)
        assert list(map(str, found.types)) == list(map(str, wanted.types))
        assert _rows(found) == _rows(wanted)


def test_a_name_that_is_no_column_is_reported_with_those_that_are(
    collection: ExperimentCollection,
) -> None:
    """The message of a query with a typing error names the column that was meant."""
    with pytest.raises(duckdb.BinderException, match='"loss"'):
        collection.sql("SELECT losss FROM records")
    with pytest.raises(duckdb.BinderException):
        collection.sql("SELECT _empty FROM records")


def test_a_wrong_table_name_is_reported_with_the_tables(collection: ExperimentCollection) -> None:
    """Those of the query, instead of what DuckDB has besides them."""
    every = r"no table runs; the tables are records, experiments, recorders, and level\('key'\)"
    for run, message in (
        (lambda: collection.sql("FROM record"), "no table record; did you mean records"),
        (lambda: collection.sql("SELECT 1 FROM Runs JOIN records USING (a)"), f"(?i){every}"),
        (lambda: collection.records.sql("FROM runs"), "tables are records, and level"),
        (lambda: collection.experiments.sql("FROM experiment"), "did you mean experiments"),
        (lambda: collection.level("rate").sql("FROM runs"), "no table runs; the tables are level"),
    ):
        with pytest.raises(duckdb.CatalogException, match=message):
            run()


def test_a_query_changes_nothing_for_the_next(collection: ExperimentCollection) -> None:
    """Tables, settings and views that a query makes end with it; what is there stays."""
    for statement in (
        "CREATE TABLE mine AS SELECT 1 AS a",
        "CREATE OR REPLACE TABLE nodes AS SELECT 1 AS a",
        "CREATE OR REPLACE TEMP VIEW records AS SELECT 1 AS a",
        "UPDATE rigorous.experiments SET rate = 99",
        "SET threads = 1",
        "CREATE MACRO twice(x) AS 2 * x",
    ):
        collection.sql(statement)
    with pytest.raises(duckdb.CatalogException):
        collection.sql("FROM mine")
    with pytest.raises(duckdb.CatalogException):
        collection.sql("SELECT twice(1)")
    assert collection.sql("SELECT max(rate) FROM experiments").fetchall() == [(1.0,)]
    assert collection.sql("SELECT count(*) FROM records").fetchall() == [(72,)]
    assert "_parent" in collection.sql("FROM recorders").columns
    assert collection.sql("FROM nodes").fetchall() == collection.sql("FROM recorders").fetchall()


def test_the_catalog_shows_whole_tables(collection: ExperimentCollection) -> None:
    """What tells of tables tells of all their columns."""
    query = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'records'"
    assert collection.sql(query).fetchall() == [(len(collection.records.columns),)]
    assert {"records", "recorders", "nodes", "experiments"} <= {
        name for (name, *_) in collection.sql("SHOW TABLES").fetchall()
    }
    assert collection.sql("FROM query('SELECT max(step) FROM records')").fetchall() == [(10,)]


def test_a_very_long_expression_is_no_trouble(collection: ExperimentCollection) -> None:
    """A sum of some hundred columns is as deep as it is long."""
    query = f"SELECT {' + '.join(['step'] * 600)} FROM records ORDER BY 1 DESC LIMIT 1"
    assert collection.sql(query).fetchall() == [(6000,)]


def test_what_many_queries_use_is_known_of_each(
    collection: ExperimentCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of more than are kept, and of those that are queried again."""
    monkeypatch.setattr("rigorous_recorder._engines.duckdb._MOST_QUERIES", 3)
    for _ in range(2):
        for column, greatest in {"step": 10, "late": 5, "score": 7.5, "rate": 1, "1": 1}.items():
            query = f"SELECT max({column}) FROM records"
            assert collection.sql(query).fetchall() == [(greatest,)]


def test_a_name_in_sql_is_no_variable_of_python(collection: ExperimentCollection) -> None:
    """Only the tables that are documented are there."""
    for name in ("scan", "query", "used", "tables", "collection"):
        with pytest.raises(duckdb.CatalogException):
            collection.sql(f"FROM {name}")


def test_a_relation_keeps_its_snapshot(tmp_path: Path) -> None:
    """Rows that come after a query, or other queries, are not in its result."""
    with ExperimentCollection(tmp_path / "c") as logged, logged.new_experiment() as experiment:
        experiment.push(x=1)
        first = logged.sql("SELECT sum(x), any_value(experiment_number) FROM records")
        lazy = logged.records.to_polars(lazy=True)
        experiment.push(x=10)
        second = logged.sql("SELECT sum(x), any_value(experiment_number) FROM records")
        assert (second.fetchall(), first.fetchall()) == ([(11, 1)], [(1, 1)])
        assert lazy.select("x").collect()["x"].to_list() == [1]


def test_a_first_query_decodes_no_numbers_to_check_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their checksums are enough: DuckDB alone decodes them, of columns that the query uses."""
    with ExperimentCollection(tmp_path / "c") as found, found.new_experiment(rate=0.1) as run:
        for model in ("a", "b", "c"):  # consecutive ids
            run.child(model=model).extend({"step": [0, 1, 2], "loss": [0.5] * 3, "tag": ["t"] * 3})
    read: list[str] = []
    read_row_group = pq.ParquetFile.read_row_group

    def counted(file: pq.ParquetFile, group: int, columns: list[str], **options: Any) -> Any:
        read.extend(columns)
        return read_row_group(file, group, columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    with ExperimentCollection(tmp_path / "c") as opened:
        grouped = opened.sql("SELECT model, sum(step) FROM records GROUP BY ALL ORDER BY 1")
        assert grouped.fetchall() == [("a", 3), ("b", 3), ("c", 3)]
        assert opened.sql("SELECT avg(loss) FROM records").fetchall() == [(0.5,)]
        assert not {"step", "loss"} & set(read)
        assert opened.sql("SELECT max(tag) FROM records").fetchall() == [("t",)]
        assert "tag" in read  # text can be invalid with the right checksum


@pytest.mark.parametrize(
    ("queries", "most"), [(24, 6), pytest.param(1_000, 128, marks=pytest.mark.slow)]
)
def test_queries_of_many_sets_of_columns_fill_no_catalog(
    queries: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What earlier results read from stays as long as they do; a set of columns can come again."""
    monkeypatch.setattr(duckdb_engine, "_MOST_VIEWS", most)
    before = set(duckdb_engine._databases)
    root = Recorder()
    keys = [f"k{number}" for number in range(10)]
    for number in range(2):
        child = root.child({key: at + number for at, key in enumerate(keys)})
        child.extend({"step": list(range(300))})
    sets = [[key for at, key in enumerate(keys) if chosen >> at & 1] for chosen in range(1, 1024)]

    def ask(some: list[str]) -> duckdb.DuckDBPyRelation:
        return root.all_records.sql(f"SELECT {' + '.join(some)}, step FROM records ORDER BY ALL")

    def rows(some: list[str]) -> list[tuple[int, int]]:
        first = sum(map(keys.index, some))
        return [(first + at * len(some), step) for at in range(2) for step in range(300)]

    streamed, unread = ask(sets[0]).to_arrow_reader(100), ask(sets[1])
    first = streamed.read_next_batch()
    for some in sets[2:queries]:
        assert ask(some).limit(1).fetchall() == rows(some)[:1]
    gc.collect()  # a database ends with the last of its results
    kept = [each.connect() for each in duckdb_engine._databases if each not in before]
    counts = [each.sql("SELECT count(*) FROM duckdb_tables()").fetchall()[0][0] for each in kept]
    assert len(counts) <= 3
    assert max(counts) <= most
    batches = [first, *streamed]
    assert [tuple(row.values()) for each in batches for row in each.to_pylist()] == rows(sets[0])
    assert unread.fetchall() == rows(sets[1])
    assert ask(sets[0]).fetchall() == rows(sets[0])


def test_many_threads_query_at_once(collection: ExperimentCollection) -> None:
    """Each gets its own answer."""
    answers: list[Any] = []

    def ask(number: int) -> None:
        for model in ("a", "B"):
            query = f"SELECT {number}, count(*) FROM records WHERE model = '{model}'"
            answers.extend(collection.sql(query).fetchall())

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == sorted([(number, 24) for number in range(6)] * 2)


# --- Polars --------------------------------------------------------------------------------------

_Plan = Callable[[pl.LazyFrame], pl.LazyFrame]
_PLANS: dict[str, _Plan] = {
    "whole": lambda f: f,
    "a filter of parents' keys": lambda f: f.filter(pl.col("model") == "a", rate=0.1),
    "a filter of both": lambda f: f.filter((pl.col("model") == "a") & (pl.col("step") > 3)),
    "either": lambda f: f.filter((pl.col("model") == "a") | (pl.col("step") > 3)),
    "not": lambda f: f.filter(~(pl.col("model") == "a")),
    "a key of both": lambda f: f.filter(pl.col("score") == 7.5),
    "missing": lambda f: f.filter(pl.col("late").is_null() & pl.col("score").is_not_null()),
    "among": lambda f: f.filter(pl.col("model").is_in(["a", "ä"])),
    "text": lambda f: f.filter(pl.col("model").str.to_lowercase() == "b"),
    "NaN": lambda f: f.filter(pl.col("loss").is_nan()),
    "none": lambda f: f.filter(pl.lit(value=False)),
    "head": lambda f: f.head(5),
    "tail": lambda f: f.tail(5),
    "slice": lambda f: f.slice(20, 30).select("model", "step"),
    "a filter of the head": lambda f: f.head(30).filter(pl.col("model") == "B"),
    "a filter of the head by both": lambda f: f.head(30).filter(
        pl.col("step") > 3, pl.col("rate") < 1
    ),
    "the head of a filter": lambda f: f.filter(pl.col("model") == "B").head(3),
    "one column": lambda f: f.select(pl.col("loss").sum()),
    "a parent's column": lambda f: f.select("model").unique(maintain_order=True),
    "groups": lambda f: f.group_by("model", maintain_order=True).agg(pl.col("step").sum()),
    "a join with itself": lambda f: f.select("step", "model").join(
        f.filter(model="a").select("step", "tag"), on="step", how="left", maintain_order="left"
    ),
    "number of rows": lambda f: f.select(pl.len()),
    "new columns": lambda f: f.with_columns(twice=2 * pl.col("score")).filter(pl.col("twice") > 1),
}


@pytest.mark.parametrize("name", _PLANS)
@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_a_lazy_frame_is_that_of_a_plain_table(
    collection: ExperimentCollection, name: str, engine: Any
) -> None:
    """Whatever Polars pushes down to where the rows are read."""
    plan = _PLANS[name]
    found = plan(collection.records.to_polars(lazy=True)).collect(engine=engine)
    assert_frame_equal(found, plan(collection.records.to_polars().lazy()).collect())


def _below(data: dict[str, Any], *others: dict[str, Any]) -> Records:
    """The records below one of several recorders."""
    root = Recorder()
    for other in others:
        root.child(**other).push(a=0)
    return root.child(**data).push(a=1).all_records


@pytest.mark.parametrize("other", ["x", 2.5, None, True])
def test_a_lazy_frame_of_a_part_has_the_kinds_of_the_part(other: Any) -> None:
    """What others have under the same key, of whatever kind, is no matter."""
    records = _below({"v": 1}, {"v": other})
    assert records.to_polars(lazy=True).filter(v=1).collect().rows() == [(1, 1)]


def test_a_lazy_frame_of_one_recorder_leaves_the_others_out() -> None:
    """Also where their rows stand between its own."""
    root = Recorder()
    first, second = root.child(v=1), root.child(v=2)
    for step in range(3):
        first.push(step=step)
        second.push(step=step)
    for recorder, value in ((first, 1), (second, 2)):
        frame = recorder.records.to_polars(lazy=True)
        assert frame.filter(pl.col("v") < 3).collect().rows() == [(value, n) for n in range(3)]
        assert frame.filter(v=3 - value).collect().height == 0


def test_a_condition_is_evaluated_only_on_what_has_records() -> None:
    """A strict expression fails on no value that is in no row, nor where another one excludes it."""
    root = Recorder()
    root.child(v="12").push(a=1)
    root.child(v="abc")
    number = pl.col("v").cast(pl.Int64)
    frame = root.all_records.to_polars(lazy=True)
    assert frame.filter(number > 3).collect().rows() == [("12", 1)]
    root.child(v="abc", w=1).push(a=2)
    frame = root.all_records.to_polars(lazy=True)
    with pytest.raises(pl.exceptions.PolarsError):
        frame.filter(number > 3).collect()
    assert frame.filter(pl.col("v") != "abc").filter(number > 3).collect().height == 1


def test_polars_takes_every_column_of_rows_of_many_shapes() -> None:
    """Of a ``collections.abc.Sequence`` it would take the keys of the first hundred rows alone."""
    top = Recorder()
    for step in range(101):
        top.child({"step": step, f"tag/{step}": 0.5}).push(loss=step if step < 100 else 0.5)
    records, level = top.all_records, top.level("step")
    for rows in (records, records.sort("step"), level, level.sort("step")):
        assert_frame_equal(pl.DataFrame(rows), rows.to_polars())
        last = rows[100]
        assert pl.DataFrame(rows)["tag/100"][100] == 0.5
        assert (rows.index(last), rows.index(last, -1), rows.count(last)) == (100, 100, 1)
        assert next(reversed(rows)) == last
        assert last in rows
        assert {"step": 0.25} not in rows
        with pytest.raises(ArgumentError, match="no such row"):
            rows.index(last, 0, -1)
