"""Hydra's applications with our callback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection, Status

pytest.importorskip("hydra", reason="hydra-core is not installed")

pytestmark = pytest.mark.slow
APP = """
import hydra

from rigorous_recorder.integrations.hydra import recorder

@hydra.main(config_path=".", config_name="config", version_base=None)
def main(cfg):
    recorder().push(step=0, loss=cfg.model.lr)
    if cfg.model.lr == 2:
        raise ValueError("bad")

main()
"""
CONFIG = """
hydra:
  callbacks:
    rigorous:
      _target_: rigorous_recorder.integrations.hydra.RigorousCallback
      place: data/study
model: {lr: 1, layers: [1, 2]}
copy: ${model.lr}
secret: ${oc.env:SECRET}
url: "https://${secret}@host"
"""


def app(folder: Path, *arguments: str) -> int:
    (folder / "app.py").write_text(APP)
    (folder / "config.yaml").write_text(CONFIG)
    environment = {**os.environ, "SECRET": "hunter2", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "app.py", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, check=False
    ).returncode


def test_runs_and_sweeps(tmp_path: Path) -> None:
    """A job is a run; in a sweep a child of one; no secret of the environment is stored."""
    assert app(tmp_path, "hydra.job.chdir=true") == 0
    assert app(tmp_path, "model.lr=2") == 1
    assert app(tmp_path, "-m", "model.lr=1,3") == 0
    with ExperimentCollection.open(tmp_path / "data/study", quiet=True) as study:
        runs = [(each.status, each["experiment_error_type"]) for each in study.experiments]
        assert runs[:2] == [(Status.FINISHED, None), (Status.FAILED, "ValueError")]
        first = study.records[0]
        own = {"model": {"lr": 1, "layers": [1, 2]}, "copy": 1}
        assert {key: first["config"][key] for key in own} == own
        assert first["config"]["secret"] == "${oc.env:SECRET}"
        assert "hunter2" not in str(list(study.level("config")))
        assert study.records[1]["overrides"] == ["model.lr=2"]
        jobs = list(study.level("job").sort("job"))
        assert [(row["job"], row["state"]) for row in jobs] == [(0, "completed"), (1, "completed")]
        assert len({row["sweep_dir"] for row in jobs}) == 1
        assert [row["loss"] for row in study.records if row["job"] is not None] == [1, 3]
