"""Who comes by another mount may not see a writer's lock: it is not presumed dead, and it goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.errors import DamagedFileWarning

from .mounts import ON_ONE_DEVICE, view

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 60  # seconds
FUSE_SECONDS: Final = 5

#: Logs as many records as each line of its input says, syncs, and reports how many there are.
WRITING: Final = """
import sys
from rigorous_recorder import ExperimentCollection
count = 0
with ExperimentCollection(sys.argv[1], extension="") as collection:
    with collection.new_experiment(lr=0.5) as experiment:
        for line in sys.stdin:
            for count in range(count + 1, count + 1 + int(line)):
                experiment.child(k=count % 7).push(i=count, text=f"text number {count}")
            experiment.sync()
            print(count, flush=True)
"""

#: Opens, reads, merges and verifies a collection, and logs to it; reports how many run in it.
CARING: Final = """
import sys
from rigorous_recorder import ExperimentCollection
with ExperimentCollection(sys.argv[1], extension="") as collection:
    print(sum(each.status == "running" for each in collection.overview()))
    collection.compact()
    assert collection.verify() == []
    with collection.new_experiment() as experiment:
        experiment.push(i=0)
"""

#: By which paths the writer and others come, and the namespaces in which the others are.
WAYS: Final = [
    ("cached", "below", ""), ("merged", "below", ""), ("below", "direct", ""),
    ("below", "cached", ""), ("direct", "below", ""), ("cached", "direct", ""),
    ("direct", "cached", ""), ("cached", "other", ""), ("merged", "cached", ""), ("below", "bind", ""), ("bind", "below", ""), ("below", "link", ""),
    ("link", "bind", ""), ("cached", "cached", ""), ("merged", "merged", ""),
    ("below", "below", "--mount"), ("cached", "cached", "--mount"), ("merged", "merged", "--mount"),
    ("below", "below", "--pid"), ("cached", "below", "--pid"), ("below", "bind", "--mount"),
]  # fmt: skip


def ways(quick: int) -> pytest.MarkDecorator:
    """All of them, of which only the first ones are quick."""
    slow = [pytest.param(*each, marks=pytest.mark.slow) for each in WAYS[quick:]]
    return pytest.mark.parametrize(("mine", "others", "namespace"), [*WAYS[:quick], *slow])


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is unmounted at the end of a test, after all who used it were ended."""
    with ExitStack() as entered:
        yield entered


@pytest.fixture
def below(tmp_path: Path) -> Path:
    """The folder that all the paths lead to."""
    (tmp_path / "below").mkdir()
    return tmp_path / "below"


class Writer:
    """A process that logs when it is told to; one that does not answer is ended."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", WRITING, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
        )
        stack.callback(self.process.kill)

    def log(self, count: int) -> int:
        """Have it log so many records; how many there are then, which are synced."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        watch = threading.Timer(PATIENCE, self.process.kill)
        watch.start()
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        watch.cancel()
        assert answer, f"it did not answer in {PATIENCE} seconds, or died"
        return int(answer)

    def end(self) -> tuple[int, str]:
        """Have it end its experiment; its exit code and what it wrote to stderr."""
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors


