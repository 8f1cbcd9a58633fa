"""Queries, and those who answer them: engines on the collection, and on the flat file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import duckdb
import polars as pl

from query_shapes import DataSet
from rigorous_recorder import ExperimentCollection

__all__ = [
    "DUCKDB",
    "FILTER",
    "GROUP",
    "POLARS",
    "QUERIES",
    "Contender",
    "Pair",
    "Query",
    "open_collection",
    "open_file",
]

Rows = list[tuple[Any, ...]]


class Query(NamedTuple):
    """One question, in the languages of both engines."""

    label: str
    sql: str
    frame: Callable[[pl.LazyFrame], pl.LazyFrame]


FILTER = Query(
    "filter on a parent's key",
    "SELECT avg(x) FROM records WHERE episode = 2",
    lambda rows: rows.filter(pl.col("episode") == 2).select(pl.col("x").mean()),
)
GROUP = Query(
    "group by a parent's key",
    "SELECT model, avg(x) FROM records GROUP BY ALL",
    lambda rows: rows.group_by("model").agg(pl.col("x").mean()),
)
QUERIES = (
    FILTER,
    Query(
        "filter on two parents' keys",
        "SELECT avg(x) FROM records WHERE episode = 2 AND model = 'model1'",
        lambda rows: rows.filter(
            pl.col("episode") == 2, pl.col("model") == "model1"
        ).select(pl.col("x").mean()),
    ),
    GROUP,
    Query(
        "group by a record's key",
        "SELECT step % 100, avg(x) FROM records GROUP BY ALL",
        lambda rows: rows.group_by(pl.col("step") % 100).agg(pl.col("x").mean()),
    ),
    Query(
        "mean of a column",
        "SELECT avg(x) FROM records",
        lambda rows: rows.select(pl.col("x").mean()),
    ),
    Query(
        "count",
        "SELECT count(*) FROM records",
        lambda rows: rows.select(pl.len()),
    ),
)  # fmt: skip


class Contender(Protocol):
    """Opens one data set, and then answers queries about it."""

    def __init__(self, data: DataSet) -> None: ...

    def answer(self, query: Query) -> Rows:
        """The rows of the answer, sorted."""
        ...


class Pair(NamedTuple):
    """An engine on the collection, and the same one on the flat file."""

    label: str
    ours: type[Contender]
    theirs: type[Contender]


class CollectionSql:
    def __init__(self, data: DataSet) -> None:
        self._collection = open_collection(data)

    def answer(self, query: Query) -> Rows:
        return sorted(self._collection.sql(query.sql).fetchall())


class FileSql:
    def __init__(self, data: DataSet) -> None:
        self._connection = open_file(data)

    def answer(self, query: Query) -> Rows:
        return sorted(self._connection.sql(query.sql).fetchall())


class CollectionFrame:
    def __init__(self, data: DataSet) -> None:
        self._collection = open_collection(data)

    def answer(self, query: Query) -> Rows:
        rows = self._collection.records.to_polars(lazy=True)
        return sorted(query.frame(rows).collect().rows())


class FileFrame:
    def __init__(self, data: DataSet) -> None:
        self._path = data.flat

    def answer(self, query: Query) -> Rows:
        return sorted(query.frame(pl.scan_parquet(self._path)).collect().rows())


DUCKDB = Pair("DuckDB", CollectionSql, FileSql)
POLARS = Pair("Polars", CollectionFrame, FileFrame)


def open_collection(data: DataSet) -> ExperimentCollection:
    """The collection, opened anew; this process writes nothing to it."""
    return ExperimentCollection(data.study, quiet=True)


def open_file(data: DataSet) -> duckdb.DuckDBPyConnection:
    """A database in which the flat file is the table ``records``, with DuckDB's defaults."""
    connection = duckdb.connect()
    connection.execute(f"CREATE VIEW records AS FROM read_parquet('{data.flat}')")
    return connection
