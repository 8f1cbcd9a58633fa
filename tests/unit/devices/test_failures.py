"""Values that can't be fetched cost no record and no other value; kills, forks and moves."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._values import lenient
from rigorous_recorder._values.devices.libraries import device_value, fetch_each
from rigorous_recorder._values.devices.values import DeviceValue, Unavailable, kind_of
from rigorous_recorder._values.kinds import FLOAT
from rigorous_recorder.errors import AttributeTypeWarning, DeviceWarning, UnsupportedTypeError
from tests.unit.devices.pretended import Tensor, column

ROOT = Path(__file__).parents[3]


def test_a_failing_fetch_costs_no_record(recorder: Recorder) -> None:
    """Values that can't be fetched are missing, one warning reports it, all else is there."""
    for step in range(5):
        recorder.push(step=step, loss=Tensor(step))
    Tensor.fails = True
    with pytest.warns(
        DeviceWarning, match="5 values of loss .* RuntimeError: the device is gone"
    ) as w:
        rows = list(recorder.records)
    assert len(w) == 1
    assert [(row["step"], row.get("loss")) for row in rows] == [(step, None) for step in range(5)]
    Tensor.fails = False
    recorder.push(step=5, loss=Tensor(5))
    assert recorder.records[5]["loss"] == 5


def test_an_array_that_does_not_say_where_it_is_costs_no_other(recorder: Recorder) -> None:
    """It is fetched by itself."""

    class Odd(Tensor):
        def copy(self) -> Tensor:
            return Odd(self.array)

        @property
        def device(self) -> str:
            raise RuntimeError("the device is gone")

    recorder.push(x=Odd(1), y=Tensor(2)).push(x=Odd(3))
    assert [dict(row) for row in recorder.records] == [{"x": 1, "y": 2}, {"x": 3}]


def test_a_module_that_is_torch_by_name_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> None:
    """One that is loaded when it is first asked for something stays as it is."""

    class Lazy(ModuleType):
        def __getattribute__(self, name: str) -> Any:
            raise ImportError(f"asked for {name}")

    monkeypatch.setitem(sys.modules, "torch", Lazy("torch"))
    recorder.push(x=1, y=Tensor(2), z=Tensor(3))
    assert [dict(row) for row in recorder.records] == [{"x": 1, "y": 2, "z": 3}]


def test_a_failing_value_costs_no_other() -> None:
    """Of values that are fetched together those that can be are, and the others say why not."""
    good, bad = Tensor([1.0]), Tensor([2.0])
    bad.get = lambda: 1 / 0  # type: ignore[method-assign]
    kept = [device_value(good), DeviceValue(FLOAT, bad), device_value(Tensor(3.0))]
    assert all(isinstance(each, DeviceValue) for each in kept)
    first, lost, last = fetch_each(kept)  # type: ignore[arg-type]
    assert (first.tolist(), last) == ([1.0], 3.0)
    assert isinstance(lost, Unavailable)


def test_an_array_of_another_shape_that_can_not_be_fetched_costs_no_record(
    recorder: Recorder,
) -> None:
    """It is missing, as one of the first shape is, and a warning reports it; its record is there."""
    recorder.push(step=0, grad=Tensor([1, 2])).sync()
    Tensor.fails = True
    with pytest.warns(DeviceWarning, match="1 values of grad .* RuntimeError: the device is gone"):
        recorder.push(step=1, grad=Tensor([1, 2, 3]))
    Tensor.fails = False
    recorder.push(step=2, grad=Tensor([4, 5, 6]))
    rows = list(recorder.records)
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert rows[1]["grad"] is None
    assert rows[2]["grad"].tolist() == [4, 5, 6]


@pytest.mark.parametrize(
    "say",
    [
        lambda r, t: r.push(x=[t]),
        lambda r, t: r.extend({"x": [t]}),
    ],
    ids=["list", "extend"],
)
def test_what_is_read_at_once_and_can_not_be_is_refused(
    recorder: Recorder, say: Callable[[Recorder, Any], Any]
) -> None:
    """The error names the key and what went wrong, and is that of values that can't be stored."""
    Tensor.fails = True
    with pytest.raises(UnsupportedTypeError, match="'x'.*the device is gone"):
        say(recorder, Tensor(1.5))
    assert not len(recorder.records)


@pytest.mark.parametrize(
    "set_it",
    [lambda r, t: r.update(x=t) or r, lambda r, t: r.child(x=t)],
    ids=["update", "child"],
)
def test_an_attribute_that_can_not_be_read_is_its_repr(
    recorder: Recorder,
    set_it: Callable[[Recorder, Any], Recorder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of any attribute that can't be stored; the warning names what went wrong."""
    monkeypatch.setattr(lenient, "_WARNED", set())
    Tensor.fails = True
    with pytest.warns(AttributeTypeWarning, match="'x'.*the device is gone"):
        found = set_it(recorder, Tensor(1.5))
    assert re.fullmatch(r"<.*Tensor object>", found["x"])


def test_a_value_that_is_not_what_it_claimed_is_lost() -> None:
    """A tensor whose numbers have another shape, or would be rounded, is not put in any cell."""
    wide = Tensor(0.1, "float64")
    long = Tensor([1.0, 2.0])
    found = fetch_each([DeviceValue(kind_of("int64", ()), each) for each in (wide, long)])
    assert [type(each.error) for each in found] == [TypeError, ValueError]


def test_a_killed_process_loses_tensors_alone(tmp_path: Path) -> None:
    """After a kill every record is there; only what was on the device is missing in it."""
    program = textwrap.dedent(
        f"""
        import os, signal
        from rigorous_recorder import ExperimentCollection
        from tests.unit.devices.pretended import Tensor
        recorder = ExperimentCollection({str(tmp_path / "study")!r}).recorder
        recorder.push(step=0, loss=Tensor(0)).sync()
        recorder.push(step=1, loss=Tensor(1), other=2.5)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        first, second = collection.records
    assert (first["step"], first["loss"]) == (0, 0)
    assert (second["step"], second["other"], second["loss"]) == (1, 2.5, None)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_keeps_the_parents_tensors(recorder: Recorder) -> None:
    """A forked child takes no tensor from its parent, and can log ones of its own."""
    recorder.push(who="parent", loss=Tensor(1))
    child = os.fork()
    if not child:
        recorder.push(who="child", loss=Tensor(2))
        recorder.sync()
        os._exit(0 if column(recorder.records.where(who="child"), "loss") == [2] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert column(recorder.records.where(who="parent"), "loss") == [1]


def test_tensors_move_into_a_collection(collection: ExperimentCollection) -> None:
    """A tree that moves in takes along what is on a device, logged or only added."""
    tree = Recorder(name="tree")
    tree.child(name="leaf").push(loss=Tensor(1))
    tree.push(loss=Tensor(2)).add(loss=Tensor(3))
    tree.set_parent(collection.recorder)
    tree.commit()
    assert sorted(column(collection.records, "loss")) == [1, 2, 3]


@pytest.mark.parametrize("suffix", [".pickle", ".parquet", ".jsonl"])
def test_saved_files_have_the_values(tmp_path: Path, suffix: str) -> None:
    """Files of all formats have the numbers, not tensors."""
    path = tmp_path / f"saved{suffix}"
    Recorder().push(loss=Tensor(1.5)).push(loss=Tensor(2.5)).save_to(path)
    assert column(Recorder.load_from(path).all_records, "loss") == [1.5, 2.5]
