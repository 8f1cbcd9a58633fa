"""Results that are worked out ahead, in threads."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from rigorous_recorder._engines.ahead import ahead

MANY = 100


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


def test_whoever_stops_early_waits_for_what_is_being_read() -> None:
    ended: list[int] = []
    has_begun = threading.Event()
    may_end = threading.Event()

    def work(item: int) -> int:
        if item:
            has_begun.set()
            may_end.wait()
        ended.append(item)
        return item

    results = ahead(work, range(MANY))
    assert next(results) == 0
    has_begun.wait()
    threading.Timer(0.01, may_end.set).start()
    results.close()  # type: ignore[attr-defined]
    assert len(ended) > 1


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
