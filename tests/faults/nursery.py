"""A process that forks processes which log, and kills them at random instants.

Run as a script with the folder of a collection, how many to kill, and a seed; prints what came of it
as JSON. What it kills logs records of all shapes, to live tables that are small or usual, mapped or
with a write-behind, opens (and so recovers what the last one left), compacts, and ends experiments.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any, Final

from rigorous_recorder import ExperimentCollection, Recorder, native
from rigorous_recorder._store import backend

from ..small_tables import make_small
from .steps import Board, in_a_child
from .training import fields_of

_SIGNALS: Final = (*[signal.SIGKILL] * 7, signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT)
_SHAPES: Final = ("plain", "keys", "text", "mixed", "sparse", "sparse")
_CHECKED_EVERY: Final = 5
_TRIED, _DONE = 1, 2  # places on the board


def _has_ended(child: int) -> bool:
    """Whether a child is a zombie, which is still there to be waited for."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


class Life:
    """A process that logs until it is killed."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self.number = number
        self.board = Board()
        self._dice = random.Random(number)
        self.shape = self._dice.choice(_SHAPES)
        self._is_mapped = self._dice.random() < 0.6
        self._rows = self._dice.choice([0, 16, 64, 1024])

    @property
    def tried(self) -> int:
        """How many records it began to log."""
        return self.board.numbers[_TRIED]

    @property
    def done(self) -> int:
        """How many it was told to keep."""
        return self.board.numbers[_DONE]

    def kill(self) -> signal.Signals:
        """Start it and kill it at a random instant; how."""
        dice = random.Random(-self.number)
        chosen = signal.Signals(dice.choice(_SIGNALS))
        child = os.fork()
        if not child:
            try:
                self._live()
            except BaseException:  # noqa: BLE001 - it is to be killed, not to end
                traceback.print_exc()
            finally:
                os._exit(1)
        if dice.random() < 0.75:  # else while it opens the collection, or recovers
            least = dice.randrange(1, 150)  # by a count: a busy machine may log little in any time
            while self.tried < least and not _has_ended(child):
                time.sleep(0.0005)
        time.sleep(dice.choice([0.01, 0.04, 0.12]) * dice.random())
        os.kill(child, chosen)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code == -chosen, code
        return chosen

    def _live(self) -> None:
        if not self._is_mapped:
            backend.is_safe_to_map = lambda _: False  # type: ignore[assignment]
        if self._rows:
            make_small(setattr, rows=self._rows)
        collection = ExperimentCollection(self._folder, quiet=True)
        while True:
            with collection.new_experiment(seed=self.number) as experiment:
                for episode in range(self._dice.randrange(1, 5)):
                    child = experiment.child(episode=episode)
                    for _ in range(self._dice.randrange(1, 60)):
                        self._log(child)
                    experiment["late"] = episode
                    self._note_flushed(child)
                    if self._dice.random() < 0.3:
                        collection.save()
            if self._dice.random() < 0.2:
                collection.compact()

    def _log(self, recorder: Recorder) -> None:
        first = self.tried
        if self.shape == "plain" and self._dice.random() < 0.05:
            rows = [fields_of(self.shape, self.number, i) for i in range(first, first + 30)]
            self.board.numbers[_TRIED] = first + len(rows)
            recorder.extend({key: [row[key] for row in rows] for key in rows[0]})
        else:
            fields = fields_of(self.shape, self.number, first)
            self.board.numbers[_TRIED] = first + 1
            recorder.push(fields)
        if self._is_mapped:
            self.board.numbers[_DONE] = self.tried
        elif self._dice.random() < 0.05:
            self._note_flushed(recorder)

    def _note_flushed(self, recorder: Recorder) -> None:
        recorder._store.flush()  # type: ignore[union-attr]
        self.board.numbers[_DONE] = self.tried


class Nursery:
    """Kills one after the other, and looks at what they left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[int, int] = {}
        self.outcome: Counter[str] = Counter()

    def check(self, lives: list[Life]) -> None:
        """Look at the records of these lives; those of earlier ones are as many as they were."""
        collection = ExperimentCollection(self._folder, quiet=True)
        if len(lives) > 1:
            self.outcome["damaged"] += len(collection.verify())
        for life in lives:
            self._check_life(life, list(collection.records.where(seed=life.number)))
        counts = Counter[int | None]()
        if len(collection):
            query = "SELECT seed, count(*) FROM records GROUP BY seed"
            counts.update(dict(collection.sql(query).fetchall()))
        self.outcome["changed"] += counts[None] + any(
            counts[number] != count for number, count in self._found.items()
        )

    def _check_life(self, life: Life, rows: list[Any]) -> None:
        found = [row["i"] for row in rows]
        self._found[life.number] = len(found)
        self.outcome["records"] += life.done
        self.outcome["lost"] += len(set(range(life.done)) - set(found))
        self.outcome["doubled"] += len(found) - len(set(found))
        for at, row in enumerate(rows):
            expected = fields_of(life.shape, life.number, at)
            is_same = all(row[key] == value for key, value in expected.items())
            is_above = row["episode"] is not None and row["experiment_number"]
            self.outcome["changed"] += not (is_same and is_above and row["i"] < life.tried)

    def kill(self, count: int, first: int) -> None:
        """Kill so many, and check every few."""
        lives: list[Life] = []
        for number in range(first, first + count):
            lives.append(Life(self._folder, number))
            self.outcome[lives[-1].kill().name] += 1
            self.outcome["kills"] += 1
            if len(lives) == _CHECKED_EVERY or number == first + count - 1:
                # In a child: this process stays one that has never opened the collection.
                self._check_in_a_child(lives)
                lives = []

    def _check_in_a_child(self, lives: list[Life]) -> None:
        read, write = os.pipe()

        def check() -> None:
            self.check(lives)
            os.write(write, json.dumps([self.outcome, self._found]).encode())

        assert in_a_child(check) == 0
        outcome, found = json.loads(os.read(read, 1 << 16))
        self.outcome = Counter(outcome)
        self._found = {int(number): count for number, count in found.items()}
        os.close(read)
        os.close(write)


def main(folder: str, count: str, seed: str) -> None:
    """Kill, and print what came of it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as elsewhere:  # what is imported once is there in all
        with ExperimentCollection(elsewhere, extension="", quiet=True) as collection:
            with collection.new_experiment() as experiment:
                experiment.push(i=0)
            len(list(collection.records))
    nursery = Nursery(Path(folder))
    nursery.kill(int(count), int(seed))
    sys.stdout.write(json.dumps({"native": native, **nursery.outcome}))


if __name__ == "__main__":
    main(*sys.argv[1:])
