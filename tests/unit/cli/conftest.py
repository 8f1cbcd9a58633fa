"""What tests of the command line share: a study to look at, and a way to run a command."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("plotext")

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.cli import main


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> list[Any]:
        """Every line as strict JSON, which has no NaN."""
        return [json.loads(line, parse_constant=_refuse) for line in self.lines]


def _refuse(constant: str) -> None:
    raise ValueError(constant)


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `rigorous` as typed, with the exit code and all that it printed."""
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["rigorous", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        printed = capsys.readouterr()
        code = exit_.value.code
        return Ran(code if isinstance(code, int) else 0, printed.out, printed.err)

    return run


@pytest.fixture(scope="session")
def made_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("made") / "study")


@pytest.fixture
def study(made_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a collection, below the current folder, that no test changes."""
    monkeypatch.chdir(made_study.parent)
    return made_study


def make_study(path: Path) -> Path:
    """Two experiments, of which the second failed, with two models of three epochs each."""
    with ExperimentCollection(path, quiet=True) as collection:
        with collection.new_experiment(lr=0.1) as experiment:
            log_models(experiment)
        with pytest.raises(ZeroDivisionError), collection.new_experiment(lr=0.2) as experiment:
            log_models(experiment)
            raise ZeroDivisionError
    return path.with_name(f"{path.name}.collection")


def log_models(experiment: Any) -> None:
    for model in ("m1", "m2"):
        child = experiment.child(model=model)
        for epoch in range(3):
            child.push(epoch=epoch, loss=1.0 / (1 + epoch), note=None if epoch else "first")
