"""The recipes for Ray Data and Dask, where these are installed: in a process of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from . import pages

PAGE = pages.ROOT / "docs/ray-and-dask.md"


@pytest.mark.slow
def test_the_page_runs(tmp_path: Path) -> None:
    """What it prints is what it says."""
    for package in ("ray", "dask"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package.upper()} IS NOT INSTALLED, its recipe is not tested")
    script = tmp_path / "page.py"
    code = "\n".join(block.code for block in pages.blocks(PAGE))
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    promised = "".join(block.output or "" for block in pages.blocks(PAGE))
    assert done.stdout == promised, done.stderr[-4000:]
