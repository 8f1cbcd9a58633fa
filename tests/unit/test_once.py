"""What is found out once needs no lock: threads meet in one value, and a forked child never waits."""

from __future__ import annotations

import ast
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import rigorous_recorder
from rigorous_recorder._once import once, remembered

PACKAGE = Path(rigorous_recorder.__file__).parent
LOCKING = {"cached_property", "lru_cache", "cache"}
#: ``torch.compile`` knows ``lru_cache``, and looks through it; CPython's, which is C, has no lock.
SEEN_BY_TORCH = {
    f"_values/devices/{name}.py" for name in ("cuda", "libraries", "privates", "torch", "values")
}
PATIENCE = 60


class Asked:
    """Counts how often something is found out; several threads do so at the same time."""

    def __init__(self, together: int = 1) -> None:
        self.calls = 0
        self._meeting = threading.Barrier(together)

    def find(self) -> object:
        self._meeting.wait(PATIENCE)
        self.calls += 1
        return object()

    @once
    def found(self) -> object:
        """What is found."""
        return self.find()


def answers_of(threads: int, ask: Callable[[], object]) -> list[object]:
    found: list[object] = []
    running = [threading.Thread(target=lambda: found.append(ask())) for _ in range(threads)]
    for each in running:
        each.start()
    for each in running:
        each.join(PATIENCE)
    return found


def test_a_property_is_computed_once() -> None:
    """Afterwards it is a plain attribute; each object has its own."""
    asked, other = Asked(), Asked()
    assert asked.found is asked.found
    assert asked.found is not other.found
    assert (asked.calls, other.calls) == (1, 1)
    assert vars(asked)["found"] is asked.found
    assert Asked.found.__doc__ == "What is found."


def test_a_property_that_fails_is_computed_again() -> None:
    """An error is no value."""
    asked = Asked()
    asked._meeting.abort()
    with pytest.raises(threading.BrokenBarrierError):
        _ = asked.found
    asked._meeting.reset()
    assert asked.found is asked.found


def test_threads_that_ask_at_once_get_one_object() -> None:
    """All of them compute it, none waits for another, and one of the results is everybody's."""
    asked = Asked(together=8)
    found = answers_of(8, lambda: asked.found)
    assert asked.calls == 8
    assert len(found) == 8
    assert set(map(id, found)) == {id(asked.found)}


def test_threads_that_call_at_once_get_one_result() -> None:
    """As with a property."""
    asked = Asked(together=8)
    function = remembered(4)(lambda _: asked.find())
    found = answers_of(8, lambda: function(1))
    assert len(found) == 8
    assert set(map(id, found)) == {id(function(1))}


def test_so_many_results_are_remembered() -> None:
    """The older ones are computed again."""
    calls: list[int] = []

    @remembered(4)
    def doubled(number: int) -> int:
        """Twice as much."""
        calls.append(number)
        return 2 * number

    assert doubled.__doc__ == "Twice as much."
    assert [doubled(n) for n in (1, 2, 3, 4, 1, 4)] == [2, 4, 6, 8, 2, 8]
    assert calls == [1, 2, 3, 4]
    assert [doubled(n) for n in (5, 4, 5, 1)] == [10, 8, 10, 2]
    assert calls == [1, 2, 3, 4, 5, 1]
    doubled.forget()
    assert doubled(5) == 10
    assert calls[-1] == 5


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_child_forked_while_a_thread_computes_does_not_wait() -> None:
    """It computes by itself what the thread that it has not was about to."""
    asked, is_computing, may_end = Asked(), threading.Event(), threading.Event()

    class Slow:
        @once
        def found(self) -> object:
            if threading.current_thread() is not threading.main_thread():
                is_computing.set()
                may_end.wait(PATIENCE)
            return asked.find()

    slow, other = Slow(), Slow()
    thread = threading.Thread(target=lambda: slow.found)
    thread.start()
    assert is_computing.wait(PATIENCE)
    child = os.fork()
    if not child:
        signal.alarm(PATIENCE)
        os._exit(0 if slow.found is not other.found else 1)
    may_end.set()
    thread.join(PATIENCE)
    assert os.waitpid(child, 0)[1] == 0


def functools_used(path: Path) -> set[str]:
    """The names that a file has of ``functools``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "functools"
        for alias in node.names
    }
    named = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "functools"
    }
    return imported | named


def test_no_decorator_that_may_lock_is_used() -> None:
    """A forked child can find the lock held for ever, by a thread that it has not."""
    found = {
        str(path.relative_to(PACKAGE)): used
        for path in PACKAGE.rglob("*.py")
        if (used := functools_used(path) & LOCKING)
    }
    assert found == {name: {"lru_cache"} for name in SEEN_BY_TORCH}
