"""What starting costs, with this build and another one in turn.

``starting.py [PYTHON]``: the interpreter of an environment with another build of this library; without
one this build is measured alone. CPU time of whole processes, all threads included, so that a busy
machine is no part of it; the first calls are counted, and need no repeats.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tables import median_ratio, print_table

__all__ = ["main"]

_SMALL: Final = """
import sys
from rigorous_recorder import ExperimentCollection
collection = ExperimentCollection(sys.argv[1])
with collection.new_experiment(lr=0.1, model="m") as recorder:
    for step in range(20):
        recorder.push(step=step, loss=1 / (step + 1))
collection.close()
"""
_MANY: Final = """
import sys
from rigorous_recorder import ExperimentCollection
collection = ExperimentCollection(sys.argv[1])
for run in range(100):
    with collection.new_experiment(lr=0.1, model="m") as recorder:
        for step in range(20):
            recorder.push(step=step, loss=1 / (step + 1))
collection.close()
"""
_PUSHES: Final = """
import sys
from rigorous_recorder import ExperimentCollection
collection = ExperimentCollection(sys.argv[1])
with collection.new_experiment(lr=0.1) as recorder:
    for step in range({rows}):
        recorder.push(step=step, loss=step * 0.5)
collection.close()
"""
_CHILDREN: Final = """
import sys
from rigorous_recorder import ExperimentCollection
collection = ExperimentCollection(sys.argv[1])
with collection.new_experiment(lr=0.1) as recorder:
    for fold in range(50_000):
        recorder.child(fold=fold, name="a")
collection.close()
"""
_COMMAND: Final = "rigorous ls"
_WAYS: Final = {
    "an interpreter that imports nothing": "",
    "`import rigorous_recorder`": "import rigorous_recorder",
    "a process with one experiment of 20 records": _SMALL,
    "one with 100 of them": _MANY,
    "1,000,000 records until closed": _PUSHES.format(rows=1_000_000),
    "3,000,000 records until closed": _PUSHES.format(rows=3_000_000),
    "50,000 `child`": _CHILDREN,
    "`rigorous ls` of the 100 experiments": _COMMAND,
}
_COUNTS: Final = """
import sys
from pathlib import Path
import rigorous_recorder

package = str(Path(rigorous_recorder.__file__).parent)

def calls(call):
    found = []
    def see(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(package):
            found.append(frame)
    sys.setprofile(see)
    try:
        call()
    finally:
        sys.setprofile(None)
    return len(found)

collection = rigorous_recorder.ExperimentCollection(sys.argv[1])
with collection.new_experiment(lr=0.1) as recorder:
    print(
        calls(lambda: recorder.push(step=0, loss=0.5)),
        calls(lambda: recorder.push(step=1, loss=0.5)),
        calls(lambda: recorder.push(step=2, loss=0.5, accuracy=0.1)),
        calls(lambda: recorder.child(fold=1)),
        calls(lambda: recorder.child(fold=2)),
    )
"""
_COUNTED: Final = (
    "first `push`",
    "next `push`",
    "`push` with a new key",
    "first `child`",
    "next `child`",
)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", nargs="?", help="the interpreter with the other build")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="of the ways, those with this text in them")
    chosen = parser.parse_args()
    pythons = [sys.executable, *([chosen.python] if chosen.python else [])]
    with tempfile.TemporaryDirectory() as folder:
        names = ("this", "other", "ratio")[: 3 if chosen.python else 1]
        ways = {way: code for way, code in _WAYS.items() if chosen.only in way}
        rows = [
            [way, *_times(pythons, code, Path(folder), chosen.rounds)] for way, code in ways.items()
        ]
        print_table("CPU time, in milliseconds", ["", *names], rows)
        counts = [_counts(each, Path(folder) / str(at)) for at, each in enumerate(pythons)]
    print_table(
        "Python calls of the library",
        ["", *names[: len(pythons)]],
        [list(row) for row in zip(_COUNTED, *counts, strict=True)],
    )


def _times(pythons: Sequence[str], code: str, folder: Path, rounds: int) -> list[str]:
    """Medians of each, and of the ratio; in each round they take turns, one before warms up."""
    runs: list[list[float]] = [[] for _ in pythons]
    for turn in range(rounds + 1):
        for at, python in enumerate(pythons):
            name = "hundred" if code in {_MANY, _COMMAND} else f"{len(code)}-{turn}"
            spent = 1000 * _cpu_seconds(python, code, folder / f"{name}-{at}")
            runs[at] += [spent] if turn else []
    medians = [f"{statistics.median(found):.0f}" for found in runs]
    return [*medians, f"{median_ratio(*runs):.2f}"] if len(runs) > 1 else medians


def _cpu_seconds(python: str, code: str, collection: Path) -> float:
    """Of a new process that keeps its bytecode, as that of a user does."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    command = [python, "-c", code, str(collection)]
    if code == _COMMAND:
        command = [python, str(Path(python).with_name("rigorous")), "ls", str(collection)]
    process = os.posix_spawn(python, command, environment, file_actions=silent)
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(status)
    return usage.ru_utime + usage.ru_stime


def _counts(python: str, collection: Path) -> list[str]:
    command = [python, "-c", _COUNTS, str(collection)]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()


if __name__ == "__main__":
    main()
