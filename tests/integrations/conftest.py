"""What tests of integrations share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.integrations import guest


@pytest.fixture
def study(tmp_path: Path) -> Iterator[ExperimentCollection]:
    """A collection to log to."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        yield collection


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loggers write to the current folder by default."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _nothing_was_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test sees the first report of a failure."""
    monkeypatch.setattr(guest, "_REPORTED", set())
