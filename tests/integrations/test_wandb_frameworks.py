"""Loggers that TRL and Lightning have for W&B, after ``patch()``: what they log is in a collection."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection, Status

#: GRPO of a tiny model of random weights, which logs its completions as a table.
TRL = """
import rigorous_recorder.wandb
rigorous_recorder.wandb.patch()
import datasets, tokenizers, transformers, trl

names = ["<pad>", "<eos>", *"abcdefgh"]
words = tokenizers.models.WordLevel({w: n for n, w in enumerate(names)}, unk_token="<pad>")
core = tokenizers.Tokenizer(words)
core.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
tokenizer = transformers.PreTrainedTokenizerFast(
    tokenizer_object=core, pad_token="<pad>", eos_token="<eos>", padding_side="left"
)
sizes = {"vocab_size": 10, "n_positions": 16, "n_embd": 8, "n_layer": 1, "n_head": 1}
tokens = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
args = trl.GRPOConfig(
    "out", max_steps=2, per_device_train_batch_size=2, num_generations=2, max_completion_length=3,
    logging_steps=1, report_to=["wandb"], save_strategy="no", use_cpu=True, bf16=False,
    disable_tqdm=True, log_completions=True, run_name="grpo",
)
trained = trl.GRPOTrainer(
    model=transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, **tokens)),
    processing_class=tokenizer,
    reward_funcs=lambda completions, **_: [float(len(each)) for each in completions],
    args=args,
    train_dataset=datasets.Dataset.from_dict({"prompt": ["a b", "c d", "e f", "g h"]}),
)
trained.train()
"""

#: Values of steps and epochs, a checkpoint, a picture and a table.
LIGHTNING = """
import rigorous_recorder.wandb
rigorous_recorder.wandb.patch()
import lightning, numpy, torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger

class Model(lightning.LightningModule):
    def __init__(self, lr=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch, _):
        loss = self.layer(batch).square().mean()
        self.log("loss", loss, on_step=True, on_epoch=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.hparams.lr)

data = torch.utils.data.DataLoader(torch.ones(4, 2), batch_size=2)
logger = WandbLogger(project="p", name="n", log_model=True, tags=["t"])
trainer = lightning.Trainer(
    max_epochs=2, logger=logger, log_every_n_steps=1, accelerator="cpu",
    callbacks=[ModelCheckpoint(monitor="loss")], enable_progress_bar=False,
)
trainer.fit(Model(), data)
logger.log_image("picture", [numpy.zeros((2, 2, 3), numpy.uint8)], caption=["c"])
logger.log_table("table", columns=["a", "b"], data=[[1, "x"], [2, "y"]])
"""


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)


def run(code: str, *packages: str) -> None:
    """Run a script, if the packages are there."""
    for name in packages:
        pytest.importorskip(name, reason=f"{name} is not installed")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]


@pytest.mark.slow
def test_trl_logs_its_values_and_completions() -> None:
    """Each step once, and a table of completions as records of a child."""
    run(TRL, "trl", "datasets", "tokenizers")
    with ExperimentCollection.open("huggingface.collection", quiet=True) as collection:
        (experiment,) = collection.experiments
        assert (experiment.name, experiment.status) == ("grpo", Status.FINISHED)
        rows = list(experiment.records)
        steps = [row for row in rows if row["train/reward"] is not None]
        assert [row["train/global_step"] for row in steps] == [1, 2]
        tables = [row for row in rows if row["table"] == "completions" and row["step"] == 1]
        rewards = [float(len(row["completion"])) for row in tables]
        assert sum(rewards) / len(rewards) == steps[0]["train/reward"]
        assert {row["part"] for row in rows} == {None, "console", "system"}


@pytest.mark.slow
def test_lightning_logs_its_values_and_files() -> None:
    """Steps in order, the checkpoint as an artifact, a picture and a table."""
    run(LIGHTNING, "lightning", "wandb")
    with ExperimentCollection.open("p.collection", quiet=True) as collection:
        (experiment,) = collection.experiments
        assert (experiment.name, experiment.tags, experiment["lr"]) == ("n", ("t",), 0.1)
        rows = list(experiment.records)
        found = [row["trainer/global_step"] for row in rows if row["loss_step"] is not None]
        assert found == [0, 1, 2, 3]
        assert len([row for row in rows if row["loss_epoch"] is not None]) == 2
        assert [row["path"] for row in rows if row["artifact"] is not None] == ["model.ckpt"]
        (picture,) = [row for row in rows if row["picture/0"] is not None]
        assert (picture["picture/0"][:4], picture["picture/0/caption"]) == (b"\x89PNG", "c")
        assert [(row["a"], row["b"]) for row in rows if row["table"] == "table"] == [
            (1, "x"),
            (2, "y"),
        ]
        assert experiment.status is Status.FINISHED
