"""Many finished experiments in one collection: what it costs to open it and to count."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from query_contenders import open_collection
from query_shapes import DataSet, keep, write_parquet
from rigorous_recorder import ExperimentCollection
from turns import take_turns

__all__ = ["COUNTS", "Files", "compact", "count_turns", "experiments", "files_of"]

_RECORDS: Final = 1_000
"""Records of an experiment."""

COUNTS: Final = ("`len`", "SQL", "`read_metadata` of one file", "DuckDB on one file")
"""The ways to count that take turns."""


class Files(NamedTuple):
    """How many files a collection has, and their bytes."""

    number: int
    size: int


def experiments(folder: Path, scale: float, *, own_writers: bool) -> DataSet:
    """1,000 experiments of 1,000 records, by one process or each by a writer of its own."""
    count = max(10, int(1_000 * scale))
    name = "experiments_of_own_writers" if own_writers else "experiments_of_one_writer"
    make = partial(_make, count, own_writers)
    return DataSet(keep(folder / name, make))


def compact(data: DataSet) -> float:
    """Compact the collection; the seconds that it took."""
    collection = open_collection(data)
    start = time.perf_counter()
    collection.compact()
    return time.perf_counter() - start


def files_of(data: DataSet) -> Files:
    """All files of the collection."""
    sizes = [path.stat().st_size for path in data.study.rglob("*") if path.is_file()]
    return Files(len(sizes), sum(sizes))


def count_turns(data: DataSet, rounds: int) -> list[list[float]]:
    """Seconds to open and to count, in the order of ``COUNTS``."""
    contenders = (_length, _sql_count, _metadata_count, _file_count)
    return take_turns(rounds, *(partial(contender, data) for contender in contenders))


def _length(data: DataSet) -> int:
    return len(open_collection(data))


def _sql_count(data: DataSet) -> int:
    return _only_value(open_collection(data).sql("SELECT count(*) FROM records"))


def _metadata_count(data: DataSet) -> int:
    return int(pq.read_metadata(data.flat).num_rows)


def _file_count(data: DataSet) -> int:
    with duckdb.connect() as connection:
        return _only_value(connection.sql(f"SELECT count(*) FROM '{data.flat}'"))


def _only_value(relation: duckdb.DuckDBPyRelation) -> int:
    return int(relation.fetchall()[0][0])


# --- data ------------------------------------------------------------------------------------


def _make(count: int, own_writers: bool, folder: Path) -> None:
    data = DataSet(folder)
    tables = [_records(seed) for seed in range(count)]
    write_parquet(pa.concat_tables(_flat(*each) for each in enumerate(tables)), data.flat)
    collection = open_collection(data)
    for seed, table in enumerate(tables):
        if own_writers:
            collection = open_collection(data)
        _log(collection, seed, table)
        if own_writers:
            collection.close()
    collection.close()


def _records(seed: int) -> pa.Table:
    noise = np.random.default_rng(seed)
    return pa.table({"step": np.arange(_RECORDS), "loss": noise.random(_RECORDS)})


def _flat(seed: int, table: pa.Table) -> pa.Table:
    above: dict[str, Any] = {"experiment_number": seed + 1, "seed": seed}
    for place, (key, value) in enumerate(above.items()):
        table = table.add_column(place, key, pa.repeat(value, table.num_rows))
    return table


def _log(collection: ExperimentCollection, seed: int, table: pa.Table) -> None:
    steps, losses = (column.to_pylist() for column in table.columns)
    with collection.new_experiment(seed=seed) as experiment:
        for step, loss in zip(steps, losses, strict=True):
            experiment.push(step=step, loss=loss)
