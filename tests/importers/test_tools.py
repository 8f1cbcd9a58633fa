"""What tools write that the samples do not have: parts, tags, types, and older versions."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.errors import MissingPackageError
from rigorous_recorder.importers import Report, Source, aim, import_runs
from rigorous_recorder.importers.contract import Format
from rigorous_recorder.importers.event_frames import masked_crc
from rigorous_recorder.importers.files import read_yaml

from .test_samples import DATA
from .test_wandb import field


def rows_in(source: Path, folder: Path, **options: Any) -> list[dict[str, Any]]:
    """The flat table of an import, in which missing values are left out."""
    with ExperimentCollection(folder / "study", quiet=True) as collection:
        import_runs(source, collection, **options)
        return [
            {key: value for key, value in dict(row).items() if value is not None}
            for row in collection.records
        ]


def attributes_in(source: Path, folder: Path, **options: Any) -> list[dict[str, Any]]:
    """The attributes of the experiments of an import."""
    with ExperimentCollection(folder / "study", quiet=True) as collection:
        import_runs(source, collection, **options)
        return [dict(each.recorder.local_data) for each in collection.experiments]


# --- MLflow ------------------------------------------------------------------------------------------


def mlflow_database(folder: Path) -> Path:
    """The sample's database with two metrics of its machine."""
    file = folder / "mlflow.db"
    shutil.copyfile(DATA / "mlflow" / "sqlite" / "mlflow.db", file)
    with closing(sqlite3.connect(file)) as database, database:
        (run,) = database.execute("SELECT run_uuid FROM runs WHERE name = 'failed'").fetchone()
        for key in ("system/cpu", "system/memory", "mine"):
            row = key, 5.0, 7_000, run, 3, False
            insert = "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES"
            database.execute(f"{insert} (?, ?, ?, ?, ?, ?)", row)
        for key, value in (("mlflow.source.git.repoURL", "url"), ("mlflow.mine", "x"), ("a", "b")):
            database.execute("INSERT INTO tags VALUES (?, ?, ?)", (key, value, run))
    return file


def mlflow_files(folder: Path) -> Path:
    """The same in the store of files."""
    shutil.copytree(DATA / "mlflow" / "files" / "mlruns", folder / "mlruns")
    (name,) = (
        file
        for file in folder.rglob("mlflow.runName")
        if file.read_text("utf-8").strip() == "failed"
    )
    run = name.parent.parent
    (run / "metrics" / "system").mkdir()
    for key in ("system/cpu", "system/memory", "mine"):
        (run / "metrics" / key).write_text("7000 5.0 3\n", "utf-8")
    for key, value in (("mlflow.source.git.repoURL", "url"), ("mlflow.mine", "x"), ("a", "b")):
        (run / "tags" / key).write_text(value, "utf-8")
    return folder / "mlruns"


@pytest.mark.parametrize("make", [mlflow_database, mlflow_files])
def test_mlflow_system_metrics_and_own_tags_are_apart(make: Any, tmp_path: Path) -> None:
    """System metrics are a part of the run, as in all formats; tags are those of a user."""
    if make is mlflow_files:
        pytest.importorskip("yaml")
    rows = [each for each in rows_in(make(tmp_path), tmp_path) if each["run"] == "failed"]
    of_part = {row.get("part"): row for row in rows if row["step"] == 3}
    metrics = {"mine", "system/cpu", "system/memory"}
    assert {
        part: {key: row[key] for key in metrics & row.keys()} for part, row in of_part.items()
    } == {
        None: {"mine": 5.0},
        "system": {"system/cpu": 5.0, "system/memory": 5.0},
    }
    assert {row["time"].timestamp() for row in of_part.values()} == {7.0}
    (row,) = (each for each in rows if each.get("mine"))
    assert (row["tags"], row["git_remote"]) == ({"a": "b"}, "url")
    assert row["source_tags"] == {"mlflow.source.type": "LOCAL", "mlflow.mine": "x"}


def test_mlflow_deletes_no_runs_below_a_deleted_one(tmp_path: Path) -> None:
    """They do not inherit that it was; one of them that was deleted itself is."""
    file = tmp_path / "mlflow.db"
    shutil.copyfile(DATA / "mlflow" / "sqlite" / "mlflow.db", file)
    found = []
    for name in ("parent", "grandchild"):
        with closing(sqlite3.connect(file)) as database, database:
            update = "UPDATE runs SET lifecycle_stage = 'deleted' WHERE name = ?"
            database.execute(update, (name,))
        rows = rows_in(file, tmp_path)
        found.append({row["run"]: row.get("deleted") for row in rows})
    others = {"failed": None, "open": None}
    assert found == [
        {"parent": True, "child": False, "grandchild": False, **others},
        {"parent": True, "child": False, "grandchild": True, **others},
    ]


