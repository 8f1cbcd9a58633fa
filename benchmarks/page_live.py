"""Five runs that log ten records a second each: ``python page_live.py TOOL FOLDER SECONDS``."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

RUNS, RATE = 5, 10
#: Logs the loss and accuracy of a run at a step.
Log = Callable[[int, int, float, float], None]


def ours(folder: Path, stack: ExitStack) -> Log:
    """Runs of a collection."""
    from rigorous_recorder import ExperimentCollection

    collection = stack.enter_context(ExperimentCollection(folder / "study", quiet=True))
    runs = [stack.enter_context(collection.new_experiment(seed=each)) for each in range(RUNS)]
    return lambda run, step, loss, accuracy: runs[run].push(step=step, loss=loss, accuracy=accuracy)


def tensorboard(folder: Path, stack: ExitStack) -> Log:
    """Event files."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    runs = [EventFileWriter(str(folder / f"run{each}"), flush_secs=1) for each in range(RUNS)]
    for each in runs:
        stack.callback(each.close)

    def log(run: int, step: int, loss: float, accuracy: float) -> None:
        values = [Summary.Value(tag="loss", simple_value=loss)]
        values.append(Summary.Value(tag="accuracy", simple_value=accuracy))
        summary = Summary(value=values)
        runs[run].add_event(Event(wall_time=time.time(), step=step, summary=summary))
        runs[run].flush()

    return log


def trackio(folder: Path, stack: ExitStack) -> Log:
    """Runs of a project, written as its own logger's server does, once a record."""
    del stack
    os.environ["TRACKIO_DIR"] = str(folder / "trackio")
    from trackio.sqlite_storage import SQLiteStorage

    def log(run: int, step: int, loss: float, accuracy: float) -> None:
        rows = [{"loss": loss, "accuracy": accuracy}]
        SQLiteStorage.bulk_log("study", f"run{run}", rows, [step])

    return log


def mlflow(folder: Path, stack: ExitStack) -> Log:
    """Runs in a database."""
    del stack
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    number = client.create_experiment("study")
    runs = [client.create_run(number).info.run_id for _ in range(RUNS)]

    def log(run: int, step: int, loss: float, accuracy: float) -> None:
        now = int(time.time() * 1_000)
        values = {"loss": loss, "accuracy": accuracy}
        metrics = [Metric(name, value, now, step) for name, value in values.items()]
        client.log_batch(runs[run], metrics=metrics)

    return log


TOOLS = {"ours": ours, "tensorboard": tensorboard, "trackio": trackio, "mlflow": mlflow}


def main() -> None:
    """Log until the time is over."""
    with ExitStack() as stack:
        log = TOOLS[sys.argv[1]](Path(sys.argv[2]), stack)
        start = time.monotonic()
        for step in range(int(float(sys.argv[3]) * RATE)):
            for run in range(RUNS):
                log(run, step, random.random() / (1 + step), random.random())
            if step == RATE - 1:
                print("logging", flush=True)
            time.sleep(max(0.0, start + (step + 1) / RATE - time.monotonic()))


if __name__ == "__main__":
    main()
