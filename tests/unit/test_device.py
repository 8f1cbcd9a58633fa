"""Tensors on a device: nobody waits for them, and each value is in its row all the same."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, Self

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._live import table
from rigorous_recorder._store import backend
from rigorous_recorder._values import cuda, device, foreign, lenient
from rigorous_recorder._values.device import DeviceValue, Lost, fetch_each
from rigorous_recorder._values.kinds import FLOAT
from rigorous_recorder.errors import AttributeTypeWarning, DeviceWarning, UnsupportedTypeError

CUDA = 2  # DLPack's number
ROOT = Path(__file__).parents[2]


class Tensor:
    """A tensor on a pretended device, which notes when it is asked for its value."""

    asked: list[Any] = []  # noqa: RUF012 - one list for all, emptied by a fixture
    fails = False

    def __init__(self, value: Any, dtype: str = "float32", place: Any = (CUDA, 0)) -> None:
        self.array = np.array(value, dtype)
        self.dtype = f"fake.{dtype}"
        self.shape = self.array.shape
        self.place = place

    def __dlpack_device__(self) -> Any:
        return self.place

    def __iadd__(self, other: Any) -> Self:
        self.array += np.array(other, self.array.dtype)
        return self

    def copy(self) -> Tensor:
        return Tensor(self.array, str(self.array.dtype), self.place)

    def get(self) -> Any:
        if Tensor.fails:
            raise RuntimeError("the device is gone")
        Tensor.asked.append(self.array.tolist())
        return self.array

    def item(self) -> Any:
        return self.get().item()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.get()

    def tolist(self) -> Any:
        return self.get().tolist()


@pytest.fixture(autouse=True)
def asked() -> Iterator[list[Any]]:
    """The values that tensors were asked for."""
    Tensor.asked.clear()
    yield Tensor.asked
    Tensor.fails = False


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that widen, grow and seal often."""
    monkeypatch.setattr(table, "FIRST_ROWS", 8)
    monkeypatch.setattr(table, "MOST_ROWS", 32)
    monkeypatch.setattr(table, "GROWTH", 2)


@pytest.fixture(params=["memory", "mapped", "write-behind"])
def recorder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Recorder]:
    """A recorder in memory, and ones in a collection of both sorts of file."""
    if request.param == "memory":
        yield Recorder()
        return
    monkeypatch.setattr(backend, "is_safe_to_map", lambda _: request.param == "mapped")
    with ExperimentCollection(tmp_path / "study") as collection:
        yield Recorder().set_parent(collection.recorder)


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[ExperimentCollection]:
    """A collection without experiments."""
    with ExperimentCollection(tmp_path / "study") as made:
        yield made


def column(records: Any, key: str) -> list[Any]:
    return [row[key] for row in records]


# --- nobody waits ------------------------------------------------------------------------------


def test_push_add_and_commit_do_not_ask(recorder: Recorder, asked: list[Any]) -> None:
    """Neither push nor add nor commit asks a tensor on a device for its value."""
    for step in range(20):
        recorder.push(step=step, loss=Tensor(step))
        recorder.push({"step": step, "loss": Tensor(step)})
        recorder.add(grad=Tensor([1, step])).add(step=step).commit()
        recorder.add(loss=Tensor(step)).push(step=step)
    assert asked == []


def test_many_are_fetched_before_they_are_too_many(recorder: Recorder, asked: list[Any]) -> None:
    """A run that never syncs keeps no more than some thousands of tensors."""
    for step in range(2_500):
        recorder.push(loss=Tensor(step))
    assert column(recorder.records, "loss") == list(range(2_500))
    assert len(asked) >= 2_500


@pytest.mark.parametrize(
    "read",
    [
        lambda r: r.records[3],
        lambda r: list(r.all_records),
        lambda r: r.records.to_arrow(),
        lambda r: r.records.sql("select avg(loss) from records").fetchall(),
        lambda r: list(r.records.where(loss=3.0)),
        lambda r: pickle.dumps(Recorder().set_parent(r)) and r.records.to_arrow(),
    ],
    ids=["row", "all", "arrow", "sql", "where", "pickle"],
)
def test_reading_asks_once_for_each(
    recorder: Recorder, asked: list[Any], read: Callable[[Recorder], Any]
) -> None:
    """Reading in the same process fetches what waits, once, however often it is read."""
    for step in range(10):
        recorder.push(step=step, loss=Tensor(step))
    read(recorder)
    read(recorder)
    assert sorted(asked) == list(range(10))