def test_mlflow_models_in_folders_are_no_runs(tmp_path: Path) -> None:
    """A model that was logged is beside the runs of its experiment, and looks like them."""
    pytest.importorskip("yaml")
    shutil.copytree(DATA / "mlflow" / "files" / "mlruns", tmp_path / "mlruns")
    (experiment,) = {file.parent.parent.parent for file in tmp_path.rglob("mlflow.runName")}
    model = experiment / "models" / f"m-{'0' * 32}"
    (model / "metrics").mkdir(parents=True)
    (model / "meta.yaml").write_text(f"model_id: {model.name}\nname: mine\nstatus: 2\n")
    (model / "metrics" / "loss").write_text(f"1 0.5 0 {'1' * 32}\n")
    runs = {row["run"] for row in rows_in(tmp_path / "mlruns", tmp_path)}
    assert runs == {"parent", "child", "grandchild", "failed", "open"}


# --- Trackio -----------------------------------------------------------------------------------------


def trackio_of_an_older_version(folder: Path) -> Path:
    """A database without ids of runs, as of Trackio 0.5, and without tables of later versions."""
    path = folder / "demo.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript("""
            CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT NOT NULL,
                run_name TEXT NOT NULL, step INTEGER NOT NULL, metrics TEXT NOT NULL);
            CREATE TABLE configs (id INTEGER PRIMARY KEY AUTOINCREMENT, run_name TEXT NOT NULL,
                config TEXT NOT NULL, created_at TEXT NOT NULL, UNIQUE(run_name));
            INSERT INTO configs VALUES (1, 'b', '{"lr": 0.1}', '2026-01-01T00:00:00');
            INSERT INTO metrics VALUES
                (1, '2026-01-01T00:00:00', 'a', 0, '{"x": 1}'), (2, '2026-01-01T00:00:00', 'b', 0, '{"x": 2}'),
                (3, '2026-01-01T00:00:00', 'a', 1, '{"x": 3}');
        """)
    return path


def test_older_trackio_knows_runs_by_their_names(tmp_path: Path) -> None:
    """Each is a run, with its own configuration."""
    rows = rows_in(trackio_of_an_older_version(tmp_path), tmp_path)
    found = [(row["run"], row["run_id"], row["step"], row["x"], row.get("lr")) for row in rows]
    assert found == [("a", "a", 0, 1, None), ("b", "b", 0, 2, 0.1), ("a", "a", 1, 3, None)]


def test_texts_among_numbers_of_trackios_machine_are_floats(tmp_path: Path) -> None:
    """As those of metrics; a metric of the same name that has no numbers keeps its text."""
    path = trackio_of_an_older_version(tmp_path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE system_metrics (id INTEGER PRIMARY KEY, timestamp, run_name, metrics)"
        )
        insert = "INSERT INTO system_metrics VALUES (?, '2026-01-01T00:00:00', 'b', ?)"
        database.executemany(insert, [(1, '{"gpu": 0.5, "y": 1}'), (2, '{"gpu": "NaN"}')])
        database.execute('UPDATE metrics SET metrics = \'{"y": "NaN"}\' WHERE id = 2')
    rows = [row for row in rows_in(path, tmp_path) if row["run"] == "b"]
    assert [repr(row[key]) for row in rows for key in ("gpu", "y") if key in row] == [
        "'NaN'",
        "0.5",
        "1",
        "nan",
    ]


# --- TensorBoard -------------------------------------------------------------------------------------


def event_file(path: Path, *events: bytes) -> Path:
    """An event file with these events."""
    frames = []
    for event in (field(3, "brain.Event:2"), *events):
        size = struct.pack("<Q", len(event))
        frames += [size, struct.pack("<I", masked_crc(size)), event]
        frames += [struct.pack("<I", masked_crc(event))]
    path.write_bytes(b"".join(frames))
    return path


@pytest.mark.parametrize(("kind", "code", "shift"), [(19, "<e", 0), (14, "<f", 16)])
def test_half_numbers_of_pytorch_are_the_bits_of_floats(
    kind: int, code: str, shift: int, tmp_path: Path
) -> None:
    """TensorFlow writes the 16 bits of a half; PyTorch writes the 32 bits of a float there."""
    values = [1.5, 0.0, -2.25]
    of_torch = [struct.unpack("<I", struct.pack("<f", each))[0] for each in values]
    of_tf = [int.from_bytes(struct.pack(code, each), "little") >> shift & 0xFFFF for each in values]
    for bits in (of_torch, of_tf):
        shape = field(2, field(2, field(1, len(values))))
        tensor = field(1, kind) + shape + b"".join(field(13, each) for each in bits)
        event = field(2, 1) + field(5, field(1, field(1, "half") + field(8, tensor)))
        folder = tmp_path / str(bits[0])
        folder.mkdir()
        (row,) = rows_in(event_file(folder / "events.out.tfevents.1.host", event), folder)
        assert row["half"] == values


# --- SwanLab -----------------------------------------------------------------------------------------


def test_swanlab_texts_are_text_and_its_metadata_has_the_names_of_all_formats(
    tmp_path: Path,
) -> None:
    """What was logged as a text is one; host, Python, command and git are attributes."""
    pytest.importorskip("yaml")
    folder = tmp_path / "swanlog"
    shutil.copytree(DATA / "swanlab" / "sample" / "swanlog", folder)
    for file in folder.rglob("*.swanlab"):
        (file.parent / "files").joinpath("swanlab-metadata.json").write_text(
            '{"runtime": {"hostname": "box", "command": "a b"}, "git": {"commit": "c"}, "x": 1}',
            "utf-8",
        )
    rows = rows_in(folder, tmp_path)
    (note,) = (row for row in rows if "note" in row)
    assert (note["note"], note["step"], note["note/name"][-4:]) == ("hello", 12, ".txt")
    assert {(row["host"], row["command"], row["git_commit"]) for row in rows} == {
        ("box", "a b", "c")
    }


# --- DVCLive and Sacred ------------------------------------------------------------------------------


def test_dvclive_parameters_are_those_of_yaml_1_2_and_need_no_metric(tmp_path: Path) -> None:
    """Texts such as ``yes`` and ``12:30``, which older YAML takes as others, and ``1e-07``."""
    pytest.importorskip("yaml")
    folder = tmp_path / "runs" / "first"
    folder.mkdir(parents=True)
    text = "a: yes\nb: 12:30\nc: -1e-07\nd: true\ne:\nf: [0, -12, 1.5, .inf, '1']\ng: 1_000\nh: 08"
    (folder / "params.yaml").write_text(text, "utf-8")
    (folder / "metrics.json").write_text('{"loss": {"a": 1}}', "utf-8")
    with pytest.raises(ValueError, match="no known tool"):
        rows_in(folder.parent, tmp_path / "none")
    (folder / "metrics.json").write_text("{}", "utf-8")
    (found,) = attributes_in(folder.parent, tmp_path)
    wanted = {"a": "yes", "b": "12:30", "c": -1e-07, "d": True, "e": None}
    wanted |= {"f": [0, -12, 1.5, float("inf"), "1"], "g": "1_000", "h": "08"}
    assert {key: found.get(key) for key in wanted} == wanted
    assert (found["run"], found["source_format"]) == ("first", "dvclive")


def test_sacred_repositories_are_git_attributes(tmp_path: Path) -> None:
    """By the names of all formats."""
    folder = tmp_path / "1"
    folder.mkdir()
    (folder / "config.json").write_text("{}", "utf-8")
    text = '{"experiment": {"repositories": [{"url": "u", "commit": "c", "dirty": false}]}}'
    (folder / "run.json").write_text(text, "utf-8")
    (found,) = attributes_in(folder, tmp_path)
    assert (found["git_remote"], found["git_commit"]) == ("u", "c")


def test_sb3_monitors_are_environments_below_their_run(tmp_path: Path) -> None:
    """A recorder for each, with its episodes and their times, beside the progress of the run."""
    folder = tmp_path / "runs" / "ppo"
    folder.mkdir(parents=True)
    (folder / "progress.csv").write_text("time/total_timesteps,loss\n96,0.5\n", "utf-8")
    for number, name in enumerate(("0.monitor.csv", "10.monitor.csv", "monitor.csv")):
        head = '#{"t_start": 1000.5, "env_id": "Cart"}' if number != 2 else "not one"
        (folder / name).write_text(f"{head}\nr,l,t,won\n1.5,{number},2.25,True\n", "utf-8")
    rows = rows_in(tmp_path / "runs", tmp_path)
    episodes = {row["env"]: row for row in rows if "env" in row}
    assert list(episodes) == [0, 10]
    for number, row in enumerate(episodes.values()):
        assert (row["r"], row["l"], row["won"], row["env_id"]) == (1.5, number, True, "Cart")
        assert (row["time"].timestamp(), row["run"]) == (1002.75, "ppo")
    assert [(row["step"], row["loss"]) for row in rows if "env" not in row] == [(96, 0.5)]


@pytest.mark.parametrize("name", ["result.json", "progress.csv"])
def test_ray_trials_have_the_same_attributes_by_both_files(name: str, tmp_path: Path) -> None:
    """Host, process and trial are of the run, and a trial that is done has finished."""
    trial = tmp_path / "exp" / "trial"
    trial.mkdir(parents=True)
    row = {"loss": 0.5, "training_iteration": 3, "timestamp": 1000, "time_total_s": 1.5}
    row |= {"hostname": "box", "pid": 7, "trial_id": "00001", "done": True}
    (trial / "params.json").write_text('{"lr": 0.1}', "utf-8")
    lines = [json.dumps({**row, "config": {"lr": 0.1}})]
    if name == "progress.csv":
        lines = [",".join(row), ",".join(map(str, row.values()))]
    (trial / name).write_text("\n".join([*lines, ""]), "utf-8")
    (found,) = rows_in(tmp_path / "exp", tmp_path)
    wanted = {"run": "trial", "lr": 0.1, "loss": 0.5, "step": 3, "host": "box", "process": 7}
    wanted |= {"trial_id": "00001", "status": "finished", "time": datetime.fromtimestamp(1000, UTC)}
    wanted["start_time"] = datetime.fromtimestamp(998.5, UTC)
    assert {key: found[key] for key in wanted} == wanted
    assert "config" not in found


def test_a_format_that_needs_a_package_does_not_end_the_import_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder of many formats it is reported; by itself, it is an error."""
    logs = tmp_path / "logs"
    (logs / "a").mkdir(parents=True)
    event_file(logs / "a" / "events.out.tfevents.1.host")
    file = logs / "x.aim"
    file.write_text("x", "utf-8")

    def read(*_: Any) -> Any:
        message = "Aim is not installed"
        raise MissingPackageError(message)

    def find(path: Path, _options: Any) -> Any:
        yield from (Source(each) for each in ([path] if path == file else path.glob("*.aim")))

    monkeypatch.setattr(aim, "FORMAT", Format("aim", "Aim", find, read))
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        done = import_runs(logs, collection)
        assert done.sources == {"tensorboard": 1, "aim": 1}
        assert [each.text for each in done.report.losses] == ["not taken: Aim is not installed"]
        with pytest.raises(MissingPackageError):
            import_runs(file, collection, format="aim")


