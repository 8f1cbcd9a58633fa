"""Shapes of records, from narrow to wide and sparse: what one field of each costs."""

from __future__ import annotations

import gc
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from rigorous_recorder import ExperimentCollection, Recorder

__all__ = ["SHAPES", "Cost", "FieldShape", "measure_fields"]

_KEYS: Final = [f"key_{number}" for number in range(200)]


class FieldShape(NamedTuple):
    """How records are logged below an experiment, and how many fields that are."""

    label: str
    log: Callable[[Recorder, int], int]
    #: Records of a run; multiplied by the scale.
    records: int


class Cost(NamedTuple):
    """Nanoseconds a field: on the caller's side, and until all is sealed."""

    log: float
    whole: float


def measure_fields(shape: FieldShape, scale: float) -> Cost:
    """Log records of a shape into a new folder, and finish the files."""
    with tempfile.TemporaryDirectory() as folder:
        collection = ExperimentCollection(Path(folder, "study"), quiet=True)
        gc.collect()
        with collection.new_experiment() as experiment:
            start = time.perf_counter_ns()
            fields = shape.log(experiment, int(shape.records * scale))
            logged = time.perf_counter_ns()
        collection.close()
        closed = time.perf_counter_ns()
    return Cost((logged - start) / fields, (closed - start) / fields)


def _two_fields(experiment: Recorder, records: int) -> int:
    recorder = experiment.child(model="m1")
    for index, loss in enumerate(_losses(records)):
        recorder.push(index=index, loss=loss)
    return 2 * records


def _with_200_keywords() -> Callable[[Recorder, list[float]], None]:
    """A loop around one call with 200 keywords, which is not written by hand."""
    call = ", ".join(f"{key}=value" for key in _KEYS)
    source = f"def log(recorder, values):\n  for value in values: recorder.push({call})"
    found: dict[str, Any] = {}
    exec(source, found)
    log: Callable[[Recorder, list[float]], None] = found["log"]
    return log


_log_200_keywords: Final = _with_200_keywords()


def _wide(experiment: Recorder, records: int) -> int:
    _log_200_keywords(experiment.child(model="m1"), _losses(records))
    return 200 * records


def _wide_mapping(experiment: Recorder, records: int) -> int:
    recorder = experiment.child(model="m1")
    for loss in _losses(records):
        recorder.push(dict.fromkeys(_KEYS, loss))
    return 200 * records


def _some_of_200(experiment: Recorder, records: int, count: int) -> int:
    recorder = experiment.child(model="m1")
    groups = [_KEYS[start : start + count] for start in range(0, 200, count)]
    for index, loss in enumerate(_losses(records)):
        recorder.push(dict.fromkeys(groups[index % len(groups)], loss))
    return count * records


def _twenty_of_200(experiment: Recorder, records: int) -> int:
    return _some_of_200(experiment, records, 20)


def _two_of_200(experiment: Recorder, records: int) -> int:
    return _some_of_200(experiment, records, 2)


def _many_nodes(experiment: Recorder, records: int) -> int:
    for node in range(records // 10):
        recorder = experiment.child(episode=node)
        for index in range(10):
            recorder.push(index=index, loss=0.5)
    return 2 * records


def _losses(records: int) -> list[float]:
    noise: Iterator[float] = iter(random.random, None)
    return [next(noise) for _ in range(records)]


SHAPES: Final = (
    FieldShape("two fields, as keywords", _two_fields, 1_000_000),
    FieldShape("200 fields, as keywords", _wide, 20_000),
    FieldShape("200 fields, as a dict", _wide_mapping, 20_000),
    FieldShape("20 of 200 keys, as a dict", _twenty_of_200, 100_000),
    FieldShape("2 of 200 keys, as a dict", _two_of_200, 1_000_000),
    FieldShape("a new node for every 10 records of two fields", _many_nodes, 1_000_000),
)
"""The first one is what the others are compared with."""
