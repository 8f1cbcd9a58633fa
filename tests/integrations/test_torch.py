"""PyTorch alone: watched models, events and profiles."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.errors import ArgumentTypeError

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import monitor  # noqa: E402

from rigorous_recorder.integrations.torch import log_monitor, log_profile, watch  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_gradients_are_those_that_the_optimizer_gets(study: ExperimentCollection) -> None:
    """Accumulated and clipped; of frozen parameters there are none; NaN stays NaN."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Linear(1, 1))
    model[1].bias.requires_grad = False
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    norms: list[dict[str, Any]] = []
    with study.new_experiment() as run:
        with watch(model, optimizer, run, every=2, histograms=True):
            for step in range(4):
                for _ in range(2):
                    model(torch.ones(1, 2)).sum().backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
                if step == 2:
                    model[0].weight.grad[0, 0] = math.nan
                named = dict(model.named_parameters())
                norms.append(
                    {n: None if p.grad is None else p.grad.norm() for n, p in named.items()}
                )
                optimizer.step()
                optimizer.zero_grad()
        optimizer.step()  # not watched any more
    assert len(study.records) == 4 * 2
    for name in ("0.bias", "1.weight"):
        rows = list(study.records.where(parameter=name))
        assert [row["step"] for row in rows] == [0, 2]
        assert rows[0]["gradient_norm"] == pytest.approx(float(norms[0][name]))
        assert rows[0]["weight_histogram"]["num"] == 1.0
    frozen = list(study.records.where(parameter="1.bias"))
    assert [row["gradient_norm"] for row in frozen] == [None, None]
    broken = study.records.where(parameter="0.weight")[1]
    assert math.isnan(broken["gradient_norm"])
    assert broken["gradient_histogram"]["num"] == 1.0


def test_a_failure_to_watch_stops_no_step(
    study: ExperimentCollection, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is reported once."""
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch(model, optimizer, study.new_experiment(), every=1)  # a run that was not started
    for _ in range(2):
        model(torch.ones(1, 1)).sum().backward()
        optimizer.step()
    assert capsys.readouterr().err.count("could not log") == 1


def test_a_path_is_refused_before_the_training(tmp_path: Path) -> None:
    """By each function that takes a run: the training would go on without a record."""
    model = torch.nn.Linear(1, 1)
    path: Any = str(tmp_path / "study")
    with pytest.raises(
        ArgumentTypeError, match="started run or a recorder, not a value of type str"
    ):
        watch(model, torch.optim.SGD(model.parameters()), path)
    with pytest.raises(ArgumentTypeError), log_monitor(path):
        pass
    with pytest.raises(ArgumentTypeError):
        log_profile(path)


def test_events_and_profiles(study: ExperimentCollection) -> None:
    """Events while the block runs; a profile as a record for each operator."""
    now = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
    with study.new_experiment() as run:
        with log_monitor(run):
            monitor.log_event(monitor.Event("e", now, {"a": 1, "b": "text"}))
        monitor.log_event(monitor.Event("late", now, {"a": 2}))
        activities = [torch.profiler.ProfilerActivity.CPU]
        handler = log_profile(run, most=5)
        with torch.profiler.profile(activities=activities, on_trace_ready=handler):
            torch.ones(50, 50) @ torch.ones(50, 50)
    (event,) = (row for row in study.records if row["event"])
    assert (event["event"], event["a"], event["b"]) == ("e", 1, "text")
    assert event["event_time"] == now.timestamp()
    operators = {row["operator"]: row for row in study.records.where(profile=0)}
    assert len(operators) == 5
    assert operators["aten::mm"]["calls"] == 1
    assert 0 < operators["aten::mm"]["self_cpu_time"] < 60
