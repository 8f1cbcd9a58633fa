"""What a record costs where there are many keys, files and writers, with this build and another in turn.

``key_costs.py [--base PATH] [--rounds N] [--only TEXT]``: PATH is another checkout with an environment
``.venv`` of its own. Each case runs in a process of its own, in rounds, this build and the other one in
turn; a figure is the median. What is not over after ``--limit`` seconds is stopped, and shown as ``-``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import first_cases
import key_cases
from machine import print_machine
from tables import print_table

__all__ = ["main"]

Figures = dict[str, float]

_SCRIPTS: Final = {
    case: script.__file__ for script in (key_cases, first_cases) for case in script.CASES
}


def main() -> None:
    """Print a table of all figures."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--base", type=Path, help="a checkout of another build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="of the cases, those with this text in them")
    parser.add_argument("--limit", type=float, default=600, help="seconds for a case")
    chosen = parser.parse_args()
    pythons = [sys.executable]
    if chosen.base is not None:
        pythons.append(str(chosen.base / ".venv/bin/python"))
    print_machine()
    head = ("figure", "this build", "the other", "ratio")[: 2 if len(pythons) == 1 else 4]
    for case in _SCRIPTS:
        if chosen.only in case:
            print_table(case, head, _rows(pythons, case, chosen.rounds, chosen.limit))


def _rows(pythons: list[str], case: str, rounds: int, limit: float) -> Iterator[tuple[str, ...]]:
    runs: list[list[Figures]] = [[] for _ in pythons]
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for at, (python, found) in enumerate(zip(pythons, runs, strict=True)):
                if not found or found[-1]:  # else it takes too long
                    found.append(_figures(python, case, Path(folder, str(at)), limit))
    for figure in runs[0][0]:
        medians = [_median(found, figure) for found in runs]
        cells = [f"{each:,.3g}" if each is not None else "-" for each in medians]
        yield (figure, *cells, *_ratio(medians))


def _median(found: list[Figures], figure: str) -> float | None:
    values = [each[figure] for each in found if figure in each]
    return statistics.median(values) if values else None


def _ratio(medians: list[float | None]) -> list[str]:
    if len(medians) == 1:
        return []
    ours, theirs = medians
    return [f"{ours / theirs:.3g}" if ours is not None and theirs else "-"]


def _figures(python: str, case: str, folder: Path, limit: float) -> Figures:
    """Of one run; nothing if it took too long."""
    folder.mkdir(exist_ok=True)
    command = [python, _SCRIPTS[case], case, str(folder)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    try:
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, timeout=limit, env=environment
        )
    except subprocess.TimeoutExpired:
        return {}
    found: Figures = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
