#!/usr/bin/env bash
# pyarrow 26.0.1: the sum, and with it the mean, of a decimal128(38, 0) column wraps around silently.
# Two values of 38 digits, as 128-bit hashes and seeds have, give a negative sum and a negative mean,
# while adding 1 to the column raises, DuckDB 2.0.1 raises OutOfRangeException, and Polars 2.1.0
# refuses the sum and has the mean right, as a double.
# The usual guess: an error, or a wider decimal256, as pyarrow itself has for larger numbers.
# It matters to whoever stores ints beyond 64 bits exactly: an aggregate in Arrow lies without a word.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyarrow==26.0.1 duckdb==2.0.1 polars==2.1.0
cd "$folder"
venv/bin/python - <<'PYTHON'
from decimal import Decimal

import duckdb
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

largest = 10**38 - 1
seeds = pa.array([Decimal(largest), Decimal(largest)], pa.decimal128(38, 0))
pq.write_table(pa.table({"seed": seeds}), "seeds.parquet")


def outcome(ask):
    try:
        return ask()
    except Exception as error:
        return type(error).__name__


seen = {
    "pyarrow sum": pc.sum(seeds).as_py(),
    "pyarrow mean": pc.mean(seeds).as_py(),
    "pyarrow + 1": outcome(lambda: pc.add(seeds, pa.scalar(1))),
    "duckdb avg": outcome(lambda: duckdb.sql("SELECT avg(seed) FROM 'seeds.parquet'").fetchall()),
    "polars sum": outcome(lambda: polars.read_parquet("seeds.parquet")["seed"].sum()),
    "polars mean": outcome(lambda: polars.read_parquet("seeds.parquet")["seed"].mean()),
}
for name, value in seen.items():
    print(f"{name}: {value}")
assert seen["pyarrow sum"] == 2 * largest - 2**128 < 0
assert seen["pyarrow mean"] < 0
assert seen["pyarrow + 1"] == "ArrowInvalid"
assert seen["duckdb avg"] == "OutOfRangeException"
assert seen["polars mean"] == 1e38
PYTHON
