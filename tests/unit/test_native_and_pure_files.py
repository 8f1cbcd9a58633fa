"""Both backends write the same files, byte for byte; and which backend runs is said, and chosen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip(
    "rigorous_recorder._live.native",
    reason="THE NATIVE TWIN IS NOT TESTED: it was not compiled",
    exc_type=ImportError,
)

PATIENCE = 60

PINNED = """
import itertools, os, signal, sys, time, uuid
clock = itertools.count(1_700_000_000_000_000_000, 1_000_000)
time.time_ns = lambda: next(clock)
time.time = lambda: next(clock) / 1e9
time.clock_gettime = lambda _: time.time()
names = itertools.count(1)
uuid.uuid4 = lambda: uuid.UUID(int=next(names))
os.urandom = lambda count: next(names).to_bytes(count, "big")

import rigorous_recorder
import rigorous_recorder._live.table as live_table
import rigorous_recorder._store.backend as backend
assert rigorous_recorder.native == (sys.argv[1] == "native")
backend._random_writer = lambda: 0xABCD0123
backend.schedule = lambda job: job()  # sealed at once, not by a thread
backend.start_background = lambda: None
if sys.argv[3] == "write-behind":
    backend.is_safe_to_map = lambda folder: False
if sys.argv[4] == "small":
    live_table.FIRST_ROWS, live_table.MOST_ROWS, live_table.FIRST_SPILL = 16, 128, 256
"""

SCRIPT = """
import datetime as dt
import numpy as np

def fields_of(n):
    # Most fit what there is; some are new, of another kind, or too long.
    fields = {"step": n, "loss": n / 3}
    if n % 2:
        fields["flag"] = n % 3 == 0
    if n % 3 == 1:
        fields["note"] = "ä€x"[n % 3] * (n % 37)
    if n % 5 == 2:
        fields["raw"] = bytes(range(n % 31))
    if n % 7 == 3:
        fields |= {"scalar": np.float32(n), "count": np.int64(-n), "yes": np.bool_(n % 2)}
    if n % 11 == 4:
        fields["image"] = np.full((2, 3), n, "float32")
    if n % 13 == 5:
        fields["ragged"] = np.arange(n % 5 + 1)
    if n % 17 == 6:
        fields["json"] = {"a": [n, None, 1.5], "b": "x" * (n % 20)}
    if n % 19 == 7:
        fields["list"] = [n, "x", [True]]
    if n % 23 == 8:
        fields["when"] = dt.datetime(2024, 1, 1) + dt.timedelta(minutes=n)
        fields["day"] = dt.date(2024, 1, 1) + dt.timedelta(days=n)
        fields["instant"] = dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=n)
        fields["span"] = dt.timedelta(seconds=n)
    if n % 29 == 9:
        fields["mixed"] = [None, n, n / 7, "text" * (n % 9), True, b"b" * (n % 40)][n // 29 % 6]
    if n % 100 == 50:
        fields[f"new {n}"] = "x" * n
    return fields

collection = rigorous_recorder.ExperimentCollection(sys.argv[2])
with collection.new_experiment(lr=0.1) as experiment:
    child = experiment
    for n in range(900):
        if n % 150 == 10:
            child = child.child(depth=n, name="x" * (n % 40))
        if n % 4 == 0:
            child.push(**fields_of(n))
        elif n % 4 == 1:
            child.push(fields_of(n))
        elif n % 4 == 2:
            child.add(fields_of(n)).add(last=None).commit()
        else:
            child.push(dict(reversed(fields_of(n).items())), more="m" * (n % 14))
        if n % 200 == 199:
            child.extend({
                "step": np.arange(30),
                "loss": [None, 0.5, *range(28)],
                "note": ["y" * k for k in range(30)],
                "flag": np.arange(30) % 2 == 0,
                "image": np.full((30, 2, 3), n, "float32"),
                "day": [dt.date(2024, 1, 1)] * 30,
            })
        if n % 250 == 249:
            experiment[f"late {n}"] = n
    if sys.argv[5] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[5] == "exit":
        experiment._store.flush()
        os._exit(0)
collection.close()
"""


def run(backend: str, folder: Path, backing: str, size: str, end: str) -> None:
    """Log in a process of its own, with that backend."""
    environment = {**os.environ, "RIGOROUS_RECORDER_PURE": "1" if backend == "pure" else "0"}
    done = subprocess.run(
        [sys.executable, "-c", PINNED + SCRIPT, backend, str(folder), backing, size, end],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    expected = -signal.SIGKILL if end == "kill" else 0
    assert done.returncode == expected, done.stderr


def files_in(folder: Path) -> dict[str, bytes]:
    """All files of a collection, without the locks, and without what a mark has of its lock."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    files = {str(path.relative_to(folder)): path.read_bytes() for path in found}
    for name, content in files.items():
        if name.startswith("live/") and name.endswith(".json"):
            half = len(content) // 2  # two slots, of which the newer one counts
            slots = [json.loads(slot) for slot in (content[:half], content[half:]) if slot.strip()]
            mark = max(slots, key=lambda slot: slot["count"])
            del mark["lock"], mark["checksum"]
            files[name] = json.dumps(mark).encode()
    return files


@pytest.mark.parametrize(
    ("backing", "size", "end"),
    [
        ("mapped", "small", "kill"),
        ("mapped", "usual", "kill"),
        ("write-behind", "small", "exit"),
        ("mapped", "small", "close"),
        ("mapped", "usual", "close"),
    ],
)
def test_both_backends_write_the_same_files(
    tmp_path: Path, backing: str, size: str, end: str
) -> None:
    """Sealed files and, where the process died, live files are equal in every byte."""
    files = {}
    for backend in ("pure", "native"):
        folder = tmp_path / backend / "study.collection"
        folder.parent.mkdir()
        run(backend, folder, backing, size, end)
        files[backend] = files_in(folder)
    pure, native = files["pure"], files["native"]
    assert sorted(pure) == sorted(native)
    assert [name for name in pure if pure[name] != native[name]] == []
    suffixes = {Path(name).suffix for name in pure}
    assert (".parquet" in suffixes) == (size == "small" or end == "close")
    assert (".arrow" in suffixes) == (end != "close")


def which(**environment: str) -> str:
    """Which backend runs in a process with these environment variables."""
    code = (
        "import rigorous_recorder as r; from rigorous_recorder._live import implementation;"
        "print(r.native, r.Recorder.__mro__[1].__module__, implementation.Slot.__module__)"
    )
    others = {key: value for key, value in os.environ.items() if key != "RIGOROUS_RECORDER_PURE"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=others | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return done.stdout.strip()


PURE = "False rigorous_recorder._live.pure rigorous_recorder._live.pure"
NATIVE = "True rigorous_recorder._live.native rigorous_recorder._live.native"


@pytest.mark.parametrize(("value", "said"), [("1", PURE), ("0", NATIVE), ("", NATIVE)])
def test_the_environment_forbids_the_native_backend(value: str, said: str) -> None:
    """RIGOROUS_RECORDER_PURE=1 has the pure-Python fallback run, and ``native`` is false."""
    assert which(RIGOROUS_RECORDER_PURE=value) == said


def test_the_native_backend_runs_where_it_can() -> None:
    """Nothing has to be set for it."""
    assert which() == NATIVE
