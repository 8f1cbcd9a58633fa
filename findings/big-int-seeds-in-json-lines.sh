#!/usr/bin/env bash
# duckdb 2.0.1, polars 2.1.0, pyarrow 26.0.1, pandas 3.1.1: one JSON line with a seed beyond 64 bits,
# which Python's json and many loggers write exactly, changes the type of the column, differently in each.
# DuckDB says HUGEINT, which holds 128 bits, up to 2**64 - 1 only; from 2**64 on the column is DOUBLE and
# the seed is rounded, also those of other lines beyond 2**53. pyarrow rounds from 2**63 on. pandas refuses
# the file from 2**64 on ("Value is too big!"). Polars has Int128 and is exact.
# The usual guess: what HUGEINT can hold is read exactly, or an error. It matters because a rounded seed
# repeats another experiment, and the column's type depends on one line of the file.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1 pandas==3.1.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import json
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow.json

neighbour = 2**53 + 1


def read(seed):
    Path("runs.jsonl").write_text("".join(json.dumps({"seed": s}) + "\n" for s in (neighbour, seed)))
    types, values = zip(*duckdb.sql("SELECT typeof(seed), seed FROM 'runs.jsonl'").fetchall())
    try:
        in_pandas = pandas.read_json("runs.jsonl", lines=True)["seed"].tolist()
    except ValueError as error:
        in_pandas = str(error)
    found = {
        "duckdb": (types[0], values),
        "polars": tuple(polars.read_ndjson("runs.jsonl")["seed"]),
        "pyarrow": tuple(pyarrow.json.read_json("runs.jsonl")["seed"].to_pylist()),
        "pandas": in_pandas,
    }
    print(seed, found)
    return found


small, large = read(2**64 - 1), read(2**64 + 1)
assert small["duckdb"] == ("HUGEINT", (neighbour, 2**64 - 1))
assert large["duckdb"] == ("DOUBLE", (float(2**53), float(2**64)))
assert small["polars"] == (neighbour, 2**64 - 1)
assert large["polars"] == (neighbour, 2**64 + 1)
assert small["pyarrow"] == (float(2**53), float(2**64))
assert small["pandas"] == [neighbour, 2**64 - 1]
assert "Value is too big" in large["pandas"]
PYTHON