def care(folder: Path, namespace: str) -> tuple[str, str]:
    """What another process reports that opens a collection and cares for it, and its stderr."""
    prefix = {"": [], "--mount": ["--mount"], "--pid": ["--pid", "--fork", "--mount-proc"]}
    command = ["unshare", *prefix[namespace]] if namespace else []
    if namespace and shutil.which("unshare") is None:
        pytest.skip("NO unshare COMMAND HERE, namespaces are not tested")
    if namespace and subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("NO NAMESPACES HERE, they are not tested")
    done = subprocess.run(
        [*command, sys.executable, "-c", CARING, str(folder)],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def lock_of(folder: Path) -> Path:
    """The lock of the writer that has a live file."""
    (live,) = {path.name.partition("-")[0] for path in (folder / "live").glob("*.arrow")}
    return folder / "live" / f"{live}.lock"


def silence(folder: Path) -> None:
    """Let a writer's heartbeat be two minutes old, and more."""
    os.utime(lock_of(folder), (1_000, 1_000))


def rows_of(folder: Path) -> list[int]:
    """The records that were logged by the writer, each of which must be whole.

    For a second FUSE has the size of the file that a new one has replaced: such a file is named.
    """
    patience = time.monotonic() + FUSE_SECONDS
    while True:
        try:
            return _rows_of(folder)
        except DamagedFileWarning:
            if time.monotonic() > patience:
                raise
        time.sleep(0.1)


def _rows_of(folder: Path) -> list[int]:
    collection = ExperimentCollection(folder, extension="", quiet=True)
    rows = [dict(row) for row in collection.records if row["i"]]
    assert collection.verify() == []
    for row in rows:
        expected = {"lr": 0.5, "k": row["i"] % 7, "text": f"text number {row['i']}"}
        assert expected.items() <= row.items()
    collection.close()
    return sorted(row["i"] for row in rows)


def locks_meet(mine: str, others: str) -> bool:
    """Whether they see each other's locks."""
    return {mine, others} <= ON_ONE_DEVICE or mine == others


def is_certain(mine: str, others: str, namespace: str) -> bool:
    """Whether they know that: a path has another meaning in another namespace of mounts."""
    return locks_meet(mine, others) and (mine in ON_ONE_DEVICE or namespace != "--mount")


@ways(quick=2)
def test_a_writer_is_not_presumed_dead_by_another_mount(
    below: Path, stack: ExitStack, mine: str, others: str, namespace: str
) -> None:
    """Who can have its lock looks at its heartbeat; one that is silent for long goes on all the same.

    Sealed by others in the middle of its work, it waits for no lock, and loses and doubles nothing.
    """
    folder = view(mine, below, stack) / "study"
    other = view(others, below, stack) / "study"
    writer = Writer(folder, stack)
    writer.log(100)
    lock = lock_of(below / "study")
    held = lock.stat().st_ino
    assert care(other, namespace) == ("1", "")
    assert lock.stat().st_ino == held
    writer.log(2_000)
    assert rows_of(other) == list(range(1, 2_101))

    writer.process.send_signal(signal.SIGSTOP)  # or it would be heard of
    silence(other)
    running, told = care(other, namespace)
    writer.process.send_signal(signal.SIGCONT)
    expected = ("1", False) if locks_meet(mine, others) else ("0", True)
    assert (running, "recovered" in told) == expected
    for _ in range(2):
        count = writer.log(2_000)
        assert rows_of(other) == list(range(1, count + 1))
    assert writer.end() == (0, "")
    for path in (folder, other):
        assert rows_of(path) == list(range(1, count + 1))


@ways(quick=1)
def test_a_killed_writer_is_recovered(
    below: Path, stack: ExitStack, mine: str, others: str, namespace: str
) -> None:
    """At once by who sees its lock; by others when its heartbeat is old, and read until then."""
    other = view(others, below, stack) / "study"
    writer = Writer(view(mine, below, stack) / "study", stack)
    writer.log(100)
    writer.process.kill()
    writer.process.wait(PATIENCE)
    if not is_certain(mine, others, namespace):
        assert care(other, namespace) == ("1", "")
        assert lock_of(below / "study").exists()
        if not locks_meet(mine, others):  # else this process would recover it: it is certain
            assert rows_of(other) == list(range(1, 101))
            assert lock_of(below / "study").exists()
        silence(other)
    running, told = care(other, namespace)
    assert running == "0"
    assert told.startswith("recovered 100 records of a killed process")
    assert rows_of(other) == list(range(1, 101))
    assert list((below / "study" / "live").glob("*.arrow")) == []


def test_an_overlay_reports_what_it_does_not_see(below: Path, stack: ExitStack) -> None:
    """Files that are replaced in its layer are read there as they were: they are left out, and named."""
    merged = view("merged", below, stack) / "study"
    writer = Writer(below / "study", stack)
    writer.log(100)
    assert rows_of(merged) == list(range(1, 101))
    writer.log(2_000)
    with pytest.warns(DamagedFileWarning, match="layer below this overlay"):
        assert list(ExperimentCollection(merged, extension="", quiet=True).records) == []
    assert rows_of(below / "study") == list(range(1, 2_101))
    assert writer.end() == (0, "")
    assert rows_of(merged) == list(range(1, 2_101))
