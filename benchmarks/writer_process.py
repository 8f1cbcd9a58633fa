"""A process that logs and reports how much memory it held: ``writer_process.py FOLDER NODES EACH``.

Prints one JSON object: for each part of the run the resident bytes, and the seconds it took.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

import psutil

from rigorous_recorder import ExperimentCollection

__all__ = ["main"]

MARKS = (0.1, 0.5, 1.0)


def main(folder: Path, nodes: int, each: int) -> None:
    """Log ``each`` records to each of ``nodes`` recorders, one recorder after the other."""
    held = psutil.Process().memory_info
    noise, start = random.random, time.perf_counter()
    resident = {"start": held().rss}
    marks = {int(mark * nodes * each): f"{mark:.0%}" for mark in MARKS}
    done, marked = 0, min(marks)
    collection = ExperimentCollection(folder / "study", quiet=True)
    with collection.new_experiment() as experiment:
        for node in range(nodes):
            recorder = experiment.child(episode=node)
            for index in range(each):
                recorder.push(index=index, loss=noise())
                done += 1
                if done == marked:
                    resident[marks.pop(done)] = held().rss
                    marked = min(marks, default=0)
    logged = time.perf_counter() - start
    collection.close()
    resident["closed"] = held().rss
    json.dump({"resident": resident, "seconds": logged}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
