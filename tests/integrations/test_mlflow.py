"""MLflow's tracking as a drop-in: runs are a tree, and values are those of the original's own store."""

from __future__ import annotations

import io
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection, Status, mlflow
from rigorous_recorder.importers import import_runs
from rigorous_recorder.mlflow import places

SCRIPT = """
import sys
{module}
mlflow.set_tracking_uri("sqlite:///runs.db")
mlflow.set_experiment("demo")
with mlflow.start_run(run_name="outer", tags={{"k": "v"}}, description="d") as run:
    mlflow.log_param("lr", 0.1)
    mlflow.log_params({{"a": 1, "b": "x"}})
    for step in range(3):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metrics({{"x": 1.0, "y": 2.0}}, step=5)
    mlflow.log_metric("without", 1.0)
    mlflow.set_tag("t", "u")
    with mlflow.start_run(run_name="inner", nested=True):
        mlflow.log_metric("loss", 9.0, step=1)
    mlflow.log_metric("loss", float("nan"), step=1)
    assert mlflow.active_run().info.run_id == run.info.run_id
assert mlflow.active_run() is None
"""


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    places.CHOSEN.clear()
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    yield
    while mlflow.active_run() is not None:
        mlflow.end_run()


def rows_of(path: str) -> list[dict[str, Any]]:
    """The records with the names of their runs, without other attributes and times."""
    with ExperimentCollection.open(path, quiet=True) as collection:
        keys = {
            "run",
            "step",
            "loss",
            "x",
            "y",
            "without",
            "part",
            "path",
            "size",
            "picture",
            "table",
            "c",
        }
        return [
            {key: value for key, value in row.items() if value is not None and key in keys}
            for row in collection.records
        ]


@pytest.mark.slow
def test_a_script_logs_what_the_originals_own_store_has() -> None:
    """Record for record, by the importer; parameters keep their types here."""
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    Path("ours.py").write_text(SCRIPT.format(module="import rigorous_recorder.mlflow as mlflow"))
    Path("theirs.py").write_text(SCRIPT.format(module="import mlflow"))
    for name in ("theirs.py", "ours.py"):
        subprocess.run([sys.executable, name], check=True, capture_output=True)
    import_runs("runs.db", "theirs.collection", format="mlflow")
    assert repr([sorted(row.items()) for row in rows_of("runs/demo.collection")]) == repr(
        [sorted(row.items()) for row in rows_of("theirs.collection")]
    )


def test_the_script_without_the_original() -> None:
    """Nested runs are children, and the outer one's attributes are inherited."""
    code = SCRIPT.format(module="import rigorous_recorder.mlflow as mlflow")
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    rows = rows_of("runs/demo.collection")
    assert math.isnan(rows.pop()["loss"])
    assert rows == [
        {"run": "outer", "step": 0, "loss": 1.0},
        {"run": "outer", "step": 1, "loss": 0.5},
        {"run": "outer", "step": 2, "loss": 1 / 3},
        {"run": "outer", "step": 5, "x": 1.0, "y": 2.0},
        {"run": "outer", "step": 0, "without": 1.0},
        {"run": "inner", "step": 1, "loss": 9.0},
    ]
    with ExperimentCollection.open("runs/demo.collection", quiet=True) as collection:
        (experiment,) = collection.experiments
        assert experiment.status is Status.FINISHED
        assert (experiment["lr"], experiment["a"], experiment["b"]) == (0.1, 1, "x")
        assert experiment["tags"] == {"k": "v", "t": "u"}
        assert (experiment["notes"], experiment["experiment"]) == ("d", "demo")
        assert "packages" in experiment.environment


def test_runs_end_fail_and_go_on() -> None:
    """By ``with``, by name, by id; a second one has to be nested; no run begins by accident."""
    mlflow.set_tracking_uri("here")
    with pytest.raises(ZeroDivisionError), mlflow.start_run(capture=False) as run:
        mlflow.start_run(nested=True)
        with pytest.raises(mlflow.MlflowException, match="nested=True"):
            mlflow.start_run()
        mlflow.log_metric("a", 1 / 0)
    assert mlflow.active_run() is None
    assert mlflow.last_active_run() is not None
    with mlflow.start_run(run_id=run.info.run_id, capture=["environment"]):
        mlflow.log_metric("loss", 1.0)
    with pytest.raises(mlflow.MlflowException, match="no run 'x'"):
        mlflow.start_run(run_id="x")
    mlflow.start_run(capture=False)
    mlflow.end_run("KILLED")
    with ExperimentCollection.open("here/Default.collection", quiet=True) as collection:
        assert [each.status for each in collection.experiments] == [Status.FINISHED, Status.STOPPED]
        assert [len(each.environment) > 0 for each in collection.experiments] == [True, False]
    with pytest.raises(mlflow.MlflowException, match="names a server"):
        mlflow.set_tracking_uri("https://example.org")
    with pytest.raises(AttributeError, match="has no 'Missing'"):
        _ = mlflow.Missing


