#!/usr/bin/env bash
# mlflow 3.17.2: a run that was begun by start_run(), or by log_metric() alone, outside of a with block
# is FINISHED when its script dies of an exception, and when it ends by sys.exit(3).
# The usual guess: FAILED, as inside of with, and as W&B has it. A search for runs that finished
# then has those that ran out of memory among its results, with the metrics of half a training.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mlflow==3.17.2
cd "$folder"
cat > train.py <<'PYTHON'
import sys

import mlflow

mlflow.set_tracking_uri("sqlite:///runs.db")
mlflow.start_run(run_name=sys.argv[1])
mlflow.log_metric("loss", 1.0)
if sys.argv[1] == "exit":
    sys.exit(3)
raise RuntimeError("out of memory")
PYTHON
for end in exception exit; do
  ! venv/bin/python train.py "$end" 2> "$end.log" || exit 1
done
grep -q "RuntimeError: out of memory" exception.log
python3 - <<'PYTHON'
import sqlite3

runs = sqlite3.connect("runs.db").execute("SELECT name, status FROM runs ORDER BY 1").fetchall()
print(runs)
assert runs == [("exception", "FINISHED"), ("exit", "FINISHED")]
PYTHON