# --- Lightning and Optuna ----------------------------------------------------------------------------


HPARAMS = """
a: &id001 [0.9, 0.999]
b: *id001
lr: !!python/object/apply:numpy._core.multiarray.scalar
- &id002 !!python/object/apply:numpy.dtype
  args: [f4, false, true]
  state: !!python/tuple [3, <, null, null, null, -1, -1, 0]
- !!binary zczMPQ==
n: !!python/object/apply:numpy.core.multiarray.scalar
- *id002
- !!binary AACAPw==
path: !!python/object/apply:pathlib.PosixPath [/, data, x]
layer: !!python/name:torch.nn.modules.linear.Linear ''
module: !!python/module:math ''
"""


def test_lightning_hparams_may_have_aliases_and_numbers_of_numpy(tmp_path: Path) -> None:
    """Also without a table; a table by itself is known by its sorted columns."""
    pytest.importorskip("yaml")
    for name in ("only/version_0", "named", "other", "events/version_1"):
        (tmp_path / "logs" / name).mkdir(parents=True)
    (tmp_path / "logs" / "only" / "version_0" / "hparams.yaml").write_text(HPARAMS, "utf-8")
    (tmp_path / "logs" / "named" / "metrics.csv").write_text("loss,step,x\n0.5,3,\n", "utf-8")
    (tmp_path / "logs" / "other" / "metrics.csv").write_text("step,loss\n3,0.5\n", "utf-8")
    events = tmp_path / "logs" / "events" / "version_1"
    (events / "hparams.yaml").write_text("a: 1\n", "utf-8")
    event_file(events / "events.out.tfevents.1.host")
    found = {each["run"]: each for each in attributes_in(tmp_path / "logs", tmp_path)}
    assert {name: each["source_format"] for name, each in found.items()} == {
        "named": "lightning",
        "only/version_0": "lightning",
        "events/version_1": "tensorboard",
    }
    only = found["only/version_0"]
    wanted = {"a": [0.9, 0.999], "b": [0.9, 0.999], "lr": 0.10000000149011612, "n": 1.0}
    assert {key: only[key] for key in wanted} == wanted
    assert only["path"] == "/data/x"
    assert (only["layer"], only["module"]) == ("torch.nn.modules.linear.Linear", "math")


