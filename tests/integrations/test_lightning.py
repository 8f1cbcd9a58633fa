"""Lightning's trainer with our logger."""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Status

torch = pytest.importorskip("torch", reason="torch is not installed")
lightning = pytest.importorskip("lightning.pytorch", reason="lightning is not installed")
from rigorous_recorder.integrations.lightning import RigorousLogger  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Model(lightning.LightningModule):  # type: ignore[misc,name-defined]
    """Two epochs of three batches; a value is NaN, and one batch may raise."""

    def __init__(self, lr: float = 0.1, path: Any = Path("a"), fails: Any = None) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["fails"])
        self.layer, self.fails = torch.nn.Linear(1, 1), fails

    def training_step(self, batch: Any, index: int) -> Any:
        if self.fails is not None and index == 1:
            raise self.fails
        self.log("loss", torch.tensor(0.1, dtype=torch.float64), on_step=True, on_epoch=True)
        self.log("odd", math.nan)
        return self.layer(batch).sum()

    def validation_step(self, _: Any, index: int) -> None:
        self.log("val", float(index), on_step=True, on_epoch=True)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)

    def train_dataloader(self) -> Any:
        return torch.utils.data.DataLoader(torch.ones(3, 1))

    val_dataloader = train_dataloader


def trainer(logger: Any, tmp_path: Path, **options: Any) -> Any:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 1}
    return lightning.Trainer(
        logger=logger,
        max_epochs=2,
        accelerator="cpu",
        default_root_dir=tmp_path,
        **quiet,
        **options,
    )


def test_two_fits_log_each_value_once(study: ExperimentCollection, tmp_path: Path) -> None:
    """Steps never go back, hyperparameters are attributes once, and the run is not ended between."""
    logger = RigorousLogger(study, {"model": "m"})
    for _ in range(2):
        trainer(logger, tmp_path).fit(Model())
    rows = [row for row in study.records if row["loss_step"] is not None]
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4, 5] * 2
    assert [row["epoch"] for row in rows] == [0, 0, 0, 1, 1, 1] * 2
    assert {row["loss_step"] for row in rows} == {0.1}
    assert all(math.isnan(row["odd"]) for row in rows)
    batches = [row for row in study.records if row["val_step"] is not None]
    assert {row["step"] for row in batches} == {None}
    assert [row["batch"] for row in batches] == [0, 1, 2, 3, 4, 5] * 2
    assert [row["val_epoch"] for row in study.records if row["val_epoch"] is not None] == [1.0] * 4
    experiment = study.experiment(1)
    assert (experiment["lr"], experiment["path"], experiment["model"]) == (0.1, "a", "m")
    assert experiment.status is Status.RUNNING
    assert "python" in experiment.environment
    assert list(tmp_path.glob("rigorous/experiment_1/checkpoints/*.ckpt"))


class Evaluated(Model):
    """Several dataloaders, values of single batches only, x-axes and loggers of the user's own."""

    def training_step(self, batch: Any, index: int) -> Any:
        loss = self.layer(batch).sum()
        self.log("loss", loss, on_step=True, on_epoch=True)
        self.log("step", 100.0 + self.global_step)
        self.logger.experiment.push(mine=self.global_step)
        return loss

    def validation_step(self, _: Any, index: int, dataloader_idx: int = 0) -> None:
        self.log("alone", float(index), on_step=True, on_epoch=False)
        self.log("both", float(index), on_step=True, on_epoch=True)
        self.logger.log_metrics({"direct": 1.0}, step=self.global_step)

    def on_validation_epoch_end(self) -> None:
        self.log("step", 7.0)

    def val_dataloader(self) -> Any:
        return [self.train_dataloader(), self.train_dataloader()]


def test_each_x_axis_is_what_it_counts(study: ExperimentCollection, tmp_path: Path) -> None:
    """Only batches of evaluations that Lightning itself counts are no steps of the training."""
    trainer(RigorousLogger(study), tmp_path, num_sanity_val_steps=0).fit(Evaluated())

    def found(key: str) -> list[Any]:
        rows = [row for row in study.records if row[key] is not None]
        return [(row["step"], row["batch"]) for row in rows]

    batches = [(None, batch) for batch in range(6)]
    for key in ("alone/dataloader_idx_0", "both_step/dataloader_idx_1"):
        assert found(key) == batches, key
    assert found("both_epoch/dataloader_idx_0") == [(7, None)] * 2
    assert found("loss_step") == [(100 + step, None) for step in range(6)]
    assert found("direct") == [(3, None)] * 6 + [(6, None)] * 6
    assert [row["mine"] for row in study.records if row["mine"] is not None] == [*range(6)]


