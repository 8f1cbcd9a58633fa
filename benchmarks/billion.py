"""A billion records on one machine: logged by one process, closed, and queried, with peak memory.

Run it with ``python benchmarks/billion.py [--records N] [--folder PATH]``; it takes about ten minutes and
16 GB of disk at full size. Writer and reader are processes of their own, so that each has its own peak.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from machine import print_machine
from rigorous_recorder import ExperimentCollection

RUNS: Final = 1_000
KIB: Final = 1 << 10
BLOCK: Final = 1 << 20
#: The mean by a key of the parent, and a filter on a parent.
MEAN: Final = "SELECT model, avg(loss) AS loss FROM records GROUP BY model ORDER BY model"
FILTER: Final = (
    "SELECT count(*) AS records, max(loss) AS loss FROM records WHERE experiment_number = {}"
)


def log(folder: Path, records: int) -> None:
    """Log the records of all runs, and print what it took."""
    collection = ExperimentCollection(folder, quiet=True)
    noise = random.Random(0).random
    start = time.perf_counter()
    for number in range(RUNS):
        with collection.new_experiment(model=f"model {number % 10}") as experiment:
            push = experiment.push
            for step in range(records // RUNS):
                push(step=step, loss=noise())
    collection.close()
    report(log=time.perf_counter() - start)


def ask(folder: Path) -> None:
    """Ask the two questions in DuckDB and Polars, and print what each took."""
    collection = ExperimentCollection.open(folder, read_only=True)
    questions: dict[str, Callable[[], Any]] = {
        "count": lambda: len(collection.records),
        "mean": lambda: collection.records.sql(MEAN).fetchall(),
        "filter": lambda: collection.records.sql(FILTER.format(RUNS // 2)).fetchall(),
    }
    found: dict[str, Any] = {}
    for name, question in questions.items():
        start = time.perf_counter()
        found[f"{name}: answer"] = str(question())[:100]
        found[name] = time.perf_counter() - start
    report(**found)


def report(**found: Any) -> None:
    """Print figures as JSON, with the peak of this process's memory in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB
    print(json.dumps({**found, "peak": peak, "cpu": time.process_time()}))


def run(step: str, folder: Path, records: int) -> dict[str, Any]:
    """One step in a process of its own."""
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder)]
    done = subprocess.run(
        [*command, "--records", str(records)], check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Log, ask, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--records", type=int, default=1_000_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--step", choices=["log", "ask"])
    chosen = parser.parse_args()
    if chosen.step is not None:
        log(chosen.folder, chosen.records) if chosen.step == "log" else ask(chosen.folder)
        return
    print_machine()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        study = Path(folder, "study")
        print("log", run("log", study, chosen.records))
        sizes = [each.stat().st_size for each in Path(folder).rglob("*") if each.is_file()]
        print(f"{len(sizes)} files, {sum(sizes) / BLOCK:,.0f} MiB")
        print("ask", run("ask", study, chosen.records))


if __name__ == "__main__":
    main()