def test_files_pictures_and_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """Files lie beside the collection, and their records tell of them; names can't lead outside."""
    mlflow.set_tracking_uri("here")
    Path("model.bin").write_bytes(b"123")
    with mlflow.start_run(capture=False):
        mlflow.log_artifact("model.bin", "models")
        mlflow.log_text("hello", "notes/a.txt")
        mlflow.log_dict({"a": 1}, "d.json")
        mlflow.log_image(np.zeros((2, 2, 3), np.uint8), key="picture", step=3)
        mlflow.log_table({"c": [1, 2]}, "table.json")
        mlflow.log_text("x", "../outside.txt")
        mlflow.log_metric("bad", object())  # type: ignore[arg-type]
        mlflow.log_metric("loss", 1.0)
        folder = Path(mlflow.get_artifact_uri())
    assert (folder / "models" / "model.bin").read_bytes() == b"123"
    assert (folder / "notes" / "a.txt").read_text() == "hello"
    assert not (folder.parent / "outside.txt").exists()
    rows = rows_of("here/Default.collection")
    assert [(r["path"], r["size"]) for r in rows if r.get("part") == "artifacts"] == [
        ("models/model.bin", 3),
        ("notes/a.txt", 5),
        ("d.json", 12),
    ]
    assert [row["c"] for row in rows if row.get("table")] == [1, 2]
    assert next(row for row in rows if "picture" in row)["picture"].startswith(b"\x89PNG")
    assert [row["loss"] for row in rows if "loss" in row] == [1.0]
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_each_value_goes_to_its_run(capsys: pytest.CaptureFixture[str]) -> None:
    """By ``run_id`` to another than the active one; what can't be stored costs only itself."""
    mlflow.set_tracking_uri("here")
    with mlflow.start_run(run_name="outer", tags={"t": "outer"}, capture=False) as outer:
        with mlflow.start_run(run_name="inner", nested=True):
            mlflow.set_tag("u", "inner")
            id_ = outer.info.run_id
            mlflow.log_metrics({"loss": 1, "odd": object()}, run_id=id_)
            mlflow.log_metric("loss", 2, run_id=id_)
            mlflow.log_metric("loss", 3)
            mlflow.log_params({"a": 1, "odd": {"b": object()}}, run_id=id_)
            mlflow.log_text("x", "x.txt", run_id=id_)
            with pytest.raises(mlflow.MlflowException, match="no run 'x'"):
                mlflow.log_metric("loss", 4, run_id="x")
    with ExperimentCollection.open("here/Default.collection", quiet=True) as collection:
        rows = [
            (row["run"], row["loss"], row["a"], row["tags"])
            for row in collection.records.where("loss is not null")
        ]
        assert rows == [
            ("outer", 1, 1, {"t": "outer"}),
            ("outer", 2, 1, {"t": "outer"}),
            ("inner", 3, 1, {"u": "inner"}),
        ]
        (file,) = collection.records.where("path is not null")
        assert file["run"] == "outer"
    assert "'odd' could not be logged" in capsys.readouterr().err


