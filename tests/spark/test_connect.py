"""Spark Connect: the same rows where the session is only a client of Spark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_reading_through_connect(tmp_path: Path) -> None:
    """All kinds, both ways to find what parents know, conditions and one recorder's records."""
    command = [sys.executable, "-m", "tests.spark.connect", str(tmp_path / "c"), "local[2]"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.endswith("all the same\n"), done.stderr[-4000:]