def test_a_row_of_lightning_without_its_line_break_waits(tmp_path: Path) -> None:
    """Its last number may be cut off; the row is imported once it has been written to its end."""
    table = tmp_path / "version_0" / "metrics.csv"
    table.parent.mkdir()
    table.write_text("loss,step\n0.5,3\n0.25,1", "utf-8")
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        done = import_runs(table, collection)
        assert [each.text for each in done.report.losses] == ["ends within a line"]
        table.write_text("loss,step\n0.5,3\n0.25,12\n", "utf-8")
        import_runs(table, collection)
        assert [(row["loss"], row["step"]) for row in collection.records] == [(0.5, 3), (0.25, 12)]


@pytest.mark.parametrize("text", ["a: &x [*x]\n", None], ids=["cycle", "bomb"])
def test_yaml_that_expands_to_too_much_is_reported(text: str | None, tmp_path: Path) -> None:
    """Aliases are refused where they have themselves inside, or become too large."""
    pytest.importorskip("yaml")
    levels = ["l0: &l0 [1, 1, 1, 1, 1, 1, 1, 1]"]
    levels += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 8)}]" for n in range(1, 12)]
    (tmp_path / "hparams.yaml").write_text(text or "\n".join(levels), "utf-8")
    report = Report()
    assert read_yaml(tmp_path / "hparams.yaml", report) is None
    assert [each.text for each in report.losses] == ["is not valid YAML"]


