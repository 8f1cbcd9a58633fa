"""What all integrations share, without a framework."""

from __future__ import annotations

import ast
import importlib
import multiprocessing
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Recorder, Status, integrations
from rigorous_recorder.errors import ArgumentTypeError, MissingPackageError, NotStartedError
from rigorous_recorder.integrations.guest import push, set_attributes
from rigorous_recorder.integrations.host import Host
from rigorous_recorder.integrations.requirement import required
from rigorous_recorder.integrations.target import recorder_of, run_or_recorder

FILES = sorted(Path(integrations.__file__).parent.glob("*.py"))


class Odd:
    def __repr__(self) -> str:
        return "<odd>"


def guarded(path: Path) -> list[tuple[str, list[str]]]:
    """The requirements of a file, and the modules that are imported under them."""
    found = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.With):
            call = node.items[0].context_expr
            assert isinstance(call, ast.Call)
            names = [
                each.module if isinstance(each, ast.ImportFrom) else each.names[0].name  # type: ignore[attr-defined]
                for each in node.body
            ]
            found.append((ast.literal_eval(call.args[0]), [name for name in names if name]))
    return found


def test_each_integration_and_drop_in_takes_all_values_of_capture() -> None:
    """Its parameter is that of ``new_experiment``."""
    package = Path(integrations.__file__).parents[1]
    paths = [
        *FILES,
        *package.glob("tensorboard/*"),
        *package.glob("wandb/*"),
        *package.glob("mlflow/*"),
    ]
    found = [
        (path.name, ast.unparse(parameter.annotation))
        for path in paths
        if path.suffix == ".py"
        for parameter in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(parameter, ast.arg) and parameter.arg == "capture" and parameter.annotation
    ]
    assert {"writer.py", "runs.py", "__init__.py", "keras.py"} <= {name for name, _ in found}
    # "None" is that of a call that only goes on with the caller's run.
    assert {annotation.removesuffix(" | None") for _, annotation in found} == {"Capture"}


def test_a_missing_framework_is_an_error_with_its_install_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of each integration."""

    def no_version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", no_version)
    needy = {path.stem: guarded(path) for path in FILES if guarded(path)}
    assert {"lightning", "optuna", "gymnasium"} <= needy.keys()
    for name, requirements in needy.items():
        module = f"rigorous_recorder.integrations.{name}"
        with monkeypatch.context() as patch:
            patch.delitem(sys.modules, module, raising=False)
            for _, imported in requirements:
                for each in imported:
                    patch.setitem(sys.modules, each, None)
            with pytest.raises(MissingPackageError) as raised:
                importlib.import_module(module)
        assert f"is not installed: pip install '{requirements[0][0]}'" in str(raised.value)


def test_a_framework_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By number, not by letters; what a framework itself misses is its own error."""
    with pytest.raises(MissingPackageError, match=r"^numpy .* is too old: pip install 'numpy>=99'"):
        with required("numpy>=99"):
            pytest.fail("it must not be imported")
    monkeypatch.setattr(metadata, "version", lambda _: "2.10.0rc1+cpu")
    with required("ray[tune]>=2.9"):
        pass
    with pytest.raises(ModuleNotFoundError, match="'no_such_part'") as raised:
        with required("numpy>=1.2"):
            import no_such_part  # type: ignore[import-not-found]  # noqa: F401
    assert not isinstance(raised.value, MissingPackageError)


