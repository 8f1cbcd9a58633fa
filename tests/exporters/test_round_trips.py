"""Runs that are exported and imported again are those that were exported, up to what the docs say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.errors import ArgumentError
from rigorous_recorder.exporters import TARGETS, export_runs
from rigorous_recorder.importers import import_runs

DATA = Path(__file__).parents[1] / "data" / "tools"
PNG = (DATA / "dvclive/sample/first/plots/images/picture.png").read_bytes()
START = 1_795_871_760

Point = tuple[str, Any, Any, str]


def fill(path: Path) -> ExperimentCollection:
    """A collection with a tree, and every kind of value."""
    collection = ExperimentCollection(path, quiet=True)
    with collection.new_experiment(name="first", lr=0.1, layers=[1, 2], seed=2**60 + 1) as run:
        for step, loss in enumerate((0.1, math.nan, math.inf, -math.inf, -0.0)):
            time = datetime.fromtimestamp(START + step, UTC)
            run.push(
                step=step, time=time, loss=loss, lr=0.1 / (step + 1), count=step, text=f"t{step}"
            )
        run.push(step=3, yes=True, big=2**53 + 1, nested={"a": {"b": 1.5}}, list=[1.0, 2.0])
        run.push(step=7, picture=PNG, raw=b"\x00\x01")
        for episode in (1, 2):
            child = run.child(episode=episode)
            child.push(step=0, reward=10.0 * episode)
    with pytest.raises(ZeroDivisionError), collection.new_experiment(name="second") as run:
        run.push(loss=0.5)
        1 / 0  # noqa: B018
    collection.save()
    return collection


def points(collection: ExperimentCollection) -> Iterator[Point]:
    """Run, step, key and value of all records in order, without what a run is known by."""
    out = {"time", "step", "run"}
    for experiment in collection.experiments:
        for row in experiment.records:
            for key, value in row.items():
                if key not in out and (key not in experiment or value != experiment[key]):
                    yield row.get("run") or row["name"], row["step"], key, shown(value)


def shown(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"


def on_floats(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What TensorBoard holds: numbers as floats, and dicts by their paths."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from on_floats(f"{key}/{name}", each)
    else:
        yield key, float(value) if isinstance(value, (bool, int)) else value


def again(target: str, collection: ExperimentCollection, folder: Path) -> ExperimentCollection:
    """What is imported of an export."""
    export_runs(collection, folder / "out", to=target)
    imported = ExperimentCollection(folder / "again", quiet=True)
    report = import_runs(folder / "out", imported).report
    assert not report.losses, report.losses
    return imported


def test_tensorboard_holds_all_numbers_as_floats_of_64_bits(tmp_path: Path) -> None:
    """Each value at its step and time, texts, pictures, lists, and the configuration."""
    with (
        fill(tmp_path / "study") as collection,
        again("tensorboard", collection, tmp_path) as found,
    ):
        rows = [dict(row) for row in found.records]
        first = [row for row in rows if row["run"] == "first"]
        assert [row["loss"] for row in first[:5]] == pytest.approx(
            [0.1, math.nan, math.inf, -math.inf, -0.0], abs=0, nan_ok=True
        )
        assert math.copysign(1, first[4]["loss"]) == -1
        assert [row["time"].timestamp() for row in first[:5]] == [START + each for each in range(5)]
        assert [row["count"] for row in first[:5]] == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert [row["step"] for row in first] == [0, 1, 2, 3, 4, 3, 7]
        mixed = {key: first[5][key] for key in ("yes", "big", "nested/a/b", "list")}
        assert mixed == {"yes": 1.0, "big": 2.0**53, "nested/a/b": 1.5, "list": [1.0, 2.0]}
        assert (first[6]["picture"], first[6].get("raw")) == (PNG, None)
        runs = {each["run"]: each for each in found.experiments}
        assert list(runs) == ["first", "first/episode=1", "first/episode=2", "second"]
        assert [str(each.status) for each in runs.values()] == ["finished"] * 3 + ["failed"]
        assert runs["first"]["layers"] == "[1,2]"
        assert runs["first"]["seed"] == str(2**60 + 1)
        assert [row["reward"] for row in rows if "episode" in row["run"]] == [10.0, 20.0]


def test_what_a_target_lacks_is_reported_with_counts(tmp_path: Path) -> None:
    """One line for each kind."""
    with fill(tmp_path / "study") as collection:
        done = export_runs(collection, tmp_path / "out", to="tensorboard")
    assert (done.runs, done.records) == (2, 10)
    assert done.losses == [
        "parts of configurations that are no numbers, bools or texts: as text (2)",
        "bools: as 0 and 1 (1)",
        "ints beyond 2**53: rounded to floats (1)",
        "dicts: their values by paths joined by / (1)",
        "bytes that are no picture and no sound: not taken (1)",
        "records without step: their number is their step (1)",
        "records without a time: that of the start of the run (5)",
    ]


def test_tensorboard_reads_what_is_exported(tmp_path: Path) -> None:
    """Its own reader has every value, with nothing to complain of."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tensors = pytest.importorskip("tensorboard.util.tensor_util")
    with fill(tmp_path / "study") as collection:
        export_runs(collection, tmp_path / "out", to="tensorboard")
    events = accumulator.EventAccumulator(str(tmp_path / "out" / "first"))
    events.Reload()
    losses = [tensors.make_ndarray(each.tensor_proto) for each in events.Tensors("loss")]
    assert repr([float(each) for each in losses]) == "[0.1, nan, inf, -inf, -0.0]"
    assert [each.step for each in events.Tensors("text")] == [0, 1, 2, 3, 4]
    (picture,) = events.Images("picture")
    assert picture.encoded_image_string == PNG


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_overwritten_and_no_half_is_left(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is at the path stays, and an export that fails leaves nothing."""
    with fill(tmp_path / "study") as collection:
        place = tmp_path / "out"
        place.mkdir()
        with pytest.raises(ArgumentError, match="already exists"):
            export_runs(collection, place, to=target)
        place.rmdir()
        monkeypatch.setattr("os.fsync", failing(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            export_runs(collection, place, to=target)
        monkeypatch.undo()
    assert [each.name for each in tmp_path.iterdir()] == ["study.collection"]
    with pytest.raises(ArgumentError, match="expected one of tensorboard"):
        export_runs(tmp_path / "study", place, to="excel")


def failing(error: Exception) -> Callable[..., None]:
    def fail(*_args: object) -> None:
        raise error

    return fail


def test_csv_has_a_file_for_each_experiment(tmp_path: Path) -> None:
    """With the flat table, and names that lead nowhere else."""
    with fill(tmp_path / "study") as collection:
        with collection.new_experiment(name="../../evil") as run:
            run.push(step=0, x=1)
        records = collection.records.where("step < 3 or x = 1")
        export_runs(collection, tmp_path / "out", to="csv-per-run", records=records)
    files = sorted(each.relative_to(tmp_path / "out") for each in (tmp_path / "out").rglob("*"))
    assert [str(each) for each in files] == ["evil.csv", "first.csv"]
    assert len((tmp_path / "out" / "first.csv").read_text("utf-8").splitlines()) == 6
