"""A storm of writers, readers, compactions and kills, as ``storm.py`` makes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from . import storm


@pytest.mark.slow
def test_thirty_two_writers_that_are_killed(capsys: pytest.CaptureFixture[str]) -> None:
    """Every acknowledged record is there once, as it was logged; numbers are unique; no deadlock."""
    command = [sys.executable, "-W", "ignore", "-m", storm.__name__, "--minutes", "0.35"]
    done = subprocess.run(
        command,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
        text=True,
        timeout=400,
    )
    with capsys.disabled():
        sys.stdout.write(f"\n{done.stdout}")
    assert done.returncode == 0, done.stdout + done.stderr