def test_a_value_that_cannot_be_stored_costs_only_itself(
    study: ExperimentCollection, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a record it is left out; of attributes its repr is stored."""
    with study.new_experiment() as run:
        for _ in range(2):
            push(run, {"loss": 0.5, "odd": Odd(), "at": Path("a")})
        set_attributes(run, {"cls": Path, "config": {"fn": Odd(), 1: 2}, "lr": 0.1})
    assert [row["loss"] for row in study.records] == [0.5, 0.5]
    assert (run["cls"].endswith("Path"), run["lr"]) == (True, 0.1)
    assert run["config"] == {"fn": "<odd>", "1": 2}
    assert capsys.readouterr().err.count("'odd' could not be logged") == 1


def test_a_run_begins_when_it_is_needed(study: ExperimentCollection) -> None:
    """That of the caller is never ended; one that ended takes late records."""
    host = Host(study, {"model": "m"})
    assert len(study) == 0
    host.recorder.push(a=1)
    try:
        raise ValueError("bad")
    except ValueError:
        host.fail()
    host.recorder.push(a=2)
    experiment: Any = study.experiment(1)
    assert (experiment.status, experiment["model"]) == (Status.FAILED, "m")
    assert [row["a"] for row in study.records] == [1, 2]
    own = Recorder()
    mine = Host(own, None)
    mine.fail()
    assert mine.recorder is own


def _child(folder: str, how: str) -> None:
    Host(folder, {"how": how}).recorder.push(a=1)
    if how == "error":
        raise ValueError("bad")
    if how != "end":
        sys.exit(int(how))


@pytest.mark.parametrize(
    ("how", "status", "error"),
    [
        ("end", Status.FINISHED, None),
        ("0", Status.FINISHED, None),
        ("error", Status.FAILED, "ValueError"),
        ("3", Status.FAILED, "SystemExit"),
    ],
)
def test_a_run_ends_with_a_child_of_multiprocessing(
    tmp_path: Path, how: str, status: Status, error: str | None
) -> None:
    """Such a process ends without calling what is registered with ``atexit``."""
    child = multiprocessing.get_context("spawn").Process(target=_child, args=("study", how))
    child.start()
    child.join()
    with ExperimentCollection.open(tmp_path / "study", quiet=True) as collection:
        experiment = collection.experiment(1)
    assert (experiment.status, experiment["experiment_error_type"]) == (status, error)


def test_a_path_is_refused_where_a_run_is_needed(tmp_path: Path) -> None:
    """At once, and not by the first thing to log in the training, which would only be reported."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        for place in (str(tmp_path / "study"), collection, None):
            for check in (recorder_of, run_or_recorder):
                with pytest.raises(ArgumentTypeError, match="expected a started run or a recorder"):
                    check(place)  # type: ignore[arg-type]
        run = collection.new_experiment()
        assert run_or_recorder(run) is run  # it can start later
        with pytest.raises(NotStartedError):
            recorder_of(run)
        with run as recorder:
            assert recorder_of(run) is recorder_of(recorder) is recorder


def test_each_integration_that_takes_a_recorder_alone_refuses_others() -> None:
    """Each module in which a parameter is a run or a recorder, and no place, checks it."""
    alone = "Recorder | Run"
    takers = {
        path.name
        for path in FILES
        if path.name != "guest.py"  # it pushes to what the others have checked
        for each in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(each, ast.arg) and each.annotation and ast.unparse(each.annotation) == alone
    }
    checked = {"recorder_of(", "run_or_recorder(", "Target(", "Episodes(", "Trainings(", "Watch("}
    assert {"optuna.py", "sklearn.py", "torch_events.py", "gymnasium.py"} <= takers
    for name in takers:
        text = (Path(integrations.__file__).parent / name).read_text(encoding="utf-8")
        assert any(call in text for call in checked), name


def test_the_page_lists_each_integration() -> None:
    """In the table at its top, with the section that has more about it."""
    page = Path(__file__).parents[2] / "docs" / "integrations.md"
    overview = page.read_text(encoding="utf-8").partition("## Overview")[2].partition("\n## ")[0]
    parts = {"hydra_config", "ray_train", "stable_baselines3_writer", "torch_events"}  # of others
    needy = {path.stem for path in FILES if guarded(path)} - parts
    listed = set(re.findall(r"`integrations\.(\w+)\.", overview))
    assert listed == needy | {"ranks"}
