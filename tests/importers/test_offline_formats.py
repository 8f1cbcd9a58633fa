"""GoodSeed, Comet, ClearML and Neptune: what their files have, and damage."""

from __future__ import annotations

import json
import random
import sqlite3
import struct
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.importers import Record, Report, Run, Source, import_runs
from rigorous_recorder.importers.formats import format_named

from .test_samples import DATA, value_of
from .test_wandb import field


def goodseed(folder: Path) -> Path:
    """A run of two numbers and a text."""
    path = folder / "run.sqlite"
    with sqlite3.connect(path) as database:
        database.executescript("""
            CREATE TABLE run_meta (key, value);
            CREATE TABLE configs (path, type_tag, value);
            CREATE TABLE metric_series (id, path);
            CREATE TABLE metric_points (series_id, step REAL, y REAL, ts);
            CREATE TABLE string_series (id, path);
            CREATE TABLE string_points (series_id, step REAL, value, ts);
            INSERT INTO run_meta VALUES ('name', 'first'), ('run_id', 'id'), ('status', 'finished');
            INSERT INTO configs VALUES ('n', 'int', '3'), ('flag', 'bool', 'false'), ('bad', 'int', 'x');
            INSERT INTO metric_series VALUES (1, 'loss');
            INSERT INTO metric_points VALUES (1, 1.5, 0.5, 10), (1, 0, 9e999, 11);
            INSERT INTO string_series VALUES (1, 'note');
            INSERT INTO string_points VALUES (1, 2, 'hello', 12);
        """)
    database.close()
    return path


