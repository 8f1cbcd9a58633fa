"""Measure what Spark takes to answer, to the same rows in one flat Parquet file.

Run it with ``python benchmarks/spark_speed.py [--scale X] [--rounds N] [--folder PATH]``, in an
environment with the package's ``spark`` extra and a Java runtime. One session on this machine
(``local[2]``) answers all, warm; contenders take turns in every round, and a ratio is the median of
the rounds' ratios. The flat file is what people write by hand, as in ``query_speed.py``.

It prints Markdown tables: times, bytes shuffled, and bytes of each column in the files.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow.parquet as pq
import pyspark
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from machine import print_machine
from query_contenders import open_collection
from query_shapes import DataSet, Study, episodes
from rigorous_recorder._engines import spark_nodes
from tables import median_ratio, print_table
from turns import take_turns


class Query(NamedTuple):
    """One query of a frame.

    Args:
        columns: those that it uses, as Spark's own reader finds out by itself.
    """

    label: str
    columns: str
    run: Callable[[DataFrame], list[Any]]


#: Rounds of all queries before any is timed: so many it takes until Java compiled all that it will.
_WARMING: Final = 10

QUERIES: Final = (
    Query(
        "filter on a parent's key",
        "episode,x",
        lambda rows: rows.where("episode = 2").agg(sf.avg("x")).collect(),
    ),
    Query(
        "filter on two parents' keys",
        "model,episode,x",
        lambda rows: rows.where("episode = 2 AND model = 'model1'").agg(sf.avg("x")).collect(),
    ),
    Query(
        "group by a parent's key",
        "model,x",
        lambda rows: sorted(rows.groupBy("model").agg(sf.avg("x")).collect()),
    ),
    Query(
        "group by a record's key",
        "step,x",
        lambda rows: sorted(rows.groupBy((sf.col("step") % 100).alias("s")).agg(sf.avg("x")).collect()),
    ),
    Query("mean of a column", "x", lambda rows: rows.agg(sf.avg("x")).collect()),
    Query("count", "step", lambda rows: rows.agg(sf.count("*")).collect()),
)  # fmt: skip


def session() -> SparkSession:
    """The session that answers all."""
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.pyspark.python", sys.executable)
        .config("spark.driver.memory", "4g")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.python.filterPushdown.enabled", "true")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def native_frames(spark: SparkSession, data: DataSet) -> dict[str, DataFrame]:
    """The contenders that Spark reads itself: the flat file, and the collection."""
    records = open_collection(data).records
    most, spark_nodes._MOST_RANGES = spark_nodes._MOST_RANGES, 0  # type: ignore[misc]
    joined = records.to_spark(spark)
    spark_nodes._MOST_RANGES = most  # type: ignore[misc]
    return {
        "flat": spark.read.parquet(str(data.flat)),
        "to_spark": records.to_spark(spark),
        "to_spark, joined": joined,
    }


def query_source(spark: SparkSession, data: DataSet, query: Query, one_query: str) -> list[Any]:
    """Query the data source, opened for this query as its conditions can only be pushed then."""
    source = spark.read.format("rigorous").option("columns", query.columns)
    return query.run(source.option("oneQuery", one_query).load(str(data.study)))


def print_times(spark: SparkSession, study: Study, data: DataSet, rounds: int) -> None:
    """Print how long each query takes, once Java compiled what all of them need."""
    native = native_frames(spark, data)
    queries = {
        query: {
            **{name: partial(query.run, frame) for name, frame in native.items()},
            "format": partial(query_source, spark, data, query, "false"),
            "format, oneQuery": partial(query_source, spark, data, query, "true"),
        }
        for query in QUERIES
    }
    for _ in range(_WARMING):
        for contenders in queries.values():
            for run in contenders.values():
                run()
    rows = []
    for query, contenders in queries.items():
        flat, *ours = runs = take_turns(rounds, *contenders.values())
        cells = [f"{median_ratio(each, flat):.2f}" for each in ours]
        seconds = [f"{1000 * statistics.median(each):,.0f}" for each in runs]
        rows.append([query.label, *cells, *seconds])
    names = list(contenders)
    head = ["query", *(f"{name}, to flat" for name in names[1:]), *(f"{n} ms" for n in names)]
    print_table(study.label, head, rows)


def print_shuffles(spark: SparkSession, study: Study, data: DataSet) -> None:
    """Print what the tasks of each query wrote for others."""
    found = native_frames(spark, data)
    rows = []
    for query in QUERIES:
        cells: list[str] = []
        for name in ("flat", "to_spark"):
            shuffled, tasks = _shuffled(spark, partial(query.run, found[name]))
            cells += [f"{shuffled:,}", f"{tasks:,}"]
        rows.append([query.label, *cells])
    head = ["query", "flat: bytes shuffled", "tasks", "to_spark: bytes shuffled", "tasks"]
    print_table(f"{study.label}: shuffles", head, rows)


def _shuffled(spark: SparkSession, run: Callable[[], object]) -> tuple[int, int]:
    """Bytes written to shuffles, and tasks, of the jobs of one query."""
    context = spark.sparkContext
    group = f"query {time.perf_counter_ns()}"
    context.setJobGroup(group, group)
    run()
    tracker, store = context.statusTracker(), context._jsc.sc().statusStore()
    shuffled = tasks = 0
    for job in tracker.getJobIdsForGroup(group):
        info = tracker.getJobInfo(job)
        for stage in info.stageIds if info else ():
            last = store.lastStageAttempt(stage)
            shuffled += last.shuffleWriteBytes()
            tasks += last.numCompleteTasks()
    return shuffled, tasks


def print_columns(study: Study, data: DataSet) -> None:
    """Print how many bytes a record has in each column of the sealed files."""
    sizes, footers, rows, files = Counter[str](), 0, 0, 0
    for path in (data.study / "records").glob("*.parquet"):
        footer = pq.read_metadata(path)
        rows, footers, files = rows + footer.num_rows, footers + footer.serialized_size, files + 1
        for group in map(footer.row_group, range(footer.num_row_groups)):
            for column in map(group.column, range(footer.num_columns)):
                sizes[column.path_in_schema] += column.total_compressed_size
    cells = [[name, f"{size / rows:.3f}"] for name, size in sizes.items()]
    cells.append([f"footer, of {files} files", f"{footers / rows:.3f}"])
    print_table(f"{study.label}: files", ["column", "bytes a record"], cells)


def print_opening(spark: SparkSession, study: Study, data: DataSet) -> None:
    """Print what it takes until there is a frame, after the first one."""
    records = open_collection(data).records
    records.to_spark(spark)
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        records.to_spark(spark)
        taken.append(time.perf_counter() - start)
    head = ["", "ms"]
    print_table(
        f"{study.label}: opening", head, [["to_spark", f"{1000 * statistics.median(taken):,.0f}"]]
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the data (default 1)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds (default 9)")
    parser.add_argument("--folder", type=Path, help="where data stays for the next run")
    arguments = parser.parse_args()
    print_machine()
    print(f"PySpark {pyspark.__version__}, local[2]")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)) / f"scale_{arguments.scale:g}"
        spark = session()
        for study in (episodes(arguments.scale), episodes(arguments.scale, writers=4)):
            sys.stderr.write(f"{study.label}\n")
            data = study.data(folder)
            print_opening(spark, study, data)
            print_times(spark, study, data, arguments.rounds)
            print_shuffles(spark, study, data)
            print_columns(study, data)
        spark.stop()


if __name__ == "__main__":
    main()