def test_nested_runs_go_on_below_their_parents() -> None:
    """In this process and in another; whose parent goes on with them, and is not ended by them."""
    mlflow.set_tracking_uri("here")
    with mlflow.start_run(run_name="outer", capture=False) as outer:
        with mlflow.start_run(run_name="inner", nested=True) as inner:
            mlflow.log_metric("loss", 1, step=0)
    ids = [outer.info.run_id, inner.info.run_id]
    with mlflow.start_run(run_id=ids[1]):
        mlflow.log_metric("loss", 2, step=1)
    code = f"""
import rigorous_recorder.mlflow as mlflow
mlflow.set_tracking_uri("here")
mlflow.set_experiment("another")
with mlflow.start_run(run_id={ids[1]!r}):
    mlflow.log_metric("loss", 3, step=2)
    mlflow.log_param("later", "x")
with mlflow.start_run(run_id={ids[0]!r}):
    mlflow.log_metric("loss", 4, step=9)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    found = mlflow.get_run(ids[1])
    assert (found.data.metrics, found.data.params) == ({"loss": 3}, {"later": "x"})
    assert (found.info.status, found.info.run_name) == ("FINISHED", "inner")
    assert mlflow.get_parent_run(ids[1]).info.run_id == ids[0]
    history = [
        (each.step, each.value) for each in mlflow.MlflowClient().get_metric_history(ids[1], "loss")
    ]
    assert history == [(0, 1), (1, 2), (2, 3)]
    page = mlflow.MlflowClient().get_metric_history(ids[1], "loss", max_results=2)
    (last,) = mlflow.MlflowClient().get_metric_history(ids[1], "loss", page_token=page.token)
    assert (len(page), last.value) == (2, 3)
    assert mlflow.get_run(ids[0]).data.metrics == {"loss": 4}


def test_runs_are_found_and_logged_to_by_their_ids() -> None:
    """As a DataFrame, by filters and orders, and by the client."""
    mlflow.set_tracking_uri("here")
    for lr in (0.1, 0.2, 0.3):
        with mlflow.start_run(run_name=f"lr {lr}", tags={"kind": "s"}, capture=False):
            mlflow.log_param("lr", lr)
            mlflow.log_metric("loss", 9.0, step=0)
            mlflow.log_metric("loss", 1 - lr, step=1, dataset=mlflow.data.from_numpy([1], name="d"))
    chosen = "metrics.loss < 0.85 and tags.kind = 's' and attributes.status = 'FINISHED'"
    frame = mlflow.search_runs(filter_string=chosen, order_by=["metrics.loss DESC"])
    assert frame[["params.lr", "metrics.loss"]].to_numpy().tolist() == [[0.2, 0.8], [0.3, 0.7]]
    assert str(frame["start_time"].dtype).endswith("UTC]")
    found = mlflow.search_runs(filter_string="params.lr = '0.1'", output_format="list")
    assert [each.info.run_name for each in found] == ["lr 0.1"]
    for wrong in ("loss ~ 3", "metrics.loss < 1 or 2"):
        with pytest.raises(mlflow.MlflowException, match="not a valid condition"):
            mlflow.search_runs(filter_string=wrong)
    client = mlflow.MlflowClient()
    assert client.get_experiment_by_name("other") is None
    run = client.create_run(client.create_experiment("other", tags={"a": 1}), run_name="r")
    id_ = run.info.run_id
    metric = mlflow.entities.Metric("m", 2.0, 1_700_000_000_000, 3)
    client.log_batch(id_, [metric], [mlflow.entities.Param("p", "q")])
    client.log_text(id_, "hello", "folder/x.txt")
    client.set_terminated(id_, "FAILED")
    stored = client.get_run(id_)
    assert (stored.data.metrics, stored.data.params) == ({"m": 2.0}, {"p": "q"})
    assert stored.info.status == "FAILED"
    assert client.get_metric_history(id_, "m") == [metric]
    assert [each.path for each in client.list_artifacts(id_)] == ["folder"]
    path = client.download_artifacts(id_, "folder/x.txt", "copy")
    assert mlflow.artifacts.load_text(path) == "hello"
    assert client.get_experiment("other").tags == {"a": 1}
    assert mlflow.active_run() is None


def test_experiments_are_made_and_found() -> None:
    """By their names, which are their ids, or as 0; once; and by their tags."""
    client = mlflow.MlflowClient()
    client.create_experiment("study", tags={"team": "a"})
    with pytest.raises(mlflow.MlflowException, match="exists") as error:
        mlflow.create_experiment("study")
    assert error.value.error_code == "RESOURCE_ALREADY_EXISTS"
    mlflow.set_experiment("another")
    found = mlflow.get_experiment_by_name("another")
    assert found is not None
    assert found.experiment_id == "another"
    assert found.creation_time is not None
    mlflow.set_experiment_tag("k", "v")
    client.set_experiment_tag("study", "k", "w")
    assert [each.name for each in client.search_experiments()] == ["another", "study"]
    for chosen in ("name = 'study'", "tags.team = 'a'", "name LIKE 's%' AND tags.k = 'w'"):
        assert [each.name for each in mlflow.search_experiments(filter_string=chosen)] == ["study"]
    page = client.search_experiments(max_results=1, order_by=["name DESC"])
    assert [each.name for each in page] == ["study"]
    following = client.search_experiments(None, 1, order_by=["name DESC"], page_token=page.token)
    assert [each.name for each in following] == ["another"]
    assert following.token is None
    with mlflow.start_run(experiment_id=0, capture=False) as run:  # type: ignore[arg-type]
        mlflow.log_metric("loss", 1)
    assert run.info.experiment_id == "Default"
    assert [each.info.run_id for each in client.search_runs(["0"])] == [run.info.run_id]
    with pytest.raises(mlflow.MlflowException, match="names a server"):
        mlflow.set_tracking_uri("databricks")


def test_runs_of_other_processes_are_logged_to_by_their_ids() -> None:
    """Also after they have ended, which they stay; and they get nested runs."""
    with mlflow.start_run(run_name="outer", tags={"t": "outer"}, capture=False) as outer:
        mlflow.log_metric("loss", 1)
        with mlflow.start_run(run_name="inner", nested=True) as inner:
            mlflow.log_metric("loss", 2)
    code = """