@pytest.mark.parametrize("finish", ["sync", "save", "close"])
def test_sync_points_ask(collection: ExperimentCollection, asked: list[Any], finish: str) -> None:
    """Sync, save and close fetch what waits; then it is there for every reader."""
    recorder = Recorder().set_parent(collection.recorder)
    for step in range(10):
        recorder.push(step=step, loss=Tensor(step))
    getattr(recorder if finish == "sync" else collection, finish)()
    assert sorted(asked) == list(range(10))
    Tensor.fails = True
    assert column(collection.records, "loss") == list(range(10))


def test_the_end_of_an_experiment_asks(collection: ExperimentCollection, asked: list[Any]) -> None:
    """What an experiment logged is fetched when it ends."""
    with collection.new_experiment() as experiment:
        experiment.push(loss=Tensor(1.5))
        assert asked == []
    assert asked == [1.5]


# --- the right value in the right row ------------------------------------------------------------


@pytest.mark.usefixtures("tiny")
def test_values_find_their_rows(recorder: Recorder) -> None:
    """After widening, growth and seals every value is in its own row, beside the plain ones."""
    for step in range(300):
        fields: dict[str, Any] = {"step": step, f"key{step // 40}": step}
        if step % 3:
            fields["loss"] = Tensor(step)
        if step % 5 == 0:
            fields["count"] = Tensor(step, "int64")
        if step % 7 == 0:
            fields["grad"] = Tensor([step, -step])
        if step % 11 == 0:
            fields["flag"] = Tensor(step % 2, "bool")
        recorder.push(fields)
    rows = list(recorder.records)
    assert [row["step"] for row in rows] == list(range(300))
    for step, row in enumerate(rows):
        assert row["loss"] == (step if step % 3 else None)
        assert row["count"] == (step if step % 5 == 0 else None)
        assert row["flag"] == (bool(step % 2) if step % 11 == 0 else None)
        assert step % 7 or row["grad"].tolist() == [step, -step]


@pytest.mark.usefixtures("tiny")
def test_values_of_many_threads_find_their_rows(recorder: Recorder) -> None:
    """Threads that push tensors, and others that read and sync meanwhile, lose and mix nothing."""
    done = threading.Event()

    def push(thread: int) -> None:
        for step in range(150):
            recorder.push(
                {"thread": thread, "step": step, f"k{step // 40}": 1, "loss": Tensor(step)}
            )

    def read() -> None:
        while not done.is_set():
            recorder.sync()
            for row in recorder.records:
                assert row["loss"] == row["step"]

    reader = threading.Thread(target=read)
    pushers = [threading.Thread(target=push, args=(number,)) for number in range(3)]
    for each in (reader, *pushers):
        each.start()
    for each in pushers:
        each.join()
    done.set()
    reader.join()
    for thread in range(3):
        rows = list(recorder.records.where(thread=thread))
        assert [(row["step"], row["loss"]) for row in rows] == [(s, s) for s in range(150)]


@pytest.mark.usefixtures("tiny")
def test_later_changes_do_not_matter(recorder: Recorder) -> None:
    """A tensor that is changed in place after it was logged has the value of that moment."""
    loss = Tensor(0)
    for _ in range(50):
        recorder.push(loss=loss)
        loss += 1
    recorder.add(loss=loss)
    loss += 1
    recorder.commit()
    assert column(recorder.records, "loss") == list(range(51))


def test_arrays_of_many_shapes_are_kept(recorder: Recorder) -> None:
    """Arrays of one shape, and those of other shapes after them, are kept as they were."""
    given = [[1, 2], [3, 4], [5], [6, 7, 8], [9, 10]]
    for each in given:
        recorder.push(x=Tensor(each))
    found = column(recorder.records, "x")
    assert [each.tolist() for each in found] == given
    assert {each.dtype.name for each in found} == {"float32"}


def test_devices_and_kinds_meet_in_one_record(recorder: Recorder) -> None:
    """Tensors of several devices, dtypes and shapes in one record keep what each of them is."""
    recorder.push(
        a=Tensor(1.5, place=(CUDA, 0)),
        b=Tensor(2, "int32", place=(10, 1)),
        c=Tensor([3], place=(8, 0)),
        d=Tensor(True, "bool"),
        e=5,
    )
    recorder.push(a=Tensor(6, "int64"), b="text")
    first, second = recorder.records
    assert (first["a"], first["b"], first["d"], first["e"]) == (1.5, 2, True, 5)
    assert first["c"].tolist() == [3]
    assert (type(first["b"]), type(first["d"]), type(second["a"])) == (int, bool, int)
    assert (second["a"], second["b"]) == (6, "text")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -0.0])
