"""Every Python block of the documentation runs, and prints what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import pages

PAGES = [
    "README.md",
    "docs/coming-from.md",
    "docs/environment.md",
    "docs/integrations.md",
    "docs/index.md",
    "docs/tour.md",
    "docs/how-it-works.md",
    "docs/columns.md",
    "docs/values.md",
    "docs/recipes.md",
]
SPARK_PAGES = ["docs/format.md", "docs/spark.md"]


@pytest.mark.parametrize("name", PAGES)
def test_page_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks of the page run in order, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    assert pages.blocks(pages.ROOT / name)
    pages.run(pages.ROOT / name)


@pytest.mark.slow
@pytest.mark.xdist_group("spark")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what PySpark leaves behind
@pytest.mark.parametrize("name", SPARK_PAGES)
def test_page_with_spark_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, java_here: None
) -> None:
    """As the others; with a Spark that was started there."""
    monkeypatch.chdir(tmp_path)
    pages.run(pages.ROOT / name)
