"""Runs that are exported and imported again are those that were exported, up to what the docs say."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._lazy import lazy_module
from rigorous_recorder.errors import ArgumentError, MissingPackageError
from rigorous_recorder.exporters import TARGETS, export_runs
from rigorous_recorder.importers import import_runs

DATA = Path(__file__).parents[1] / "data" / "tools"
PNG = (DATA / "dvclive/sample/first/plots/images/picture.png").read_bytes()
START = 1_795_871_760


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
        run.push(loss=0.5, time=datetime.fromtimestamp(START + 9, UTC))
        1 / 0  # noqa: B018
    collection.save()
    return collection


def again(target: str, collection: ExperimentCollection, folder: Path) -> ExperimentCollection:
    """What is imported of an export."""
    export_runs(collection, folder / "out", to=target)
    imported = ExperimentCollection(folder / "again", quiet=True)
    import_runs(folder / "out", imported)
    return imported


def rows_of(collection: ExperimentCollection, *keys: str) -> list[tuple[str, ...]]:
    """The values of some keys of all records in order, as text that tells types."""
    return [tuple(repr(row[key]) for key in keys) for row in collection.records]


#: Of the collection above, what was logged, but for ``lr``, which is in the configuration, too.
LOGGED = (
    "loss",
    "count",
    "text",
    "yes",
    "big",
    "nested",
    "list",
    "picture",
    "reward",
)


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
        "records without a time: that of the start of the run (4)",
        "bytes that are no picture and no sound: not taken (1)",
        "records without step: their number is their step (1)",
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


@pytest.mark.parametrize("target", ["trackio", "wandb-offline"])
def test_values_keep_their_types_where_the_tool_has_json(target: str, tmp_path: Path) -> None:
    """Each record in order, and in it what recorders above it have."""
    with fill(tmp_path / "study") as collection, again(target, collection, tmp_path) as found:
        assert rows_of(found, *LOGGED, "episode") == rows_of(collection, *LOGGED, "episode")
        steps = [0 if row["step"] is None else row["step"] for row in collection.records]
        assert [row.get("metric.step", row["step"]) for row in found.records] == steps
        if target == "wandb-offline":
            assert [str(each.status) for each in found.experiments] == ["finished", "failed"]
        times = [row["time"] for row in found.records][:5]
        assert times == [row["time"] for row in collection.records][:5]
        rates = [row["lr"] for row in collection.records][:5]
        assert [row["lr"] for row in found.records][:6] == [*rates, None]
        first = found.experiments[0]
        assert (first["run"], first["config.lr"], first["layers"], first["seed"]) == (
            "first", 0.1, [1, 2], 2**60 + 1,
        )  # fmt: skip


def test_runs_of_drop_ins_have_their_names_and_values(tmp_path: Path) -> None:
    """As imported ones do; an array among the values is a list."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        about = {"run": "a/b", "run_id": "x1", "config.run": 5, "project": "p", "lr": 0.1}
        with collection.new_experiment(about) as run:
            run.push({"step": 0, "weights": np.arange(3), "metric.step": 7, "empty": {}})
        with again("wandb-offline", collection, tmp_path) as found:
            (one,) = found.experiments
            kept = {key: one[key] for key in about}
            assert kept == about
            (row,) = found.records
            assert (row["weights"], row["metric.step"]) == ([0, 1, 2], 7)


def test_mlflow_holds_numbers_and_the_tree(tmp_path: Path) -> None:
    """Recorders are nested runs; infinities are reported."""
    with fill(tmp_path / "study") as collection:
        done = export_runs(collection, tmp_path / "out", to="mlflow")
        assert "infinities: as the largest float, as MLflow writes them (2)" in done.losses
        assert "values of records that are no numbers: not taken (8)" in done.losses
    with ExperimentCollection(tmp_path / "again", quiet=True) as found:
        import_runs(tmp_path / "out", found)
        largest = sys.float_info.max
        wanted = ["0.1", "nan", repr(largest), repr(-largest), "0.0"]
        assert [row[0] for row in rows_of(found, "loss")][:5] == wanted
        nested = [
            (row["run"], row["reward"], row["step"]) for row in found.records if row["reward"]
        ]
        assert nested == [("episode=1", 10.0, 0), ("episode=2", 20.0, 0)]
        assert [str(each.status) for each in found.experiments] == ["finished", "failed"]
        assert found.experiments[0]["layers"] == "[1, 2]"


