"""Stable-Baselines3: values of two files, and evaluations, which are arrays of NumPy."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.importers import import_runs

from .test_tools import rows_in

np = pytest.importorskip("numpy")


def evaluations(folder: Path, **arrays: Any) -> Path:
    """What ``EvalCallback`` writes."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "evaluations.npz", **arrays)
    return folder


def test_evaluations_are_episodes_with_their_steps(tmp_path: Path) -> None:
    """A record for each episode of each evaluation, also in the order of Fortran; again, only new ones."""
    folder = evaluations(
        tmp_path / "runs" / "ppo",
        timesteps=[100, 200],
        results=np.asfortranarray([[1.5, 2.5, float("nan")], [4.5, 5.5, 6.5]]),
        ep_lengths=np.array([[1, 2, 3], [4, 5, 6]], ">i4"),
        successes=[[True, False, False], [True, True, True]],
    )
    with ExperimentCollection(tmp_path / "study") as collection:
        import_runs(tmp_path / "runs", collection)
        wanted = [
            (100, 0, 1.5, 1, True), (100, 1, 2.5, 2, False), (100, 2, "nan", 3, False),
            (200, 0, 4.5, 4, True), (200, 1, 5.5, 5, True), (200, 2, 6.5, 6, True),
        ]  # fmt: skip
        for _ in range(2):
            found = [
                tuple(row[key] for key in ("step", "episode", "results", "ep_lengths", "successes"))
                for row in collection.records.where(part="evaluations", run="ppo")
            ]
            assert repr(found).replace("nan", "'nan'") == repr(wanted)
            assert import_runs(tmp_path / "runs", collection).records == 0
        evaluations(folder, timesteps=[100, 200, 300], results=[[0.5] * 3] * 3)
        assert import_runs(tmp_path / "runs", collection).records == 3


@pytest.mark.parametrize(
    "data",
    [
        np.lib.format.magic(1, 0) + b"v\0{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        np.lib.format.magic(1, 0)
        + b"v\0{'descr': '', 'fortran_order': False, 'shape': (1,)}".ljust(200),
        np.lib.format.magic(1, 0) + b"v\0{'descr': '<f8', 'fortran_order': False, 'shape': (9,)}",
        np.lib.format.magic(1, 0) + b"v\0{'descr': '<f8', 'shape': (1 << 60, -1)}".ljust(200),
        np.lib.format.magic(2, 0) + struct.pack("<I", 2**31) + b"{",
        b"\x93NUMPY",
    ],
    ids=["objects", "no type", "cut off", "too large", "length that lies", "only a beginning"],
)
def test_arrays_that_are_not_of_numbers_are_reported(data: bytes, tmp_path: Path) -> None:
    """Nothing in them is executed; other arrays are taken."""
    folder = evaluations(tmp_path / "ppo", timesteps=[100], ep_lengths=[[7]])
    with zipfile.ZipFile(folder / "evaluations.npz", "a") as archive:
        archive.writestr("results.npy", data)
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        done = import_runs(folder, collection)
        (row,) = collection.records
        assert (row["step"], row["ep_lengths"]) == (100, 7)
    texts = [each.text for each in done.report.losses]
    assert texts == ["arrays that are not of numbers, or not valid: not taken"]


def test_bools_and_ints_of_numpy_are_those_of_the_table(tmp_path: Path) -> None:
    """In JSON they are floats; the floats of JSON have more digits."""
    (tmp_path / "progress.csv").write_text("b,i,f,one\nTrue,3,0.1,1\n", "utf-8")
    text = '{"b": 1.0, "i": 3.0, "f": 0.10000000149011612, "one": 1.5}\n'
    (tmp_path / "progress.json").write_text(text, "utf-8")
    (row,) = rows_in(tmp_path, tmp_path / "x")
    found = [row[key] for key in ("b", "i", "f", "one")]
    assert repr(found) == "[True, 3, 0.10000000149011612, 1.5]"


def test_a_row_that_is_not_written_to_its_end_waits(tmp_path: Path) -> None:
    """A number may be cut off in it; of two files, the values of both are waited for if they are followed."""
    table, lines = tmp_path / "progress.csv", tmp_path / "progress.json"
    table.write_text("i,f\n1,0.5\n2,0.2", "utf-8")
    monitor = tmp_path / "0.monitor.csv"
    monitor.write_text('#{"t_start": 0.0}\nr,l,t\n1.5,2,3.0\n2.5,3,4', "utf-8")

    def found(collection: ExperimentCollection, **options: Any) -> list[Any]:
        import_runs(tmp_path, collection, format="sb3", **options)
        return [(row["i"], row["f"], row["t"]) for row in collection.records]

    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        assert found(collection) == [(1, 0.5, None), (None, None, 3.0)]
        table.write_text("i,f\n1,0.5\n2,0.25\n", "utf-8")
        monitor.write_text(monitor.read_text("utf-8") + ".5\n", "utf-8")
        assert found(collection)[2:] == [(2, 0.25, None), (None, None, 4.5)]
    monitor.unlink()
    lines.write_text('{"i": 1.0, "f": 0.5}\n', "utf-8")
    with ExperimentCollection(tmp_path / "followed", quiet=True) as collection:
        assert found(collection, follow=lambda: False) == [(1, 0.5, None)]
        lines.write_text('{"i": 1.0, "f": 0.5}\n{"i": 2.0, "f": 0.25}\n', "utf-8")
        assert repr(found(collection)) == "[(1, 0.5, None), (2, 0.25, None)]"
