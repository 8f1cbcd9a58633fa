"""Every Python block of the documentation runs, and prints what the page says it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import pages

PAGES = ["README.md", "docs/how-it-works.md", "docs/format.md", "docs/recipes.md", "docs/spark.md"]


@pytest.mark.parametrize("name", PAGES)
def test_page_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks of the page run in order, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    assert pages.blocks(pages.ROOT / name)
    pages.run(pages.ROOT / name)
