"""Ignite's engines with our logger."""

from __future__ import annotations

from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Status

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("ignite", reason="pytorch-ignite is not installed")
from ignite.engine import Engine, Events  # noqa: E402
from ignite.handlers import global_step_from_engine  # noqa: E402
from ignite.metrics import Average  # noqa: E402

from rigorous_recorder.integrations.ignite import RigorousLogger  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def engines(logger: RigorousLogger, error: BaseException | None = None) -> Any:
    def step(engine: Any, batch: float) -> float:
        if error is not None and engine.state.iteration == 2:
            raise error
        return batch

    trainer, evaluator = Engine(step), Engine(lambda _, batch: batch)
    Average().attach(evaluator, "mean")
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    transform = {"output_transform": lambda loss: {"loss": loss, "nest": {"a": torch.ones(2)}}}
    logger.attach_output_handler(trainer, Events.ITERATION_COMPLETED, "train", **transform)
    logger.attach_opt_params_handler(trainer, Events.EPOCH_COMPLETED, optimizer)
    options = {"metric_names": "all", "global_step_transform": global_step_from_engine(trainer)}
    logger.attach_output_handler(evaluator, Events.EPOCH_COMPLETED, "test", **options)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([1.0, 3.0]))
    return trainer


def test_outputs_metrics_and_learning_rates(study: ExperimentCollection) -> None:
    """With the steps of the trainer, also of the evaluator."""
    with RigorousLogger(study, {"m": 1}) as logger:
        engines(logger).run([0.5, 0.25], max_epochs=2)
    found = [(r["step"], r["epoch"], r["train/loss"]) for r in study.records if r["train/loss"]]
    assert found == [(1, 1, 0.5), (2, 1, 0.25), (3, 2, 0.5), (4, 2, 0.25)]
    assert study.records[0]["train/nest/a/1"] == 1.0
    assert [(r["step"], r["test/mean"]) for r in study.records if r["test/mean"]] == [
        (1, 2.0),
        (2, 2.0),
    ]
    rates = [(r["step"], r["lr/group_0"]) for r in study.records if r["lr/group_0"]]
    assert rates == [(1, 0.1), (2, 0.1)]
    assert study.experiment(1).status is Status.FINISHED


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("bad"), Status.FAILED), (KeyboardInterrupt(), Status.STOPPED)],
)
def test_an_error_is_raised_and_ends_the_run(
    study: ExperimentCollection, error: BaseException, status: Status
) -> None:
    """A handler of exceptions of Ignite's would swallow it."""
    with pytest.raises(type(error)):
        with RigorousLogger(study) as logger:
            engines(logger, error).run([0.5, 0.25], max_epochs=2)
    assert study.experiment(1).status is status
    assert [row["train/loss"] for row in study.records] == [0.5]


def test_a_failure_to_log_ends_no_training(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is reported."""
    (tmp_path / "file").touch()
    with RigorousLogger(tmp_path / "file" / "study") as logger:
        assert engines(logger).run([0.5], max_epochs=2).iteration == 2
    assert "could not log" in capsys.readouterr().err
