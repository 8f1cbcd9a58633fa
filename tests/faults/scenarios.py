"""What a process does while something happens at one of its steps, and what must be true afterwards.

A record is acknowledged when its push returned; where live rows are in memory with a write-behind,
when the next flush did.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._store import background
from rigorous_recorder._store.fragments import InMemoryFragment
from rigorous_recorder.errors import SaveError

from ..store.folders import reading
from .steps import Board, die, in_a_child

__all__ = ["SCENARIOS", "Log", "check", "lose_lock", "prepared"]

#: Records of a folder that is prepared for a scenario.
BEFORE: Final = 24
_SAID_TRIED, _SAID = 1, 2  # places on the board
_FLUSHED_EVERY: Final = 6


def fields_of(i: int) -> dict[str, Any]:
    """What is logged as the i-th record, wherever."""
    return {"i": i, "x": i / 8, "text": f"record {i}, " * (i % 4)}


def few_of(i: int) -> dict[str, Any]:
    """Some of many keys, of every kind that can be sparse, as fields of the i-th record."""
    values = [i / 4, i, bool(i % 2), None, "text" * (i % 9), [i, {"deep": i}]]
    return {
        "has_few": True,
        f"key {i % 11}": values[i % 6],
        f"{'long ' * (i % 7)}key {i % 13}": values[(i + 1) % 6],
    }


def most_of(i: int) -> dict[str, Any]:
    """Keys that most records have for some time."""
    return {"has_most": True, "loss": [i / 2, i][i % 2], "text of most": f"{i} " * (i % 9)}


class Log:
    """Logs, and notes on a board that outlives the process what was logged.

    Args:
        board: where it is recorded.
        is_mapped: whether a push is enough for a record to survive.
        errors: what may be raised out of a call; then the call may or may not have been done.
    """

    def __init__(
        self, board: Board, *, is_mapped: bool, errors: tuple[type[BaseException], ...] = ()
    ) -> None:
        self._board = board
        self._is_mapped = is_mapped
        self._errors = errors
        self._waiting: list[int] = []

    def push(self, recorder: Recorder, i: int, **more: Any) -> None:
        """Push the i-th record."""
        self._note([i], 1)
        with contextlib.suppress(*self._errors):
            recorder.push(fields_of(i), **more)
            self._acknowledge(recorder, [i])

    def push_unnoticed(self, recorder: Recorder, records: range, **more: Any) -> None:
        """Push records of a writer that was presumed dead, and notices it right after."""
        self._note(records, 1)
        done = []
        for i in records:
            with contextlib.suppress(*self._errors):
                recorder.push(fields_of(i), **more)
                done.append(i)
        self.do(recorder.sync)
        self._note(done, 2)

    def extend(self, recorder: Recorder, records: range, **more: Any) -> None:
        """Log many records at once."""
        self._note(records, 1)
        rows = [fields_of(i) for i in records]
        columns = {key: [row[key] for row in rows] for key in rows[0]}
        with contextlib.suppress(*self._errors):
            recorder.extend(
                {**columns, **{key: [value] * len(rows) for key, value in more.items()}}
            )
            self._acknowledge(recorder, records)

    def set_attributes(self, recorder: Recorder, number: int) -> None:
        """Say of a recorder that its ``late`` is this number."""
        self._board.numbers[_SAID_TRIED] = number
        with contextlib.suppress(*self._errors):
            recorder["late"] = number
            if not self._is_mapped:
                flush(recorder)
            self._board.numbers[_SAID] = number

    def move(self, recorder: Recorder, parent: Recorder, records: range) -> None:
        """Move a tree with those records to where ``parent`` is."""
        self._note(records, 1)
        self.do(lambda: recorder.set_parent(parent))
        with contextlib.suppress(*self._errors):
            self._acknowledge(recorder, records)

    def do(self, action: Callable[[], Any]) -> Any:
        """Do it; once more where an error came out of it."""
        while True:
            with contextlib.suppress(SaveError, *self._errors):
                return action()

    def acknowledge(self, records: range) -> None:
        """Note that records survive."""
        self._note(records, 2)

    def _acknowledge(self, recorder: Recorder, records: list[int] | range) -> None:
        self._waiting += records
        if self._is_mapped or len(self._waiting) >= _FLUSHED_EVERY:
            if not self._is_mapped:
                flush(recorder)
            self._note(self._waiting, 2)
            self._waiting = []

    def _note(self, records: list[int] | range, state: int) -> None:
        for i in records:
            self._board.records[i] = state


def flush(recorder: Recorder) -> None:
    if recorder._store is not None:
        recorder._store.flush()  # type: ignore[attr-defined]


# --- scenarios ------------------------------------------------------------------------------------


def begun(folder: Path, log: Log) -> tuple[ExperimentCollection, Any, Recorder]:
    collection = log.do(lambda: ExperimentCollection(folder, extension="", quiet=True))
    manager = collection.new_experiment(lr=0.1)
    return collection, manager, log.do(manager.__enter__)


def ended(collection: ExperimentCollection, manager: Any, log: Log) -> None:
    log.do(lambda: manager.__exit__(None, None, None))
    log.do(collection.close)


def first_experiment(folder: Path, log: Log) -> None:
    """In a folder that is not there yet."""
    collection, manager, experiment = begun(folder, log)
    for i in range(3):
        log.push(experiment, i)
    ended(collection, manager, log)


def growing(folder: Path, log: Log) -> None:
    """More rows and text than the first live table has room for."""
    collection, manager, experiment = begun(folder, log)
    for i in range(30):
        log.push(experiment, i, long="text " * i)
    ended(collection, manager, log)


def widening(folder: Path, log: Log) -> None:
    """New keys, and values of another kind under a key that is known."""
    collection, manager, experiment = begun(folder, log)
    for i in range(15):
        log.push(experiment, i, **{f"key {i // 5}": i, "kind": [i, str(i), None][i // 5]})
    ended(collection, manager, log)


def scattering(folder: Path, log: Log) -> None:
    """Records that have few of many keys, between pushes of other keys at once.

    Some keys that few records have, then most, then few again: each table is split anew.
    """
    collection, manager, experiment = begun(folder, log)
    for i in range(96):
        if i in {6, 80}:  # before the keys get columns of their own, and after
            log.extend(experiment, range(90 + i, 96 + i), **{"key 3": 0.5, "loss": 1.5})
        log.push(experiment, i, **few_of(i), **(most_of(i) if 30 <= i < 70 else {}))
        if i == 60:
            log.do(collection.save)
    ended(collection, manager, log)


def sealing(folder: Path, log: Log) -> None:
    """On a thread of its own, while the next rows are logged."""
    collection, manager, experiment = begun(folder, log)
    for i in range(70):
        log.push(experiment, i)
    ended(collection, manager, log)


def extending(folder: Path, log: Log) -> None:
    """Columns at once, with lists (which are sealed as they are) and without, between pushes."""
    collection, manager, experiment = begun(folder, log)
    for start in range(0, 60, 20):
        log.push(experiment, start)
        more = {"list": [1, 2] * (start // 20)} if start % 40 else {}
        log.extend(experiment, range(start + 1, start + 20), **more)
    ended(collection, manager, log)


def syncing(folder: Path, log: Log) -> None:
    """Syncs between pushes, some with nothing to sync, and saves, whose files are merged.

    Records and attributes have few of many keys.
    """
    collection, manager, experiment = begun(folder, log)
    for i in range(8):
        log.push(experiment, i, **few_of(i))
        log.set_attributes(experiment, i + 1)
        log.do(lambda n=i: experiment.update({f"config {n}": n, f"note {n}": "text " * n}))
        if i % 4 == 3:
            log.do(experiment.sync)
            log.do(experiment.sync)
            log.do(collection.save)
    ended(collection, manager, log)


def exiting(folder: Path, log: Log) -> None:
    """Python's exit, without a close."""
    _collection, _manager, experiment = begun(folder, log)
    for i in range(10):
        log.push(experiment, i)
    log.do(background._background.leave)


