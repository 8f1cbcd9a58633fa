"""The glossary's words: those that it replaces do not come back into code and pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What the glossary replaces, where no other meaning is common in technical English.
REPLACED = re.compile(
    r"\b(said|told|asked|kept|heard|noted|nobody)\b|stands? above|takes? (him|it) for dead"
    r"|taken for dead|names no (format|file|folder)|is no (text|int|mapping|regular file)\b",
    re.IGNORECASE,
)


def _files() -> list[Path]:
    sources = [p for end in ("py", "c") for p in (ROOT / "src").rglob(f"*.{end}")]
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    return sources + pages


@pytest.mark.skipif(not (ROOT / "src").is_dir(), reason="needs the source tree")
def test_replaced_words_do_not_come_back() -> None:
    """In identifiers, docstrings, comments, messages and pages; test names may have them."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in _files()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        for match in REPLACED.finditer(re.sub(r"tests/\S+", "", line).replace("_", " "))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("line", ["what it was told", "_said", "is no text", "it stands above"])
def test_replaced_words_are_found(line: str) -> None:
    """Inside of identifiers, too."""
    assert REPLACED.search(line.replace("_", " "))
