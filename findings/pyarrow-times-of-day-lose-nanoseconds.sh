#!/usr/bin/env bash
# pyarrow 26.0.1: time64[ns] values become Python's datetime.time, and what happens to their nanoseconds
# depends on whether pandas is installed: without it to_pylist() raises, with pandas 2.3.3 it drops
# them in silence, where timestamp[ns] and duration[ns] become pandas objects that have them.
# The usual guess: the error's own advice ("install pandas ... with nanosecond support") holds for
# times of a day as well, and to_pylist() never changes a value.
# It matters where rows of Parquet files with clock times (sensors, trades, traces) are read as dicts:
# the same script fails on one machine and gives times that were never logged on the next one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyarrow==26.0.1
cat >"$folder/look.py" <<'PYTHON'
import sys

import pyarrow as pa


def found(kind):
    try:
        return repr(pa.array([1_500], kind).to_pylist()[0])
    except ValueError:
        return "ValueError"


seen = {str(kind): found(kind) for kind in (pa.time64("ns"), pa.timestamp("ns"), pa.duration("ns"))}
print(sys.argv[1], seen)
if sys.argv[1] == "without pandas:":
    assert set(seen.values()) == {"ValueError"}
else:
    assert seen["time64[ns]"] == "datetime.time(0, 0, 0, 1)"
    assert all("500" in seen[kind] for kind in ("timestamp[ns]", "duration[ns]"))
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "without pandas:"
"$folder/venv/bin/pip" install --quiet pandas==2.3.3
"$folder/venv/bin/python" "$folder/look.py" "with pandas:"