def test_special_numbers_are_kept(number: float) -> None:
    """NaN, infinity and the sign of zero come through."""
    recorder = Recorder()
    recorder.push(x=Tensor(number))
    assert str(recorder.records[0]["x"]) == str(number)


# --- where a value is read at once ----------------------------------------------------------------


@pytest.mark.parametrize(
    "say",
    [
        lambda r, t: r.update(x=t),
        lambda r, t: r.push(x=[t]),
        lambda r, t: r.push(x={"y": t}),
        lambda r, t: r.child(x=t),
    ],
    ids=["update", "list", "dict", "child"],
)
def test_data_and_containers_read_at_once(
    asked: list[Any], say: Callable[[Recorder, Any], Any]
) -> None:
    """What is set on a node, and what is within a list or dict, is read when it is said."""
    recorder = Recorder()
    say(recorder, Tensor(1.5))
    assert asked == [1.5]


@pytest.mark.parametrize("place", [(1, 0), (3, 0), (11, 0), None, "x", ()])
def test_what_is_on_no_device_is_read_at_once(asked: list[Any], place: Any) -> None:
    """Memory that the processor reads itself, and whoever says nonsense, take the ordinary way."""
    recorder = Recorder()
    recorder.push(x=Tensor(1.5, place=place))
    assert asked == [1.5]
    assert recorder.records[0]["x"] == 1.5


def test_a_uint64_is_read_at_once(recorder: Recorder, asked: list[Any]) -> None:
    """A uint64 may be of one kind of ints or another, which its number decides."""
    recorder.push(x=Tensor(7, "uint64"))
    assert asked == [7]
    recorder.push(x=Tensor(2**64 - 1, "uint64"))
    assert [row["x"] for row in recorder.records] == [7, 2**64 - 1]


# --- failures ---------------------------------------------------------------------------------------


def test_a_failing_fetch_costs_no_record(recorder: Recorder) -> None:
    """Values that can't be fetched are missing, a warning says so once, all else is there."""
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
    kept = [device.device_value(good), DeviceValue(FLOAT, bad), device.device_value(Tensor(3.0))]
    assert all(isinstance(each, DeviceValue) for each in kept)
    first, lost, last = fetch_each(kept)  # type: ignore[arg-type]
    assert (first.tolist(), last) == ([1.0], 3.0)
    assert isinstance(lost, Lost)


def test_an_array_of_another_shape_that_can_not_be_fetched_costs_no_record(
    recorder: Recorder,
) -> None:
    """It is missing, as one of the first shape is, and a warning says so; its record is there."""
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
    """The error says which key it is, what went wrong, and is the one of values that can't be stored."""
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
    """As of any attribute that can't be stored; the warning says what went wrong."""
    monkeypatch.setattr(lenient, "_WARNED", set())
    Tensor.fails = True
    with pytest.warns(AttributeTypeWarning, match="'x'.*the device is gone"):
        found = set_it(recorder, Tensor(1.5))
    assert re.fullmatch(r"<.*Tensor object>", found["x"])


def test_a_value_that_is_not_what_it_said_is_lost() -> None:
    """A tensor whose numbers have another shape, or would be rounded, is not put in any cell."""
    wide = Tensor(0.1, "float64")
    long = Tensor([1.0, 2.0])
    found = fetch_each([DeviceValue(device._kind("int64", ()), each) for each in (wide, long)])
    assert [type(each.error) for each in found] == [TypeError, ValueError]


