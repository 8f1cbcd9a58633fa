"""Tensors of torch: on the processor, as if they were on a device, and on a GPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import Recorder
from rigorous_recorder._values import foreign
from rigorous_recorder._values.devices import cuda
from rigorous_recorder._values.devices.libraries import device_value, is_on_device
from rigorous_recorder._values.devices.privates import Privates, privates
from rigorous_recorder._values.devices.torch import Torch
from rigorous_recorder.errors import UnsupportedTypeError
from tests.unit.devices.pretended import column


@pytest.fixture(params=["cpu", "device", "cuda"])
def torch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Torch on the processor, plainly; as if its tensors were on a device; and where they are."""
    module = pytest.importorskip("torch")
    if request.param == "device":
        monkeypatch.setattr(Torch, "is_on_device", lambda _self, _tensor: True)
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
def test_torch_arrays_are_stored(torch: Any, dtype: str) -> None:
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


def test_torch_numbers_of_a_record_are_each_as_they_were(torch: Any, recorder: Recorder) -> None:
    """Several of one dtype, one that is changed later, and whatever else there is beside them."""
    first, second = torch.zeros((), requires_grad=True), torch.zeros(())
    for step in range(5):
        values = {"first": first * 1 + step, "second": second, "third": second + step}
        recorder.push(step=step, **values, whole=torch.tensor(step), array=torch.ones(2) * step)
        second += 1
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
    kept = device_value(base[0])
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
    """A value is fetched on the stream of its own device, whichever is the current one."""
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


def test_torch_inference_tensors_are_stored(torch: Any) -> None:
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


def test_a_torch_without_private_parts_is_enough(
    torch: Any, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release that has none of them more stores the same values."""
    bare = Privates(SimpleNamespace(_C=SimpleNamespace()))
    for name, fallback in vars(bare).items():
        monkeypatch.setattr(privates(), name, fallback)
    named = torch.tensor(3.0).as_subclass(type("Named", (torch.Tensor,), {}))
    for step in range(2):
        recorder.push(a=torch.tensor(1.5) + step, b=torch.tensor([2, step]), c=named)
    found = [(row["a"], row["b"].tolist(), row["c"]) for row in recorder.records]
    assert found == [(1.5, [2, 0], 3), (2.5, [2, 1], 3)]


def test_this_torch_has_every_private_part(torch: Any) -> None:
    """Each is found where it is looked for, but those of CUDA in a build without it."""
    bare, here = vars(Privates(SimpleNamespace(_C=SimpleNamespace()))), vars(Privates(torch))
    same = {name for name, part in here.items() if part is bare[name]}
    assert same <= ({"raw_stream"} if torch.version.cuda is None else set())


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
            if is_on_device(first):
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
    assert device_value(make(torch)) is None
    with pytest.raises((TypeError, RuntimeError)):
        recorder.push(x=make(torch))
    assert len(recorder.records) == 1


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float32", "int32", "bool"])
def test_torch_columns_are_extended(torch: Any, dtype: str) -> None:
    """A tensor of any dtype is a column of its numbers."""
    recorder = Recorder()
    tensor = torch.tensor([1.0, 0.0], requires_grad=dtype == "float32").to(getattr(torch, dtype))
    recorder.extend({"x": tensor, "y": list(tensor)})
    assert column(recorder.records, "x") == column(recorder.records, "y") == tensor.tolist()


def test_torch_float8_arrays_are_stored_as_float32(torch: Any) -> None:
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
    """The error names the key without numbers, and the type of its value."""
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
