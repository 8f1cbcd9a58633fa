"""Hydra's applications with our callback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection, Status

pytest.importorskip("hydra", reason="hydra-core is not installed")

pytestmark = pytest.mark.slow
APP = """
import os
import signal
import time

import hydra

from rigorous_recorder.integrations.hydra import recorder

@hydra.main(config_path=".", config_name="config", version_base=None)
def main(cfg):
    recorder().push(step=0, loss=cfg.model.lr)
    if cfg.model.lr == 2:
        raise ValueError("bad")
    if cfg.model.lr == 4:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

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
by_name: ${oc.select:url}
rank: ${oc.env:RANK}
deep: {base: 10, own: "${.base}", rates: ["${...copy}", "${rank}", "${model.layers[0]}"]}
"""


#: Sends the launcher, its callbacks and the application to another process, as those of clusters do.
ELSEWHERE = """
import subprocess
import sys
from pathlib import Path

import cloudpickle
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.singleton import Singleton
from hydra.core.utils import setup_globals

class ElsewhereLauncher(BasicLauncher):
    def launch(self, job_overrides, initial_job_idx):
        job = cloudpickle.dumps((self, Singleton.get_state(), job_overrides, initial_job_idx))
        command = [sys.executable, "-c", "from hydra_plugins import elsewhere; elsewhere.answer()"]
        subprocess.run(command, input=job, check=True)
        return cloudpickle.loads(Path("answer").read_bytes())

def answer():
    launcher, state, overrides, first = cloudpickle.load(sys.stdin.buffer)
    setup_globals()
    Singleton.set_state(state)
    found = BasicLauncher.launch(launcher, overrides, first)
    Path("answer").write_bytes(cloudpickle.dumps(found))

target = {"_target_": "hydra_plugins.elsewhere.ElsewhereLauncher"}
ConfigStore.instance().store(group="hydra/launcher", name="elsewhere", node=target)
"""


def app(folder: Path, *arguments: str) -> int:
    (folder / "app.py").write_text(APP)
    (folder / "hydra_plugins").mkdir(exist_ok=True)
    (folder / "hydra_plugins/elsewhere.py").write_text(ELSEWHERE)
    (folder / "config.yaml").write_text(CONFIG)
    environment = {**os.environ, "SECRET": "hunter2", "RANK": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "app.py", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, check=False
    ).returncode


def test_runs_and_their_configurations(tmp_path: Path) -> None:
    """A job is a run; no secret of the environment is stored, and only what reads it is hidden."""
    assert app(tmp_path, "hydra.job.chdir=true") == 0
    assert app(tmp_path, "model.lr=2", "+token=${oc.env:SECRET}", "+bad=${nowhere}") == 1
    assert app(tmp_path, "model.lr=4") == -signal.SIGINT
    with ExperimentCollection.open(tmp_path / "data/study", quiet=True) as study:
        runs = [(each.status, each["experiment_error_type"]) for each in study.experiments]
        assert runs == [
            (Status.FINISHED, None),
            (Status.FAILED, "ValueError"),
            (Status.STOPPED, "KeyboardInterrupt"),
        ]
        first, second, _ = study.records
        assert first["config"] == {
            "model": {"lr": 1, "layers": [1, 2]},
            "copy": 1,
            "secret": "${oc.env:SECRET}",
            "url": "https://${secret}@host",
            "by_name": "${oc.select:url}",
            "rank": "${oc.env:RANK}",
            "deep": {"base": 10, "own": 10, "rates": [1, "${rank}", 1]},
        }
        assert (
            second["config"]["copy"] == "${model.lr}"
        )  # what can't be resolved is as it was written
        overrides = ["model.lr=2", "+token=${oc.env:SECRET}", "+bad=${nowhere}"]
        assert second["overrides"] == overrides
        assert "hunter2" not in str(list(study.level("config")))


@pytest.mark.parametrize("launcher", ["basic", "elsewhere"])
def test_jobs_of_a_sweep_are_children_of_its_run(tmp_path: Path, launcher: str) -> None:
    """Also in another process; the error of one is that of the run, if Hydra ends with it."""
    if launcher == "elsewhere":
        pytest.importorskip("cloudpickle", reason="cloudpickle is not installed")
    assert app(tmp_path, "-m", f"hydra/launcher={launcher}", "model.lr=1,2") == 1
    with ExperimentCollection.open(tmp_path / "data/study", quiet=True) as study:
        (run,) = study.experiments
        jobs = list(study.level("job").sort("job"))
        assert [(row["job"], row["state"]) for row in jobs] == [(0, "completed"), (1, "failed")]
        assert [row["error"] for row in jobs] == [None, "ValueError: bad"]
        assert [row["loss"] for row in study.records if row["job"] is not None] == [1, 2]
        assert (run.status, bool(run["sweep_dir"])) == (Status.FAILED, True)
        if launcher == "basic":
            assert run["experiment_error_type"] == "ValueError"