import sys
import rigorous_recorder.mlflow as mlflow
client = mlflow.MlflowClient()
for number, run_id in enumerate(sys.argv[1:]):
    client.set_tag(run_id, "seen", number)
    client.log_metric(run_id, "later", number, step=4)
    client.log_param(run_id, "p", number)
    client.log_text(run_id, "hello", "a.txt")
    mlflow.log_metrics({"more": 3}, run_id=run_id)
with mlflow.start_run(run_name="late", nested=True, parent_run_id=sys.argv[1], capture=False):
    mlflow.log_metric("loss", 5)
tags = {"mlflow.parentRunId": sys.argv[1], "mlflow.runName": "made"}
made = client.create_run("Default", tags=tags, start_time=1_600_000_000_000)
client.set_terminated(made.info.run_id, "KILLED", 1_700_000_000_000)
"""
    ids = [outer.info.run_id, inner.info.run_id]
    ran = subprocess.run([sys.executable, "-c", code, *ids], capture_output=True, check=True)
    assert ran.stderr == b""
    first, second = (mlflow.get_run(each) for each in ids)
    assert (first.info.status, second.info.status) == ("FINISHED", "FINISHED")
    assert first.data.metrics == {"loss": 1, "later": 0, "more": 3}
    assert second.data.metrics == {"loss": 2, "later": 1, "more": 3}
    assert (first.data.tags["t"], first.data.tags["seen"]) == ("outer", 0)
    assert second.data.tags["seen"] == 1
    assert (first.data.params["p"], second.data.params["p"]) == (0, 1)
    children = mlflow.search_runs(
        filter_string=f"tags.mlflow.parentRunId = '{ids[0]}'", output_format="list"
    )
    assert sorted(each.info.run_name for each in children) == ["inner", "late", "made"]
    (made,) = (each for each in children if each.info.run_name == "made")
    times = (made.info.start_time, made.info.end_time)
    assert times == (1_600_000_000_000, 1_700_000_000_000)
    assert made.info.status == "KILLED"
    assert [
        each.info.run_name for each in mlflow.MlflowClient().search_runs(["0"], "tags.t = 'outer'")
    ] == ["outer"]
    with pytest.raises(mlflow.MlflowException, match="there is no run 'x'"):
        mlflow.MlflowClient().set_tag("x", "a", 1)


def test_the_run_with_the_id_goes_on_where_several_have_a_number() -> None:
    """As a failed run and the next one do; also for the client."""
    ids = []
    for name in ("failed", "finished"):
        with mlflow.start_run(run_name=name, capture=False) as run:
            ids.append(run.info.run_id)
            mlflow.end_run("FAILED" if name == "failed" else "FINISHED")
    code = """
import sys
import rigorous_recorder.mlflow as mlflow
mlflow.MlflowClient().log_metric(sys.argv[1], "by id", 1)
with mlflow.start_run(run_id=sys.argv[1], capture=False):
    mlflow.log_metric("again", 2)
"""
    subprocess.run([sys.executable, "-c", code, ids[0]], check=True)
    first, second = (mlflow.get_run(each) for each in ids)
    assert (first.data.metrics, second.data.metrics) == ({"by id": 1, "again": 2}, {})
    assert (first.info.status, second.info.status) == ("FINISHED", "FINISHED")


def test_runs_of_a_killed_process_have_failed() -> None:
    """Also nested ones, which its death leaves as they were."""
    code = """
