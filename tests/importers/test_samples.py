"""Files that other tools wrote are imported value for value, type for type and in order."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.importers import import_runs
from rigorous_recorder.importers.target import Target

DATA = Path(__file__).parents[1] / "data" / "tools"
#: Folder of the sample, format.
SAMPLES = [
    ("tensorboard/torch", "tensorboard"),
    ("tensorboard/tensorboardX", "tensorboard"),
    ("tensorboard/keras", "tensorboard"),
    ("mlflow/sqlite", "mlflow"),
    ("mlflow/files", "mlflow"),
    ("optuna-journal/sample", "optuna"),
    ("lightning-csv/sample", "lightning"),
    ("sb3/sample", "sb3"),
    ("hf-trainer-state/sample", "huggingface"),
    ("wandb/sample", "wandb"),
    ("wandb/killed", "wandb"),
    ("trackio/sample", "trackio"),
    ("swanlab/sample", "swanlab"),
    ("dvclive/sample", "dvclive"),
    ("sacred/sample", "sacred"),
    ("neptune/sample", "neptune"),
]
#: Their files have no steps.
STEPLESS = {"sb3"}
#: Values that the tool did not write, or has only in its summary.
LEFT_OUT = [{"dropped": True}, {"only": "metrics.json"}]
#: Where the name of a run is not that of the sample's: by the format's name.
NAMES = {("huggingface", "trainer_state.json"): "sample"}


def value_of(plain: Any) -> Any:
    """A value of the samples' notation."""
    if isinstance(plain, dict):
        if set(plain) == {"float"}:
            return float(plain["float"])
        return {key: value_of(each) for key, each in plain.items()}
    return [value_of(each) for each in plain] if isinstance(plain, list) else plain


Point = tuple[tuple[str, ...], Any, Any, str | None]


def stored(run: dict[str, Any]) -> Iterator[Point]:
    """What the tool itself has: path of the metric, step, value, and the folder if there is one."""
    for point in run["points"][: run["about"].get("points_on_disk")]:
        value, step = point.get("on_disk", point.get("logged")), point["step"]
        if isinstance(value, dict) and "csv" in value:
            value = point["logged"]  # two files, which together have what was logged
        if isinstance(value, dict) and "step" in value:
            value, step = value["value"], value["step"]
        if isinstance(value, dict) and "is_nan" in value:
            value = {"float": "nan"}
        if value == "NaN" and point["metric"] == "loss":
            value = point["logged"]  # a text among numbers, where no text was logged
        if value is not None and value not in LEFT_OUT:
            renamed = value.get("renamed") if isinstance(value, dict) else None
            value = point["logged"] if renamed else value
            path = tuple(point.get("path", [renamed or point["metric"]]))
            yield path, step, value_of(value), point.get("folder")


def value_at(row: Any, path: tuple[str, ...]) -> Any:
    """The value of a metric, inside of dicts where it was logged so."""
    for name in path:
        row = row.get(name) if isinstance(row, dict) else None
    return row


def shown(value: Any, name: str) -> str:
    """Equal for values of the same type, also for NaN and -0.0.

    W&B writes 1.0 as 1: where all values of a metric are whole, nothing tells that they are floats.
    """
    if name == "wandb" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(value, dict):
        value = dict(sorted(value.items()))
    return f"{type(value).__name__} {value!r}"


def by_name(runs: list[dict[str, Any]]) -> dict[str, list[Point]]:
    """The points of all runs of a name, since a tool can have several."""
    found: dict[str, list[Point]] = {}
    for run in runs:
        found.setdefault(run["about"]["name"], []).extend(stored(run))
    return found


class KilledError(BaseException):
    """Stands for a kill: nothing after it runs."""


def kill(_: Target) -> None:
    raise KilledError


