"""Two hosts with one folder, as far as one machine can be two: processes that can't see each other.

In a namespace of its own each process is the first, with the same id, and nobody else's id is known.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection

from . import training
from .training import Plan, fields_of

ROOT = Path(__file__).parents[2]
RECORDS = 400

#: Opens, reads, merges and verifies a collection again and again; says how many run in it.
CARING = """
import os, sys
from rigorous_recorder import ExperimentCollection
print(os.getpid())
for _ in range(2):
    collection = ExperimentCollection(sys.argv[1])
    print(sum(each.status == "running" for each in collection.overview()))
    collection.compact()
    assert collection.verify() == []
    with collection.new_experiment(seed=-1) as experiment:
        experiment.push(i=-1)
    collection.close()
"""


@pytest.fixture(params=["processes", pytest.param("network", marks=pytest.mark.slow)])
def host(request: pytest.FixtureRequest) -> list[str]:
    """What a command is started with, to run on a host of its own."""
    options = {
        "processes": ["--pid", "--fork", "--mount-proc", "--kill-child"],
        "network": ["--net"],
    }
    command = ["unshare", *options[request.param]]
    if shutil.which("unshare") is None:
        pytest.skip("NO unshare COMMAND HERE, two hosts with one folder are not tested")
    tried = subprocess.run([*command, "true"], capture_output=True, check=False, text=True)
    if tried.returncode:
        pytest.skip(f"NO NAMESPACES HERE, two hosts with one folder are not tested: {tried.stderr}")
    return command


@contextmanager
def writer(host: list[str], plan: Plan) -> Iterator[subprocess.Popen[bytes]]:
    """A process on a host of its own that logs until it is told to stop, and reports each record."""
    command = [*host, sys.executable, "-m", training.__name__, json.dumps(plan)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def reported(process: subprocess.Popen[bytes], count: int) -> int:
    """Wait for so many reports."""
    assert process.stdout is not None
    return next(n for n, _ in enumerate(process.stdout, 1) if n == count)


@pytest.mark.slow
def test_a_writer_on_another_host_is_never_presumed_dead(tmp_path: Path, host: list[str]) -> None:
    """Others open, recover, merge and log on their hosts: what runs elsewhere goes on, unharmed."""
    folder = tmp_path / "study"
    plans = [
        Plan(folder=str(folder), seed=seed, shape="mixed", records=10**6, end="go_on", rows=rows)
        for seed, rows in ((0, 64), (1, 0))
    ]
    counts = []
    with ExitStack() as stack:
        writers = [stack.enter_context(writer(host, plan)) for plan in plans]
        counts = [reported(each, 200) for each in writers]
        for where in (host, []):
            command = [*where, sys.executable, "-c", CARING, str(folder)]
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, check=False, text=True, timeout=120
            )
            assert (done.returncode, done.stderr) == (0, "")  # nothing was recovered
            pid, *told = done.stdout.splitlines()
            assert (pid == "1") == ("--pid" in where)
            assert told == ["2"] * 2
            counts = [
                count + reported(each, RECORDS) for count, each in zip(counts, writers, strict=True)
            ]
            assert [each.poll() for each in writers] == [None, None]
    collection = ExperimentCollection(folder, quiet=True)
    for plan, count in zip(plans, counts, strict=True):
        rows = list(collection.records.where(seed=plan["seed"]))
        assert [row["i"] for row in rows] == list(range(len(rows)))
        assert len(rows) >= count
        for i in range(0, len(rows), 7):
            expected = fields_of(plan["shape"], plan["seed"], i)
            assert {key: rows[i][key] for key in expected} == expected
    assert len(collection.records.where(seed=-1)) == 4
    numbers = [row["experiment_number"] for row in collection.experiments]
    assert len(set(numbers)) == len(numbers)
    assert collection.verify() == []


def test_a_writer_that_died_on_another_host_is_recovered(tmp_path: Path, host: list[str]) -> None:
    """Though nobody here could ever see its process."""
    plan = Plan(
        folder=str(tmp_path / "study"), seed=0, shape="plain", records=500, end="exit_now", rows=0
    )
    command = [*host, sys.executable, "-m", training.__name__, json.dumps(plan)]
    died = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60)
    assert died.returncode == 3, died.stderr
    assert died.stdout.count(b"\n") == 500
    rows = list(ExperimentCollection(tmp_path / "study", quiet=True).records)
    assert [row["i"] for row in rows] == list(range(500))