import os, signal
import rigorous_recorder.mlflow as mlflow
mlflow.start_run(run_name="outer", capture=False)
mlflow.start_run(run_name="inner", nested=True)
mlflow.log_metric("loss", 1)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    runs = mlflow.search_runs(output_format="list")
    found = sorted((each.info.run_name, each.info.status) for each in runs)
    assert found == [("inner", "FAILED"), ("outer", "FAILED")]
    with mlflow.start_run(run_name="going on", capture=False):
        mlflow.start_run(run_name="nested", nested=True)
        chosen = "attributes.status = 'RUNNING'"
        runs = mlflow.search_runs(filter_string=chosen, output_format="list")
        assert sorted(each.info.run_name for each in runs) == ["going on", "nested"]


def test_numbers_are_numbers_and_nothing_is_waited_for() -> None:
    """Texts of numbers, arrays and tensors with one element; ``synchronous=False`` is a wait for nothing."""
    with mlflow.start_run(capture=False) as run:
        for value in ("1.5", np.array([2.0]), np.array(3.0)):
            mlflow.log_metric("loss", value, synchronous=False).wait()
        mlflow.log_metrics({"x": np.array([[4.0]])}, synchronous=False).wait()
        mlflow.log_params({"p": 1}, synchronous=False).wait()
        assert mlflow.log_param("q", 2) == 2
        mlflow.log_inputs([mlflow.data.from_numpy([1], name="d")], ["training"])
        assert mlflow.log_metric("loss", 1.0) is None
    with ExperimentCollection.open("mlflow/Default.collection", quiet=True) as collection:
        rows = collection.records
        assert [row["loss"] for row in rows] == [1.5, 2.0, 3.0, None, 1.0]
        assert rows[3]["x"] == 4.0
    (data_set,) = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
    assert (data_set.dataset.name, data_set.tags[0].value) == ("d", "training")


def test_what_a_run_was_given_when_it_went_on_counts_when_it_goes_on_again() -> None:
    """Its parameters, tags and data sets, also beside those that come later."""
    mlflow.set_tracking_uri("here")
    run_id = None
    for number in range(4):
        with mlflow.start_run(run_id=run_id, capture=False) as run:
            run_id = run.info.run_id
            mlflow.log_metric("x", number)
            if number != 2:
                mlflow.log_param(f"p{number}", number)
                mlflow.set_tag(f"t{number}", number)
                mlflow.log_input(mlflow.data.from_numpy([1], name=f"d{number}"))
        found = mlflow.get_run(run_id)
        given = [each for each in range(number + 1) if each != 2]
        assert {each: found.data.params[f"p{each}"] for each in given} == {n: n for n in given}
        assert {each: found.data.tags[f"t{each}"] for each in given} == {n: n for n in given}
        names = [each.dataset.name for each in found.inputs.dataset_inputs]
        assert names == [f"d{each}" for each in given]
        assert found.info.status == "FINISHED"


def test_a_stream_that_cannot_be_read_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """Such as one that was closed."""
    mlflow.set_tracking_uri("here")
    stream = io.StringIO("text")
    stream.close()
    with mlflow.start_run(capture=False):
        mlflow.log_stream(stream, "a.txt")
    assert "log_stream could not log" in capsys.readouterr().err


def test_a_nested_run_has_data_sets_of_its_own() -> None:
    """Without those of the run that it belongs to."""
    mlflow.set_tracking_uri("here")
    with mlflow.start_run(capture=False):
        mlflow.log_input(mlflow.data.from_numpy([1], name="outer"))
        with mlflow.start_run(nested=True) as nested:
            for name in ("inner", "other"):
                mlflow.log_input(mlflow.data.from_numpy([1], name=name))
    found = mlflow.get_run(nested.info.run_id).inputs.dataset_inputs
    assert [each.dataset.name for each in found] == ["inner", "other"]


