#!/usr/bin/env bash
# dvclive 3.49.1, PyYAML 6.0.3: DVCLive writes params.yaml as YAML 1.2, whose plain scalars PyYAML, which
# knows 1.1 only, reads as others. The text "yes" comes back as True, "12:30" as the int 750, and the float
# 1e-07, a usual learning rate or epsilon, as the text '1e-07'. Nothing warns, and most values are right.
# The usual guess: a file of parameters that one Python package writes as YAML is read by the other.
# It matters because params.yaml is what DVC and users' scripts read with yaml.safe_load, and a learning rate
# that is a text, or a category that is a bool, is seen only where it is used, or not at all.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dvclive==3.49.1 PyYAML==6.0.3
cd "$folder"
venv/bin/python - <<'PYTHON'
from pathlib import Path

import yaml
from dvclive import Live

params = {"lr": 1e-07, "augment": "yes", "at": "12:30", "momentum": 0.9}
with Live("run", save_dvc_exp=False, dvcyaml=None, report=None) as live:
    live.log_params(params)
text = Path("run/params.yaml").read_text("utf-8")
found = yaml.safe_load(text)
print(text, found, sep="\n")
assert found == {"lr": "1e-07", "augment": True, "at": 750, "momentum": 0.9}, found
PYTHON
