"""TorchRL's calls of a logger."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection, Status

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("torchrl", reason="torchrl is not installed")
from tensordict import TensorDict  # noqa: E402

from rigorous_recorder.integrations.torchrl import RigorousLogger  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_all_that_it_logs(study: ExperimentCollection) -> None:
    """A TensorDict is one record; hyperparameters are attributes."""
    logger = RigorousLogger("ppo", study, {"m": 1})
    logger.log_hparams({"lr": 0.1, "net": {"depth": 2}, "cls": Path})
    logger.log_scalar("reward", torch.tensor(0.5), step=3)
    logger.log_scalar("odd", math.nan)
    logger.log_metrics(TensorDict({"a": torch.tensor(1.0), "n": {"v": torch.ones(2)}}), step=4)
    logger.log_video("video", torch.zeros(1, 2, 3, 4, 4, dtype=torch.uint8), step=5)
    logger.log_histogram("h", [1.0, 2.0], step=6)
    rows = list(study.records)
    assert (rows[0]["reward"], rows[0]["step"], rows[0]["lr"], rows[0]["net.depth"]) == (
        0.5,
        3,
        0.1,
        2,
    )
    assert math.isnan(rows[1]["odd"])
    assert (rows[2]["a"], rows[2]["n/v"].tolist(), rows[2]["step"]) == (1.0, [1.0, 1.0], 4)
    assert rows[3]["video"].shape == (1, 2, 3, 4, 4)
    assert rows[4]["h"]["num"] == 2.0
    assert study.experiment(1).name == "ppo"
    assert logger.experiment is logger._host.recorder
    assert "ppo" in repr(logger)
    assert study.experiment(1).status is Status.RUNNING
    logger.close()
    assert study.experiment(1).status is Status.FINISHED
    logger.log_histogram("h", [1.0, 2.0, 5.0], bins=np.array([0.0, 2.0, 6.0]))  # after the end
    assert study.records[-1]["h"]["bucket"] == [0.0, 1.0, 2.0]


def test_a_recorder_of_the_caller_and_a_process_of_its_own(
    study: ExperimentCollection, tmp_path: Path
) -> None:
    """The caller's run is not ended; TorchRL can run the logger in another process."""
    run = study.start()
    logger = RigorousLogger("ppo", run)
    logger.log_scalar("reward", 1.0)
    logger.close()
    assert study.experiment(1).status is Status.RUNNING
    run.finish()
    other = RigorousLogger("sac", tmp_path / "other", service_backend="process")
    other.log_scalar("reward", 2.0, step=1)
    other.log_metrics({"loss": torch.tensor(0.5)}, step=2)
    other.close()
    with ExperimentCollection.open(tmp_path / "other", quiet=True) as found:
        rows = [(row["name"], row["step"], row["reward"], row["loss"]) for row in found.records]
        assert rows == [("sac", 1, 2.0, None), ("sac", 2, None, 0.5)]
        assert found.experiment(1).status is Status.FINISHED


def test_a_failure_to_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is reported, and raised to nobody."""
    (tmp_path / "file").touch()
    logger = RigorousLogger("ppo", tmp_path / "file" / "study")
    logger.log_scalar("reward", 1.0)
    assert "could not log" in capsys.readouterr().err
