"""Recorders of each sort, and the accesses to tensors."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._live import table
from rigorous_recorder._store import backend, background
from tests.unit.devices.pretended import Tensor

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The accesses to values of tensors; none by the background's periodic sync."""
    monkeypatch.setattr(background, "_FLUSHES_PER_SYNC", sys.maxsize)
    Tensor.asked.clear()
    yield Tensor.asked
    Tensor.fails = False


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that widen, grow and seal often."""
    monkeypatch.setattr(table, "FIRST_ROWS", 8)
    monkeypatch.setattr(table, "MOST_ROWS", 32)
    monkeypatch.setattr(table, "GROWTH", 2)


@pytest.fixture(params=["memory", "mapped", "write-behind"])
def recorder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Recorder]:
    """A recorder in memory, and ones in a collection of both sorts of file."""
    if request.param == "memory":
        yield Recorder()
        return
    monkeypatch.setattr(backend, "is_safe_to_map", lambda _: request.param == "mapped")
    with ExperimentCollection(tmp_path / "study") as collection:
        yield Recorder().set_parent(collection.recorder)


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[ExperimentCollection]:
    """A collection without experiments."""
    with ExperimentCollection(tmp_path / "study") as made:
        yield made
