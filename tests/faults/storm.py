"""Many writers in one collection that are killed at random, while others read, compact and verify.

Run by hand: ``python -m tests.faults.storm --minutes 10 --writers 32``. Writers are spawned and
forked (while another thread of their parent pushes), hang children below a recorder of another
process, and start workers of their own, by fork, joblib and torch, where those are installed. At the
end every acknowledged record is there once, as it was logged.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import importlib
import importlib.util
import io
import itertools
import math
import mmap
import multiprocessing
import os
import pickle
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._store import backend

from ..small_tables import make_small

__all__ = ["Outcome", "storm"]

#: Lives that one process may hand on to workers of its own.
WORKERS: Final = 4
#: A writer that gets no record done for so long is taken to be stuck.
PATIENCE: Final = 90.0  # seconds
_TRIED, _DONE, _SLOWEST, _PID, _COUNTS = 0, 1, 2, 3, 4
_BUCKETS: Final = 200  # four to a doubling of the nanoseconds


class Ledger:
    """What one life of a writer notes in memory that outlives it: each life counts from 0."""

    SIZE: Final = 8 * (_COUNTS + _BUCKETS)

    def __init__(self, folder: Path, life: int) -> None:
        path = folder / str(life)
        with path.open("a+b") as file:
            file.truncate(self.SIZE)
            self._map = mmap.mmap(file.fileno(), self.SIZE)
        self.numbers = memoryview(self._map).cast("q")
        self.life = life

    @property
    def tried(self) -> int:
        """How many pushes were begun."""
        return self.numbers[_TRIED]

    @property
    def done(self) -> int:
        """How many records were acknowledged."""
        return self.numbers[_DONE]

    def note_time(self, nanoseconds: int) -> None:
        """Note how long a push took."""
        self.numbers[_COUNTS + int(4 * math.log2(nanoseconds + 1))] += 1
        self.numbers[_SLOWEST] = max(self.numbers[_SLOWEST], nanoseconds)


class Place(NamedTuple):
    """Where a storm happens."""

    collection: Path
    ledgers: Path
    failures: Path
    stop: Path
    go: Path


def fields_of(life: int, i: int) -> dict[str, Any]:
    """The i-th record of a life."""
    fields: dict[str, Any] = {"life": life, "i": i, "x": (life * 31 + i) / 8}
    if i % 5 == 0:
        fields["text"] = f"{life}/{i} " * (i // 5 % 6)
    if i % 97 == 0:
        fields[f"key {i // 97 % 6}"] = i
    if i % 3 == 1:
        fields[f"key {6 + i % 41}"] = i / 4
        fields[f"key of a long name {i % 43}"] = [f"{i} " * (i % 9), None][i % 2]
    return fields


def log(recorder: Recorder, place: Place, life: int, seconds: float, *, is_mapped: bool) -> None:
    """Push records in bursts, for a while, and note each."""
    ledger = Ledger(place.ledgers, life)
    ledger.numbers[_PID] = os.getpid()
    dice = random.Random(life)
    end = time.monotonic() + seconds
    while time.monotonic() < end and not place.stop.exists():
        for _ in range(dice.randrange(1, 40)):
            i = ledger.tried
            fields = fields_of(life, i)
            ledger.numbers[_TRIED] = i + 1
            before = time.perf_counter_ns()
            recorder.push(fields)
            ledger.note_time(time.perf_counter_ns() - before)
            if is_mapped:
                ledger.numbers[_DONE] = i + 1
        if not is_mapped:
            recorder._store.flush()  # type: ignore[union-attr]
            ledger.numbers[_DONE] = ledger.tried
        time.sleep(dice.random() / 5)


# --- kinds of writers -----------------------------------------------------------------------------


def settle_tables(life: int) -> bool:
    """Choose small or usual live tables, and where live rows are; whether that is mapped files."""
    if life // WORKERS % 2:
        make_small(setattr, rows=256)
    is_mapped = life // WORKERS % 4 != 3
    if not is_mapped:
        backend.is_safe_to_map = lambda _: False  # type: ignore[assignment]
    return is_mapped


def below(pickled: bytes, place: Place, life: int, seconds: float) -> None:
    """Log below a recorder that another process made."""
    is_mapped = settle_tables(life)
    above: Recorder = pickle.loads(pickled)
    log(above.child(below=life), place, life, seconds, is_mapped=is_mapped)


def on_its_own(_top: bytes, place: Place, life: int, seconds: float) -> None:
    """Log an experiment of its own, with episodes, what is known late, and an error at times."""
    is_mapped = settle_tables(life)
    while not place.go.exists():
        time.sleep(0.001)
    with ExperimentCollection(place.collection, quiet=True) as collection:
        try:
            with collection.new_experiment(own=life) as experiment:
                log(experiment.child(episode=1), place, life, seconds, is_mapped=is_mapped)
                experiment["late"] = life
                if life % 3 == 0:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass


def forking(_top: bytes, place: Place, life: int, seconds: float) -> None:
    """Fork workers while a thread of its own pushes."""
    is_mapped = settle_tables(life)
    with ExperimentCollection(place.collection, quiet=True) as collection:
        with collection.new_experiment(own=life) as experiment:
            thread = threading.Thread(
                target=log,
                args=(experiment, place, life, seconds),
                kwargs={"is_mapped": is_mapped},
            )
            thread.start()
            context = multiprocessing.get_context("fork")
            workers = []
            for worker in range(1, WORKERS):
                child = experiment.child(below=life + worker)
                work = (child, place, life + worker, seconds / 2)
                workers.append(
                    context.Process(target=log, args=work, kwargs={"is_mapped": is_mapped})
                )
                workers[-1].start()
            for each in workers:
                each.join()
            thread.join()


def with_joblib(top: bytes, place: Place, life: int, seconds: float) -> None:
    """Log in workers of joblib, below a recorder of another process."""
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor

    lives = range(life, life + 2)
    # Workers of one that is killed would wait for five minutes for more.
    parallel = Parallel(n_jobs=2, backend="loky", idle_worker_timeout=2)
    parallel(delayed(below)(top, place, each, seconds / 2) for each in lives)
    get_reusable_executor().shutdown()  # joblib's workers would wait for more


class Examples:
    """A data set of torch whose examples log that they were loaded."""

    def __init__(self, top: bytes, place: Place, life: int, seconds: float) -> None:
        self._arguments = top, place, life, seconds

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:
        top, place, life, seconds = self._arguments
        below(top, place, life + index, seconds)
        return index


def with_torch(top: bytes, place: Place, life: int, seconds: float) -> None:
    """Log in workers of a DataLoader, and in processes of torch.multiprocessing."""
    import torch.multiprocessing
    from torch.utils.data import DataLoader

    examples: Any = Examples(top, place, life, seconds / 2)
    list(DataLoader(examples, num_workers=2, batch_size=1))
    torch.multiprocessing.spawn(worker_of_torch, (top, place, life, seconds / 2), nprocs=2)


def worker_of_torch(number: int, top: bytes, place: Place, life: int, seconds: float) -> None:
    """Log as one process of torch.multiprocessing."""
    below(top, place, life + 2 + number, seconds)


# --- readers and carers ---------------------------------------------------------------------------


def acknowledged(place: Place) -> dict[int, int]:
    """For each life how many records were acknowledged by now."""
    return {int(path.name): Ledger(place.ledgers, int(path.name)).done
            for path in place.ledgers.iterdir()}  # fmt: skip


def check_counts(least: dict[int, int], found: Iterator[tuple[int, int, int, int]]) -> None:
    """Every life's records are those from 0 on, each once, and none that was acknowledged lacks."""
    seen = {}
    for life, count, different, last in found:
        assert count == different == last + 1, (life, count, different, last)
        seen[life] = count
    lacking = {life: (count, seen.get(life)) for life, count in least.items()
               if count > seen.get(life, 0)}  # fmt: skip
    assert not lacking, lacking


