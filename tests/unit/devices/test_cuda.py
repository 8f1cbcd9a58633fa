"""Tensors on a real GPU; everything here is skipped where there is none."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder.errors import UnsupportedTypeError

BUSY = 2_000_000_000
"""Cycles that keep a GPU at work for about a second."""


@pytest.fixture(scope="module")
def torch() -> Any:
    """Torch, where it has a GPU."""
    module = pytest.importorskip("torch")
    if not module.cuda.is_available():
        pytest.skip("torch has no GPU here")
    # CUDA loads a kernel when it is first used, and waits for all others meanwhile.
    loss = module.zeros((), device="cuda") + 1
    loss += 1
    Recorder().push(x=loss).push(x=loss).sync()
    return module


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    """A recorder in a collection."""
    with ExperimentCollection(tmp_path / "study") as collection:
        yield Recorder().set_parent(collection.recorder)


def test_no_way_to_log_waits_for_the_gpu(torch: Any, recorder: Recorder) -> None:
    """Whatever logs a record does nothing for which torch would have to wait."""
    loss = torch.ones((), device="cuda")
    vector = torch.ones(4, device="cuda", dtype=torch.bfloat16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's, that the mode is new
        torch.cuda.set_sync_debug_mode("error")
    try:
        for step in range(1000):
            recorder.push(step=step, loss=loss + step, vector=vector + step)
            recorder.push({"step": step, "loss": loss + step})
            recorder.add(step=step)
            recorder.add(loss=loss + step)
            recorder.commit()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    rows = list(recorder.records)
    assert [row["loss"] for row in rows] == [step + 1 for step in range(1000) for _ in range(3)]
    assert [row["vector"].tolist() for row in rows[:768:3]] == [[n + 1] * 4 for n in range(256)]


def test_a_busy_gpu_is_not_waited_for(torch: Any, recorder: Recorder) -> None:
    """Push comes back while the GPU has yet to compute the value, which is in its row at the end."""
    loss = torch.zeros((), device="cuda")
    done = torch.cuda.Event()
    torch.cuda._sleep(BUSY)
    for _ in range(10):
        loss += 1
        recorder.push(loss=loss)
    done.record()
    assert not done.query()
    assert [row["loss"] for row in recorder.records] == list(range(1, 11))


def test_values_of_other_streams_find_their_rows(torch: Any, recorder: Recorder) -> None:
    """What a stream has yet to compute is fetched as that stream leaves it, from any other."""
    streams = [torch.cuda.Stream() for _ in range(3)]
    for step in range(30):
        with torch.cuda.stream(streams[step % 3]):
            torch.cuda._sleep(BUSY // 100)
            recorder.push(loss=torch.full((), float(step), device="cuda"))
    assert [row["loss"] for row in recorder.records] == list(range(30))


def test_replays_of_a_graph_have_each_their_value(torch: Any, recorder: Recorder) -> None:
    """A graph's output is one piece of memory, in which each record finds the value of its replay."""
    step = torch.zeros((), device="cuda")
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        step.add_(0)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step.add_(1)
        loss = step * 2
    for _ in range(100):
        graph.replay()
        recorder.push(loss=loss)
    assert [row["loss"] for row in recorder.records] == [2 * n for n in range(1, 101)]


def test_a_capture_is_not_spoilt_by_a_fetch(torch: Any, recorder: Recorder) -> None:
    """What was logged before can be fetched on another thread while a graph is captured."""
    loss = torch.ones((), device="cuda")
    for _ in range(10):
        recorder.push(loss=loss)
    step = torch.zeros((), device="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step.add_(1)
        fetching = threading.Thread(target=recorder.sync)
        fetching.start()
        fetching.join()
        step.add_(1)
    graph.replay()
    assert step.item() == 2
    assert [row["loss"] for row in recorder.records] == [1] * 10


def test_what_is_captured_has_no_value(torch: Any, recorder: Recorder) -> None:
    """To log inside of a capture is an error, and the capture goes on."""
    step = torch.zeros((), device="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step.add_(1)
        with pytest.raises(UnsupportedTypeError, match="'step'.*after replay"):
            recorder.push(step=step)
    graph.replay()
    recorder.push(step=step)
    assert [row["step"] for row in recorder.records] == [1]


def test_a_capture_in_the_stream_of_a_value_is_not_spoilt_by_its_fetch(
    torch: Any, recorder: Recorder
) -> None:
    """It is fetched in another stream while its own is captured, also on the thread that captures."""
    stream = torch.cuda.Stream()
    step = torch.zeros((), device="cuda")
    with torch.cuda.stream(stream):
        torch.cuda._sleep(BUSY // 10)
        for _ in range(10):
            recorder.push(loss=torch.ones((), device="cuda"))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        step.add_(1)
        recorder.sync()
        step.add_(1)
    graph.replay()
    assert step.item() == 2
    assert [row["loss"] for row in recorder.records] == [1] * 10


def test_no_value_is_lost_where_no_memory_can_be_pinned(
    torch: Any, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is fetched in the ordinary way, which keeps a core busy."""

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(torch, "empty", refuse)
    recorder.push(loss=torch.ones((), device="cuda"))
    assert [row["loss"] for row in recorder.records] == [1]


def test_pending_tensors_take_bounded_memory(torch: Any, recorder: Recorder) -> None:
    """A long run does not fill the GPU with what was logged."""
    loss = torch.ones((), device="cuda")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    for _ in range(200_000):
        recorder.push(loss=loss)
    assert torch.cuda.max_memory_allocated() - before < 64 * 2**20
    assert len(recorder.records) == 200_000
