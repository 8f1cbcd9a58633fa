"""SwanLab's files: other versions of them, and how they are found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.importers import import_runs

from .test_samples import DATA
from .test_wandb import field, history, log_of

pytest.importorskip("yaml")


def record(kind: str, second: int, **data: Any) -> bytes:
    """A record of a version before 0.8."""
    time = f"2026-11-29T10:00:{second:02d}.5+00:00"
    if "metric" in data:
        data["metric"]["create_time"] = time
    return json.dumps({"model_type": kind, "data": {**data, "create_time": time}}).encode()


def scalar(key: str, step: int, value: Any, second: int) -> bytes:
    """A number, which has a time of its own."""
    return record("Scalar", second, key=key, step=step, metric={"index": step, "data": value})


RECORDS = [
    record("Header", 0, backup_type="DEFAULT"),
    record("Project", 0, name="demo", workspace=None),
    record("Experiment", 0, id="x", name="first", description="why", tags=["a"]),
    record("Runtime", 0, config_filename="config.yaml"),
    record("Column", 1, key="loss", cls="CUSTOM", column_type="FLOAT"),
    scalar("loss", 0, 0.5, 1),
    record("Log", 1, message="hello", level="INFO"),
    scalar("d.a", 0, 1.0, 2),
    scalar("loss", 1, "NaN", 3),
    scalar("loss", 1, "-INF", 4),
    record("Column", 4, key="note", cls="CUSTOM", column_type="TEXT"),
    record("Media", 5, key="note", step=2, kid=3, metric={"data": ["hi"], "more": [None]}),
    record("Media", 5, key="pics", step=2, kid=4, metric={
        "data": ["a.png", "../x"], "more": [{"caption": "c"}, None]}),
    record("Column", 6, key="cpu", cls="SYSTEM", column_type="FLOAT"),
    scalar("cpu", 0, 7.0, 6),
    b"not JSON",
    b'{"model_type": "Scalar", "data": {"key": "loss"}}',
    record("Odd", 6),
    record("Footer", 7, success=True),
]  # fmt: skip


def test_files_before_version_0_8_are_imported(tmp_path: Path) -> None:
    """Their records are JSON, and numbers that JSON lacks are text there."""
    folder = tmp_path / "swanlog" / "run-20261129_100000-abc"
    (folder / "media" / "4").mkdir(parents=True)
    (folder / "media" / "4" / "a.png").write_bytes(b"picture")
    (folder / "media" / "x").write_bytes(b"of another key")
    (folder / "files").mkdir()
    (folder / "files" / "config.yaml").write_text("lr: {desc: '', sort: 0, value: 0.1}", "utf-8")
    metadata = '{"hostname": "box", "pid": 7, "git_info": [null, null]}'
    (folder / "files" / "swanlab-metadata.json").write_text(metadata, "utf-8")
    data = log_of(RECORDS)
    (folder / "backup.swanlab").write_bytes(b":SWL\xd6\xe1\x01" + data[7:])
    with ExperimentCollection(tmp_path / "study") as collection:
        done = import_runs(tmp_path / "swanlog", collection)
        (run,) = collection.experiments
        rows = [
            {key: each for key, each in dict(row).items() if each is not None}
            for row in collection.records
        ]
    wanted = {"run": "first", "run_id": "abc", "project": "demo", "notes": "why", "tags": ["a"]}
    wanted |= {"lr": 0.1, "host": "box", "process": 7, "status": "finished"}
    assert {key: run[key] for key in wanted} == wanted
    assert run["experiment_duration"] == 7.0
    keys = ("step", "loss", "d.a", "note", "pics/0", "pics/0/caption", "pics/1", "pics/1/name")
    found = [{key: row[key] for key in keys if key in row} for row in rows if "part" not in row]
    assert repr(found) == repr(
        [
            {"step": 0, "loss": 0.5, "d.a": 1.0},
            {"step": 1, "loss": float("nan")},
            {"step": 1, "loss": float("-inf")},
            {
                "step": 2,
                "note": "hi",
                "pics/0": b"picture",
                "pics/0/caption": "c",
                "pics/1": b"of another key",
                "pics/1/name": "../x",
            },
        ]
    )
    assert [row["time"].second for row in rows if "part" not in row] == [1, 3, 4, 5]
    of_parts = {row["part"]: row for row in rows if "part" in row}
    assert (of_parts["console"]["line"], of_parts["system"]["cpu"]) == ("hello", 7.0)
    assert [each.text for each in done.report.losses] == [
        "records left out: a record is not valid JSON",
        "records left out: a Scalar has other contents",
        "records of the unknown type Odd: left out",
    ]


@pytest.mark.parametrize(
    ("name", "header", "record"),
    [
        ("run-x.wandb", b":W&B\xe1\xbe\x09", history(0, loss=1)),
        (
            "run-x.swanlab",
            b":SWL\xd6\xe1\x09",
            field(13, field(1, "loss") + field(5, b"\x09" + bytes(8))),
        ),
    ],
    ids=["wandb", "swanlab"],
)
def test_files_of_newer_versions_are_found(
    name: str, header: bytes, record: bytes, tmp_path: Path
) -> None:
    """What is known of them is taken, which is reported."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / name).write_bytes(header + log_of([record])[7:])
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        done = import_runs(tmp_path / "runs", collection)
        assert [row["loss"] for row in collection.records] == [0.0 if "swan" in name else 1]
    assert [each.text for each in done.report.losses] == [
        "has a newer version: what is known of it is taken"
    ]


@pytest.mark.parametrize("form", ["protobuf", "json"])
def test_a_call_that_was_imported_in_parts_is_there_once_without_the_state(
    form: str, tmp_path: Path
) -> None:
    """Wherever an import ended, one into a copy of the collection adds what is new, and nothing twice."""
    file = tmp_path / "run-20261129_100000-abc" / "backup.swanlab"
    if form == "json":
        file.parent.mkdir()
        calls = [scalar(key, step, step / 2, step) for step in range(4) for key in ("loss", "acc")]
        data = b":SWL\xd6\xe1\x01" + log_of([*RECORDS[:5], *calls])[7:]
    else:
        (sample,) = (DATA / "swanlab").rglob("*9uu1ha8w.swanlab")
        shutil.copytree(sample.parent, file.parent)
        data = sample.read_bytes()
    file.write_bytes(data)
    with ExperimentCollection(tmp_path / "whole") as collection:
        import_runs(file, collection)
        wanted = points_of(collection)
    for cut in range(500, len(data), 130):
        name = tmp_path / f"study{cut}"
        for end in (cut, (cut + len(data)) // 2, len(data)):
            if end == len(data):
                (state,) = tmp_path.glob(f"study{cut}*/imports.jsonl")
                state.unlink()
            file.write_bytes(data[:end])
            with ExperimentCollection(name, quiet=True) as collection:
                import_runs(file, collection)
                found = points_of(collection)
        assert found == wanted, cut


def points_of(collection: ExperimentCollection) -> list[str]:
    """What was logged, each value with its step and time, whatever record it is in."""
    (run,) = collection.experiments
    return sorted(
        repr((key, row["step"], row["time"], value))
        for row in run.records
        for key, value in row.items()
        if value is not None and key not in {*run, "step", "time", "part"}
    )