@pytest.mark.filterwarnings("ignore::rigorous_recorder.errors.MixedKindsWarning")
def test_a_condition_of_another_type_is_met_by_no_run() -> None:
    """A list of one text is a list; what is not a value at all is an error that says so."""
    mlflow.set_tracking_uri("here")
    with mlflow.start_run(capture=False):
        mlflow.log_params({"p": "ab", "q": 4})
        mlflow.log_metric("x", 1.0)
    for text, number in {
        "params.p > 3": 0,
        "params.q > 3": 1,
        "params.p IN ('ab')": 1,
        "params.p IN ('abc')": 0,
        "params.p NOT IN ('abc')": 1,
        "params.p IN ('b', 'ab')": 1,
    }.items():
        assert len(mlflow.search_runs(filter_string=text)) == number, text
    with mlflow.start_run(capture=False):
        mlflow.log_params({"p": 2, "q": [1]})
    with mlflow.start_run(capture=False):
        mlflow.log_params({"p": 1.5, "q": "auto"})
    for order, wanted in {
        "params.p": ["1.5", "2", "ab"],  # numbers before texts
        "params.p DESC": ["ab", "2", "1.5"],
        "params.q": ["ab", "2", "1.5"],
    }.items():
        runs = mlflow.search_runs(order_by=[order], output_format="list")
        assert [str(run.data.params["p"]) for run in runs] == wanted, order
    for text in ("metrics.x > high", "params.p IN (ab)", "params.p IN 3", "metrics.x > 1..2"):
        with pytest.raises(mlflow.MlflowException, match="is not a valid condition"):
            mlflow.search_runs(filter_string=text)


def test_filters_and_orders_are_those_of_the_original() -> None:
    """Null and not null; NaN is last in each order; what is before the point is one of four."""
    mlflow.set_tracking_uri("here")
    for number, loss in enumerate((1.0, math.nan, 0.5)):
        with mlflow.start_run(run_name=str(number), capture=False):
            mlflow.log_metric("loss", loss)
            mlflow.log_params({"p": 1} if number else {})
    client = mlflow.MlflowClient()

    def found(text: str = "", *order: str) -> list[str]:
        runs = client.search_runs(["0"], text, order_by=order or ["created ASC"])
        return [each.info.run_name for each in runs]

    assert found("params.p IS NULL") == ["0"]
    assert found("params.p is not null AND metrics.loss < 9") == ["2"]
    assert found("", "metrics.loss") == ["2", "0", "1"]
    assert found("", "metrics.loss DESC") == ["0", "2", "1"]
    for wrong in ("nope.loss < 1", "datasets.name = 'd'"):
        with pytest.raises(mlflow.MlflowException, match="expected metrics, params, tags"):
            found(wrong)
    page = client.search_runs(["0"], max_results=2)
    assert (len(page), len(client.search_runs(["0"], page_token=page.token))) == (2, 1)
    assert list(mlflow.search_runs(filter_string="metrics.loss > 9"))[:2] == [
        "run_id",
        "experiment_id",
    ]


IMPORTS = """
import rigorous_recorder.mlflow as mlflow
import rigorous_recorder.mlflow.sklearn
import rigorous_recorder.mlflow.models.signature
from rigorous_recorder.mlflow import MlflowClient, pytorch
from rigorous_recorder.mlflow.artifacts import load_text
from rigorous_recorder.mlflow.entities import LoggedModel, RunStatus, SpanType, ViewType
from rigorous_recorder.mlflow.exceptions import MlflowException, RestException
from rigorous_recorder.mlflow.models import infer_signature
from rigorous_recorder.mlflow.pyfunc import PythonModel
from rigorous_recorder.mlflow.store.entities import PagedList
from rigorous_recorder.mlflow.tracking import MlflowClient
from rigorous_recorder.mlflow.tracking.client import MlflowClient
from rigorous_recorder.mlflow.tracking.context.registry import resolve_tags
from rigorous_recorder.mlflow.tracking.fluent import log_metric
from rigorous_recorder.mlflow.types.schema import ColSpec, Schema
from rigorous_recorder.mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from rigorous_recorder.mlflow.utils.validation import MAX_PARAM_VAL_LENGTH
from rigorous_recorder.mlflow.version import VERSION

class Model(PythonModel):
    def predict(self, context, model_input):
        return model_input

@mlflow.trace(span_type=SpanType.TOOL)
def twice(x):
    return 2 * x

assert twice(2) == 4
info = mlflow.pyfunc.log_model(name="m", python_model=Model(), signature=infer_signature([1], [2]))
mlflow.register_model(info.model_uri, "registered")
assert [*MlflowClient().search_model_versions("name='registered'")] == []
for _ in range(3):
    with mlflow.start_span("s") as span:
        span.set_outputs(twice(1))
assert RunStatus.to_string(RunStatus.FINISHED) == "FINISHED"
try:
    mlflow.sklearn.load_model("runs:/x/model")
except MlflowException as error:
    print(error)
"""


