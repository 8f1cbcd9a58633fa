"""The tests that the page on reliability names are there."""

from __future__ import annotations

import ast
import re

import pytest

from . import pages

PAGE = (pages.ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[f"{file}::{name}" for file, name in NAMED])
def test_a_test_that_the_page_names_is_there(file: str, name: str) -> None:
    """A promise is worth what its test is."""
    tree = ast.parse((pages.ROOT / file).read_text(encoding="utf-8"))
    assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


def test_the_page_names_every_file_of_faults() -> None:
    """Every file of fault tests is named on the page."""
    named = {file for file, _ in NAMED}
    there = {f"tests/faults/{path.name}" for path in (pages.ROOT / "tests/faults").glob("test_*")}
    assert there <= named
