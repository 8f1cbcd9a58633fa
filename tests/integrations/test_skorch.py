"""skorch's nets with our callback."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection, Recorder

torch = pytest.importorskip("torch", reason="torch is not installed")
skorch = pytest.importorskip("skorch", reason="skorch is not installed")
from sklearn.model_selection import GridSearchCV  # noqa: E402

from rigorous_recorder.integrations.skorch import RigorousCallback  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


def net(callback: Any, **options: Any) -> Any:
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Softmax(dim=-1))
    options = {"max_epochs": 2, "lr": 0.1, "batch_size": 16, "verbose": 0, **options}
    return skorch.NeuralNetClassifier(module, callbacks=[callback], **options)


def test_fits_that_go_on_and_begin_anew(study: ExperimentCollection) -> None:
    """The rows are those of the history; batches have their own losses."""
    with study.new_experiment() as run:
        trained = net(RigorousCallback(run, batches=True), warm_start=True)
        trained.fit(X, Y)
        trained.partial_fit(X, Y)
    epochs = [row for row in study.records if row["train_loss"] is not None]
    assert [(row["training"], row["epoch"]) for row in epochs] == [(0, 1), (0, 2), (1, 3), (1, 4)]
    for key in ("train_loss", "valid_loss", "valid_acc"):
        assert [row[key] for row in epochs] == trained.history[:, key]
    batches = [row for row in study.records if row["batch_loss"] is not None]
    own = [row["train_loss"] for row in trained.history[0]["batches"] if "train_loss" in row]
    assert [row["batch_loss"] for row in batches if row["epoch"] == 1 and row["is_training"]] == own
    assert study.level("training")[0]["params"]["lr"] == 0.1


def test_clones_of_a_search_log_to_one_run(study: ExperimentCollection) -> None:
    """Each with its parameters, also in other processes."""
    with study.new_experiment() as run:
        trained = net(RigorousCallback(run), train_split=None)
        GridSearchCV(trained, {"lr": [0.1, 0.2]}, cv=2, refit=False, n_jobs=2).fit(X, Y)
    rates = [row["params"]["lr"] for row in study.level("training")]
    assert sorted(rates) == [0.1, 0.1, 0.2, 0.2]
    assert len(study.records) == 4 * 2


def test_an_interrupt_and_a_failure_to_log(
    study: ExperimentCollection, capsys: pytest.CaptureFixture[str]
) -> None:
    """skorch ends a fit quietly at Ctrl-C; the next one is another training."""

    class Fails(Recorder):
        def child(self, *args: Any, **kwargs: Any) -> Recorder:
            raise OSError

    class Stops(skorch.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
            if len(net.history) == 2:
                raise KeyboardInterrupt

    with study.new_experiment() as run:
        trained = net(RigorousCallback(run), max_epochs=5)
        trained.callbacks.append(Stops())
        trained.fit(X, Y)
        assert [row["epoch"] for row in study.records] == [1, 2]
        broken = net(RigorousCallback(Fails()), max_epochs=1).fit(X, Y)
    assert len(broken.history) == 1
    assert "could not log" in capsys.readouterr().err


def test_a_saved_net_is_loaded_where_the_collection_is_gone(
    study: ExperimentCollection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only its callback can't log there, and says so."""
    with study.new_experiment() as run:
        trained = net(RigorousCallback(run)).fit(X, Y)
    saved = pickle.dumps(trained)
    pickle.loads(saved).fit(X, Y)
    assert len(study.records) == 4
    study.close()
    shutil.rmtree(tmp_path / "study.collection")
    loaded = pickle.loads(saved)
    assert (loaded.predict(X) == trained.predict(X)).all()
    assert capsys.readouterr().err == ""
    loaded.fit(X, Y)
    assert "could not log: NotACollectionError" in capsys.readouterr().err