def zipped(path: Path, **members: Any) -> Path:
    """A zip file; lists become lines of JSON."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in members.items():
            lines = value if isinstance(value, list) else [value]
            text = "\n".join(map(json.dumps, lines))
            archive.writestr(name.replace("_", "."), text)
    return path


def comet(folder: Path) -> Path:
    """A run of three metrics, of which one is written as text."""

    def metric(name: str, value: Any, step: Any) -> dict[str, Any]:
        payload = {"metricName": name, "metricValue": value, "step": step, "epoch": None}
        return {"type": "metric_msg", "payload": {"metric": payload, "local_timestamp": 1000}}

    parameter = {"paramName": "n", "paramValue": 3}
    own = {"paramName": "curr_step", "paramValue": 3}
    name = {"type": "log_other", "payload": {"key": "Name", "value": "first"}}
    return zipped(
        folder / "comet.zip",
        experiment_json={"offline_id": "id", "tags": ["a"], "stop_time": 5},
        messages_json=[
            name,
            {"type": "parameter_msg", "payload": {"param": parameter}},
            {"type": "parameter_msg", "payload": {"params": [own]}},
            metric("loss", 0.5, 1.5),
            metric("loss", "Infinity", 0),
            {"type": "unknown", "payload": None},
        ],
    )


def clearml(folder: Path) -> Path:
    """A run of two scalars, one of which has no step."""

    def scalar(metric: str, variant: str, value: float, step: int) -> dict[str, Any]:
        own = {"type": "training_stats_scalar", "timestamp": 1000}
        return {**own, "metric": metric, "variant": variant, "value": value, "iter": step}

    parameters = {"General": {"n": {"type": "int", "value": "3"}}}
    return zipped(
        folder / "clearml.zip",
        task_json={"id": "id", "name": "first", "hyperparams": parameters, "tags": ["a"]},
        metrics_jsonl=[
            [scalar("loss", "train", 0.5, 1)],
            [scalar("Summary", "best", 3.5, -(2**31)), 7],
        ],
    )


def neptune(folder: Path) -> Path:
    """A run of two points at steps with fractions, and a backward one."""

    def double(value: float) -> bytes:
        return b"\x09" + struct.pack("<d", value)

    def point(step: bytes, value: float) -> bytes:
        return field(1, step) + field(8, field(1, "loss") + field(2, double(value)))

    operations = [
        (1, field(5, "exp")),
        (0, field(4, field(1, "n") + field(2, field(3, 3)))),
        (0, field(5, field(1, "sys/tags") + field(2, field(1, field(1, field(1, "a")))))),
        (0, point(field(1, 1) + field(2, 500_000), 0.5)),
        (0, point(b"", float("inf"))),
        (0, b"\xff\xff"),
    ]
    path = folder / "run_operations.sqlite3"
    with sqlite3.connect(path) as database:
        database.executescript("""
            CREATE TABLE metadata (version, project, run_id);
            CREATE TABLE run_operations (sequence_id INTEGER PRIMARY KEY, timestamp,
                                         operation_type, operation);
            INSERT INTO metadata VALUES ('v5', 'ws/demo', 'id');
        """)
        insert = "INSERT INTO run_operations VALUES (NULL, 1000, ?, ?)"
        database.executemany(insert, operations)
    database.close()
    return path


MAKERS = {"goodseed": goodseed, "comet": comet, "clearml": clearml, "neptune": neptune}
POINTS: dict[str, list[tuple[Any, dict[str, Any]]]] = {
    "goodseed": [(1.5, {"loss": 0.5}), (0, {"loss": float("inf")}), (2, {"note": "hello"})],
    "comet": [(1.5, {"loss": 0.5}), (0, {"loss": float("inf")})],
    "clearml": [(1, {"loss/train": 0.5}), (None, {"best": 3.5})],
    "neptune": [(1.5, {"loss": 0.5}), (0, {"loss": float("inf")})],
}


@pytest.mark.parametrize("name", MAKERS)
def test_runs_have_their_points_and_configuration(name: str, tmp_path: Path) -> None:
    """The file is found, and its records, configuration and tags are read; damage is reported."""
    path = MAKERS[name](tmp_path)
    format_ = format_named(name)
    (source,) = format_.find(tmp_path, {})
    assert source.path == path
    report = Report()
    events = list(format_.read(source, report, None))
    records = [(each.step, each.fields) for each in events if isinstance(each, Record)]
    assert records == POINTS[name]
    assert [type(step) for step, _ in records] == [type(step) for step, _ in POINTS[name]]
    runs = [each for each in events if isinstance(each, Run)]
    assert runs[-1].config["n"] == 3
    assert {each.id for each in runs} == {"id"}
    if name != "goodseed":
        assert runs[-1].about["tags"] == ["a"]
    assert len(report.losses) == 1


def test_neptune_files_histograms_sets_and_streams_are_what_they_are(tmp_path: Path) -> None:
    """Files are bytes, tags can be removed, also later; nothing of it keeps an import from going on."""
    path = neptune(tmp_path)
    (tmp_path / "x.bin").write_bytes(b"abc")

    def tag(name: str, how: int) -> bytes:
        change = field(1, field(1, name) + field(2, how))
        return field(5, field(1, "sys/tags") + field(2, field(1, change)))

    def series(key: str, value: bytes) -> bytes:
        return field(1, field(1, 4)) + field(8, field(1, key) + field(2, value))

    file = field(13, field(1, "run/f/x.bin") + field(2, 3))
    edges = field(1, struct.pack("<3d", 0, 1, 2))
    counts = edges + field(4, field(1, bytes([3, 200, 1])))
    densities = edges + field(5, field(1, struct.pack("<2d", 0.25, 0.75)))
    later = [
        [tag("b", 1), field(4, field(1, "f") + field(2, file)), series("p", file)],
        [tag("a", 2), series("h", field(14, counts)), series("runtime/stderr", field(6, "line"))],
        [series("monitoring/x/cpu", b"\x09" + struct.pack("<d", 5))],
        [series("d", field(14, densities))],
    ]
    with ExperimentCollection(tmp_path / "study") as collection:
        import_runs(path, collection)
        for operations in later:
            with closing(sqlite3.connect(path)) as database, database:
                insert = "INSERT INTO run_operations VALUES (NULL, 1000, 0, ?)"
                database.executemany(insert, [(each,) for each in operations])
            import_runs(path, collection)
        (run,) = collection.experiments
        found = {key: run[key] for key in ("tags", "f", "f/name", "n")}
        rows = [
            {key: value for key, value in dict(row).items() if value is not None}
            for row in run.records
            if row["step"] == 4
        ]
    assert found == {"tags": ["b"], "f": b"abc", "f/name": "run/f/x.bin", "n": 3}
    assert [row["p"] for row in rows if "p" in row] == [b"abc"]
    histogram = {"bin_edges": [0.0, 1.0, 2.0], "counts": [3, 200]}
    assert [row["h"] for row in rows if "h" in row] == [histogram]
    histogram = {"bin_edges": [0.0, 1.0, 2.0], "densities": [0.25, 0.75]}
    assert [row["d"] for row in rows if "d" in row] == [histogram]
    parts = {row["part"]: row for row in rows if "part" in row}
    assert (parts["console"]["line"], parts["console"]["stream"]) == ("line", "stderr")
    assert parts["system"]["monitoring/x/cpu"] == 5.0


def test_clearml_pictures_code_and_configurations(tmp_path: Path) -> None:
    """A picture is its bytes; the commit has the name that it has in all formats."""
    picture = {
        "type": "training_debug_image",
        "metric": "im",
        "variant": "s",
        "iter": 1,
        "key": "a",
    }
    path = tmp_path / "clearml.zip"
    zipped(
        path,
        task_json={
            "id": "id",
            "configuration": {"conf": {"value": "a = 1"}},
            "script": {"version_num": "c", "branch": "", "entry_point": "a.py"},
        },
        metrics_jsonl=[[picture, {**picture, "iter": 2, "key": "../b"}]],
    )
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("data/a", b"png")
    with ExperimentCollection(tmp_path / "study") as collection:
        import_runs(path, collection)
        first, second = map(dict, collection.records)
        (run,) = collection.experiments
        found = {key: run.get(key) for key in ("git_commit", "git_branch", "command")}
        assert run["configuration/conf"] == "a = 1"
    assert found == {"git_commit": "c", "git_branch": None, "command": "a.py"}
    assert (first["im/s"], first["im/s/name"]) == (b"png", "a")
    assert (second.get("im/s"), second["im/s/name"]) == (None, "../b")


def test_comet_contexts_and_texts(tmp_path: Path) -> None:
    """A context is a recorder below the run, as in other formats; a text is one."""
    metric = {"metricName": "loss", "metricValue": 1, "step": 3}
    text = {"file_path": "t.txt", "upload_type": "text-sample", "additional_params": {"step": 7}}
    zipped(
        tmp_path / "comet.zip",
        experiment_json={"offline_id": "id"},
        t_txt="hello",
        messages_json=[
            {"type": "metric_msg", "payload": {"context": "train", "metric": metric}},
            {"type": "file_upload", "payload": text},
            {"type": "system_details", "payload": {"command": ["a.py", "-x"]}},
        ],
    )
    with ExperimentCollection(tmp_path / "study") as collection:
        import_runs(tmp_path / "comet.zip", collection)
        rows = list(map(dict, collection.records))
        assert [(row["context"], row["loss"]) for row in rows if row["step"] == 3] == [("train", 1)]
        assert [row["text-sample"] for row in rows if row["step"] == 7] == ['"hello"']
        assert [each["command"] for each in collection.experiments] == ["a.py -x"]


@pytest.mark.parametrize("name", MAKERS)
def test_changed_bytes_raise_nothing(name: str, tmp_path: Path) -> None:
    """Whatever bytes of a file are changed or missing, reading it ends without an error."""
    chance = random.Random(11)
    path = MAKERS[name](tmp_path)
    data = path.read_bytes()
    format_ = format_named(name)
    for _ in range(20):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 20)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        path.write_bytes(changed[: chance.choice([0, 7, len(data) // 2, len(data), len(data)])])
        list(format_.find(tmp_path, {}))
        list(format_.read(Source(path, (path,), "x"), Report(), None))


def test_a_repository_of_aim_is_read_by_aim_from_a_copy(tmp_path: Path) -> None:
    """Contexts are recorders below the run; nothing of the source changes, though it has no index."""
    pytest.importorskip("aim")
    source = DATA / "aim" / "sample"
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    (run,) = json.loads((source / "expected.json").read_text("utf-8"))["runs"]
    with ExperimentCollection(tmp_path / "study") as collection:
        assert import_runs(source, collection).sources == {"aim": 1}
        rows = [dict(row) for row in collection.records]
        again = import_runs(source, collection)
    assert (again.records, again.unchanged) == (0, 1)
    points: dict[Any, list[Any]] = {}
    for point in sorted(run["points"], key=lambda each: each["step"]):
        if point.get("on_disk") != {"dropped": True}:
            key = point["metric"], point.get("context", {}).get("subset")
            value = value_of(point.get("on_disk", point["logged"]))
            points.setdefault(key, []).append((point["step"], repr(value)))
    for (metric, subset), expected in points.items():
        of_metric = [row for row in rows if metric in row and row.get("subset") == subset]
        assert [(row["step"], repr(row[metric])) for row in of_metric] == expected
    assert [row["epoch"] for row in rows if "epoch" in row] == [3]
    assert [row["note"] for row in rows if "note" in row] == ["hello"]
    assert (rows[0]["run"], rows[0]["lr"]) == ("first", run["about"]["hparams"]["lr"])
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before


def test_several_files_of_aim_at_one_step_are_all_there(tmp_path: Path) -> None:
    """Pictures as lists, sounds and distributions; an archived run is one."""
    aim = pytest.importorskip("aim")
    np = pytest.importorskip("numpy")
    from aim.sdk.repo import Repo

    Repo.from_path(str(tmp_path), init=True)
    options = ("system_tracking_interval", "log_system_params", "capture_terminal_logs")
    run = aim.Run(repo=str(tmp_path), **dict.fromkeys(options))
    pictures = [aim.Image(np.full((4, 4, 3), at, np.uint8), caption=str(at)) for at in range(2)]
    run.track(pictures, name="many", step=0)
    run.track(pictures[:1], name="many", step=1)
    run.track(aim.Audio(np.zeros(8, np.int16), format="wav", rate=8000), name="sound", step=0)
    run.track(aim.Distribution([1.0, 2.0], bin_count=2), name="counts", step=0)
    run.archived = True
    run.close()
    with ExperimentCollection(tmp_path / "study") as collection:
        done = import_runs(tmp_path, collection, format="aim")
        rows = [
            {key: value for key, value in row.items() if value is not None}
            for row in map(dict, collection.records)
        ]
        assert [each["archived"] for each in collection.experiments] == [True]
    assert done.report.losses == []
    first, second = (row for row in rows if any(key.startswith("many") for key in row))
    assert [first[f"many/{at}/caption"] for at in range(2)] == ["0", "1"]
    assert first["many/0"] == second["many"] != first["many/1"]
    assert second["many/name"] == "many.png"
    (sound,) = (row["sound"] for row in rows if "sound" in row)
    assert sound.startswith(b"RIFF")
    (counts,) = (row["counts"] for row in rows if "counts" in row)
    assert counts == {"counts": [1, 1], "edges": [1.0, 1.5, 2.0]}


def test_goodseed_notes_tags_and_the_machine(tmp_path: Path) -> None:
    """The description and tags have the names that they have in all formats; the machine is apart."""
    path = goodseed(tmp_path)
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript("""
            INSERT INTO configs VALUES ('sys/description', 'str', 'some note'),
                ('sys/tags', 'string_set', '["a", "b"]'), ('monitoring/f1/hostname', 'str', 'here'),
                ('monitoring/f1/pid', 'int', '7');
            INSERT INTO metric_series VALUES (2, 'monitoring/f1/cpu');
            INSERT INTO metric_points VALUES (2, 0, 0.25, 13), (2, 1, 0.75, 14);
            INSERT INTO string_series VALUES (2, 'monitoring/f1/stdout'), (3, 'monitoring/f1/stderr');
            INSERT INTO string_points VALUES (2, 0, 'out', 15), (3, 0, 'err', 16);
        """)
    with ExperimentCollection(tmp_path / "study") as collection:
        import_runs(path, collection)
        (run,) = collection.experiments
        found = {key: run.get(key) for key in ("notes", "tags", "host", "monitoring/f1/pid")}
        parts = {
            child["part"]: [
                [row.get(key) for key in ("step", "monitoring/f1/cpu", "line", "stream")]
                for row in child.records
            ]
            for child in run.recorder.children
        }
        assert len(run.recorder.records) == 3
        assert "monitoring/f1/hostname" in run
        assert not {"sys/description", "sys/tags"} & run.recorder.local_data.keys()
    assert found == {
        "notes": "some note",
        "tags": ["a", "b"],
        "host": "here",
        "monitoring/f1/pid": 7,
    }
    assert parts == {
        "system": [[0, 0.25, None, None], [1, 0.75, None, None]],
        "console": [[0, None, "out", "stdout"], [0, None, "err", "stderr"]],
    }


def test_configurations_of_other_forms(tmp_path: Path) -> None:
    """ClearML writes None as an empty text without a type, Comet a list as one entry of ``params``."""
    empty = {"type": "str", "value": ""}
    parameters = {"General": {"none": {"value": ""}, "empty": empty, "old": {"value": "x"}}}
    (tmp_path / "a").mkdir()
    zipped(
        tmp_path / "a" / "clearml.zip",
        task_json={"id": "id", "hyperparams": parameters},
        metrics_jsonl=[],
    )
    entry = {"paramName": "sizes", "paramValue": [1, 2]}
    (tmp_path / "b").mkdir()
    zipped(
        tmp_path / "b" / "comet.zip",
        experiment_json={"offline_id": "id"},
        messages_json=[{"type": "parameter_msg", "payload": {"params": entry}}],
    )
    found = []
    for name in ("clearml", "comet"):
        (source,) = format_named(name).find(tmp_path, {})
        events = format_named(name).read(source, Report(), None)
        found.append([each for each in events if isinstance(each, Run)][-1].config)
    assert found == [{"none": None, "empty": "", "old": "x"}, {"sizes": [1, 2]}]
