"""One change of a table at a time: what is called for in the middle of one is done right after it."""

from __future__ import annotations

import gc
import itertools
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._live import table as live_table
from rigorous_recorder._live.exclusive import Exclusive

from ..at_call import at_call, interrupt

PATIENCE = 60  # seconds


class FastPath:
    """Takes rows as long as it is open, by a value's own code too."""

    def __init__(self) -> None:
        self.buffers: list[object] | None = None

    def append(self, _node: int, fields: dict[str, Any]) -> bool:
        buffers = self.buffers
        if buffers is not None:
            buffers += [value() if callable(value) else value for value in fields.values()]
        return buffers is not None


class Table:
    """Rows that a change adds in two steps; between changes they are added without one."""

    def __init__(self) -> None:
        self.rows: list[object] = []
        self.is_changing = False
        self.fast_path: Any = FastPath()
        self.reopen_fast_path()
        self.exclusive = Exclusive(self)

    def reopen_fast_path(self) -> None:
        self.fast_path.buffers = self.rows

    def push(self, row: object, meanwhile: Callable[[], object] = int) -> None:
        """As a table's rows: at once where that can be, else as a change."""
        if self.fast_path.buffers is not None:
            self.rows.append(row)
        else:
            self.exclusive.run(partial(self.change, row, meanwhile))

    def change(self, row: object, meanwhile: Callable[[], object] = int) -> object:
        assert not self.is_changing, "two changes at once"
        self.is_changing = True
        try:
            self.fast_path.buffers = None
            meanwhile()
            self.rows.append(row)
        finally:
            self.is_changing = False
        return row

    def check_free(self) -> None:
        """Nothing is left over: a change is made at once, by whichever thread."""
        given: list[object] = []
        thread = threading.Thread(
            target=lambda: given.append(self.exclusive.run(partial(self.change, "free"))),
            daemon=True,
        )
        thread.start()
        thread.join(PATIENCE)
        assert given == [("free",)]
        assert self.rows.pop() == "free"
        assert self.fast_path.buffers is not None
        assert not self.exclusive.is_changing


def test_what_is_called_for_in_a_change_is_done_after_it_in_order() -> None:
    """And no later row of that thread overtakes it, nor what it calls for itself."""
    table = Table()
    given: list[object] = []

    def meanwhile() -> None:
        table.reopen_fast_path()  # as where a table has widened, and could take rows already
        assert table.exclusive.is_changing
        assert not table.exclusive.append(1, {"row": "lost"})
        first = partial(table.change, "first", partial(table.push, "third"))
        given.append(table.exclusive.run(first))
        table.push("second")

    given.append(table.exclusive.run(partial(table.change, "change", meanwhile)))
    table.push("fourth")
    assert given == [None, ("change",)]
    assert table.rows == ["change", "first", "second", "third", "fourth"]
    table.check_free()


def test_a_row_that_the_fast_path_takes_is_a_change_too() -> None:
    """What its value's own code calls for is done after it; closed, it takes none."""
    table = Table()

    def value() -> str:
        assert table.exclusive.run(partial(table.change, "after")) is None
        return "row"

    assert table.exclusive.append(1, {"row": value})
    assert table.rows == ["row", "after"]
    table.fast_path.buffers = None
    assert not table.exclusive.append(1, {"row": "refused"})
    assert table.exclusive.append(1, {"row": "taken"})  # each change opens it in the end
    assert table.rows == ["row", "after", "taken"]
    table.check_free()


def test_another_thread_waits_for_the_change() -> None:
    """Its own change is made by itself, and gives what it gives."""
    table, begun = Table(), threading.Event()
    given: list[object] = []

    def other() -> None:
        begun.set()
        given.append(table.exclusive.run(partial(table.change, "other")))

    thread = threading.Thread(target=other)

    def meanwhile() -> None:
        thread.start()
        assert begun.wait(PATIENCE)
        assert not given

    table.exclusive.run(partial(table.change, "change", meanwhile))
    thread.join(PATIENCE)
    assert (table.rows, given) == (["change", "other"], [("other",)])


