#!/usr/bin/env bash
# pyarrow 26.0.1: the cast of decimal128(38, 0) to double does not give the nearest double.
# Of 20,000 random ints of 20 to 38 digits some are one unit in the last place off, where Python's
# float(), DuckDB 2.0.1 and Polars 2.1.0 give the nearest double for every one of them.
# The usual guess: all engines round alike, so that a double can be compared with another engine's.
# It matters where 64- and 128-bit seeds or hashes are kept as decimals: a join or a filter on their
# doubles misses rows, depending on who made them, and int(x) == y is false for exact doubles as well.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyarrow==26.0.1 duckdb==2.0.1 polars==2.1.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import random
from decimal import Decimal

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq

dice = random.Random(1)
ints = [dice.randrange(10 ** dice.randrange(19, 38)) for _ in range(20_000)]
table = pa.table({"seed": pa.array(map(Decimal, ints), pa.decimal128(38, 0))})
pq.write_table(table, "seeds.parquet")
nearest = [float(each) for each in ints]
found = {
    "pyarrow": table["seed"].cast(pa.float64()).to_pylist(),
    "duckdb": [x for (x,) in duckdb.sql("SELECT seed::DOUBLE FROM 'seeds.parquet'").fetchall()],
    "polars": polars.read_parquet("seeds.parquet")["seed"].cast(polars.Float64).to_list(),
}
off = {name: sum(a != b for a, b in zip(values, nearest)) for name, values in found.items()}
print(f"not the nearest double, of {len(ints):,}: {off}")
assert off["pyarrow"] > 0
assert off["duckdb"] == off["polars"] == 0
PYTHON
