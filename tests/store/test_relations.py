"""Relations of ``sql`` that are read after a compaction: the rows of their snapshot, or an error of ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, groupby
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._engines.relation import Made, Query, Relation
from rigorous_recorder.errors import CompactedError, DeletedError, RigorousError

from .folders import log_many_small_files, opened

ROWS = list(range(240))
QUERY = "SELECT i, session FROM records ORDER BY i"


@pytest.fixture
def relation(folder: Path, small_tables: None) -> Any:
    """Of 240 rows in many files, none of which is there any more."""
    log_many_small_files(folder)
    found = opened(folder).sql(QUERY)
    opened(folder).compact()
    return found


def first(rows: Any) -> list[Any]:
    return [row[0] for row in rows]


READS: dict[str, Callable[[Any], Any]] = {
    "fetchall": lambda r: first(r.fetchall()),
    "df": lambda r: r.df()["i"].to_list(),
    "pl": lambda r: r.pl()["i"].to_list(),
    "to_arrow_table": lambda r: r.to_arrow_table()["i"].to_pylist(),
    "to_arrow_reader": lambda r: r.to_arrow_reader(7).read_all()["i"].to_pylist(),
    "stream": lambda r: pa.table(r)["i"].to_pylist(),
    "a frame of Polars": lambda r: pl.DataFrame(r)["i"].to_list(),
    "filter": lambda r: first(r.filter("i >= 0").order("i").fetchall()),
    "a column": lambda r: first(r.i.fetchall()),
    "an item": lambda r: first(r["i"].fetchall()),
    "union": lambda r: first(r.filter("i < 9").union(r.filter("i >= 9")).order("i").fetchall()),
    "aggregate": lambda r: list(range(r.aggregate("count(*) AS n").fetchall()[0][0])),
    "query": lambda r: first(r.query("them", "SELECT i FROM them ORDER BY i").fetchall()),
    "len": lambda r: list(range(len(r))),
    "shape": lambda r: list(range(r.shape[0])),
    "text": lambda r: ROWS if "session" in str(r) else None,
}


@pytest.mark.parametrize("read", READS)
def test_a_relation_is_read_after_its_files_were_merged(relation: Any, read: str) -> None:
    """However it is used, it has the rows of when it was made, also a second time."""
    assert READS[read](relation) == ROWS
    assert READS[read](relation) == ROWS


def test_a_relation_is_one_of_duckdb(relation: Any) -> None:
    """Whoever asks for its type, its columns or its methods is told what DuckDB tells."""
    assert isinstance(relation, duckdb.DuckDBPyRelation)
    assert isinstance(relation.filter("i > 3"), duckdb.DuckDBPyRelation)
    assert relation.columns == ["i", "session"]
    assert "i" in relation
    assert {"fetchall", "pl", "filter"} <= set(dir(relation))
    with pytest.raises(AttributeError):
        relation.no_such_thing  # noqa: B018 - asking is what is tried
    with pytest.raises(duckdb.BinderException):
        relation.filter("no_such_column > 1").fetchall()


@pytest.mark.usefixtures("small_tables")
def test_a_chain_goes_on_after_one_more_compaction(folder: Path) -> None:
    """Relations made of one another find their rows, whenever files were merged in between."""
    log_many_small_files(folder, sessions=2)
    relation = opened(folder).sql(QUERY)
    opened(folder).compact()
    narrow = relation.filter("i % 2 = 0")
    assert first(narrow.fetchall()) == ROWS[:80:2]
    with opened(folder) as collection, collection.new_experiment() as experiment:
        for i in range(80, 120):
            experiment.push(i=i)
    opened(folder).compact()
    assert first(narrow.order("i DESC").fetchall()) == ROWS[78::-2]
    assert first(relation.fetchall()) == ROWS[:80]


@pytest.mark.usefixtures("small_tables")
@pytest.mark.parametrize("read", ["fetchall", "filter", "stream"])
def test_a_relation_of_deleted_rows_says_to_ask_again(folder: Path, read: str) -> None:
    """What was deleted and compacted away is excluded from query results, and the error is this library's."""
    log_many_small_files(folder)
    relation = opened(folder).sql(QUERY)
    with opened(folder) as collection:
        collection.delete(1)
        collection.compact()
    with pytest.raises(DeletedError, match="Read again"):
        READS[read](relation)