def test_optuna_databases_have_system_attributes_as_journals(tmp_path: Path) -> None:
    """Those of the study and of trials, such as constraints."""
    file = tmp_path / "optuna.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.executescript("""
            CREATE TABLE studies (study_id, study_name);
            CREATE TABLE study_directions (study_id, objective, direction);
            CREATE TABLE study_system_attributes (study_id, key, value_json);
            CREATE TABLE trials (trial_id, number, study_id, state);
            CREATE TABLE trial_params (trial_id, param_name, param_value, distribution_json);
            CREATE TABLE trial_system_attributes (trial_id, key, value_json);
            CREATE TABLE trial_user_attributes (trial_id, key, value_json);
            INSERT INTO studies VALUES (1, 'demo');
            INSERT INTO study_system_attributes VALUES (1, 'study:metric_names', '["f"]');
            INSERT INTO trials VALUES (1, 0, 1, 'COMPLETE');
            INSERT INTO trial_system_attributes VALUES (1, 'constraints', '[0.5]'), (1, 'both', '1');
            INSERT INTO trial_user_attributes VALUES (1, 'both', '2');
        """)
    with ExperimentCollection(tmp_path / "study") as collection:
        import_runs(file, collection)
        (study,) = collection.experiments
        (trial,) = study.recorder.children
        assert study["study:metric_names"] == ["f"]
        assert (trial["constraints"], trial["both"], trial["status"]) == ([0.5], 2, "finished")


def journal_of(folder: Path, *operations: dict[str, Any]) -> Path:
    """A journal of Optuna with these operations."""
    file = folder / "journal.log"
    lines = (json.dumps({"worker_id": "w", **each}) for each in operations)
    file.write_text("\n".join([*lines, ""]), "utf-8")
    return file


def test_optuna_journals_are_replayed_as_optuna_does(tmp_path: Path) -> None:
    """What another process did first, or a trial's end made void, does not count; ids are counts of the rest."""
    begin = {"op_code": 0, "directions": [1]}
    at = "2026-01-02T03:04:05.000006+00:00"
    create = {"op_code": 4, "datetime_start": at}
    file = journal_of(
        tmp_path,
        {**begin, "study_name": "one"},
        {**begin, "study_name": "one"},  # of a process that began it at the same time
        {**begin, "study_name": "two"},
        {**create, "study_id": 1},
        {"op_code": 6, "trial_id": 0, "state": 0, "values": None, "datetime_start": "2027-01-01"},
        {"op_code": 6, "trial_id": 0, "state": 1, "values": [0.5], "datetime_complete": at},
        {"op_code": 8, "trial_id": 0, "user_attr": {"late": 1}},
        {"op_code": 7, "trial_id": 0, "step": 1, "intermediate_value": 1.0},
        {"op_code": 1, "study_id": 1},
        {**create, "study_id": 1},
        {**begin, "study_name": "two"},
        {**create, "study_id": 2, "user_attrs": {"mine": True}},
    )
    with ExperimentCollection(tmp_path / "study") as collection:
        assert import_runs(file, collection).report.losses == []
        one, gone, two = collection.experiments
        assert [each["run"] for each in (one, gone, two)] == ["one", "two", "two"]
        assert (gone["deleted"], two.get("deleted")) == (True, None)
        (old,), (new,) = gone.recorder.children, two.recorder.children
        assert (old["status"], old["values"]) == ("finished", [0.5])
        assert old["start_time"] == old["end_time"] == datetime.fromisoformat(at)
        assert (old.get("late"), len(collection.records)) == (None, 0)
        assert (new["number"], new["mine"], list(one.recorder.children)) == (0, True, [])


