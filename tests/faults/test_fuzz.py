"""The readers of our own making under a coverage-guided fuzzer."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from . import THOROUGH

TARGETS = [
    "live_file", "metadata", "footer", "description", "file_names", "pickles", "json_values",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_a_fuzzer_finds_no_surprise(target: str) -> None:
    """Whatever bytes come: an answer, or an error of ours; no crash, no hang, no gigabytes."""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("NO ATHERIS HERE, the readers are not fuzzed: pip install atheris")
    command = [sys.executable, "-m", "tests.faults.fuzz", target, "8" if THOROUGH else "3"]
    done = subprocess.run(
        command,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5_000:]
    assert "Done " in done.stderr