def test_rows_that_come_one_by_one_can_not_begin_anew(tmp_path: Path) -> None:
    """A reader that has given rows says to ask again; it gives none of them twice."""
    batch = pa.record_batch({"i": [1]})
    path = tmp_path / "0.parquet"
    path.touch()

    class Breaking:
        """A relation of DuckDB's, of which a file goes when a batch was read."""

        def to_arrow_reader(self) -> pa.RecordBatchReader:
            return pa.RecordBatchReader.from_batches(batch.schema, self._batches())

        def _batches(self) -> Iterator[pa.RecordBatch]:
            yield batch
            path.unlink()
            message = "IO Error: No files found"
            raise duckdb.IOException(message)

    source = Query(lambda: Made(Breaking(), [str(path)], only_reads=True))
    reader = Relation(source, lambda made: made).to_arrow_reader()
    assert reader.read_next_batch() == batch
    with pytest.raises(CompactedError, match="Run the query again"):
        reader.read_next_batch()


@pytest.mark.usefixtures("small_tables")
def test_what_changes_something_is_not_done_twice(folder: Path, tmp_path: Path) -> None:
    """A query that is more than a SELECT says to ask again, instead of running once more."""
    log_many_small_files(folder)
    query = f"CREATE TABLE mine AS FROM records; SELECT i FROM records; {QUERY}"
    relation = opened(folder).sql(query)
    opened(folder).compact()
    with pytest.raises(CompactedError, match="Run the query again"):
        relation.fetchall()


def test_an_io_error_that_is_no_compaction_is_duckdbs(folder: Path, tmp_path: Path) -> None:
    """A file of the user's that is missing is reported by DuckDB, once."""
    log_many_small_files(folder, sessions=1)
    collection = opened(folder)
    with pytest.raises(duckdb.IOException, match=r"mine\.parquet"):
        collection.sql(f"SELECT * FROM records, read_parquet('{tmp_path}/mine.parquet')").fetchall()


# --- beside compactions and deletions ------------------------------------------------------------


def by_lazy(collection: ExperimentCollection) -> list[int]:
    return collection.records.to_polars(lazy=True).select("i").collect()["i"].to_list()


def require_experiments(found: list[int]) -> None:
    """Each row once, and whole experiments, but for the last one, which may be half logged."""
    rows = {s: list(group) for s, group in groupby(found, key=lambda i: i // 40)}
    assert all(each == list(range(40 * s, 40 * s + len(each))) for s, each in rows.items())
    assert all(len(each) == 40 for each in list(rows.values())[:-1])


BESIDE: list[Callable[[ExperimentCollection], list[int]]] = [
    lambda c: first(c.sql("SELECT i FROM records").fetchall()),
    lambda c: c.sql("SELECT i, session FROM records").pl()["i"].to_list(),
    lambda c: [row["i"] for row in c.records],
    by_lazy,
    lambda c: pa.table(c.records)["i"].to_pylist(),
]


def answer(read: Callable[[ExperimentCollection], list[int]], collection: Any) -> bool:
    """Whether there is an answer, which is right; if not, the error was one of ours."""
    try:
        found = read(collection)
    except RigorousError as error:
        assert "gain" in str(error)  # "read again", "ask again"
        return False
    except (pa.ArrowException, pl.exceptions.ComputeError) as error:
        # A stream has no error of Python's, and an older Polars puts its own around ours.
        assert "Read again" in str(error)
        return False
    require_experiments(sorted(found))
    return True


def log_delete_and_compact(folder: Path, session: int) -> None:
    with opened(folder) as collection:
        with collection.new_experiment(session=session) as experiment:
            experiment.extend({"i": range(40 * session, 40 * session + 40)})
        if session % 2:
            collection.delete(collection.experiment_numbers[0])
    with opened(folder) as collection:
        collection.compact()


@pytest.mark.usefixtures("small_tables")
@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_readers_beside_deletions_and_compactions(folder: Path, seconds: int) -> None:
    """Every answer has each row once, of whole experiments; every error is this library's own."""
    log_many_small_files(folder, sessions=3)
    stop = threading.Event()

    def read(by: Callable[[ExperimentCollection], list[int]]) -> int:
        collection, answers = opened(folder), 0
        while not stop.is_set():
            answers += answer(by, collection)
        return answers

    with ThreadPoolExecutor(len(BESIDE)) as threads:
        readers = [threads.submit(read, by) for by in BESIDE]
        end, sessions = time.monotonic() + seconds, count(3)
        try:
            while time.monotonic() < end and not any(each.done() for each in readers):
                log_delete_and_compact(folder, next(sessions))
        finally:
            stop.set()
        assert all(each.result() for each in readers)
