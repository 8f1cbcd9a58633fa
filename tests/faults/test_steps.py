"""At every step that changes files a process may die, or meet an error: nothing is lost."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._store import backend

from ..small_tables import make_small
from . import THOROUGH
from .scenarios import SCENARIOS, Log, check, check_rows, prepared
from .steps import ENDLESS, Board, die, every_step, in_a_child

# Python 3.12 warns of every fork of a process with threads.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")

#: Every step is tried, or every so manieth, beginning with the first.
STRIDE = 1 if THOROUGH else 20

Scenario = Callable[[Path, Log], None]


@pytest.fixture(params=["mapped", "write-behind"])
def is_mapped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether live rows are in mapped files, of few rows, or in memory with a write-behind.

    Of the files that a writer seals, two of one size are merged.
    """
    monkeypatch.setattr(backend, "is_safe_to_map", lambda _: request.param == "mapped")
    make_small(monkeypatch.setattr)
    return bool(request.param == "mapped")


class Stage:
    """A scenario that is played again and again, each time in a folder of its own."""

    def __init__(self, scenario: Scenario, where: Path, *, is_mapped: bool) -> None:
        self.name = scenario.__name__
        self._scenario = scenario
        self._where = where
        self._is_mapped = is_mapped
        self._turn = 0
        self._first = where / "first"
        self._board = Board()
        prepared(scenario, self._first, Log(self._board, is_mapped=is_mapped))

    def play(
        self,
        at: int,
        action: Callable[[], object],
        errors: tuple[type[BaseException], ...] = (),
        *,
        of_main_thread: bool = False,
    ) -> tuple[int, Path, Board]:
        """Play it, with the action at one step; its exit code, its folder, and its board."""
        self._turn += 1
        folder, board = self._where / str(self._turn), Board()
        board.records[:] = self._board.records
        if self._first.exists():
            shutil.copytree(self._first, folder)

        def step(name: str) -> None:
            if board.count(name) == at:
                action()

        def work() -> None:
            warnings.simplefilter("ignore")
            thread = threading.get_ident() if of_main_thread else None
            log = Log(board, is_mapped=self._is_mapped, errors=errors)
            with every_step(step, of_thread=thread):
                self._scenario(folder, log)
            if errors:
                check_rows(ExperimentCollection(folder, extension="", quiet=True), board)

        return in_a_child(work), folder, board


how_many = pytest.mark.parametrize(
    "how_many", ["some", pytest.param("many", marks=pytest.mark.slow)]
)


def chosen(how_many: str, total: int, some: int, stride: int = 1) -> Iterator[int]:
    """Every step, and on until there are no more of them; or some, spread over all."""
    if how_many == "some":
        yield from range(total // some // 2, total, total // some)
    else:
        yield from range(0, 2 * total, stride)


@pytest.fixture(params=SCENARIOS, ids=lambda each: each.__name__)
def stage(request: pytest.FixtureRequest, tmp_path: Path, is_mapped: bool) -> Stage:
    return Stage(request.param, tmp_path, is_mapped=is_mapped)


@how_many
def test_a_process_that_dies_at_a_step(stage: Stage, how_many: str, capfd: Any) -> None:
    """Nothing acknowledged is lost, doubled or changed; the next open says what it recovered."""
    code, folder, board = stage.play(ENDLESS, die)
    assert code == 0, capfd.readouterr().err
    check(folder, board)
    total = board.steps
    deaths = 0
    for at in chosen(how_many, total, 3, stride=STRIDE):
        code, folder, board = stage.play(at, die)
        if code == 0:
            break  # it got to its end: threads that meet in another way have other steps
        assert code == -9, capfd.readouterr().err
        try:
            check(folder, board)
        except Exception as error:
            raise AssertionError(f"died at step {at}, {board.last}") from error
        shutil.rmtree(folder, ignore_errors=True)
        deaths += 1
    assert deaths >= (2 if how_many == "some" else total / 2 / STRIDE)
    sys.stdout.write(f"{stage.name}: {deaths} deaths at {total} steps\n")


def out_of_disk() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupt() -> None:
    raise KeyboardInterrupt


@how_many
@pytest.mark.parametrize("error", [out_of_disk, interrupt], ids=lambda each: each.__name__)
def test_an_error_at_a_step(
    stage: Stage, error: Callable[[], None], how_many: str, capfd: Any
) -> None:
    """What was interrupted can be done again: nothing is lost, doubled or changed."""
    is_ours = error is interrupt  # Ctrl-C comes to the main thread alone
    kinds: tuple[type[BaseException], ...] = (KeyboardInterrupt if is_ours else OSError,)
    code, _, board = stage.play(ENDLESS, die, kinds, of_main_thread=is_ours)
    assert code == 0, capfd.readouterr().err
    total = board.steps
    errors = 0
    for at in chosen(how_many, total, 1, stride=3 * STRIDE):
        code, folder, board = stage.play(at, error, kinds, of_main_thread=is_ours)
        assert code == 0, f"step {at}\n{capfd.readouterr().err}"
        check(folder, board)
        shutil.rmtree(folder, ignore_errors=True)
        errors += board.steps > at
        if board.steps <= at:
            break
    assert errors >= (1 if how_many == "some" else total // (6 * STRIDE))
    sys.stdout.write(f"{stage.name}: {errors} errors at {total} steps\n")