def test_optuna_names_that_are_taken_are_told_apart(tmp_path: Path) -> None:
    """A parameter, an attribute and what Optuna has of a trial are all there, whichever came first."""
    float_ = {"name": "FloatDistribution", "attributes": {"low": 0.0, "high": 9.0}}
    operations: list[dict[str, Any]] = [
        {"op_code": 0, "study_name": "s", "directions": [1]},
        {"op_code": 2, "study_id": 0, "user_attr": {"directions": "up"}},
        {"op_code": 4, "study_id": 0, "datetime_start": None, "system_attrs": {"lr": 3}},
    ]
    for number, name in enumerate(("lr", "status", "values", "intermediate", "run")):
        param = {"param_name": name, "param_value_internal": number, "distribution": float_}
        operations += [{"op_code": 5, "trial_id": 0, **param}]
    operations += [
        {"op_code": 8, "trial_id": 0, "user_attr": {"lr": "mine"}},
        {"op_code": 8, "trial_id": 0, "user_attr": {"status": "good"}},
        {"op_code": 7, "trial_id": 0, "step": 4, "intermediate_value": 0.25},
        {"op_code": 6, "trial_id": 0, "state": 3, "values": None, "datetime_complete": None},
    ]
    with ExperimentCollection(tmp_path / "study") as collection:
        import_runs(journal_of(tmp_path, *operations), collection)
        (study,) = collection.experiments
        assert (study["directions"], study["user_attrs.directions"]) == (["minimize"], "up")
        (row,) = collection.records
        wanted = {"step": 4, "intermediate": 0.25, "run": "s/0", "status": "failed", "lr": 0}
        wanted |= {"user_attrs.lr": "mine", "system_attrs.lr": 3, "user_attrs.status": "good"}
        wanted |= {"config.status": 1, "config.values": 2, "config.intermediate": 3}
        assert {key: row[key] for key in wanted} == wanted
        assert (row["values"], row["config.run"]) == (None, 4)


@pytest.mark.parametrize(
    ("version", "hours"), [("5.0.0", 12), ("4.9.0", 17), ("3.6.2", 17), (None, 12)]
)
def test_optuna_databases_have_times_in_utc_since_version_5(
    version: str | None, hours: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before that they are of the clock of the machine, which is taken to be this one."""
    file = tmp_path / "optuna.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.executescript("""
            CREATE TABLE studies (study_id, study_name);
            CREATE TABLE trials (trial_id, number, study_id, state, datetime_start);
            CREATE TABLE trial_params (trial_id, param_name, param_value, distribution_json);
            CREATE TABLE version_info (version_info_id, schema_version, library_version);
            INSERT INTO studies VALUES (1, 'demo');
            INSERT INTO trials VALUES (1, 0, 1, 'RUNNING', '2026-01-02 12:00:00.000000');
        """)
        if version is not None:
            database.execute("INSERT INTO version_info VALUES (1, 12, ?)", (version,))
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    try:
        with ExperimentCollection(tmp_path / "study") as collection:
            import_runs(file, collection)
            (trial,) = collection.experiments[0].recorder.children
    finally:
        monkeypatch.undo()
        time.tzset()
    assert trial["start_time"] == datetime(2026, 1, 2, hours, tzinfo=UTC)
