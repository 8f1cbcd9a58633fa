#!/usr/bin/env bash
# goodseed 0.4.0: when the first value of a metric is NaN, log_metrics() raises sqlite3.IntegrityError, and
# the id of the metric's series, which the rollback removed, stays in the run's cache. The next new metric
# gets the same id from the database, so that from then on both are written into one series: later values
# of the first metric are read as the second one's, without a word, and at equal steps one replaces the other.
# The usual guess: after the error is caught that call is lost, and all others are stored under their names.
# It matters because a loss that begins with NaN is when one catches the error and looks at the other metrics.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet goodseed==0.4.0
cd "$folder"
"$folder/env/bin/python" - <<'PYTHON'
import sqlite3

import goodseed

run = goodseed.Run(
    project="a/b", run_id="run", storage="local", log_dir=".", goodseed_home=".",
    capture_hardware_metrics=False, capture_stdout=False, capture_stderr=False, git_ref=False,
)
try:
    run.log_metrics({"loss": float("nan")}, step=0)
except sqlite3.IntegrityError as error:
    print("NaN:", error)
run.log_metrics({"accuracy": 0.25}, step=1)
run.log_metrics({"loss": 7.0}, step=1)
run.log_metrics({"loss": 5.0}, step=2)
run.close()
query = "SELECT path, step, y FROM metric_points JOIN metric_series ON series_id = id ORDER BY step"
found = sqlite3.connect("run.sqlite").execute(query).fetchall()
print("logged: accuracy 0.25 at step 1, loss 7.0 at step 1 and 5.0 at step 2; stored:", found)
assert found == [("accuracy", 1.0, 7.0), ("accuracy", 2.0, 5.0)], "this has changed"
PYTHON
