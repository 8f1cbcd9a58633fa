"""Where records can't be written safely, one error at the import says so."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: As Windows is: some of what POSIX has is missing.
WITHOUT_PWRITE = "import os; del os.pwrite"
WITHOUT_LOCKS = "import sys; sys.modules['fcntl'] = None"


@pytest.mark.parametrize("missing", [WITHOUT_PWRITE, WITHOUT_LOCKS])
def test_another_system_is_refused_at_the_import(missing: str) -> None:
    """With what is missing, and what to do; nothing else is raised."""
    done = subprocess.run(
        [sys.executable, "-c", f"{missing}\nimport rigorous_recorder"],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    *_, last = done.stderr.splitlines()
    assert last.startswith(
        "rigorous_recorder.errors.UnsupportedSystemError: rigorous-recorder runs"
    )
    assert last.endswith("use it in WSL (Windows Subsystem for Linux)")


def test_it_is_an_import_error() -> None:
    """Whoever can do without the package sees that it can't be imported."""
    code = f"{WITHOUT_LOCKS}\ntry:\n    import rigorous_recorder\nexcept ImportError:\n    print(1)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60
    )
    assert done.stdout == "1\n"


def test_wheels_are_built_for_the_systems_that_it_runs_on() -> None:
    """And for no other: what can't log is not to be installed."""
    path = ROOT / "pyproject.toml"
    said = tomllib.loads(path.read_text(encoding="utf-8"))
    assert not {"windows", "pyodide", "ios", "android"} & said["tool"]["cibuildwheel"].keys()
    systems = [each for each in said["project"]["classifiers"] if each.startswith("Operating")]
    assert systems == ["Operating System :: POSIX"]
