"""Studies whose size on disk is measured: who their nodes are, and the records in order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from rigorous_recorder import ExperimentCollection, Recorder

__all__ = ["SHAPES", "Shape"]

Records = Iterator[tuple[dict[str, Any], dict[str, Any]]]
"""For each record, the data of its node (one dict object a node), and its own fields."""


class Shape(NamedTuple):
    """One study; ``records(scale)`` makes the same records at each call."""

    label: str
    records: Callable[[float], Records]

    def log(self, path: Path, scale: float) -> None:
        """Log all records into a collection, and close it."""
        collection = ExperimentCollection(path, quiet=True)
        with collection.new_experiment() as experiment:
            recorders: dict[int, Recorder] = {}
            for node, fields in self.records(scale):
                recorder = recorders.get(id(node))
                if recorder is None:
                    recorder = recorders[id(node)] = experiment.child(node)
                recorder.push(fields)
        collection.close()

    def table(self, scale: float, *, is_flat: bool) -> pa.Table:
        """The leaf data alone; where it is flat, with the data of its node in every row."""
        columns: dict[str, list[Any]] = {}
        count = 0
        for count, (node, fields) in enumerate(self.records(scale)):
            for key, value in {**(node if is_flat else {}), **fields}.items():
                column = columns.setdefault(key, [])
                column.extend([None] * (count - len(column)))
                column.append(value)
        for column in columns.values():
            column.extend([None] * (count + 1 - len(column)))
        return pa.table(columns)


def points(scale: float) -> Records:
    """30 episodes, each of 100,000 points of two random doubles."""
    noise = random.Random(0).random
    nodes = [{"episode": episode} for episode in range(30)]
    for node in nodes:
        for _ in range(int(100_000 * scale)):
            yield node, {"x": noise(), "y": noise()}


def readme_study(scale: float) -> Records:
    """The study of the README: two models that take turns in training, then in testing."""
    noise = random.Random(0).random
    training = [{"model": f"model{model}", "training": True} for model in (1, 2)]
    testing = [{"model": f"model{model}", "testing": True} for model in (1, 2)]
    for index in range(int(100_000 * scale)):
        for node in training:
            yield node, {"index": index, "loss": noise()}
    for index in range(int(500 * scale)):
        for node in testing:
            yield node, {"index": index, "accuracy": noise()}


def reinforcement(scale: float) -> Records:
    """5,000 episodes of 100 steps: a counter, few rewards, a linear decay, 4 actions."""
    chance = random.Random(0)
    episodes = int(5_000 * scale)
    nodes = [{"episode": episode, "seed": chance.getrandbits(32)} for episode in range(episodes)]
    for episode, node in enumerate(nodes):
        epsilon = max(0.05, 1 - episode / (0.9 * episodes))
        for index in range(100):
            reward = chance.choice([-1.0, 0.0, 0.25, 1.0, 10.0])
            fields = {"index": index, "reward": reward, "action": chance.randrange(4)}
            yield node, {**fields, "epsilon": epsilon}


SHAPES = (
    Shape("30 nodes, two random doubles a record", points),
    Shape("the README's study", readme_study),
    Shape("reinforcement learning, 100 records a node", reinforcement),
)
