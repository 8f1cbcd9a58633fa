"""Lightning's trainer with our logger."""

from __future__ import annotations

import math
import pickle
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
    """And a logger that can't log stops no training."""
    with study.new_experiment() as run:
        with pytest.raises(ValueError, match="bad"):
            trainer(RigorousLogger(run), tmp_path).fit(Model(fails=ValueError("bad")))
        run.push(after=1)
    assert study.experiment(1).status is Status.FINISHED
    copied = pickle.loads(pickle.dumps(RigorousLogger(run)))
    copied.log_metrics({"spawned": 1.0}, 0)
    assert study.records[-1]["spawned"] == 1.0
    broken = RigorousLogger(tmp_path / "file" / "study")
    (tmp_path / "file").touch()
    trained = trainer(broken, tmp_path)
    trained.fit(Model())
    assert trained.global_step == 6
