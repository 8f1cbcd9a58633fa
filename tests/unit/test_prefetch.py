"""Results that are worked out ahead, in threads."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import pytest

from rigorous_recorder._prefetch import ahead

from ..faults.steps import in_a_child

MANY = 100
PATIENCE = 20


def test_the_results_are_in_order_and_only_a_few_are_worked_out_ahead() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        return -item

    results = ahead(work, range(MANY))
    assert next(results) == 0
    assert len(begun) < MANY
    assert list(results) == [-item for item in range(1, MANY)]


def test_an_error_comes_where_its_result_would() -> None:
    def work(item: int) -> int:
        if item == 2:
            raise OSError(item)
        return item

    results = ahead(work, range(MANY))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(OSError, match="2"):
        next(results)


def test_whoever_stops_early_waits_for_nothing() -> None:
    """Not even where the work needs what the one who stops has."""
    mine = threading.Lock()
    has_begun = threading.Event()
    ended: list[int] = []

    def work(item: int) -> int:
        if item:
            has_begun.set()
            if mine.acquire(timeout=PATIENCE):
                mine.release()
            ended.append(item)
        return item

    before = set(threading.enumerate())
    with mine:
        results = ahead(work, range(MANY))
        assert next(results) == 0
        has_begun.wait()
        results.close()  # type: ignore[attr-defined]
        assert not ended
    for thread in set(threading.enumerate()) - before:
        thread.join()


def test_where_no_thread_can_be_started_whoever_takes_the_results_does_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As at the end of Python, or of what the system allows."""
    begun = 0

    def submit(*_args: object) -> NoReturn:
        nonlocal begun
        begun += 1
        raise RuntimeError("can't start new thread")

    results = ahead(lambda item: (item, threading.get_ident()), range(MANY))
    there = [next(results)]
    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit)
    there += results
    assert [item for item, _ in there] == [*range(MANY)]
    assert begun
    assert {thread for _, thread in there[-begun:]} == {threading.get_ident()}


def test_an_iterator_can_be_collected_in_one_of_its_own_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    last: list[Iterator[int]] = []
    is_last = threading.Event()
    is_gone = threading.Event()

    def work(item: int) -> int:
        if item == 1:
            is_last.wait()
            last.clear()
            is_gone.set()
        return item

    results = ahead(work, range(MANY))
    assert next(results) == 0
    last.append(results)
    del results
    is_last.set()
    is_gone.wait()
    assert not said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("so_far", [0, 1, MANY - 1])
def test_a_forked_child_goes_on_by_itself(so_far: int) -> None:
    results = ahead(lambda item: -item, range(MANY))
    there = [next(results) for _ in range(so_far)]
    expected = [-item for item in range(MANY)]

    def go_on() -> None:
        assert there + list(results) == expected

    assert in_a_child(go_on) == 0
    go_on()