@pytest.mark.parametrize(("folder", "name"), SAMPLES, ids=[folder for folder, _ in SAMPLES])
def test_a_sample_is_imported_whole(
    folder: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each run and metric, steps and values in the flat table are those on disk, in order.

    That holds for an import that was killed before it stored how far it was, and was begun again: no
    record is there twice, none is missing.
    """
    if any(file.suffix == ".yaml" for file in (DATA / folder).rglob("*")):
        pytest.importorskip("yaml")
    expected = json.loads((DATA / folder / "expected.json").read_text("utf-8"))
    with ExperimentCollection(tmp_path / "study") as collection:
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            patch.setattr(Target, "flush", kill)
            import_runs(DATA / folder, collection, format=name)
        assert len(collection.records) > 0
        done = import_runs(DATA / folder, collection)
        assert {*done.sources} == {name}
        rows = [dict(row) for row in collection.records]
        for run, points in by_name(expected["runs"]).items():
            for metric in {point[0] for point in points}:
                of_metric = [point for point in points if point[0] == metric]
                for where in {point[3] for point in of_metric}:
                    wanted = NAMES.get((name, run), where or run)
                    found = [
                        (
                            None if name in STEPLESS else row.get("step"),
                            shown(value_at(row, metric), name),
                        )
                        for row in rows
                        if row["run"] == wanted and value_at(row, metric) is not None
                    ]
                    steps = [
                        (None if name in STEPLESS else step, shown(value, name))
                        for _, step, value, folder_ in of_metric
                        if folder_ == where
                    ]
                    assert found == steps, (wanted, metric)
        again = import_runs(DATA / folder, collection)
        assert (again.records, again.unchanged) == (0, sum(done.sources.values()))
        assert len(collection.records) == len(rows)


def test_mlflow_by_a_url_is_as_by_its_file(tmp_path: Path) -> None:
    """Through SQLAlchemy, as for PostgreSQL: the same rows, and nothing twice."""
    file = DATA / "mlflow" / "sqlite" / "mlflow.db"
    found = []
    for number, source in enumerate((file, f"sqlite:///{file}")):
        with ExperimentCollection(tmp_path / str(number)) as collection:
            import_runs(source, collection)
            assert import_runs(source, collection).records == 0
            rows = [{**row, "source": None, "run": row["run"]} for row in collection.records]
            found.append(sorted(repr(sorted(row.items())) for row in rows))
    assert found[0] == found[1]


def test_runs_are_experiments_with_their_own_times_and_ends(tmp_path: Path) -> None:
    """Numbered in order; where a source has no end, a run ended with its last record."""
    statuses = {}
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        with collection.new_experiment(run="own"):
            pass
        for folder in ("mlflow/sqlite", "wandb/sample", "wandb/killed", "tensorboard/torch"):
            for _ in range(2):  # importing again changes none of it
                import_runs(DATA / folder, collection)
                assert statuses.setdefault(folder, ends_of(collection)) == ends_of(collection)
        experiments = collection.experiments
        assert [each.number for each in experiments] == list(range(1, len(experiments) + 1))
        first = next(each for each in experiments if each["run"] == "parent")
        assert first["experiment_start_time"] == first["start_time"].timestamp()
        assert first["experiment_end_time"] == first["end_time"].timestamp()
        second = next(each for each in experiments if each.get("exit_code") == 3)
        times = [row["time"] for row in second.records if row["time"] is not None]
        assert second["experiment_end_time"] == max(times).timestamp()
        assert first["experiment_duration"] > 0
    assert ends_of(ExperimentCollection(tmp_path / "study")) == {
        "own": "finished",
        "mlflow parent": "finished",
        "mlflow failed": "failed",
        "mlflow open": "crashed",  # was running
        "wandb first": "finished",
        "wandb second": "failed",
        "wandb killed": "crashed",
        **{f"tensorboard {name}": "finished" for name in ("first", "second")},
        **{f"tensorboard first/{name}": "finished" for name in ("both_a", "both_b", "hp")},
    }


def ends_of(collection: ExperimentCollection) -> dict[str, str]:
    names = ([each.get("source_format"), each["run"]] for each in collection.experiments)
    statuses = (each.status.value for each in collection.experiments)
    return {" ".join(filter(None, name)): each for name, each in zip(names, statuses, strict=True)}


def test_a_nested_run_without_an_end_has_not_that_of_the_run_above(tmp_path: Path) -> None:
    """It ended with its last record."""
    file = tmp_path / "mlflow.db"
    shutil.copyfile(DATA / "mlflow" / "sqlite" / "mlflow.db", file)
    with sqlite3.connect(file) as database:
        database.execute("UPDATE runs SET status = 'RUNNING', end_time = NULL WHERE name = 'child'")
    database.close()
    with ExperimentCollection(tmp_path / "study") as collection:
        for _ in range(2):
            import_runs(file, collection)
        (row,) = collection.records.where(run="child")
        assert (row["status"], row["end_time"]) == ("running", row["time"])
        ends = {each["run"]: each["end_time"] for each in collection.records}
        assert len({ends[name] for name in ("parent", "child", "grandchild")}) == 3