def test_what_scripts_import_is_there() -> None:
    """Models and traces do nothing, which is reported once for each; only loading a model fails."""
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, check=True, text=True
    )
    assert "load the file that log_artifact() copied" in ran.stdout
    reported = [
        "trace",
        "pyfunc.log_model",
        "register_model",
        "search_model_versions",
        "start_span",
    ]
    lines = ran.stderr.splitlines()
    assert len(lines) == len(reported)
    for line, name in zip(lines, reported, strict=True):
        assert f"{name}()" in line


FRAMEWORKS = {
    "lightning": """
from lightning.pytorch.loggers import MLFlowLogger
logger = MLFlowLogger("study", run_name="r", tags={"a": "b"}, tracking_uri="here")
logger.log_hyperparams({"lr": 0.1})
logger.log_metrics({"loss": 0.5}, 3)
logger.finalize("success")
""",
    "accelerate": """
from accelerate import Accelerator
accelerator = Accelerator(log_with="mlflow", cpu=True, project_dir="here")
options = {"mlflow": {"run_name": "r", "tags": {"a": "b"}}}
accelerator.init_trackers("study", config={"lr": 0.1}, init_kwargs=options)
accelerator.log({"loss": 0.5}, step=3)
accelerator.end_training()
""",
    "transformers": """
import torch
from transformers import TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import MLflowCallback
callback = MLflowCallback()
arguments = TrainingArguments("out", learning_rate=0.1, run_name="r", use_cpu=True)
state = TrainerState(global_step=3, is_world_process_zero=True)
callback.on_train_begin(arguments, state, TrainerControl(), model=torch.nn.Linear(1, 1))
callback.on_log(arguments, state, TrainerControl(), {"loss": 0.5}, model=None)
callback.on_train_end(arguments, state, TrainerControl())
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_loggers_of_frameworks_log_here(framework: str) -> None:
    """After ``patch()``: the parameters, the tags and the metrics."""
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    code = "import rigorous_recorder.mlflow\nrigorous_recorder.mlflow.patch()\n"
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": "here",
        "MLFLOW_EXPERIMENT_NAME": "study",
        "MLFLOW_TAGS": '{"a": "b"}',
    }
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code + FRAMEWORKS[framework]],
        check=True,
        capture_output=True,
        env=environment,
    )
    with ExperimentCollection.open("here/study.collection", quiet=True) as collection:
        (run,) = collection.experiments
        assert (run["run"], run["tags"]["a"], run.status) == ("r", "b", Status.FINISHED)
        assert float(run["learning_rate" if framework == "transformers" else "lr"]) == 0.1
        assert [(row["loss"], row["step"]) for row in run.records] == [(0.5, 3)]


def test_what_is_not_there_is_reported_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    """With what to use instead, at the call."""
    mlflow.set_tracking_uri("here")
    mlflow.autolog()
    mlflow.sklearn.autolog()
    with mlflow.start_run(capture=False), mlflow.start_span("s") as span:
        span.set_inputs({"a": 1})
        mlflow.log_input(mlflow.data.from_pandas([1, 2], name="d"), context="training")
        mlflow.xgboost.log_model(None, "model")
    assert mlflow.trace(len)("abc") == 3
    assert mlflow.search_runs()["params.inputs"][0] == [{"name": "d", "context": "training"}]
    lines = capsys.readouterr().err.splitlines()
    assert ["mlflow.sklearn.autolog() logs nothing here" in line for line in lines].count(True) == 1
    assert len(lines) == 5


UNENDED = """
import os, sys
import rigorous_recorder.mlflow as mlflow
mlflow.start_run(run_name="outer", capture=False)
mlflow.start_run(run_name="inner", nested=True)
if os.fork() == 0:
    sys.exit()
os.wait()
mlflow.set_tag("after", "fork")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_runs_that_are_open_at_the_end_of_a_script_end() -> None:
    """Also nested ones, and not by a forked child."""
    ran = subprocess.run([sys.executable, "-c", UNENDED], capture_output=True, check=True)
    assert ran.stderr == b""
    with ExperimentCollection.open("mlflow/Default.collection", quiet=True) as collection:
        found = collection.sql("SELECT run, status, end_time IS NULL FROM level('run')").fetchall()
        assert found == [("outer", "finished", False), ("inner", "finished", False)]