def reading(_top: bytes, place: Place, life: int, seconds: float) -> None:
    """Read everything again and again: with SQL, Polars and row by row."""
    collection = ExperimentCollection(place.collection, quiet=True)
    end = time.monotonic() + seconds
    query = "SELECT life, count(*), count(DISTINCT i), max(i) FROM records GROUP BY life"
    import polars as pl

    while time.monotonic() < end and not place.stop.exists():
        least = acknowledged(place)
        # A relation is read later than it is made: files may be merged away in between.
        with contextlib.suppress(duckdb.IOException):
            check_counts(least, iter(collection.sql(query).fetchall()))
        lives = [each for each in least if least[each]]
        if not lives:
            continue
        frame = collection.records.to_polars(lazy=True).group_by("life").agg(
            pl.len(), pl.col("i").n_unique().alias("different"), pl.col("i").max().alias("last")
        ).collect()  # fmt: skip
        check_counts(least, frame.iter_rows())
        chosen = random.choice(lives)
        for number, row in enumerate(collection.records.where(life=chosen)):
            if number == 500:
                break
            expected = fields_of(chosen, number)
            assert {key: row[key] for key in expected} == expected


def caring(_top: bytes, place: Place, life: int, seconds: float) -> None:
    """Compact, and verify."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not place.stop.exists():
        collection = ExperimentCollection(place.collection, quiet=True)
        if life // WORKERS % 3:
            collection.compact()
        else:
            problems = collection.verify()
            assert not problems, problems
        time.sleep(1)


Kind = Callable[[bytes, Place, int, float], None]


def run(kind: Kind, top: bytes, place: Place, life: int, seconds: float) -> None:
    """Do what a process is for; what goes wrong in it is recorded."""
    faulthandler.register(signal.SIGUSR1, file=sys.__stderr__, all_threads=True)
    warnings.simplefilter("ignore", DeprecationWarning)
    sys.stderr = io.StringIO()  # experiments that end with an error say so
    try:
        kind(top, place, life, seconds)
    except BaseException:
        (place.failures / str(life)).write_text(f"{kind.__name__}\n{traceback.format_exc()}")
        raise


# --- the storm ------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What came of a storm."""

    seconds: float = 0.0
    processes: int = 0
    kills: int = 0
    records: int = 0
    experiments: int = 0
    lost: int = 0
    doubled: int = 0
    changed: int = 0
    #: Of acknowledged records at most so many more are there: their push was interrupted.
    unacknowledged: int = 0
    slowest: float = 0.0
    usual: float = 0.0
    skipped: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        us = self.usual * 1e6
        lines = (
            f"{self.seconds:.0f} s, {self.processes} processes, {self.kills} killed",
            f"{self.experiments} experiments, {self.records:,} records acknowledged",
            f"lost {self.lost}, doubled {self.doubled}, changed {self.changed}",
            f"{self.unacknowledged} more were there, of pushes that were killed",
            f"slowest push {self.slowest * 1e3:.1f} ms, of 1,000 all but one within {us:,.0f} us",
        )
        return "\n".join([*lines, *self.skipped, *(f"FAILED: {each}" for each in self.failures)])