PEERS = {
    "mlflow": """
from mlflow import MlflowClient
client = MlflowClient("sqlite:///" + sys.argv[1] + "/mlflow.db")
run = next(each for each in client.search_runs(["1"]) if each.info.run_name == "first")
points = client.get_metric_history(run.info.run_id, "lr")
print([each.step for each in points], [each.value for each in points], run.data.params["lr"])
""",
    "trackio": """
from trackio.sqlite_storage import SQLiteStorage
rows = SQLiteStorage.get_logs("study", "first")
points = [row for row in rows if row.get("lr") is not None]
config = SQLiteStorage.get_run_config("study", "first")
print([row["step"] for row in points], [row["lr"] for row in points], config["lr"])
""",
    "wandb": """
from pathlib import Path
from wandb.proto import wandb_internal_pb2
from rigorous_recorder.importers import Report
from rigorous_recorder.importers.leveldb_log import records
(path,) = Path(sys.argv[1]).glob("offline-run-*/run-*.wandb")
steps, values, config = [], [], ""
for data, _ in records(path, bytes.fromhex("3a572642e1be00"), Report()):
    record = wandb_internal_pb2.Record.FromString(data)
    config = config or "".join(e.value_json for e in record.run.config.update if e.key == "lr")
    for item in record.history.item:
        if item.nested_key == ["lr"]:
            steps.append(record.history.step.num)
            values.append(float(item.value_json))
print(steps, values, config)
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("peer", PEERS)
def test_the_tools_read_what_is_exported(peer: str, tmp_path: Path) -> None:
    """Each by its own code, in a process of its own."""
    pytest.importorskip(peer)
    with fill(tmp_path / "study") as collection:
        records = collection.records.where("name = 'first'")
        target = "wandb-offline" if peer == "wandb" else peer
        out = tmp_path / "out"
        export_runs(collection, out, to=target, records=records)
        for each in out.glob("*/run-*.wandb"):
            if "first" not in each.read_bytes().decode("latin-1"):
                each.unlink()
    code = f"import sys{PEERS[peer]}"
    about = {**os.environ, "TRACKIO_DIR": str(out)}
    command = [sys.executable, "-c", code, str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=about)
    values = [0.1 / (step + 1) for step in range(5)]
    assert done.stdout.splitlines()[-1] == f"{[*range(5)]} {values} 0.1"


#: What reads a table back: the package, and the names and columns of the table at a path.
TABLES: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "hf-dataset": ("datasets", lambda package, path: package.load_from_disk(path).data.table),
    "delta": ("deltalake", lambda package, path: package.DeltaTable(path).to_pyarrow_table()),
    "lance": ("lance", lambda package, path: package.dataset(path).to_table()),
}


@pytest.mark.slow
@pytest.mark.parametrize("target", TABLES)
def test_tables_have_the_flat_table(target: str, tmp_path: Path) -> None:
    """All rows in order, and all columns; the library itself reads them."""
    name, read = TABLES[target]
    package = pytest.importorskip(name)
    with fill(tmp_path / "study") as collection:
        assert export_runs(collection, tmp_path / "out", to=target).losses == []
        table = collection.records.to_arrow()
    found = read(package, str(tmp_path / "out"))
    assert found.column_names == table.column_names
    for key in table.column_names:
        assert repr(found[key].to_pylist()) == repr(table[key].to_pylist()), key


@pytest.mark.slow
@pytest.mark.parametrize("target", ["delta", "lance", "hf-dataset", "xarray-zarr"])
def test_any_names_and_values_are_exported(target: str, tmp_path: Path) -> None:
    """Names that a tool can't have become others, which is reported; all values are there."""
    name = {"xarray-zarr": "xarray"}.get(target) or TABLES[target][0]
    package = pytest.importorskip(name)
    names = ["a", "A", "a.b", "a/b", "a_b", "k" * 3000, "tab\tnl\n", "é ,;{}()="]
    with ExperimentCollection(tmp_path / "study") as collection:
        with collection.new_experiment() as run:
            run.push(dict.fromkeys(names, 1))
            run.push(dict.fromkeys(names, 2))
            run.push(big=1 << 90, nested={"x": {"y": [1, None]}}, odd=b"\x00", day=date(2020, 1, 1))
        done = export_runs(collection, tmp_path / "out", to=target)
    lines = [str(loss) for loss in done.losses if "names" in str(loss)]
    assert bool(lines) == (target != "hf-dataset")
    if target == "xarray-zarr":
        found = package.open_zarr(tmp_path / "out").load()
        columns = {key: each.values.tolist() for key, each in found.variables.items()}
    else:
        columns = TABLES[target][1](package, str(tmp_path / "out")).to_pydict()
    of_names = [each[:2] for each in columns.values() if each[:2] == [1, 2]]
    assert len(of_names) == len(names)
    assert {"big", "nested", "odd", "day"} <= columns.keys()
    assert str(1 << 90) in map(str, columns["big"])


@pytest.mark.slow
def test_zarr_has_a_variable_for_each_column(tmp_path: Path) -> None:
    """Xarray reads them, and knows what is missing."""
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("zarr")
    with fill(tmp_path / "study") as collection:
        export_runs(collection, tmp_path / "out", to="xarray-zarr")
        found = xarray.open_zarr(tmp_path / "out").load()
        assert {*found.variables} == {*collection.records.columns}
    assert repr(found.loss.values[:5].tolist()) == "[0.1, nan, inf, -inf, -0.0]"
    assert found.had_error.values.tolist() == [False] * 9 + [True]
    assert found.text.values[4:6].tolist() == ["t4", ""]
    assert repr(found["count"].values[4:6].tolist()) == "[4.0, nan]"
    assert str(found.time.values[1]).startswith("2026-11-28T13:16:01")


@pytest.mark.parametrize(
    ("target", "package"), [("delta", "deltalake"), ("lance", "lance"), ("hf-dataset", "datasets")]
)
def test_a_missing_package_is_named(
    target: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the line that installs it, and nothing is left."""
    module = import_module(f"rigorous_recorder.exporters.{target.replace('-', '_')}")
    monkeypatch.setattr(module, package, lazy_module(package, install=package))  # not used yet
    monkeypatch.setitem(sys.modules, package, None)
    with (
        ExperimentCollection(tmp_path / "study") as collection,
        pytest.raises(MissingPackageError, match="pip install"),
    ):
        export_runs(collection, tmp_path / "out", to=target)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("target", TARGETS[:5])
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


def test_texts_and_ints_are_the_same_in_tensorboard_and_trackio(tmp_path: Path) -> None:
    """A text is no list; lists of texts are lists; ints that Trackio can't read are text wherever they are."""
    values = {"text": "a", "texts": ["a"], "big": {"in": [1 << 70]}}
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        with collection.new_experiment(name="first") as run:
            run.push(values, step=0)
        for target, wanted in (
            ("tensorboard", {"text": "a", "texts": ["a"], "big/in": [2.0**70]}),
            ("trackio", {"text": "a", "texts": ["a"], "big": {"in": [str(1 << 70)]}}),
        ):
            (tmp_path / target).mkdir()
            with again(target, collection, tmp_path / target) as found:
                (row,) = found.records
                assert {key: row[key] for key in wanted} == wanted
