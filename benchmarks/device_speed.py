"""Measure what logging costs a training on a GPU, which may not wait for a number.

Run it with ``python benchmarks/device_speed.py [--steps N] [--rounds N]``; it needs torch and a GPU.
A network is trained step by step, and each step logs its number and three scalars that are on the
GPU: the loss, the accuracy, and the gradient's norm. The seconds are those until the GPU is done and
all records are synced. Contenders take turns; a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from machine import print_machine
from rigorous_recorder import ExperimentCollection, Recorder
from tables import median_ratio, print_table
from turns import seconds

DEVICE: Final = torch.device("cuda")


class Size(NamedTuple):
    """How much the GPU has to do in each step."""

    label: str
    width: int
    batch: int


SIZES: Final = (
    Size("a small network, for which Python is the slower one", 128, 64),
    Size("a large network, for which the GPU is the slower one", 4096, 4096),
)


class Step(NamedTuple):
    """What a step of the training knows of itself, all of it still on the GPU."""

    loss: Any
    accuracy: Any
    norm: Any


class Training:
    """A network that is trained on noise."""

    def __init__(self, size: Size) -> None:
        width = size.width
        layers = [torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, 10)]
        self._model = torch.nn.Sequential(*layers).to(DEVICE)
        self._optimizer = torch.optim.SGD(self._model.parameters(), lr=1e-3)
        self._inputs = torch.randn(size.batch, width, device=DEVICE)
        self._labels = torch.randint(10, (size.batch,), device=DEVICE)

    def step(self) -> Step:
        """One step, without waiting for it."""
        self._optimizer.zero_grad()
        outputs = self._model(self._inputs)
        loss = torch.nn.functional.cross_entropy(outputs, self._labels)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        return Step(loss.detach(), (outputs.argmax(1) == self._labels).float().mean(), norm)


Way = Callable[[Training, int, Recorder], None]


def nothing(training: Training, steps: int, _recorder: Recorder) -> None:
    """Log nothing."""
    for _ in range(steps):
        training.step()


def stacked(training: Training, steps: int, _recorder: Recorder) -> None:
    """Keep the tensors in a list, and fetch them at the end, as one would by hand."""
    steps_of = [torch.stack(training.step()) for _ in range(steps)]
    torch.stack(steps_of).tolist()


def tensors(training: Training, steps: int, recorder: Recorder) -> None:
    """Push the tensors."""
    for number in range(steps):
        loss, accuracy, norm = training.step()
        recorder.push(step=number, loss=loss, accuracy=accuracy, norm=norm)


def items(training: Training, steps: int, recorder: Recorder) -> None:
    """Fetch each number first, as most loggers do."""
    for number in range(steps):
        loss, accuracy, norm = training.step()
        recorder.push(step=number, loss=loss.item(), accuracy=accuracy.item(), norm=norm.item())


WAYS: Final[dict[str, Way]] = {
    "nothing is logged": nothing,
    "`torch.stack` into a list, fetched at the end": stacked,
    "`push(loss=loss, ...)`": tensors,
    "`push(loss=loss.item(), ...)`": items,
}
"""The first one is what the others are compared with."""


def run(way: Way, training: Training, steps: int, collection: ExperimentCollection) -> None:
    """Train below a new recorder, until all is computed and synced."""
    recorder = collection.recorder.child(steps=steps)
    way(training, steps, recorder)
    torch.cuda.synchronize()
    recorder.sync()


def print_costs(size: Size, steps: int, rounds: int, folder: Path) -> None:
    """Print what each way to log adds to a step."""
    training = Training(size)
    with ExperimentCollection(folder / str(size.width), quiet=True) as collection:
        runs = {name: partial(run, way, training, steps, collection) for name, way in WAYS.items()}
        for each in runs.values():
            each()
        times: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(rounds):
            for name, each in runs.items():
                times[name].append(seconds(each))
    base = times[next(iter(WAYS))]
    rows = []
    for name, found in times.items():
        extra = sorted(1e6 * (a - b) / steps for a, b in zip(found, base, strict=True))
        middle = extra[len(extra) // 2]
        rows.append([name, f"{median_ratio(found, base):.2f}", f"{middle:,.0f}"])
    print_table(size.label, ["each step", "to nothing", "µs more a step"], rows)


def main() -> None:
    """Read the command line and print a table for each size."""
    parser = argparse.ArgumentParser(description="What logging costs a training on a GPU.")
    parser.add_argument("--steps", type=int, default=1000, help="steps of a run")
    parser.add_argument("--rounds", type=int, default=9, help="rounds; each has all contenders")
    arguments = parser.parse_args()
    print_machine()
    print(f"torch {torch.__version__}, {torch.cuda.get_device_name()}")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            print_costs(size, arguments.steps, arguments.rounds, Path(folder))


if __name__ == "__main__":
    main()
