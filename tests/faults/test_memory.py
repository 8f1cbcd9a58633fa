"""No memory left: the system kills the process, or refuses it more; nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection

ROOT = Path(__file__).parents[2]
LIMIT = 400 << 20  # bytes

#: Logs, and takes more and more memory meanwhile; the arguments: the folder, and who counts it.
GREEDY = """
import os, sys
from pathlib import Path
if sys.argv[2]:
    Path(sys.argv[2]).write_text(str(os.getpid()))
from rigorous_recorder import ExperimentCollection
collection, taken = ExperimentCollection(sys.argv[1]), []
with collection.new_experiment(lr=0.1) as experiment:
    for i in range(10**9):
        experiment.push(i=i, text=f"record {i} " * (i % 9))
        os.write(1, b"%d\\n" % i)
        if i % 100 == 99:
            taken.append(os.urandom(8 << 20))
"""

#: Logs where not even the next live table can be had, then where it can; the argument: the folder.
HUNGRY = """
import os, resource, sys, warnings
from rigorous_recorder import ExperimentCollection
import rigorous_recorder._live.table as live_table
live_table.MOST_ROWS = 1024
warnings.simplefilter("ignore")
collection = ExperimentCollection(sys.argv[1])
with collection.new_experiment(lr=0.1) as experiment:
    experiment.push(i=0, text="", **{"key 0": 0})  # so that some more fit in what there is
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used, before[1]))
    refused, done = 0, []
    for i in range(1, 8_000):
        try:
            experiment.push(i=i, text=f"record {i} " * (i % 9), **{f"key {i // 800}": i})
            done.append(i)
        except MemoryError:
            refused += 1
    resource.setrlimit(resource.RLIMIT_AS, before)
    print(refused, *done)
collection.close()
"""


@pytest.fixture
def group(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A control group of little memory: the system kills what takes more."""
    name = f"rigorous-test-{os.getpid()}"
    for top, limit in (
        (Path("/sys/fs/cgroup"), "memory.max"),
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
    ):
        made = top / name
        try:
            made.mkdir()
        except OSError:
            continue
        try:
            if not (made / limit).exists():
                continue
            (made / limit).write_text(str(LIMIT))
            swap = made / "memory.swap.max"
            if swap.exists():
                swap.write_text("0")
            yield made
            return
        finally:
            made.rmdir()
    pytest.skip("NO CONTROL GROUP CAN BE MADE HERE, a kill for lack of memory is not tested")


def times_killed(group: Path) -> int:
    told = "memory.events" if (group / "memory.events").exists() else "memory.oom_control"
    said = dict(line.split() for line in (group / told).read_text().splitlines())
    return int(said["oom_kill"])


def test_a_process_that_is_killed_for_lack_of_memory(tmp_path: Path, group: Path) -> None:
    """What was pushed until the system killed it is there, once."""
    command = [sys.executable, "-c", GREEDY, str(tmp_path / "study"), str(group / "cgroup.procs")]
    died = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=120)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert times_killed(group) == 1
    reported = died.stdout.count(b"\n")
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    rows = list(collection.records)
    assert [row["i"] for row in rows] == list(range(len(rows)))
    assert reported <= len(rows) <= reported + 1
    assert all(row["text"] == f"record {row['i']} " * (row["i"] % 9) for row in rows)
    assert collection.verify() == []


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_pushes_where_no_more_memory_can_be_had(tmp_path: Path) -> None:
    """A push is refused, or its record is stored; with memory again all goes on."""
    command = [sys.executable, "-c", HUNGRY, str(tmp_path / "study")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    refused, *pushed = map(int, done.stdout.split())
    sys.stdout.write(f"{refused} refused, {len(pushed)} kept\n")
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    rows = list(collection.records)
    assert [row["i"] for row in rows] == [0, *pushed]
    assert refused + len(pushed) == 7_999
    assert refused
    assert pushed
    assert all(row["text"] == f"record {row['i']} " * (row["i"] % 9) for row in rows)
    assert collection.verify() == []