class _Running(NamedTuple):
    process: BaseProcess
    life: int
    kind: Kind


class _Storm:
    def __init__(self, where: Path, writers: int, seconds: float, seed: int) -> None:
        self.place = Place(
            where / "storm.collection", where / "ledgers", where / "failures", where / "stop",
            where / "go",
        )  # fmt: skip
        self.place.ledgers.mkdir()
        self.place.failures.mkdir()
        self._seconds = seconds
        #: How likely a kill is at each look: five in ten seconds.
        self._danger = 0.05
        self._dice = random.Random(seed)
        self._life = WORKERS
        self._running: list[_Running] = []
        self.killed: dict[int, float] = {}
        self.outcome = Outcome()
        usual: list[Kind] = [on_its_own, below, on_its_own, forking, below]
        self._kinds: list[Kind] = []
        for package, kind in (("joblib", with_joblib), ("torch", with_torch)):
            if importlib.util.find_spec(package):
                self._kinds.append(kind)
            else:
                self.outcome.skipped.append(f"NO {package} HERE, its workers are not tested")
        while len(self._kinds) < writers:
            self._kinds.append(usual[len(self._kinds) % len(usual)])

    def rage(self) -> Outcome:
        """Let it happen, then check what is there."""
        with ExperimentCollection(self.place.collection, quiet=True) as collection:
            with collection.new_experiment(own=0) as experiment:
                experiment.sync()
                top = pickle.dumps(experiment)
                pusher = threading.Thread(
                    target=log,
                    args=(experiment, self.place, 0, math.inf),
                    kwargs={"is_mapped": True},
                )
                pusher.start()
                try:
                    self._rage(top)
                finally:
                    self.place.stop.touch()
                    pusher.join()
            self._end()
        self._check()
        return self.outcome

    def _rage(self, top: bytes) -> None:
        begin = time.monotonic()
        end = begin + self._seconds
        for kind in (*self._kinds, reading, reading, caring, caring, caring):
            self._start(kind, top)
        self.place.go.touch()
        while time.monotonic() < end and not self.outcome.failures:
            time.sleep(self._dice.random() / 5)
            self._look_after(top)
            if self._dice.random() < self._danger:
                self._kill(self._dice.choice(self._running))
        self.outcome.seconds = time.monotonic() - begin

    def _start(self, kind: Kind, top: bytes) -> None:
        life, self._life = self._life, self._life + WORKERS
        is_foreign = kind in {with_joblib, with_torch}
        start = "spawn" if is_foreign or self._dice.random() < 0.2 else "fork"
        context: Any = multiprocessing.get_context(start)
        lasts = self._dice.uniform(0.1, 1) * min(60.0, self._seconds)
        process = context.Process(target=run, args=(kind, top, self.place, life, lasts))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside a thread
            process.start()
        self._running.append(_Running(process, life, kind))
        self.outcome.processes += 1

    def _look_after(self, top: bytes) -> None:
        for each in self._running[:]:
            if not each.process.is_alive():
                self._bury(each)
                self._start(each.kind, top)

    def _bury(self, each: _Running) -> None:
        self._running.remove(each)
        each.process.join()
        if each.process.exitcode != 0 and each.life not in self.killed:
            path = self.place.failures / str(each.life)
            told = path.read_text() if path.exists() else ""
            self.outcome.failures.append(
                f"{each.kind.__name__} {each.life} ended with {each.process.exitcode}\n{told}"
            )

    def _kill(self, each: _Running) -> None:
        self.killed.setdefault(each.life, time.time())
        each.process.kill()
        each.process.join()
        self.outcome.kills += 1

    def _end(self) -> None:
        """Wait for all, also for workers of those that were killed."""
        patience = time.monotonic() + PATIENCE
        for each in self._running[:]:
            each.process.join(max(0.1, patience - time.monotonic()))
            if each.process.is_alive():
                self.outcome.failures.append(f"{each.kind.__name__} {each.life} is stuck")
                os.kill(each.process.pid or 0, signal.SIGUSR1)
                time.sleep(1)
                self._kill(each)
            self._bury(each)
        for life in acknowledged(self.place):
            pid = Ledger(self.place.ledgers, life).numbers[_PID]
            while pid not in {0, os.getpid()} and is_there(pid) and time.monotonic() < patience:
                time.sleep(0.05)

    def _check(self) -> None:
        collection = ExperimentCollection(self.place.collection, quiet=True)
        collection.compact()
        problems = collection.verify()
        if problems:
            self.outcome.failures.append(f"verify: {problems}")
        table = collection.records.to_arrow().combine_chunks().sort_by(
            [("life", "ascending"), ("i", "ascending")]
        )  # fmt: skip
        lives = table["life"].to_numpy()
        counts = np.zeros(_BUCKETS, np.int64)
        for path in self.place.ledgers.iterdir():
            ledger = Ledger(self.place.ledgers, int(path.name))
            first, stop = np.searchsorted(lives, [ledger.life, ledger.life + 1])
            self._check_life(ledger, table.slice(first, stop - first))
            counts += np.array(ledger.numbers[_COUNTS:])
            self.outcome.slowest = max(self.outcome.slowest, ledger.numbers[_SLOWEST] / 1e9)
        many = np.searchsorted(np.cumsum(counts), 0.999 * counts.sum())
        self.outcome.usual = float(2 ** ((many + 1) / 4)) / 1e9
        self._check_numbers(list(collection.experiments))

    def _check_life(self, ledger: Ledger, rows: pa.Table) -> None:
        found = rows["i"].to_pylist()
        self.outcome.records += ledger.done
        self.outcome.lost += len(set(range(ledger.done)) - set(found))
        self.outcome.doubled += len(found) - len(set(found))
        self.outcome.unacknowledged += max(0, len(set(found)) - ledger.done)
        keys = [key for key in fields_of(ledger.life, 0) if key in rows.column_names]
        for row in rows.select(
            [*keys, *(k for k in rows.column_names if k[:4] == "key ")]
        ).to_pylist():
            expected = fields_of(ledger.life, row["i"])
            is_same = all(row[key] == expected.get(key) for key in row)
            self.outcome.changed += not (is_same and row["i"] < ledger.tried)
        if len(rows) and rows["experiment_number"].null_count:
            self.outcome.failures.append(f"life {ledger.life} has records without what is above")

    def _check_numbers(self, experiments: list[Any]) -> None:
        """No two experiments that ran at the same time have one number."""
        self.outcome.experiments = len(experiments)
        by_number: dict[int, list[Any]] = {}
        for each in experiments:
            by_number.setdefault(each["experiment_number"], []).append(each)
        for number, same in by_number.items():
            same.sort(key=lambda each: each["experiment_start_time"])
            for one, next_one in itertools.pairwise(same):
                end = one["experiment_end_time"] or self.killed.get(one["own"], math.inf)
                if next_one["experiment_start_time"] < end:
                    self.outcome.failures.append(f"number {number} twice: {one}, {next_one}")


def is_there(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def storm(where: Path, *, writers: int, seconds: float, seed: int = 0) -> Outcome:
    """Rage in an empty folder for so long, with so many writers at a time."""
    return _Storm(where, writers, seconds, seed).rage()


def main() -> None:
    """Rage as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--writers", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as where:
        outcome = storm(
            Path(where), writers=given.writers, seconds=60 * given.minutes, seed=given.seed
        )
    sys.stdout.write(f"{outcome}\n")
    sys.exit(bool(outcome.failures or outcome.lost or outcome.doubled or outcome.changed))


if __name__ == "__main__":
    # What processes are given must be found by the module's name.
    importlib.import_module("tests.faults.storm").main()
