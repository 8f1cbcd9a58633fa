"""Each example of an integration runs with the real library, and prints what it found."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, folder: Path) -> str:
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_a_script_for_tensorboard(tmp_path: Path) -> None:
    """With the import changed it needs neither torch nor TensorBoard."""
    (found,) = run("tensorboard_writer", tmp_path).splitlines()
    assert found.startswith("[(0.4, ")


@pytest.mark.slow
def test_an_application_of_hydra(tmp_path: Path) -> None:
    """It takes its arguments itself, and logs below the folder that it starts in."""
    pytest.importorskip("hydra", reason="hydra-core is not installed")
    command = [sys.executable, str(EXAMPLES / "hydra_application.py"), "-m", "lr=0.1,0.5"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    with ExperimentCollection.open(tmp_path / "data/hydra", quiet=True) as study:
        assert [row["config"]["lr"] for row in study.level("job").sort("job")] == [0.1, 0.5]
        assert len(study.records) == 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "libraries", "expected"),
    [
        ("optuna_search", ["optuna"], "[('complete', "),
        ("lightning_training", ["torch", "lightning"], "[(0.1, 40, 39)]"),
        ("transformers_training", ["torch", "transformers", "accelerate"], "[(0, 12, 3, 12)]"),
        ("keras_training", ["torch", "keras"], "[('line', 24, 4, 24)]"),
        ("stable_baselines3_training", ["stable_baselines3"], "[('PPO', 4, 256)]"),
        ("sklearn_search", ["sklearn"], "18 splits"),
        ("accelerate_training", ["torch", "accelerate"], "[('line', False, 20, 19)]"),
        ("ray_tuning", ["ray"], "[('complete', 3)] 15 results"),
        ("pytorch_watch", ["torch"], "[(4, 20, 50)]"),
        ("ignite_training", ["torch", "ignite"], "[('line', 24, 3)]"),
        ("skorch_search", ["torch", "skorch"], "4 fits, 20 epochs"),
        ("catboost_training", ["catboost"], "[('learn', 20), ('validation', 20)]"),
        ("torchrl_logger", ["torchrl"], "[('ppo', 0.0003, 3, 3)]"),
        ("fastai_training", ["torch", "fastai"], "[('line', 24, 3)]"),
        ("gymnasium_episodes", ["gymnasium"], "[(0, "),
        (
            "boosted_trees",
            ["xgboost", "lightgbm", "sklearn"],
            "[('lightgbm', True), ('xgboost', True)]",
        ),
    ],
)
def test_an_integration(name: str, libraries: list[str], expected: str, tmp_path: Path) -> None:
    """It runs as its readers would run it."""
    for library in libraries:
        if find_spec(library) is None:  # Keras can't be imported here: it needs a backend's name
            pytest.skip(f"{library} is not installed")
    assert expected in run(name, tmp_path)
