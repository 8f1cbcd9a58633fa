"""Datasets of Minari: steps of episodes, each below the dataset."""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.errors import MissingPackageError
from rigorous_recorder.importers import Record, Report, Rows, Run, import_runs, minari
from rigorous_recorder.importers.formats import find

from .test_damage import damaged

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


@pytest.mark.parametrize("suffix", ["arrow", "parquet"])
def test_an_episode_without_a_row_has_no_records(tmp_path: Path, suffix: str) -> None:
    """It stops no import of others, also if its file is the first."""
    data = about(tmp_path / "set")
    for episode, steps in enumerate((0, 2)):
        (data / str(episode)).mkdir()
        table = pa.table({"observations": pa.array([0.5] * steps), "rewards": [1.5] * steps})
        file = data / str(episode) / f"part-0.{suffix}"
        if suffix == "parquet":
            pq.write_table(table, file)
        else:
            with pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)
    with ExperimentCollection(tmp_path / "study") as collection:
        done = import_runs(tmp_path / "set", collection)
        assert [(row["episode"], row["step"]) for row in collection.records] == [(1, 0), (1, 1)]
    assert done.report.losses == []


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


SPACES = {
    "observation_space": {
        "type": "Dict",
        "subspaces": {
            "grid": {"type": "Box", "shape": [2, 3]},
            "pair": {
                "type": "Tuple",
                "subspaces": [{"type": "Discrete", "n": 9}, {"type": "MultiBinary", "n": [2, 1]}],
            },
            "image": {"type": "Box", "shape": [32, 32, 3]},
        },
    },
    "action_space": {"type": "Box", "shape": []},
}
JPEG = b"\xff\xd8\xff" + bytes(5)


def nested(folder: Path, kind: str) -> Path:
    """A dataset with an episode of two steps, as Minari 0.5.4 writes it."""
    data = about(folder)
    spaces = {key: json.dumps(each) for key, each in SPACES.items()}
    text = json.dumps({"dataset_id": "a/b-v0", "jpeg_encoding": True, **spaces})
    (data / "metadata.json").write_text(text, "utf-8")
    if kind == "hdf5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(data / "main_data.hdf5", "w") as file:
            group = file.create_group("episode_7")
            group.attrs.update({"id": 7, "seed": 3, "options/level": "x"})
            group["actions"] = np.array([0.5, 1.5], np.float32)
            group["rewards"] = [1.0, 2.0]
            group["observations/grid"] = np.arange(18.0).reshape(3, 2, 3)
            group["observations/pair/_index_0"] = [4, 5, 6]
            group["observations/pair/_index_1"] = np.ones((3, 2, 1), np.int8)
            group["observations/image"] = np.frombuffer(JPEG * 3, np.uint8).reshape(3, -1)
            group["infos/deep/field"] = np.arange(12).reshape(3, 2, 2)
        return folder
    deep = pa.field("field", pa.list_(pa.int64(), 4), metadata={"shape": "2,2"})
    lists = [pa.array(np.arange(4 * n, 4 * n + 4)) for n in range(3)]
    deep_array = pa.StructArray.from_arrays([pa.array(lists, deep.type)], fields=[deep])
    grid = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(18.0)), 6)
    ones = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(6, np.int8)), 2)
    pair = pa.StructArray.from_arrays([pa.array([4, 5, 6]), ones], ["0", "1"])
    image = pa.array([JPEG] * 3)
    actions = pa.FixedSizeListArray.from_arrays(pa.array([0.5, 1.5, 0.0], pa.float32()), 1)
    columns = {
        "observations": pa.StructArray.from_arrays([grid, pair, image], ["grid", "pair", "image"]),
        "actions": actions,
        "rewards": pa.array([1.0, 2.0, 0.0]),
        "infos": pa.StructArray.from_arrays(
            [deep_array], fields=[pa.field("deep", deep_array.type)]
        ),
    }
    (data / "7").mkdir()
    about_episode = {"id": 7, "total_steps": 2, "seed": 3, "options": {"level": "x"}}
    (data / "7" / "metadata.json").write_text(json.dumps(about_episode), "utf-8")
    table = pa.table(columns)
    if kind == "parquet":
        pq.write_table(table, data / "7" / "part-0.parquet")
    else:
        for number, (start, size) in enumerate(((0, 1), (1, 2))):
            part = table.slice(start, size)
            with pa.ipc.new_file(data / "7" / f"part-{number}.arrow", part.schema) as writer:
                writer.write_table(part)
    return folder


@pytest.mark.parametrize("kind", ["hdf5", "arrow", "parquet"])
def test_nested_spaces_have_the_same_keys_in_all_storages(kind: str, tmp_path: Path) -> None:
    """Parts of dicts and tuples by their paths, arrays in their shapes, pictures as files, and infos."""
    with ExperimentCollection(tmp_path / "study") as collection:
        done = import_runs(nested(tmp_path / "set", kind), collection)
        assert (done.records, [each.text for each in done.report.losses]) == (3, [])
        (episode,) = collection.experiments[0].recorder.children
        assert (episode["episode"], episode["seed"], episode["options/level"]) == (7, 3, "x")
        found = [dict(row) for row in episode.records]
        assert [row["step"] for row in found] == [0, 1, 2]
        for number, row in enumerate(found):
            grid = np.arange(18.0).reshape(3, 2, 3)[number]
            assert np.array_equal(row["observations/grid"], grid)
            assert row["observations/pair/0"] == 4 + number
            assert np.array_equal(row["observations/pair/1"], [[1], [1]])
            assert row["observations/image"] == JPEG
            deep = np.arange(12).reshape(3, 2, 2)[number]
            assert np.array_equal(row["infos/deep/field"], deep)
            wanted = ((0.5, 1.0), (1.5, 2.0), (None, None))[number]
            assert (row.get("actions"), row.get("rewards")) == wanted
        assert import_runs(tmp_path / "set", collection).records == 0


@pytest.mark.parametrize("kind", ["arrow", "parquet", "hdf5"])
def test_damage_in_a_dataset_is_reported(kind: str, tmp_path: Path) -> None:
    """Whatever the files have, the import ends, and other episodes are there."""
    random_ = random.Random(1)
    folder = nested(tmp_path / "set", kind)
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    for number in range(80 if kind != "hdf5" else 8):
        shutil.rmtree(tmp_path / "damaged", ignore_errors=True)
        shutil.copytree(folder, tmp_path / "damaged")
        file = tmp_path / "damaged" / files[number % len(files)].relative_to(folder)
        file.write_bytes(damaged(random_, file.read_bytes()))
        report = Report()
        for _, source in find(tmp_path / "damaged", ("minari",), {}):
            known: set[str] = set()
            for event in minari.FORMAT.read(source, report, None):
                if isinstance(event, Run):
                    known.add(event.id)
                elif isinstance(event, Record | Rows):
                    assert event.run in known
            assert "" in known
        assert all(each.file.is_relative_to(tmp_path / "damaged") for each in report.losses)


def test_without_h5py_the_error_has_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is read without it."""
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.delitem(vars(minari.h5py), "File", raising=False)  # which it may know already
    (about(tmp_path / "set") / "main_data.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(MissingPackageError, match="pip install 'h5py'"):
        import_runs(tmp_path / "set", tmp_path / "study")
