"""Two processes of one training, as torchrun starts them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection, Status

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

pytestmark = pytest.mark.slow

SCRIPT = """
import sys

import torch
import torch.distributed as dist
from accelerate import Accelerator
from transformers import PretrainedConfig, PreTrainedModel, Trainer, TrainingArguments

from rigorous_recorder.integrations.accelerate import RigorousTracker
from rigorous_recorder.integrations.ranks import run_of_ranks
from rigorous_recorder.integrations.transformers import RigorousCallback


class Line(PreTrainedModel):
    config_class = PretrainedConfig

    def __init__(self):
        super().__init__(PretrainedConfig())
        self.layer = torch.nn.Linear(1, 1)
        self.post_init()

    def forward(self, x, labels=None):
        return {"loss": ((self.layer(x) - labels) ** 2).mean()}


folder = sys.argv[1]
accelerator = Accelerator(cpu=True, log_with=RigorousTracker(f"{folder}/accelerate"))
rank = accelerator.process_index
assert (accelerator.num_processes, dist.get_backend()) == (2, "gloo")
with run_of_ranks(f"{folder}/ranks", {"lr": 0.1}) as recorder:
    for step in range(3):
        loss = torch.tensor(float(10 * rank + step))
        recorder.push(step=step, loss=loss)  # not the value that it has after the next line
        dist.all_reduce(loss)
accelerator.init_trackers("study", config={"lr": 0.2})
for step in range(2):
    total = accelerator.gather(torch.tensor([float(rank + step)])).sum()
    accelerator.log({"loss": total}, step=step)
args = TrainingArguments(
    f"{folder}/out", max_steps=4, per_device_train_batch_size=1, logging_steps=1, use_cpu=True,
    report_to=[], save_strategy="no", disable_tqdm=True,
)
data = [{"x": [float(n)], "labels": [2.0 * n]} for n in range(8)]
callback = RigorousCallback(f"{folder}/trainer")
Trainer(Line(), args, train_dataset=data, callbacks=[callback]).train()
accelerator.end_training()
"""


def test_torchrun_with_ranks_accelerate_and_a_trainer(tmp_path: Path) -> None:
    """Each rank has a child of one run; Accelerate and Transformers log in rank 0 alone."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    ran = subprocess.run(
        [*launch, str(script), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    with ExperimentCollection.open(tmp_path / "ranks", quiet=True) as collection:
        (experiment,) = collection.experiments
        assert (experiment.status, experiment["ranks"]) == (Status.FINISHED, 2)
        rows = [(row["rank"], row["step"], row["loss"]) for row in collection.records]
        assert sorted(rows) == [(r, s, 10.0 * r + s) for r in (0, 1) for s in range(3)]
    with ExperimentCollection.open(tmp_path / "accelerate", quiet=True) as collection:
        (experiment,) = collection.experiments
        assert (experiment.status, experiment["config"]) == (Status.FINISHED, {"lr": 0.2})
        assert [(row["step"], row["loss"]) for row in collection.records] == [(0, 1.0), (1, 3.0)]
    with ExperimentCollection.open(tmp_path / "trainer", quiet=True) as collection:
        assert [each.status for each in collection.experiments] == [Status.FINISHED]
        rows = [row["step"] for row in collection.records if row["loss"] is not None]
        assert rows == [1, 2, 3, 4]
