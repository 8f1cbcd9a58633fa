"""What can only be measured from outside: memory of a writer, and the time of an import."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import psutil

__all__ = ["HEAVY", "Memory", "heavy_modules", "import_parts", "import_seconds", "writer_memory"]

HEAVY = ("pyarrow", "numpy", "duckdb", "pandas", "polars")
"""What ``import rigorous_recorder`` must not load."""

_WRITER = Path(__file__).with_name("writer_process.py")
_BYTECODE = Path(tempfile.gettempdir(), "rigorous_recorder_bytecode")
_SAMPLE_SECONDS = 0.01
_IMPORT = "import rigorous_recorder"


class Memory(NamedTuple):
    """Resident bytes of a writer at marks of its run, their peak, and the seconds of logging."""

    resident: dict[str, int]
    peak: int
    seconds: float


def writer_memory(nodes: int, each: int) -> Memory:
    """Run a writer process, and watch its memory until it ends."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(_WRITER), folder, str(nodes), str(each)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            peak = _peak(process)
            found: dict[str, Any] = json.loads(process.communicate()[0])
    return Memory(found["resident"], peak, found["seconds"])


def _peak(process: subprocess.Popen[str]) -> int:
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            peak = max(peak, watched.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(_SAMPLE_SECONDS)
    return peak


def import_seconds(repeats: int) -> tuple[float, float]:
    """Median wall seconds of the import alone, and of an interpreter that imports nothing."""
    rounds = [(_wall("pass"), _wall(_IMPORT)) for _ in range(repeats + 1)][1:]
    return (
        statistics.median(full - bare for bare, full in rounds),
        statistics.median(bare for bare, _ in rounds),
    )


def heavy_modules() -> list[str]:
    """Which of the heavy modules the import loads."""
    code = f"{_IMPORT}, sys; print(*sorted({set(HEAVY)!r} & set(sys.modules)))"
    return _python(code).stdout.split()


def import_parts(repeats: int) -> list[tuple[str, float]]:
    """Microseconds of the import by top-level module (its own and its submodules'), medians."""
    runs = [_parts() for _ in range(repeats)]
    names = {name for run in runs for name in run}
    found = {name: statistics.median(run[name] for run in runs) for name in names}
    return sorted(found.items(), key=lambda each: -each[1])


def _parts() -> Counter[str]:
    bare, full = _import_times("pass"), _import_times(_IMPORT)
    parts: Counter[str] = Counter()
    for module in full.keys() - bare.keys():
        parts[module.partition(".")[0]] += full[module]
    return parts


def _import_times(code: str) -> dict[str, int]:
    """Microseconds that each module took without those that it imports."""
    report = _python(code, "-X", "importtime").stderr
    lines = [line.removeprefix("import time:").split("|") for line in report.splitlines()]
    return {name.strip(): int(own) for own, _, name in lines if own.strip().isdigit()}


def _wall(code: str) -> float:
    start = time.perf_counter()
    _python(code)
    return time.perf_counter() - start


def _python(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter that keeps its bytecode, as that of a user does."""
    command = [sys.executable, *options, "-c", code]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(_BYTECODE)
    return subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