def hanging(folder: Path, log: Log) -> None:
    """Children, and what is set on them and their parent before, between and after."""
    collection, manager, experiment = begun(folder, log)
    for episode in range(3):
        child = log.do(lambda n=episode: experiment.child(episode=n))
        for i in range(6 * episode, 6 * episode + 6):
            log.push(child, i)
        log.set_attributes(experiment, episode + 1)
        log.do(lambda c=child, n=episode: c.update(score=n / 2, **{f"only {n}": "text" * n}))
    ended(collection, manager, log)


def moving(folder: Path, log: Log) -> None:
    """A tree of recorders in memory that moves in, with its records."""
    tree = Recorder(model="m")
    for episode in range(3):
        child = tree.child(episode=episode)
        for i in range(10 * episode, 10 * episode + 10):
            child.push(fields_of(i), **{f"key {episode}": i})
    collection, manager, experiment = begun(folder, log)
    log.move(tree, experiment, range(30))
    log.push(tree, 30)
    ended(collection, manager, log)


def recovering(folder: Path, log: Log) -> None:
    """What a killed process left, then logging on."""
    collection, manager, experiment = begun(folder, log)
    log.push(experiment, BEFORE)
    ended(collection, manager, log)


def going_on(folder: Path, log: Log) -> None:
    """Of a writer that others take for dead, and recover, twice."""
    collection, manager, experiment = begun(folder, log)
    for first in (0, 20):
        for i in range(first, first + 6):
            log.push(experiment, i)
        log.do(experiment.sync)
        lose_lock(collection)
        log.do(lambda: ExperimentCollection(folder, extension="", quiet=True))
        log.push_unnoticed(experiment, range(first + 6, first + 14))
        for i in range(first + 14, first + 20):
            log.push(experiment, i)
    ended(collection, manager, log)


