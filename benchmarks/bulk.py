"""Many records at once: ``extend`` beside ``pyarrow.parquet.write_table`` of the same data."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from rigorous_recorder import ExperimentCollection

__all__ = ["FORMS", "BulkCost", "BulkShape", "bulk_shapes", "measure_extend", "measure_write_table"]


class BulkShape(NamedTuple):
    """Data that is logged in calls of so many rows."""

    label: str
    table: pa.Table
    rows: int

    def pieces(self) -> list[pa.Table]:
        """What one call each logs."""
        return [
            self.table.slice(start, self.rows) for start in range(0, self.table.num_rows, self.rows)
        ]


class BulkCost(NamedTuple):
    """Seconds: on the caller's side, and until all is sealed."""

    log: float
    whole: float


def bulk_shapes(scale: float) -> list[BulkShape]:
    """Numbers, and numbers with text, in large calls and in small ones."""
    noise = np.random.default_rng(0)
    count = int(1_000_000 * scale)
    numbers = pa.table({
        "index": np.arange(count), "x": noise.random(count), "y": noise.random(count)
    })  # fmt: skip
    texts = numbers.slice(0, count // 3)
    texts = texts.append_column("text", [[f"episode {i % 1000} ended" for i in range(count // 3)]])
    return [
        BulkShape("three numbers a row, at once", numbers, count),
        BulkShape("three numbers a row, 1,000 rows a call", numbers.slice(0, count // 5), 1_000),
        BulkShape("three numbers and a text a row, at once", texts, count),
        BulkShape("three numbers and a text, 1,000 rows a call", texts.slice(0, count // 5), 1_000),
    ]


def _as_numpy(table: pa.Table) -> Any:
    return {
        name: column.to_pylist() if pa.types.is_string(column.type) else column.to_numpy()
        for name, column in zip(table.column_names, table.columns, strict=True)
    }


FORMS: Final[dict[str, Callable[[pa.Table], Any]]] = {
    "numpy arrays and lists of text": _as_numpy,
    "an Arrow table": lambda table: table,
    "a Polars DataFrame": pl.DataFrame,
    "a pandas DataFrame": lambda table: table.to_pandas(),
}


def measure_extend(shape: BulkShape, form: Callable[[pa.Table], Any]) -> BulkCost:
    """Log the data into a collection that has a record already."""
    pieces = [form(piece) for piece in shape.pieces()]
    with tempfile.TemporaryDirectory() as folder:
        collection = ExperimentCollection(Path(folder, "study"), quiet=True)
        with collection.new_experiment() as experiment:
            experiment.push(index=-1)
            gc.collect()
            start = time.perf_counter()
            for piece in pieces:
                experiment.extend(piece)
            logged = time.perf_counter()
        collection.close()
        return BulkCost(logged - start, time.perf_counter() - start)


def measure_write_table(shape: BulkShape) -> BulkCost:
    """Write the data to Parquet files, one for each call, by pyarrow with its defaults."""
    with tempfile.TemporaryDirectory() as folder:
        gc.collect()
        start = time.perf_counter()
        for number, piece in enumerate(shape.pieces()):
            pq.write_table(piece, Path(folder, f"{number}.parquet"))
        seconds = time.perf_counter() - start
    return BulkCost(seconds, seconds)