def test_a_killed_process_loses_tensors_alone(tmp_path: Path) -> None:
    """After a kill every record is there; only what was on the device is missing in it."""
    program = textwrap.dedent(
        f"""
        import os, signal
        from rigorous_recorder import ExperimentCollection
        from tests.unit.test_device import Tensor
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


# --- numpy -------------------------------------------------------------------------------------------

NUMBERS = ["float16", "float32", "float64"] + [
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
]


@pytest.mark.parametrize("dtype", ["bool", *NUMBERS])
def test_numpy_scalars_are_plain_values(dtype: str) -> None:
    """Scalars of every dtype read back as the Python value, the first as the following ones."""
    recorder = Recorder()
    value = np.dtype(dtype).type(1)
    for _ in range(3):
        recorder.push(x=value, y=0)
    expected = value.item()
    assert [(type(v), v) for v in column(recorder.records, "x")] == [(type(expected), expected)] * 3


@pytest.mark.parametrize("dtype", NUMBERS)
def test_numpy_arrays_are_kept(dtype: str) -> None:
    """Arrays of every dtype read back equal, changed in place or not, of whatever strides."""
    recorder = Recorder()
    array = np.arange(6, dtype=dtype).reshape(2, 3)
    recorder.push(x=array).push(x=array)
    array += 1
    recorder.push(x=array).push(x=np.arange(6, dtype=dtype).reshape(3, 2).T)
    found = column(recorder.records, "x")
    assert {each.dtype for each in found} == {np.dtype(dtype)}
    assert [each.tolist() for each in found] == [
        [[0, 1, 2], [3, 4, 5]],
        [[0, 1, 2], [3, 4, 5]],
        [[1, 2, 3], [4, 5, 6]],
        [[0, 2, 4], [1, 3, 5]],
    ]


# --- torch ---------------------------------------------------------------------------------------------


@pytest.fixture(params=["cpu", "device", "cuda"])
def torch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Torch on the processor, plainly; as if its tensors were on a device; and where they are."""
    module = pytest.importorskip("torch")
    if request.param == "device":
        monkeypatch.setattr(device._Torch, "is_on_device", lambda _self, _tensor: True)
        for kind in (module.Tensor, module.nn.Parameter):
            monkeypatch.setitem(foreign.CONVERTERS, kind, lambda tensor: tensor)
    if request.param == "cuda" and not module.cuda.is_available():
        pytest.skip("torch has no GPU here")
    with module.device("cuda" if request.param == "cuda" else "cpu"):
        yield module


@pytest.fixture
def stacked(torch: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tensors each call of torch.stack was given."""
    calls: list[int] = []
    stack = torch.stack

    def noted(tensors: list[Any]) -> Any:
        calls.append(len(tensors))
        return stack(tensors)

    monkeypatch.setattr(torch, "stack", noted)
    return calls


TORCH = [
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2"),
]


@pytest.mark.parametrize("dtype", TORCH)
def test_torch_scalars_are_plain_values(torch: Any, dtype: str) -> None:
    """Scalars of every dtype read back as the Python value."""
    recorder = Recorder()
    tensor = torch.tensor(1.0).to(getattr(torch, dtype))
    for _ in range(3):
        recorder.push(x=tensor, y=0)
    expected = tensor.item()
    assert [(type(v), v) for v in column(recorder.records, "x")] == [(type(expected), expected)] * 3


@pytest.mark.parametrize("dtype", [d for d in TORCH if not d.startswith("float8")])
def test_torch_arrays_are_kept(torch: Any, dtype: str) -> None:
    """Arrays of every dtype read back equal; those of bfloat16, which numpy has not, as float32."""
    recorder = Recorder()
    tensor = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).to(getattr(torch, dtype))
    recorder.push(x=tensor).push(x=tensor).push(x=tensor.T)
    found = column(recorder.records, "x")
    assert [each.tolist() for each in found] == [tensor.tolist()] * 3
    assert {each.dtype.name for each in found} == {"float32" if dtype == "bfloat16" else dtype}


def test_torch_fetches_many_at_once(torch: Any, recorder: Recorder, stacked: list[int]) -> None:
    """Tensors of one sort are stacked, and fetched in one piece."""
    for step in range(100):
        recorder.push(loss=torch.tensor(float(step)), grad=torch.tensor([step, 1]))
    rows = list(recorder.records)
    assert [row["loss"] for row in rows] == list(range(100))
    assert [row["grad"].tolist() for row in rows] == [[step, 1] for step in range(100)]
    assert stacked in ([], [100, 100])  # on the processor none needs to be fetched


def test_torch_copies_the_numbers_of_a_record_at_once(
    torch: Any, recorder: Recorder, stacked: list[int]
) -> None:
    """Numbers of one dtype are copied together, each one as it was, with whatever else there is."""
    first, second = torch.zeros((), requires_grad=True), torch.zeros(())
    for step in range(5):
        values = {"first": first * 1 + step, "second": second, "third": second + step}
        recorder.push(step=step, **values, whole=torch.tensor(step), array=torch.ones(2) * step)
        second += 1
    copied = [3] * 5
    assert stacked in ([], copied)  # on the processor each is read at once
    found = [
        (row["first"], row["second"], row["third"], row["whole"], row["array"].tolist())
        for row in recorder.records
    ]
    assert found == [(n, n, 2 * n, n, [n, n]) for n in range(5)]
    assert type(recorder.records[1]["whole"]) is int


@pytest.mark.usefixtures("tiny")
def test_torch_values_find_their_rows(torch: Any, recorder: Recorder) -> None:
    """Losses with a graph, changed in place afterwards, are the numbers of their moment."""
    weight = torch.nn.Parameter(torch.zeros(2))
    for step in range(100):
        loss = (weight * 2).sum() + step
        recorder.push({"loss": loss, f"key{step // 30}": 1, "weight": weight})
        with torch.no_grad():
            weight += 0
            loss.detach_().zero_()
    rows = list(recorder.records)
    assert [row["loss"] for row in rows] == list(range(100))
    assert [row["weight"].tolist() for row in rows] == [[0, 0]] * 100


def test_torch_graphs_are_let_go(torch: Any) -> None:
    """A kept tensor has no history that would keep a graph alive, and none of its memory."""
    base = torch.ones(3, requires_grad=True) * 2
    kept = device.device_value(base[0])
    assert kept is not None
    assert not kept.tensor.requires_grad
    assert kept.tensor.grad_fn is None
    assert kept.tensor.data_ptr() != base.data_ptr()


def test_torch_values_are_fetched_where_no_memory_can_be_pinned(
    torch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As there is none without a GPU: what is fetched from one comes in the ordinary way then."""
    FewGpus(torch, monkeypatch)

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(torch, "empty", refuse)
    assert cuda.fetch([torch.ones(()), torch.zeros(())], (0, 1)).tolist() == [1, 0]


class FewGpus:
    """Two pretended GPUs with three streams each, as (device, number), of which one is captured."""

    captured = (0, 2)

    def __init__(self, torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.current = 0
        self.streams = {0: (0, 0), 1: (1, 0)}
        self.pool = cycle([2, 1])
        for name in ("device", "stream", "Stream", "current_device", "is_current_stream_capturing"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))

    def current_device(self) -> int:
        return self.current

    def is_current_stream_capturing(self) -> bool:
        return self.streams[self.current] == self.captured

    def Stream(self) -> tuple[int, int]:  # noqa: N802 - as torch calls it
        return self.current, next(self.pool)

    @contextmanager
    def device(self, index: int) -> Iterator[None]:
        before, self.current = self.current, index
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def stream(self, stream: tuple[int, int]) -> Iterator[None]:
        with self.device(stream[0]):
            before, self.streams[stream[0]] = self.streams[stream[0]], stream
            try:
                yield
            finally:
                self.streams[stream[0]] = before


def test_torch_captures_on_another_gpu_are_seen(
    torch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value is asked for the stream of its own device, whichever is the current one."""
    gpus = FewGpus(torch, monkeypatch)
    gpus.streams[0] = gpus.captured
    for gpus.current in (0, 1):
        assert cuda.is_capturing(0)
        assert not cuda.is_capturing(1)
        cuda.check_is_computed(1)
        with pytest.raises(cuda.NotComputedError):
            cuda.check_is_computed(0)


def test_torch_fetches_in_no_stream_that_is_captured(
    torch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was logged before is fetched in another one of the same device; the others are as before."""
    gpus = FewGpus(torch, monkeypatch)
    used: list[tuple[int, int]] = []
    monkeypatch.setattr(torch, "stack", lambda _: used.append(gpus.streams[gpus.current]))
    monkeypatch.setattr(cuda, "_asleep", lambda _: None)
    gpus.current = 1
    for stream in ((0, 1), gpus.captured, (1, 2)):
        cuda.fetch([torch.ones(())], stream)
    assert used == [(0, 1), (0, 1), (1, 2)]
    assert (gpus.current, gpus.streams) == (1, {0: (0, 0), 1: (1, 0)})


def test_torch_inference_tensors_are_kept(torch: Any) -> None:
    """Tensors of inference mode meet others in one column, and are read outside of it."""
    recorder = Recorder()
    with torch.inference_mode():
        recorder.push(x=torch.ones(()) * 2)
    recorder.push(x=torch.ones(()) * 3)
    assert column(recorder.records, "x") == [2, 3]


def test_torch_transforms_take_no_value(torch: Any) -> None:
    """What is logged, and what is fetched, while a function is derived are the plain numbers."""
    recorder = Recorder()
    first, second = torch.tensor(3.0), torch.tensor(4.0)
    recorder.push(a=first, b=second)

    def square(x: Any) -> Any:
        recorder.push(a=first, b=second)
        recorder.sync()
        return x * x

    torch.func.grad(square)(torch.tensor(2.0))
    assert [dict(row) for row in recorder.records] == [{"a": 3, "b": 4}] * 2


def test_torch_fakes_have_no_value(torch: Any) -> None:
    """Tensors of a mode that computes nothing are refused, or read as what they are copies of."""
    fakes = pytest.importorskip("torch._subclasses.fake_tensor")
    recorder = Recorder()
    first, second = torch.tensor(3.0), torch.tensor(4.0)
    with fakes.FakeTensorMode(allow_non_fake_inputs=True), suppress(UnsupportedTypeError):
        recorder.push(a=first, b=second)
    assert [dict(row) for row in recorder.records] in ([], [{"a": 3, "b": 4}])


@pytest.mark.filterwarnings("ignore")  # of the compiler, that it can't compile a lock
def test_torch_compiles_no_copy(torch: Any, recorder: Recorder) -> None:
    """What a compiled function logs is not overwritten with what its next call makes."""
    compiled: list[str] = []

    def compile_(graph: Any, _: Any) -> Callable[..., Any]:
        """As CUDA graphs do, with results that are always in the same memory."""
        compiled.extend(node.name for node in graph.graph.nodes)
        memory: list[Any] = []

        def run(*given: Any) -> tuple[Any, ...]:
            made = graph.forward(*given)
            memory.extend(each.clone() for each in made[len(memory) :])
            return tuple(to.copy_(each) for to, each in zip(memory, made, strict=True))

        return run

    @torch.compile(backend=compile_)
    def step(x: Any) -> Any:
        loss = x * 2
        recorder.push(loss=loss, more=loss + 1, array=loss[None]).push(loss=loss)
        return loss

    torch._dynamo.reset()
    for number in range(4):
        step(torch.tensor(float(number)))
    expected = [value for number in range(4) for value in [2.0 * number] * 2]
    assert column(recorder.records, "loss") == expected
    found = [row["array"].tolist() for row in recorder.records if row["more"] is not None]
    assert found == [[value] for value in expected[::2]]
    assert not [name for name in compiled if "clone" in name or "stack" in name]


def _dispatches(seen: list[Any]) -> Any:
    modes = pytest.importorskip("torch.utils._python_dispatch")

    class Mode(modes.TorchDispatchMode):  # type: ignore[misc, name-defined]
        def __torch_dispatch__(self, called: Any, _: Any, args: Any = (), named: Any = None) -> Any:
            seen.append(called)
            return called(*args, **(named or {}))

    return Mode()


def _functions(seen: list[Any]) -> Any:
    modes = pytest.importorskip("torch.overrides")

    class Mode(modes.TorchFunctionMode):  # type: ignore[misc, name-defined]
        def __torch_function__(self, called: Any, _: Any, args: Any = (), named: Any = None) -> Any:
            if called.__name__ != "__get__":  # what a tensor is may be asked
                seen.append(called)
            return called(*args, **(named or {}))

    return Mode()


def _fakes(_: list[Any]) -> Any:
    return pytest.importorskip("torch._subclasses.fake_tensor").FakeTensorMode()


@pytest.mark.parametrize("mode", [_dispatches, _functions, _fakes])
def test_torch_modes_take_no_value(
    torch: Any, recorder: Recorder, mode: Callable[[list[Any]], Any]
) -> None:
    """Modes of the thread neither see nor change how a value is copied and fetched."""
    seen: list[Any] = []
    first, second, third = torch.tensor(1.5), torch.tensor(2.5), torch.tensor([3.5, 4.5])
    recorder.push(a=first, b=second, c=third)
    for _ in range(2):
        with mode(seen):
            if device.is_on_device(first):
                recorder.push(a=first, b=second, c=third).push(a=second)
            recorder.sync()
            rows = [dict(row) for row in recorder.records]
        assert not seen
    assert [row["a"] for row in rows] in ([1.5], [1.5, 1.5, 2.5, 1.5, 2.5])
    assert {tuple(row["c"].tolist()) for row in rows if "c" in row} == {(3.5, 4.5)}


def test_torch_autocast_takes_no_value(torch: Any, recorder: Recorder) -> None:
    """Numbers of a dtype that autocast would not stack are fetched all the same."""
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        recorder.push(x=torch.ones((), dtype=dtype), y=torch.ones(2, dtype=dtype))
    for dtype in (torch.float16, torch.bfloat16):
        for place in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
            with torch.autocast(place, dtype=dtype):
                recorder.push(x=torch.ones((), dtype=torch.float32))
                assert None not in column(recorder.records, "x")


def test_torch_keeps_what_autocast_has_cast(
    torch: Any, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetch on another thread leaves the cache alone, which is that of all threads."""
    cleared: list[None] = []
    monkeypatch.setattr(torch, "clear_autocast_cache", lambda: cleared.append(None))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        recorder.push(x=torch.ones(()))
        fetching = threading.Thread(target=recorder.sync)
        fetching.start()
        fetching.join()
        assert column(recorder.records, "x") == [1]
        assert not cleared


def test_torch_views_of_one_number_are_arrays(torch: Any) -> None:
    """A tensor of shape (1,) is an array, and one that repeats a number has its full shape."""
    recorder = Recorder()
    recorder.push(x=torch.tensor([1.5]), y=torch.tensor(1.5).expand(3))
    row = recorder.records[0]
    assert (row["x"].tolist(), row["y"].tolist()) == ([1.5], [1.5] * 3)


def test_torch_subclasses_that_add_names_are_tensors(torch: Any) -> None:
    """A loss of a subclass's type reads back as its number."""
    recorder = Recorder()

    class Named(torch.Tensor):
        pass

    for _ in range(2):
        recorder.push(x=torch.tensor(1.5).as_subclass(Named))
    assert column(recorder.records, "x") == [1.5, 1.5]


@pytest.mark.parametrize(
    "make",
    [
        lambda torch: torch.ones((), device="meta"),
        lambda torch: torch.eye(2).to_sparse(),
        lambda torch: torch.ones(2, dtype=torch.complex64),
        lambda torch: torch.ones((), dtype=torch.complex64),
    ],
    ids=["meta", "sparse", "complex", "complex number"],
)
def test_torch_refuses_at_once(torch: Any, make: Callable[[Any], Any]) -> None:
    """What has no numbers to keep is refused by push, and is never kept to fail later."""
    recorder = Recorder().push(y=0)
    assert device.device_value(make(torch)) is None
    with pytest.raises((TypeError, RuntimeError)):
        recorder.push(x=make(torch))
    assert len(recorder.records) == 1


# --- jax -----------------------------------------------------------------------------------------------


@pytest.fixture(params=["cpu", "device", "gpu"])
def jax(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Jax on the processor, plainly; as if its arrays were on a device; and where they are."""
    module = pytest.importorskip("jax")
    if request.param == "device":
        monkeypatch.setattr(device._Jax, "is_on_device", lambda _self, _array: True)
    if request.param == "gpu" and module.default_backend() != "gpu":
        pytest.skip("jax has no GPU here")
    place = module.devices("gpu" if request.param == "gpu" else "cpu")[0]
    with module.default_device(place):
        yield module


@pytest.mark.parametrize("dtype", ["bool", "int32", "uint8", "float16", "bfloat16", "float32"])
def test_jax_values_are_kept(jax: Any, dtype: str) -> None:
    """Scalars and arrays of jax read back as numbers and numpy arrays."""
    recorder = Recorder()
    scalar, array = jax.numpy.ones((), dtype), jax.numpy.ones(2, dtype)
    for _ in range(3):
        recorder.push(x=scalar, y=array)
    for row in recorder.records:
        assert (type(row["x"]), row["x"]) == (type(scalar.item()), scalar.item())
        assert row["y"].tolist() == array.tolist()


def test_jax_arrays_may_be_given_away(jax: Any) -> None:
    """An array whose memory jax took for a later one has the value that it was logged with."""
    recorder = Recorder()
    array = jax.numpy.ones(2)
    recorder.push(x=array).push(x=array)
    array.delete()
    assert [each.tolist() for each in column(recorder.records, "x")] == [[1, 1]] * 2


def test_jax_tracers_are_refused(jax: Any) -> None:
    """Inside of a jitted function there is no value, and push says so."""
    recorder = Recorder().push(y=0)
    with pytest.raises(TypeError):
        jax.jit(lambda x: recorder.push(x=x) and x)(1.0)
    assert len(recorder.records) == 1


# --- while it settles --------------------------------------------------------------------------------


class Busy(Tensor):
    """A tensor in whose fetch something else happens, once, as in a signal handler."""

    def __init__(self, value: Any, action: Callable[[], object]) -> None:
        super().__init__(value)
        self.action = action

    def copy(self) -> Tensor:
        return self

    def get(self) -> Any:
        action, self.action = self.action, lambda: None
        action()
        return super().get()


@pytest.mark.parametrize("widens", [False, True])
def test_what_happens_in_the_middle_of_a_fetch_is_kept(recorder: Recorder, widens: bool) -> None:
    """A sync, tensors and a new column that come in the middle of a fetch lose no value."""

    def interrupt() -> None:
        recorder.sync()
        for step in (1, 2):
            recorder.push(step=step, loss=Tensor(step), **({"wide": 1} if widens else {}))

    recorder.push(step=0, loss=Busy(0, interrupt)).sync()
    assert column(recorder.records, "loss") == [0, 1, 2]


@pytest.mark.usefixtures("tiny")
def test_a_slow_fetch_hits_no_other_row(collection: ExperimentCollection) -> None:
    """A fetch that ends when its rows are sealed, and others fill other pages, changes nothing."""
    recorder = Recorder().set_parent(collection.recorder)

    def seal_and_fill() -> None:
        for step in range(1, 200):
            recorder.push(step=step, loss=Tensor(step))
        collection.save()
        for step in range(200, 230):
            recorder.push(step=step, loss=Tensor(step))

    recorder.push(step=0, loss=Busy(0, seal_and_fill)).sync()
    assert column(recorder.records, "loss") == column(recorder.records, "step")


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
    """Where warnings are errors, as in this test, a lost value is told on stderr, once."""
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
        from tests.unit.test_device import Tensor
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


# --- columns, and what can't be read -----------------------------------------------------------------


def test_columns_on_a_device_are_extended(recorder: Recorder, asked: list[Any]) -> None:
    """Extend takes columns on a device, and lists of tensors, which it fetches together."""
    recorder.extend({"x": Column([1, 2]), "y": [Tensor(3), Tensor(4)]})
    assert column(recorder.records, "x") == [1, 2]
    assert column(recorder.records, "y") == [3, 4]
    assert len(asked) == 3


class Column(Tensor):
    """A tensor of some length."""

    def __len__(self) -> int:
        return len(self.array)


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float32", "int32", "bool"])
def test_torch_columns_are_extended(torch: Any, dtype: str) -> None:
    """A tensor of any dtype is a column of its numbers."""
    recorder = Recorder()
    tensor = torch.tensor([1.0, 0.0], requires_grad=dtype == "float32").to(getattr(torch, dtype))
    recorder.extend({"x": tensor, "y": list(tensor)})
    assert column(recorder.records, "x") == column(recorder.records, "y") == tensor.tolist()


def test_jax_columns_are_extended(jax: Any) -> None:
    """An array of jax is a column of its numbers."""
    recorder = Recorder()
    recorder.extend({"x": jax.numpy.ones(2), "y": jax.numpy.ones(2, "bfloat16")})
    assert column(recorder.records, "x") == column(recorder.records, "y") == [1, 1]


def test_torch_float8_arrays_are_kept_as_float32(torch: Any) -> None:
    """Arrays of dtypes that numpy has not are kept as the next larger one that it has."""
    recorder = Recorder()
    recorder.push(x=torch.ones(2, dtype=torch.float8_e5m2))
    assert recorder.records[0]["x"].dtype == np.float32


@pytest.mark.parametrize("within", [lambda value: value, lambda value: [value]])
@pytest.mark.parametrize(
    "make",
    [
        lambda torch: torch.ones((), device="meta"),
        lambda torch: torch.ones(2, device="meta"),
    ],
    ids=["meta number", "meta"],
)
def test_what_has_no_numbers_is_refused_with_its_key(
    torch: Any, make: Callable[[Any], Any], within: Callable[[Any], Any]
) -> None:
    """The error says which key has no numbers, and of what type its value is."""
    with pytest.raises(UnsupportedTypeError, match="'x'.*type|'x'.*inside"):
        Recorder().push(x=within(make(torch)))


@pytest.mark.parametrize(
    ("make", "plain"),
    [
        (lambda torch: torch.bfloat16, "torch.bfloat16"),
        (lambda torch: torch.device("cuda", 1), "cuda:1"),
        (lambda torch: torch.Size([2, 3]), [2, 3]),
        (lambda torch: torch.channels_last, "torch.channels_last"),
        (lambda torch: torch.Tensor, "torch.Tensor"),
        (lambda torch: torch.nn.ReLU, "torch.nn.modules.activation.ReLU"),
        (lambda _: np.float32, "numpy.float32"),
    ],
)
def test_what_torch_configures_has_a_plain_form(
    torch: Any, make: Callable[[Any], Any], plain: Any
) -> None:
    """In attributes and records, alone and in a list."""
    value = make(torch)
    recorder = Recorder(x=value).push(y=value, z=[value])
    assert recorder.records[0] == {"x": plain, "y": plain, "z": [plain]}


def test_a_column_without_numbers_is_refused_with_its_name(torch: Any) -> None:
    """As push does, extend says which column can't be read."""
    with pytest.raises(UnsupportedTypeError, match="'x'"):
        Recorder().extend({"x": torch.ones(2, device="meta")})
