#!/usr/bin/env bash
# trackio 0.43.0: resuming a run without giving its configuration again deletes that. The one row that a run
# has in the table configs is replaced by one with only Trackio's own keys; nothing warns.
# The usual guess, and what W&B does, whose interface this is: resume="must" goes on with the run as it is,
# and config=None changes nothing. It matters because a job that is restarted after an interruption, or a
# script that adds one metric to a finished run, loses all hyperparameters of it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet trackio==0.43.0
cd "$folder"
TRACKIO_DIR="$folder/data" venv/bin/python - <<'PYTHON'
import json
import os
import sqlite3
from pathlib import Path

import trackio

found = []
for options in ({"config": {"lr": 0.1, "seed": 7}}, {"resume": "must"}):
    trackio.init(project="demo", name="first", **options)
    trackio.log({"loss": 0.5})
    trackio.finish()
    (file,) = Path(os.environ["TRACKIO_DIR"]).glob("demo.db")
    rows = sqlite3.connect(file).execute("SELECT config FROM configs").fetchall()
    found.append([{k: v for k, v in json.loads(config).items() if k[0] != "_"} for (config,) in rows])
    print(options, found[-1])
assert found == [[{"lr": 0.1, "seed": 7}], [{}]], found
PYTHON
