"""What tests of the store share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rigorous_recorder._live.table as live_table
from rigorous_recorder import ExperimentCollection
from rigorous_recorder._store import backend


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where ``open_collection`` has its collection."""
    return tmp_path / "study.collection"


@pytest.fixture
def open_collection(folder: Path) -> Iterator[Callable[..., ExperimentCollection]]:
    """Opens the test's collection, again and again; all are closed at the end."""
    opened: list[ExperimentCollection] = []

    def open_it(**options: Any) -> ExperimentCollection:
        opened.append(ExperimentCollection(folder, **options))
        return opened[-1]

    yield open_it
    for collection in opened:
        collection.close()


@pytest.fixture
def small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Live tables that are sealed every 16 rows, at once: then the steps have one order."""
    monkeypatch.setattr(live_table, "FIRST_ROWS", 16)
    monkeypatch.setattr(live_table, "MOST_ROWS", 16)
    monkeypatch.setattr(backend, "schedule", lambda job: job())
