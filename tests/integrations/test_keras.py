"""Keras's fit with our callback."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection, Status

pytest.importorskip("torch", reason="torch is not installed")
os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", reason="keras is not installed")
from rigorous_recorder.integrations.keras import RigorousCallback  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
X = np.array([1.0, 3.0, 5.0, 7.0, 9.0], np.float32)[:, None]
Y = np.zeros((5, 1), np.float32)


class Vector(keras.metrics.Metric):  # type: ignore[misc,name-defined]
    """A metric that is no mean, and of more than one element."""

    def update_state(self, *_: Any, **__: Any) -> None:
        pass

    def result(self) -> Any:
        return keras.ops.ones(2)


def model(**options: Any) -> Any:
    """The identity, which does not learn: the losses of batches of two are 5, 37 and 81."""
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    made = keras.Sequential([keras.Input((1,)), layer])
    # With names: those that Keras makes up are numbered over all tests in a process.
    optimizer, vector = keras.optimizers.SGD(0.0, name="sgd"), Vector(name="vector")
    made.compile(optimizer, "mse", metrics=["mae", vector], **options)
    return made


def fit(made: Any, *callbacks: Any, **options: Any) -> Any:
    options = {"epochs": 2, "batch_size": 2, "shuffle": False, "verbose": 0, **options}
    return made.fit(X, Y, callbacks=list(callbacks), **options)


def test_batches_have_their_own_values_and_epochs_those_of_keras(
    study: ExperimentCollection,
) -> None:
    """Keras hands over the mean since the epoch began; the last batch is smaller."""
    made, callback = model(), RigorousCallback(study, {"m": 1})
    history = fit(made, callback, validation_data=(X, Y), validation_freq=2).history
    fit(made, callback, initial_epoch=1)
    made.evaluate(X, Y, callbacks=[callback], verbose=0)
    batches = [row for row in study.records if row["batch_loss"] is not None]
    assert [row["batch_loss"] for row in batches] == pytest.approx([5.0, 37.0, 81.0] * 3)
    assert [row["batch_mae"] for row in batches] == pytest.approx([2.0, 6.0, 9.0] * 3)
    assert batches[0]["batch_vector"].tolist() == [1.0, 1.0]
    # The second fit goes on at the second epoch.
    assert [row["step"] for row in batches] == [1, 2, 3, 4, 5, 6, 4, 5, 6]
    epochs = [row for row in study.records if row["loss"] is not None]
    assert [(row["training"], row["epoch"]) for row in epochs] == [(0, 0), (0, 1), (1, 1)]
    assert [row["loss"] for row in epochs[:2]] == history["loss"]
    assert [row["val_loss"] for row in epochs] == [None, *history["val_loss"], None]
    assert [row["test_loss"] for row in study.records if row["test_loss"]] == [epochs[0]["loss"]]
    training = study.level("training")[0]
    assert (training["optimizer"]["name"], training["model_parameters"]) == ("sgd", 1)
    assert study.experiment(1).status is Status.RUNNING


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="torch has one batch a step")
def test_several_batches_at_once(study: ExperimentCollection) -> None:
    """The last index of Keras is past the end."""
    with study.new_experiment() as run:
        fit(model(steps_per_execution=2), RigorousCallback(run), epochs=1)
    assert [row["step"] for row in study.records] == [2, 3, 3]
    losses = [row["batch_loss"] for row in study.records][:2]
    assert losses == pytest.approx([21.0, 81.0])


def test_each_output_has_its_own_values(study: ExperimentCollection) -> None:
    """Also if only some batches are logged."""
    with study.new_experiment() as run:
        inputs = keras.Input((1,))
        layers = [keras.layers.Dense(1, kernel_initializer=kind) for kind in ("ones", "zeros")]
        two = keras.Model(inputs, {name: layer(inputs) for name, layer in zip("ab", layers)})  # noqa: B905
        two.compile("sgd", {"a": "mse", "b": "mse"}, metrics={"a": ["mae"], "b": ["mae"]})
        two.optimizer.learning_rate = 0.0
        callback = RigorousCallback(run.child(model="two"), every=2)
        two.fit(X, {"a": Y, "b": Y}, batch_size=2, shuffle=False, verbose=0, callbacks=[callback])
    (second,) = (row for row in study.records if row["batch_loss"])
    assert (second["step"], second["batch_a_mae"], second["batch_b_mae"]) == (2, 6.0, 0.0)


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_an_exception_ends_no_evaluation_after_it(
    study: ExperimentCollection, error: BaseException
) -> None:
    """Keras calls nothing when a training dies."""

    class Fails(keras.callbacks.Callback):  # type: ignore[misc,name-defined]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 1:
                raise error

    made = model()
    with study.new_experiment() as run:
        callback = RigorousCallback(run)
        with pytest.raises(type(error)):
            fit(made, callback, Fails())
        made.evaluate(X, Y, callbacks=[callback], verbose=0)
    assert [row["batch_loss"] for row in study.records][:2] == pytest.approx([5.0, 37.0])
    assert study.records[-1]["test_loss"] == pytest.approx(33.0)


def test_a_training_that_keras_restores_goes_on(study: ExperimentCollection, tmp_path: Any) -> None:
    """Epochs and steps follow those before the exception, and are not theirs again."""

    class Fails(keras.callbacks.Callback):  # type: ignore[misc,name-defined]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1 and len(study.level("training")) == 1:
                raise ValueError("bad")

    with study.new_experiment() as run:
        callback = RigorousCallback(run)
        for _ in range(2):
            backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
            with contextlib.suppress(ValueError):
                fit(model(), backup, callback, Fails())
    rows = [row for row in study.records if row["batch_loss"] is not None]
    assert [(row["training"], row["epoch"], row["step"]) for row in rows] == [
        *((0, 0, step) for step in (1, 2, 3)),
        *((1, 1, step) for step in (4, 5, 6)),
    ]


def test_a_training_step_of_the_user(study: ExperimentCollection) -> None:
    """What it returns is logged as it is, unless it is the mean of a metric of that name."""

    class Own(keras.Model):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.mine = keras.metrics.Mean(name="mine")
            self.layer = keras.layers.Dense(1)
            self.other = keras.metrics.Mean(name="other")

        def call(self, x: Any) -> Any:
            return self.layer(x)

        def train_step(self, data: Any) -> Any:
            size = keras.ops.mean(data[0])
            self.mine.update_state(size)
            self.other.update_state(size)
            return {"mine": self.mine.result(), "other": float(size), "free": float(size)}

    if keras.backend.backend() != "torch":
        pytest.skip("a training step of jax has no state")
    own = Own()
    own.compile("sgd", "mse")
    with study.new_experiment() as run:
        fit(own, RigorousCallback(run), epochs=1)
    for key in ("batch_mine", "batch_other", "batch_free"):
        found = [row[key] for row in study.records if row[key] is not None]
        assert found == pytest.approx([2.0, 6.0, 9.0]), key


def test_a_batch_does_not_ask_for_the_model(
    study: ExperimentCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which would copy all weights back to it on jax, after each batch."""
    asked, own = [], RigorousCallback.model.fget

    def counted(callback: Any) -> Any:
        asked.append(1)
        return own(callback)

    monkeypatch.setattr(RigorousCallback, "model", property(counted))
    with study.new_experiment() as run:
        fit(model(), RigorousCallback(run), epochs=1)
        few = len(asked)
        fit(model(), RigorousCallback(run), epochs=5)
    assert len(asked) == 2 * few
    assert len(study.records) == (3 + 1) * 6


def test_a_failure_to_log_ends_no_training(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is reported once."""
    (tmp_path / "file").touch()
    assert len(fit(model(), RigorousCallback(tmp_path / "file" / "study")).history["loss"]) == 2
    assert capsys.readouterr().err.count("could not log") == 1