def lose_lock(collection: ExperimentCollection) -> None:
    """As where a lease on a file server ends: others can have the lock."""
    lock = collection._store.backend.lease.lock
    if lock is not None:
        held, lock._descriptor = lock._descriptor, os.open(os.devnull, os.O_RDONLY)
        os.close(held)


def recovering_the_rest(folder: Path, log: Log) -> None:
    """What a writer left that went on after others had recovered it, and then was killed."""
    recovering(folder, log)


def compacting(folder: Path, log: Log) -> None:
    """Files of several writers, and what a killed process left."""
    collection = log.do(lambda: ExperimentCollection(folder, extension="", quiet=True))
    log.do(collection.compact)
    log.do(collection.close)


SCENARIOS: Final = (
    first_experiment, growing, widening, scattering, sealing, extending, syncing,
    exiting, hanging, moving, recovering, compacting, going_on, recovering_the_rest,
)  # fmt: skip


def prepared(scenario: Callable[[Path, Log], None], folder: Path, log: Log) -> None:
    """Make the folder that a scenario begins with, where it begins with one."""
    if scenario is recovering_the_rest:
        in_a_child(partial(_leave_a_rest, folder, log))
        return
    if scenario is recovering:
        writers = [range(BEFORE)]
    elif scenario is compacting:
        writers = [range(start, start + 8) for start in range(0, BEFORE, 8)]
    else:
        return

    def write(records: range) -> None:
        collection, manager, experiment = begun(folder, log)
        for i in records:
            log.push(experiment, i, **few_of(i))
        if records is writers[-1]:
            die()
        ended(collection, manager, log)

    for records in writers:
        in_a_child(partial(write, records))


def _leave_a_rest(folder: Path, log: Log) -> None:
    collection, _, experiment = begun(folder, log)
    for i in range(BEFORE // 2):
        log.push(experiment, i)
    experiment.sync()
    lose_lock(collection)
    ExperimentCollection(folder, extension="", quiet=True)
    wider = experiment.child(late_child=1)  # what needs another file is where it notices
    for i in range(BEFORE // 2, BEFORE):
        log.push(wider, i, wider=i)
    flush(experiment)
    log.acknowledge(range(BEFORE))
    die()


# --- what must be true ----------------------------------------------------------------------------


def check(folder: Path, board: Board) -> None:
    """Every acknowledged record is there once, as it was logged; opening says what it recovered.

    And logging goes on.
    """
    acknowledged = set(board.logged(2))
    if not folder.exists():
        assert not acknowledged
        return
    left = left_behind(folder)
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        collection = ExperimentCollection(folder, extension="")
    expected = f"recovered {left:,} records of a killed process in {folder}\n" if left else ""
    assert told.getvalue() == expected, (told.getvalue(), expected)
    check_rows(collection, board)
    assert collection.verify() == []
    assert not list((folder / "live").glob("*.arrow")), "what was left is recovered"
    before = len(collection)
    with collection.new_experiment() as experiment:
        experiment.push(i=-1)
    collection.close()
    again = ExperimentCollection(folder, extension="", quiet=True)
    assert [row["i"] for row in again.records][before:] == [-1]


def left_behind(folder: Path) -> int:
    """How many records of dead processes are in no sealed file."""
    found = reading(folder)._store.reader.snapshot().records
    shutil.rmtree(folder / "unused.collection", ignore_errors=True)
    return sum(each.rows for each in found if isinstance(each, InMemoryFragment))


def check_rows(collection: ExperimentCollection, board: Board) -> None:
    """Every acknowledged record is there once, as it was logged."""
    rows = list(collection.records)
    found = [row["i"] for row in rows]
    assert len(found) == len(set(found)), f"doubled: {sorted(found)}"
    lost = set(board.logged(2)) - set(found)
    assert not lost, f"lost: {sorted(lost)}"
    assert set(found) <= set(board.logged(1))
    for row in rows:
        expected = fields_of(row["i"])
        if row["has_few"]:
            expected |= few_of(row["i"])
        if row["has_most"]:
            expected |= most_of(row["i"])
        assert {key: row[key] for key in expected} == expected
        assert row["lr"] == 0.1
        assert row["experiment_number"]
        late = row["late"] or 0
        assert board.numbers[_SAID] <= late <= board.numbers[_SAID_TRIED]
