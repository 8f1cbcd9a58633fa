"""Datasets of Minari: steps of episodes, each below the dataset."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.errors import MissingPackageError
from rigorous_recorder.importers import import_runs, minari

LENGTHS = (3, 2)


def about(folder: Path) -> Path:
    (folder / "data").mkdir(parents=True)
    text = json.dumps({"dataset_id": "cart/pole-v0", "total_episodes": 2})
    (folder / "data" / "metadata.json").write_text(text, "utf-8")
    return folder / "data"


def rows(collection: ExperimentCollection) -> list[tuple[Any, ...]]:
    keys = ("run", "episode", "step", "rewards", "terminations")
    found = [tuple(row[key] for key in keys) for row in collection.records]
    observations = [list(map(float, row["observations"])) for row in collection.records]
    return [(*row, each) for row, each in zip(found, observations, strict=True)]


def wanted() -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for episode, steps in enumerate(LENGTHS):
        for step in range(steps + 1):
            values = (1.5 * step, step == steps - 1) if step < steps else (None, None)
            found.append(("cart/pole-v0", episode, step, *values, [float(episode), float(step)]))
    return found


def test_arrow_files_have_steps_and_a_last_observation(tmp_path: Path) -> None:
    """The last row is filled up by Minari, but for its observation."""
    data = about(tmp_path / "set")
    for episode, steps in enumerate(LENGTHS):
        observations = [[episode, step] for step in range(steps + 1)]
        columns = {
            "observations": pa.array(observations, pa.list_(pa.float64(), 2)),
            "rewards": pa.array([1.5 * step for step in range(steps)] + [0.0]),
            "terminations": pa.array([step == steps - 1 for step in range(steps)] + [False]),
        }
        table = pa.table(columns)
        (data / str(episode)).mkdir()
        with pa.ipc.new_file(data / str(episode) / "part-0.arrow", table.schema) as writer:
            writer.write_table(table)
    with ExperimentCollection(tmp_path / "study") as collection:
        assert import_runs(tmp_path / "set", collection).records == 7
        assert rows(collection) == wanted()
        assert import_runs(tmp_path / "set", collection).records == 0


def test_hdf5_files_are_read_by_h5py(tmp_path: Path) -> None:
    """Attributes of episodes are attributes."""
    h5py = pytest.importorskip("h5py")
    data = about(tmp_path / "set")
    with h5py.File(data / "main_data.hdf5", "w") as file:
        for episode, steps in enumerate(LENGTHS):
            group = file.create_group(f"episode_{episode}")
            group.attrs.update({"id": episode, "seed": 7 + episode})
            group["observations"] = [[float(episode), float(step)] for step in range(steps + 1)]
            group["rewards"] = [1.5 * step for step in range(steps)]
            group["terminations"] = [step == steps - 1 for step in range(steps)]
    with ExperimentCollection(tmp_path / "study") as collection:
        assert import_runs(tmp_path / "set", collection).records == 7
        assert rows(collection) == wanted()
        assert {row["seed"] for row in collection.records} == {7, 8}
        assert import_runs(tmp_path / "set", collection).records == 0


def test_without_h5py_the_error_has_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is read without it."""
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.delitem(vars(minari.h5py), "File", raising=False)  # which it may know already
    (about(tmp_path / "set") / "main_data.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(MissingPackageError, match="pip install 'h5py'"):
        import_runs(tmp_path / "set", tmp_path / "study")
