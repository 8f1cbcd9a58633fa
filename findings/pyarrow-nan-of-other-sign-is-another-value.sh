#!/usr/bin/env bash
# pyarrow 26.0.1 compares NaN by its bits where it hashes: group_by, unique, count_distinct, is_in and
# run_end_encode tell the NaN of `float("nan")` (sign bit 0) from the NaN that an x86 processor computes
# as inf - inf or 0/0, or numpy as log(-1) (sign bit 1). A loss that diverged in two ways is two groups, and
# `is_in` with float("nan") misses what a training really logs. DuckDB 2.0.1, Polars 2.1.0 and pandas 2.3.3
# have one group for all of them.
# The usual guess: all NaN are one value to a group by, as in SQL engines, or each is its own.
# It matters to whoever looks for diverged runs, or counts them, in Arrow: some are missed in silence.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyarrow==26.0.1 numpy==2.4.4 duckdb==2.0.1 polars==2.1.0 pandas==2.3.3
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import struct

import duckdb
import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.compute as pc

#: As it is written in code, and as arithmetic on this kind of processor gives it.
written, computed = struct.unpack("<2d", bytes.fromhex("000000000000f87f000000000000f8ff"))
natural = [float("inf") - float("inf"), float(np.log(np.float64(-1.0)))]
print("bits of inf - inf and log(-1):", [struct.pack(">d", x).hex() for x in natural])
runs = pa.table({"loss": [written, computed, computed], "runs": [1, 1, 1]})
loss = runs["loss"].combine_chunks()
seen = {
    "group_by": runs.group_by("loss").aggregate([("runs", "sum")]).num_rows,
    "unique": len(pc.unique(loss)),
    "count_distinct": pc.count_distinct(loss).as_py(),
    "run_end_encode": len(pc.run_end_encode(loss).values),
    "is_in": pc.is_in(loss, value_set=pa.array([float("nan")])).to_pylist(),
    "is_nan": pc.is_nan(loss).to_pylist(),
    "duckdb": len(duckdb.sql("SELECT loss, count(*) FROM runs GROUP BY loss").fetchall()),
    "polars": polars.from_arrow(runs).group_by("loss").len().height,
    "pandas": len(pandas.Series(loss.to_numpy()).value_counts(dropna=False)),
}
for name, value in seen.items():
    print(f"{name}: {value}")
assert seen["group_by"] == seen["unique"] == seen["count_distinct"] == seen["run_end_encode"] == 2
assert seen["is_in"] == [True, False, False]
assert seen["is_nan"] == [True, True, True]
assert seen["duckdb"] == seen["polars"] == seen["pandas"] == 1
PYTHON
