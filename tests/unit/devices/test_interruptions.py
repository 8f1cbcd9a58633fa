"""What happens in the middle of a fetch, or of the write of a row with tensors, is kept."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder.errors import DeviceWarning
from tests.unit.devices.pretended import Busy, Tensor, column

ROOT = Path(__file__).parents[3]


def at_the_write(when: str, action: Callable[[], object]) -> None:
    """Do something once when the next row is written: on "call", or on "return", as a handler does."""

    def profile(frame: FrameType, event: str, called: Any) -> None:
        is_native = event.startswith("c_")
        name = called.__name__ if is_native else frame.f_code.co_name
        caller = frame if is_native else frame.f_back
        is_write = name == "write" and caller and caller.f_code.co_name == "_try_write"
        if is_write and event.removeprefix("c_") == when:
            sys.setprofile(None)
            action()

    sys.setprofile(profile)


@pytest.mark.parametrize("when", ["call", "return"])
def test_what_is_read_while_a_row_is_written_is_whole(recorder: Recorder, when: str) -> None:
    """A handler that reads there sees the row with its tensors or not at all, as all do afterwards."""
    found: list[Any] = []
    recorder.push(step=0, loss=Tensor(0))
    at_the_write(when, lambda: found.extend(column(recorder.records, "loss")))
    recorder.push(step=1, loss=Tensor(1))
    assert found == [0, 1][: len(found)]
    assert column(recorder.records, "loss") == [0, 1]


@pytest.mark.parametrize("when", ["call", "return"])
@pytest.mark.parametrize("finish", ["push", "sync", "extend", "read", "nothing"])
def test_ctrl_c_while_a_row_is_written(recorder: Recorder, when: str, finish: str) -> None:
    """The row is there with its tensors or not at all; no later one gets them."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    recorder.push(step=0, loss=Tensor(0))
    at_the_write(when, interrupt)
    with pytest.raises(KeyboardInterrupt):
        recorder.push(step=1, loss=Tensor(1), more=Tensor(1))
    if finish == "push":
        recorder.push(step=2)
    elif finish == "sync":
        recorder.sync()
    elif finish == "extend":
        recorder.extend({"step": [2, 3]})
    elif finish == "read":
        assert list(recorder.records)
    recorder.push(step=4).push(step=5, loss=Tensor(5))
    rows = {row["step"]: (row["loss"], row["more"]) for row in recorder.records}
    assert rows.pop(1, (1, 1)) == (1, 1)
    assert rows.pop(0) == (0, None)
    assert rows.pop(5) == (5, None)
    assert set(rows.values()) == {(None, None)}


def test_one_failing_tensor_costs_no_other(recorder: Recorder) -> None:
    """Beside a value that can't be fetched all others are there."""
    recorder.push(loss=Tensor(1)).push(loss=Busy(2, lambda: 1 / 0)).push(loss=Tensor(3))
    with pytest.warns(DeviceWarning, match="^1 values of loss .* ZeroDivisionError"):
        assert column(recorder.records, "loss") == [1, None, 3]


def test_a_lost_value_stops_no_training(recorder: Recorder, capsys: Any) -> None:
    """Where warnings are errors, as in this test, a lost value is reported on stderr, once."""
    recorder.push(loss=Tensor(1))
    Tensor.fails = True
    assert column(recorder.records, "loss") == [None]
    recorder.sync()
    assert capsys.readouterr().err.count("the device is gone") == 1


def test_a_synced_tensor_survives_a_kill_without_mapping(tmp_path: Path) -> None:
    """Where files are not mapped, sync writes values that came after their rows were written."""
    program = textwrap.dedent(
        f"""
        import os, signal
        from rigorous_recorder import ExperimentCollection
        from rigorous_recorder._store import backend
        from tests.unit.devices.pretended import Tensor
        backend.is_safe_to_map = lambda folder: False
        collection = ExperimentCollection({str(tmp_path / "study")!r})
        collection.recorder.push(step=0, loss=Tensor(0.5))
        collection._store.flush()  # as it is done every second
        collection.recorder.sync()
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        assert column(collection.records, "loss") == [0.5]
