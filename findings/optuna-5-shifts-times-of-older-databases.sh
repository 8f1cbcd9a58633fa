#!/usr/bin/env bash
# optuna 5.0.0: it reads the times of trials in a database that an older version wrote as UTC, though those
# are of the local clock: they are off by the zone, and nothing warns. The schema's version is the same (12),
# so no upgrade is asked for, and a study that is continued has times of both kinds.
# The usual guess: a storage that opens without "optuna storage upgrade" reads what is in it as before. It
# matters to whoever computes with the times of trials, such as how long a study took, or which trials ran
# before a change, anywhere but in UTC.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 4.9.0 5.0.0; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet "optuna==$version"
done
cd "$folder"
export TZ=EST5  # five hours behind UTC
cat > trials.py <<'PYTHON'
import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(study_name="demo", storage="sqlite:///demo.db", load_if_exists=True)
if sys.argv[1] == "run":
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
for trial in study.trials:
    print(trial.datetime_start.isoformat())
PYTHON
written=$(4.9.0/bin/python trials.py run)
same=$(4.9.0/bin/python trials.py read)
read=$(5.0.0/bin/python trials.py read)
echo "4.9.0 wrote $written, reads $same; 5.0.0 reads $read"
[[ $same == "$written" ]]
5.0.0/bin/python - "$written" "$read" <<'PYTHON'
import sys
from datetime import datetime, timedelta

written, read = map(datetime.fromisoformat, sys.argv[1:])
assert written - read == timedelta(hours=5), (written, read)
PYTHON
