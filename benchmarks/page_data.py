"""What the pages are timed on, written with each tool; it runs in the environment of that tool.

Run it with ``python page_data.py TOOL CASE FOLDER``.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["CASES", "SPIKE", "Case"]

#: The value of the one step that a page may not lose.
SPIKE = 100.0


class Case(NamedTuple):
    """How much is logged.

    Attributes:
        title: in words.
        attributes: of each run.
    """

    title: str
    runs: int
    metrics: int
    steps: int
    attributes: int = 2

    def names(self) -> list[str]:
        """The keys."""
        if self.metrics < 100:
            return [f"metric{number}" for number in range(self.metrics)]
        return [f"part{number % 20}/metric{number}" for number in range(self.metrics)]

    def values(self, run: int) -> dict[str, Any]:
        """The values of each key: a falling curve with noise and a spike in the middle."""
        random, steps = np.random.default_rng(run), np.arange(self.steps)
        found = {}
        for name in self.names():
            values = 1 / (1 + steps / 1000) + random.normal(0, 0.05, self.steps)
            values[self.steps // 2] = SPIKE
            found[name] = values
        return found

    def settings(self, run: int) -> dict[str, float]:
        """The attributes of a run."""
        random = np.random.default_rng(run + 10_000)
        return {f"setting{number}": float(random.random()) for number in range(self.attributes)}


CASES = {
    "fifty": Case("50 runs x 2,000 steps x 5 metrics", 50, 5, 2_000),
    "million": Case("1 run x 1,000,000 steps", 1, 1, 1_000_000),
    "ten": Case("10 runs x 100,000 steps x 2 metrics", 10, 2, 100_000),
    "names": Case("2,000 metric names x 20 steps", 1, 2_000, 20),
    "runs": Case("2,000 runs x 10 steps x 2 metrics", 2_000, 2, 10, 10),
    "ten_million": Case("1 run x 10,000,000 steps", 1, 1, 10_000_000),
    "ten_lines": Case("10 runs x 1,000,000 steps", 10, 1, 1_000_000),
    "hundred_million": Case("1 run x 100,000,000 steps", 1, 1, 100_000_000),
    "keys": Case("10,000 metric names x 2 steps", 1, 10_000, 2),
    "many_runs": Case("10,000 runs x 2 steps", 10_000, 1, 2, 10),
    "twenty": Case("10 runs x 1,000 steps x 20 metrics", 10, 20, 1_000),
}


def ours(case: Case, folder: Path) -> None:
    """A collection."""
    from rigorous_recorder import ExperimentCollection

    with ExperimentCollection(folder / "study", quiet=True) as collection:
        for run in range(case.runs):
            with collection.new_experiment(case.settings(run)) as experiment:
                for columns in _parts(case, run):
                    experiment.extend(columns)


def _parts(case: Case, run: int) -> Iterator[dict[str, Any]]:
    """The columns of a run, of at most a million steps at once."""
    if case.steps <= 1_000_000:
        yield {"step": np.arange(case.steps), **case.values(run)}
        return
    part = case._replace(steps=1_000_000)
    for number in range(case.steps // part.steps):
        first = number * part.steps
        yield {"step": np.arange(first, first + part.steps), **part.values(run + number)}


def tensorboard(case: Case, folder: Path) -> None:
    """Event files, a folder a run."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    now = time.time()
    for run in range(case.runs):
        writer = EventFileWriter(str(folder / f"run{run:04}"), max_queue_size=1000)
        for name, values in case.values(run).items():
            for step, value in enumerate(values.tolist()):
                summary = Summary(value=[Summary.Value(tag=name, simple_value=value)])
                writer.add_event(Event(wall_time=now + step, step=step, summary=summary))
        writer.close()


def trackio(case: Case, folder: Path) -> None:
    """A project, in bulk, as its own importers write."""
    os.environ["TRACKIO_DIR"] = str(folder / "trackio")
    from trackio.sqlite_storage import SQLiteStorage

    for run in range(case.runs):
        found, settings = case.values(run), case.settings(run)
        columns = zip(*(values.tolist() for values in found.values()), strict=True)
        rows = [dict(zip(found, row, strict=True)) for row in columns]
        SQLiteStorage.bulk_log(
            "study", f"run{run:04}", rows, list(range(case.steps)), config=settings
        )


def mlflow(case: Case, folder: Path) -> None:
    """A database; runs are made by its client, their values inserted in bulk."""
    from mlflow import MlflowClient

    folder.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    number, now = client.create_experiment("study"), int(time.time() * 1000)
    with sqlite3.connect(folder / "mlflow.db", timeout=60) as base:
        for run in range(case.runs):
            made = client.create_run(number, run_name=f"run{run:04}").info.run_id
            for key, value in case.settings(run).items():
                client.log_param(made, key, value)
            for name, values in case.values(run).items():
                rows = [
                    (name, value, now + step, made, step, False)
                    for step, value in enumerate(values.tolist())
                ]
                base.executemany(
                    "insert into metrics (key, value, timestamp, run_uuid, step, is_nan)"
                    " values (?, ?, ?, ?, ?, ?)",
                    rows,
                )
                base.execute(
                    "insert into latest_metrics (key, value, timestamp, step, is_nan, run_uuid)"
                    " values (?, ?, ?, ?, ?, ?)",
                    (name, rows[-1][1], rows[-1][2], case.steps - 1, False, made),
                )
            base.commit()
            client.set_terminated(made)


TOOLS: dict[str, Callable[[Case, Path], None]] = {
    "ours": ours,
    "tensorboard": tensorboard,
    "trackio": trackio,
    "mlflow": mlflow,
}

if __name__ == "__main__":
    TOOLS[sys.argv[1]](CASES[sys.argv[2]], Path(sys.argv[3]))
