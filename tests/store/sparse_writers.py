"""Processes that log records of many shapes from several threads, and what readers must find meanwhile.

Run as a module with one argument, the JSON of a ``Plan``: one of the processes.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypedDict

from rigorous_recorder import ExperimentCollection, Recorder

from ..small_tables import make_small

__all__ = ["THREADS", "Plan", "fields_of", "log", "require_in_order", "values_of"]

THREADS = 2
_VALUES: list[Any] = [0.25, -3, True, None, "text " * 9, [1, {"deep": 2}], ""]


class Plan(TypedDict):
    """What a process is to do."""

    folder: str
    seed: int
    records: int
    """Of each thread, in two attempts at one run."""
    rows: int
    """Of a live table."""
    dense: int
    """How many keys have columns of their own."""


def fields_of(writer: str, n: int) -> dict[str, Any]:
    """The fields of the n-th record of a thread: those of some shape."""
    dice = random.Random(f"{writer}/{n}")
    shape = dice.randrange(8)
    if shape < 4:  # one of many keys with a step
        return {"n": n, "step": n // 9, f"tag/{dice.randrange(60)}": dice.random()}
    if shape < 6:
        keys = dice.sample(range(40), dice.randrange(4))
        return {"n": n, **{f"any {key}": dice.choice(_VALUES) for key in keys}}
    if shape == 6:
        return {"n": n, "loss": dice.random(), "accuracy": n / 2, "is_best": n % 3 == 0}
    return {"n": n, **{f"norm/{layer}": dice.random() for layer in range(25)}}


def values_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a row as they were logged."""
    return {key: row[key] for key in row if not key.startswith(("experiment_", "error_", "had_"))}


def require_in_order(rows: Iterable[Mapping[str, Any]], *, whole: bool = True) -> dict[str, int]:
    """Each thread's rows are there once, in order, as it logged them; how many each has.

    Args:
        whole: whether the first rows are among them.
    """
    found: dict[str, int] = {}
    for row in rows:
        values = values_of(row)
        writer, n = values.pop("writer"), values["n"]
        assert n == found.get(writer, 0 if whole else n), (writer, n, found)
        found[writer] = n + 1
        expected = {k: v for k, v in fields_of(writer, n).items() if v is not None}
        assert values == expected, (writer, n)
        assert list(map(type, values.values())) == [type(expected[key]) for key in values]
    return found


def log(experiment: Recorder, writer: str, numbers: range) -> None:
    recorder = experiment.child(writer=writer)
    for n in numbers:
        recorder.push(fields_of(writer, n))


def _run(plan: Plan) -> None:
    dice = random.Random(plan["seed"])
    make_small(setattr, rows=plan["rows"], dense=plan["dense"])
    collection = ExperimentCollection(plan["folder"], quiet=True)
    number = None
    writers = [f"{plan['seed']}/{thread}" for thread in range(THREADS)]
    for numbers in (range(plan["records"] // 2), range(plan["records"] // 2, plan["records"])):
        is_first = number is None
        with collection.new_experiment() if is_first else collection.resume(number) as experiment:
            number = experiment["experiment_number"]
            with ThreadPoolExecutor(THREADS) as pool:
                works = [pool.submit(log, experiment, writer, numbers) for writer in writers]
                while not all(work.done() for work in works):
                    dice.choice([collection.save, experiment.sync, collection.records.tail])()
            for work in works:
                work.result()
    collection.close()


if __name__ == "__main__":
    _run(json.loads(sys.argv[1]))