def test_a_change_that_fails_leaves_the_table_to_the_next() -> None:
    """Those that were called for in the middle of it are made; where one fails, the others later."""
    table = Table()

    def fail() -> None:
        table.push("after")
        table.exclusive.run(partial(table.change, None, interrupt))
        table.push("last")
        raise ValueError

    with pytest.raises(KeyboardInterrupt):
        table.exclusive.run(partial(table.change, "change", fail))
    assert table.rows == ["after"]
    table.exclusive.run(partial(table.change, "next"))
    assert table.rows == ["after", "next", "last"]
    table.check_free()


@pytest.mark.parametrize("is_interrupted", [True, False], ids=["interrupted", "handled"])
def test_a_change_that_is_met_by_a_handler_anywhere(*, is_interrupted: bool) -> None:
    """Ctrl-C leaves the table free; what a handler adds is there once, whole, after what it met."""
    for turn in itertools.count():
        table = Table()
        action = interrupt if is_interrupted else partial(table.push, "handler")
        try:
            with at_call(turn, action) as calls:
                table.exclusive.run(partial(table.change, "change", partial(table.push, "inner")))
        except KeyboardInterrupt:
            pass
        if calls[0] <= turn:
            break
        if is_interrupted:
            table.exclusive.run(partial(table.change, "next"))  # and what is still deferred
            assert len(table.rows) == len(set(table.rows))
            assert {"next"} <= set(table.rows) <= {"change", "inner", "next"}
            assert table.rows[0] == "change" or "change" not in table.rows
        else:
            assert sorted(map(str, table.rows)) == ["change", "handler", "inner"]
        table.check_free()
    assert turn > 10


def test_a_lock_that_another_thread_held_at_a_fork_is_free() -> None:
    """In the child, in which that thread is not."""
    table, held, is_over = Table(), threading.Event(), threading.Event()

    def hold() -> None:
        with table.exclusive.lock:
            held.set()
            is_over.wait(PATIENCE)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(PATIENCE)
    table.exclusive.free_lock()
    table.check_free()
    is_over.set()
    thread.join()


class OnDevice:
    """A number on a device that runs code of its own when it is fetched."""

    dtype = np.dtype("float32")
    shape = ()

    def __init__(self, fetch: Callable[[], object]) -> None:
        self.fetch = fetch

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def copy(self) -> OnDevice:
        return self

    def get(self) -> Any:
        self.fetch()
        return np.float32(0.5)


@pytest.mark.parametrize("place", ["memory", "folder"])
def test_pushes_in_the_middle_of_a_change_of_a_real_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """By a value's own code, a signal handler and the garbage collector: all there, after it."""
    monkeypatch.setattr(live_table, "MOST_PENDING", 0)  # a value is fetched in the change
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        recorder = collection.recorder.child() if place == "folder" else Recorder()

        def handle(_signal: int, _frame: FrameType | None) -> None:
            recorder.push(by="handler")

        def collected(phase: str, _info: object) -> None:
            if phase == "stop":
                recorder.push(by="collector")

        def fetch() -> None:
            recorder.push(by="value")
            signal.raise_signal(signal.SIGUSR1)
            gc.callbacks.append(collected)
            gc.collect(0)
            gc.callbacks.remove(collected)

        before = signal.signal(signal.SIGUSR1, handle)
        try:
            recorder.push(by="first").push(by="change", x=OnDevice(fetch)).push(by="last")
        finally:
            signal.signal(signal.SIGUSR1, before)
        rows = [(row["by"], row["x"]) for row in recorder.records]
    assert rows == [
        ("first", None),
        ("change", 0.5),
        ("value", None),
        ("handler", None),
        ("collector", None),
        ("last", None),
    ]
