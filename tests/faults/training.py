"""A training process that reports every record whose push returned, and ends as it is told to.

Run as a module with one argument, the JSON of a ``Plan``. Every report is one line with the index
of a record, written to standard output without a buffer.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Iterator
from typing import Any, TypedDict

from rigorous_recorder import ExperimentCollection, Recorder

from ..small_tables import make_small


class Plan(TypedDict):
    """What a training process is to do."""

    folder: str
    seed: int
    shape: str
    records: int
    """After how many records it ends."""
    end: str
    """How: kill, term, exit_now, sys_exit, raise, leave_open, go_on (until somebody kills it)."""
    rows: int
    """Rows of a live table before it is sealed; 0 for the usual number."""


def fields_of(shape: str, seed: int, index: int) -> dict[str, Any]:
    """The fields of a record: the same in the process that logs and the one that checks."""
    dice = random.Random(f"{seed}/{index}")
    fields: dict[str, Any] = {"i": index, "loss": dice.random()}
    if shape in {"keys", "mixed"} and index % 7 == 3:
        fields[f"key_{index // 40}"] = dice.randrange(-(2**63), 2**63)
    if shape in {"text", "mixed"}:
        fields["note"] = "ä€\U0001f600x"[index % 4] * dice.randrange(300)
    if shape == "sparse":
        for key in dice.sample(range(300), dice.randrange(4)):
            values = [dice.random(), index, index % 2 == 0, None, "text " * (key % 5), [key, None]]
            fields[f"loss/{key}" if key % 2 else f"the norm of layer {key}"] = dice.choice(values)
        fields |= [{}, {"train": 0.5, "lr": index}, {"eval": "text"}][index % 3]
    if shape == "mixed":
        fields["either"] = dice.choice([True, 3, 2.5, "text", None, [1, 2], {"a": 1}, b"\0"])
    return fields


def log(experiment: Recorder, plan: Plan) -> Iterator[int]:
    """Log records, below several recorders, and give the index of each whose push returned."""
    episode = experiment
    for index in range(plan["records"]):
        if index % 50 == 0:
            episode = experiment.child(episode=index // 50)
        episode.push(fields_of(plan["shape"], plan["seed"], index))
        yield index


def main(plan: Plan) -> None:
    """Log until the end that the plan says."""
    if plan["rows"]:
        make_small(setattr, rows=plan["rows"])
    collection = ExperimentCollection(plan["folder"])
    with collection.new_experiment(seed=plan["seed"]) as experiment:
        for index in log(experiment, plan):
            os.write(1, b"%d\n" % index)
        match plan["end"]:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "term":
                os.kill(os.getpid(), signal.SIGTERM)
            case "exit_now":
                os._exit(3)
            case "sys_exit":
                sys.exit(4)
            case "raise":
                raise ValueError("it went wrong")
    # left without close(): Python's exit saves it


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