def test_hyperparameters_are_those_of_the_last_fit(
    study: ExperimentCollection, tmp_path: Path
) -> None:
    """An attribute that the caller gave stays."""
    logger = RigorousLogger(study, {"path": "mine"})
    for lr in (0.1, 0.2):
        trainer(logger, tmp_path, limit_train_batches=1).fit(Model(lr=lr))
    assert (study.experiment(1)["lr"], study.experiment(1)["path"]) == (0.2, "mine")


def test_files_of_runs_at_a_path_are_beside_it(tmp_path: Path) -> None:
    """LightningCLI needs such a folder, and one for each run."""
    for number in (1, 2):
        fitted = trainer(RigorousLogger(tmp_path / "s.collection", capture=False), tmp_path)
        folder = tmp_path / "s.artifacts" / f"experiment_{number}"
        assert fitted.log_dir == str(folder)
        fitted.fit(Model())
        assert list(folder.glob("checkpoints/*.ckpt"))
    chosen = RigorousLogger(tmp_path / "s", save_dir=tmp_path / "mine")
    assert trainer(chosen, tmp_path).log_dir == str(tmp_path / "mine")


SPAWNS = """
import sys
import lightning.pytorch as pl
from rigorous_recorder.integrations.lightning import RigorousLogger
from tests.integrations.test_lightning import Model, trainer

class Pushes(Model):
    def training_step(self, batch, index):
        self.logger.experiment.push(own=self.global_rank)
        return super().training_step(batch, index)

if __name__ == "__main__":
    logger = RigorousLogger(sys.argv[1], capture=False)
    made = trainer(logger, sys.argv[2], strategy="ddp_spawn", devices=2, limit_val_batches=0)
    made.fit(Pushes())
    logger.experiment.push(after=1)
"""


def test_spawned_processes_log_to_one_run(tmp_path: Path) -> None:
    """Those of other ranks drop what they push; the run ends with the process that began it."""
    (tmp_path / "script.py").write_text(SPAWNS, encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "script.py", "study", str(tmp_path)]
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, env=environment)
    with ExperimentCollection.open(tmp_path / "study", quiet=True) as collection:
        (experiment,) = collection.experiments
        assert experiment.status is Status.FINISHED
        rows = list(collection.records)
    assert [row["own"] for row in rows if row["own"] is not None] == [0] * 4
    assert [row["step"] for row in rows if row["loss_step"] is not None] == [0, 1, 2, 3]
    assert [row["after"] for row in rows if row["after"] is not None] == [1]


def test_a_logger_that_cannot_log_stops_no_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the user's own code logs to it; it is reported once."""

    class Pushes(Model):
        def training_step(self, batch: Any, index: int) -> Any:
            self.logger.experiment["note"] = "n"
            self.logger.experiment.child(part="p").push(index=index)
            return super().training_step(batch, index)

    (tmp_path / "file").touch()
    broken = RigorousLogger(tmp_path / "file" / "study")
    trained = trainer(broken, tmp_path)
    trained.fit(Pushes())
    assert trained.global_step == 6
    assert list(tmp_path.glob("rigorous/experiment/checkpoints/*.ckpt"))
    assert capsys.readouterr().err.count("could not log") == 1


@pytest.mark.parametrize(
    ("error", "raised", "status"),
    [
        (ValueError("bad"), ValueError, Status.FAILED),
        (KeyboardInterrupt(), SystemExit, Status.STOPPED),
    ],
)
def test_an_error_ends_the_run_that_it_began(
    study: ExperimentCollection, tmp_path: Path, error: Any, raised: Any, status: Status
) -> None:
    """With the exception of the training, though Lightning does not hand it over."""
    with pytest.raises(raised):
        trainer(RigorousLogger(study), tmp_path).fit(Model(fails=error))
    assert study.experiment(1).status is status
    assert study.experiment(1)["experiment_error_type"] == type(error).__name__


def test_a_run_of_the_caller_stays_his(study: ExperimentCollection, tmp_path: Path) -> None:
    """A copy logs to it, too."""
    with study.new_experiment() as run:
        with pytest.raises(ValueError, match="bad"):
            trainer(RigorousLogger(run), tmp_path).fit(Model(fails=ValueError("bad")))
        run.push(after=1)
    assert study.experiment(1).status is Status.FINISHED
    copied = pickle.loads(pickle.dumps(RigorousLogger(run)))
    copied.log_metrics({"spawned": 1.0}, 0)
    assert study.records[-1]["spawned"] == 1.0
