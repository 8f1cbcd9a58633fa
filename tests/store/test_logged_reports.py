"""What the library reports goes to a logger where somebody listens, else to standard error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection


class Listening(logging.Handler):
    """Keeps the level and text of each report."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelname, record.getMessage()))


class Raising(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError(record)


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """The logger of the library, as it was at the end."""
    found = logging.getLogger("rigorous_recorder")
    before = found.level, found.propagate
    yield found
    found.handlers.clear()
    found.setLevel(before[0])
    found.propagate = before[1]


def fail_in(folder: Path, *, quiet: bool = False) -> None:
    """A run that fails; its own error is what comes out."""
    with pytest.raises(ValueError, match="%s diverged"):
        with ExperimentCollection(folder, quiet=quiet).new_experiment():
            raise ValueError("%s diverged")


LINE = "experiment 1 (error_number 1) ended with ValueError: %s diverged; "


def test_without_a_handler_reports_are_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], logger: logging.Logger
) -> None:
    """Unless the collection is quiet, or the level of the logger says no."""
    fail_in(tmp_path / "a")
    assert capsys.readouterr().err.startswith(LINE)
    fail_in(tmp_path / "b", quiet=True)
    logger.setLevel(logging.CRITICAL)
    fail_in(tmp_path / "c")
    assert capsys.readouterr().err == ""


def test_a_handler_gets_them_instead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], logger: logging.Logger
) -> None:
    """With a level: what failed is an error, and what a quiet collection has is for debugging."""
    handler = Listening()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    fail_in(tmp_path / "a")
    fail_in(tmp_path / "b", quiet=True)
    levels, lines = zip(*handler.lines, strict=True)
    assert levels == ("ERROR", "DEBUG")
    assert all(line.startswith(LINE) for line in lines)
    assert capsys.readouterr().err == ""


def test_a_handler_of_the_root_gets_them_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As ``logging.basicConfig`` makes one."""
    handler = Listening()
    logging.getLogger().addHandler(handler)
    try:
        fail_in(tmp_path / "a")
    finally:
        logging.getLogger().removeHandler(handler)
    assert [level for level, _ in handler.lines] == ["ERROR"]
    assert capsys.readouterr().err == ""


def test_a_handler_that_raises_replaces_no_error(tmp_path: Path, logger: logging.Logger) -> None:
    """The error of the run is what comes out."""
    logger.addHandler(Raising())
    fail_in(tmp_path / "a")
