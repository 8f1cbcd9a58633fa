"""Damaged files, thousands of them: no crash, no hang, no wrong row, every sound record read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from . import THOROUGH

ROOT = Path(__file__).parents[2]


def tried(first: int, last: int, patience: int) -> None:
    """Try the variants of these seeds, in a process that has no threads to fork with."""
    command = [sys.executable, "-m", "tests.faults.damage", str(first), str(last)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=patience, check=False
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    assert f"{last - first} damaged collections, 0 with trouble" in done.stdout


def test_damaged_collections_are_read_but_for_what_is_damaged() -> None:
    """Each has one file flipped, cut, zeroed, swapped, doubled, linked or replaced, by its seed."""
    tried(0, 15, 200)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 5_000 if THOROUGH else 250, 125))
def test_thousands_of_damaged_collections_are_read(first: int) -> None:
    """The same with 5,000 seeds, or 250."""
    tried(first, first + 125, 1200)
