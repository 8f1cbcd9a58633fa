"""fastai's learner with our callback."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Status

torch = pytest.importorskip("torch", reason="torch is not installed")
with warnings.catch_warnings():  # its imports are deprecated by torch
    warnings.simplefilter("ignore")
    pytest.importorskip("fastai.learner", reason="fastai is not installed")
    pytest.importorskip("fastai.callback.schedule", reason="fastai is not installed")
from fastai.callback.core import Callback, CancelValidException  # noqa: E402
from fastai.data.core import DataLoader, DataLoaders  # noqa: E402
from fastai.learner import Learner  # noqa: E402

from rigorous_recorder.integrations.fastai import RigorousCallback  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
DATA = [(torch.tensor([float(each)]), torch.tensor([2.0 * each])) for each in range(8)]


class Keeps(Callback):  # type: ignore[misc]
    """The losses of the training's batches as they are."""

    def __init__(self) -> None:
        self.kept: list[float] = []

    def after_batch(self) -> None:
        if self.learn.training:
            self.kept.append(float(self.learn.loss))


class NoValidation(Callback):  # type: ignore[misc]
    """Leaves out validations."""

    def before_validate(self) -> None:
        raise CancelValidException


def mse(found: Any, expected: Any) -> Any:
    return torch.nn.functional.mse_loss(found, expected)


def learner(*callbacks: Any) -> Any:
    loaders = DataLoaders(DataLoader(DATA, bs=4, shuffle=False), DataLoader(DATA, bs=4))
    options = {"loss_func": torch.nn.functional.mse_loss, "cbs": list(callbacks)}
    made = Learner(loaders, torch.nn.Linear(1, 1), **options)
    made.remove_cbs([each for each in made.cbs if type(each).__name__ == "ProgressCallback"])
    made.logger = lambda _: None
    return made


def test_fits_with_batches_and_epochs(study: ExperimentCollection) -> None:
    """The loss of a batch is its own, not the smoothed one; validations are no batches."""
    kept = Keeps()
    made = learner(RigorousCallback(study, {"m": 1}), kept)
    made.fit(2, lr=0.01)
    own = [float(value) for value in made.recorder.values[-1]]
    made.get_preds()
    made.lr_find(num_it=30, show_plot=False, suggest_funcs=None)
    made.fit(1, lr=0.01)
    batches = [row for row in study.records if row["batch_loss"] is not None]
    assert [(row["training"], row["epoch"], row["step"]) for row in batches] == [
        *((0, epoch, 2 * epoch + batch) for epoch in (0, 1) for batch in (0, 1)),
        *((1, 0, batch) for batch in (0, 1)),
    ]
    assert [row["batch_loss"] for row in batches[:4]] == kept.kept[:4]
    epochs = [row for row in study.records if row["valid_loss"] is not None]
    assert [(row["training"], row["epoch"]) for row in epochs] == [(0, 0), (0, 1), (1, 0)]
    assert [epochs[1]["train_loss"], epochs[1]["valid_loss"]] == own
    assert study.experiment(1).status is Status.RUNNING


def test_epochs_that_are_skipped_and_evaluations(study: ExperimentCollection) -> None:
    """Values have their own names, though fastai's recorder leaves out some of them."""
    with study.new_experiment() as run:
        made = learner(RigorousCallback(run))
        made.metrics = [mse]
        made.fit(2, lr=0.01, start_epoch=1)
        found = made.validate()
        made.fit(1, lr=0.01, cbs=NoValidation())
    rows = [row for row in study.records if row["batch_loss"] is not None]
    assert [(row["training"], row["epoch"], row["step"]) for row in rows] == [
        *((0, 1, step) for step in (2, 3)),
        *((1, 0, step) for step in (0, 1)),
    ]
    first, evaluated, last = (row for row in study.records if row["batch_loss"] is None)
    assert (first["epoch"], first["step"], first["mse"]) == (1, 4, first["valid_loss"])
    assert [evaluated["valid_loss"], evaluated["mse"]] == list(found)
    assert (evaluated["train_loss"], evaluated["epoch"], evaluated["training"]) == (None, None, 0)
    assert (last["valid_loss"], last["training"]) == (None, 1)
    assert last["train_loss"] > 0


def test_a_learner_without_a_recorder_trains(
    study: ExperimentCollection, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of its epochs nothing is known, which is reported; batches are logged."""
    with study.new_experiment() as run:
        made = learner(RigorousCallback(run))
        made.remove_cb(made.recorder)
        made.fit(1, lr=0.01)
    assert [row["step"] for row in study.records] == [0, 1]
    assert "could not log" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_an_error_and_a_failure_to_log(
    study: ExperimentCollection, tmp_path: Any, error: BaseException
) -> None:
    """fastai calls no end; the next fit is another training."""

    class Fails(Callback):  # type: ignore[misc]
        def after_batch(self) -> None:
            raise error

    with study.new_experiment() as run:
        made = learner(RigorousCallback(run))
        with pytest.raises(type(error)):
            made.fit(1, lr=0.01, cbs=Fails())
        made.fit(1, lr=0.01)
    rows = [row for row in study.records.where(training=1) if row["batch_loss"] is not None]
    assert [row["step"] for row in rows] == [0, 1]
    (tmp_path / "file").touch()
    learner(RigorousCallback(tmp_path / "file" / "study")).fit(1, lr=0.01)
