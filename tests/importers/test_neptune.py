"""Neptune's offline runs: the logs of its client before neptune-scale, and how far a database was read."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.importers import (
    Position,
    Record,
    Report,
    Run,
    import_runs,
    importing,
    neptune,
    neptune_log,
)
from rigorous_recorder.importers.formats import find, format_named

from .test_damage import damaged
from .test_offline_formats import neptune as database
from .test_samples import DATA
from .test_wandb import field

SAMPLE = DATA / "neptune" / "sample" / ".neptune" / "offline"
ID = "b166e691-243a-4ad1-953f-cc3ec17ed87f"


def lines_of(operations: list[dict[str, Any]], first: int = 1) -> list[bytes]:
    """Operations as Neptune's client writes them."""
    return [
        json.dumps({"obj": each, "version": number, "at": 1_700_000_000.0}).encode() + b"\n"
        for number, each in enumerate(operations, first)
    ]


def operation(kind: str, path: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "path": path.split("/"), **more}


def point(path: str, value: Any, step: Any = None, ts: float = 1_700_000_000.0) -> dict[str, Any]:
    kind = "LogStrings" if isinstance(value, str) else "LogFloats"
    return operation(kind, path, values=[{"value": value, "step": step, "ts": ts}])


def folder_with(tmp_path: Path, operations: list[dict[str, Any]]) -> Path:
    folder = tmp_path / "offline" / "run__an-id__7__abcd1234"
    folder.mkdir(parents=True)
    (folder / "data-1.log").write_bytes(b"".join(lines_of(operations)))
    return folder


def events_of(folder: Path, position: Any = None) -> tuple[list[Any], Report]:
    (source,) = format_named("neptune").find(folder, {})
    report = Report()
    return list(format_named("neptune").read(source, report, position)), report


def records_of(folder: Path) -> list[tuple[Any, Mapping[str, Any]]]:
    return [(each.step, each.fields) for each in events_of(folder)[0] if type(each) is Record]


def rows_of(collection: ExperimentCollection, *keys: str) -> Iterator[dict[str, Any]]:
    for row in collection.records:
        if found := {key: row[key] for key in keys if row[key] is not None}:
            yield found


def test_a_run_has_its_configuration_files_parts_and_times(tmp_path: Path) -> None:
    """What was assigned is on the run, what was logged at one time is one record, the rest are parts."""
    with ExperimentCollection(tmp_path / "study") as collection:
        done = import_runs(SAMPLE, collection)
        assert done.sources == {"neptune": 3}
        (copied,) = done.report.losses
        assert copied.text == "attributes that were to be copied by the server: as copied_from"
        runs = {run["run"]: run for run in collection.experiments}
        first = runs["first"]
        expected = {
            "run_id": ID, "host": "vm", "notes": "a note", "command": "new.py", "tags": ["b", "c"],
            "params/lr": 0.1, "params/n": 3, "params/opt/name": "adam", "params/opt/amsgrad": True,
            "data/when": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
            "start_time": datetime(2026, 11, 29, 20, 7, 29, 340_646, tzinfo=UTC),
            "file/name": "/home/user/study/f.bin", "content": b"text", "content/name": "content.txt",
            "art": ["f.bin -> in"], "copy/copied_from": f"{ID}/params/lr", "temporary": None,
        }  # fmt: skip
        assert {key: first.get(key) for key in expected} == expected
        assert "file" not in first
        assert [each.status.value for each in runs.values()].count("failed") == 1
        assert runs["old"]["run_id"] == "e046efbc-a08e-49d6-8f16-fdad0a09b873"
        assert runs["old"]["params/lr"] == float("inf")
        joined = list(rows_of(collection, "val/loss", "val/deep/er", "step"))
        assert {"step": 10, "val/loss": 1.5, "val/deep/er": 0.1} in joined
        joined = list(rows_of(collection, "train/loss", "train/acc"))
        assert {"train/loss": 0.5, "train/acc": 0.5} in joined
        assert len(joined) == 4
        (picture,) = rows_of(collection, "img", "img/name", "img/description")
        assert picture["img"].startswith(b"\x89PNG")
        assert (picture["img/name"], picture["img/description"]) == ("black", "2 by 2")
        console = list(rows_of(collection, "line", "stream"))
        for line, stream in (("to stdout", "stdout"), ("half a line", "stdout"), ("err", "stderr")):
            assert {"line": line, "stream": stream} in console
        memory = "monitoring/81782441/memory"
        (system,) = [row for row in collection.records if row[memory] is not None]
        assert (system["part"], system[f"{memory}/unit"]) == ("system", "GB")
        (back,) = [row for row in collection.records if row["half"] is not None]
        assert back["time"] == datetime(2023, 11, 14, 22, 13, 20, 250_000, tzinfo=UTC)


def test_points_are_one_record_only_at_one_step_and_time(tmp_path: Path) -> None:
    """Another step, a key that is there already, or a second between them begins the next record."""
    folder = folder_with(
        tmp_path,
        [
            point("a", 1.0, 1), point("b", 2.0, 1), operation("AssignInt", "n", value=1),
            point("c", "x", 1, 1_700_000_000.75), point("a", 3.0, 1), point("b", 4.0, 2),
            point("a", 5.0, 2, 1_700_000_001.0), point("a", 6.0), point("b", 7.0, 0),
        ],
    )  # fmt: skip
    assert records_of(folder) == [
        (1, {"a": 1.0, "b": 2.0, "c": "x"}),
        (1, {"a": 3.0}),
        (2, {"b": 4.0}),
        (2, {"a": 5.0}),
        (None, {"a": 6.0}),
        (0, {"b": 7.0}),
    ]


def test_a_log_that_grows_in_any_pieces_is_imported_once(tmp_path: Path) -> None:
    """Through torn tails and further files, each point is there once and in order, and so are the lines."""
    chance = random.Random(3)
    operations = [operation("AssignString", "sys/name", value="grows")]
    operations.append(operation("AddStrings", "sys/tags", values=["a"]))
    for step in range(40):
        operations += [point("loss", step / 3, step), point("acc", step / 7, step)]
        operations.append(point("monitoring/1a2b3c4d/stdout", f"line {step}"))
        operations.append(point("monitoring/1a2b3c4d/stdout", "\n"))
    operations.append(operation("RemoveStrings", "sys/tags", values=["a"]))
    operations.append(operation("AddStrings", "sys/tags", values=["b"]))
    whole = lines_of(operations)
    pieces = {1: b"".join(whole[:90]), 91: b"".join(whole[90:])}
    folder = tmp_path / "run__x"
    folder.mkdir()
    with ExperimentCollection(tmp_path / "study") as collection:
        for number, data in pieces.items():
            file = folder / f"data-{number}.log"
            cuts = [0, *sorted(chance.sample(range(1, len(data)), 12)), len(data)]
            for start, end in pairwise(cuts):
                with file.open("ab") as more:
                    more.write(data[start:end])
                import_runs(folder, collection)
        (run,) = collection.experiments
        assert (run["run"], run["run_id"], run["tags"]) == ("grows", "x", ["b"])
        for key, by in (("loss", 3), ("acc", 7)):
            found = [(row["step"], row[key]) for row in collection.records if row[key] is not None]
            assert found == [(step, step / by) for step in range(40)]
        text = "".join(row["line"] or "" for row in collection.records)
        assert text == "".join(f"line {step}" for step in range(40))
        assert import_runs(folder, collection).unchanged == 1


def test_a_record_that_was_imported_in_parts_is_there_once_also_without_its_state(
    tmp_path: Path,
) -> None:
    """Its later part has the same step and time; a copy of the collection compares values, not counts."""
    folder = tmp_path / "run__x"
    folder.mkdir()
    steps = [*(None for _ in range(5)), *range(5)]
    operations = []
    for number, step in enumerate(steps):
        for later, key in enumerate(("loss", "acc", "f1")):
            time = 1_700_000_000.0 + number + later / 1000
            operations.append(point(key, float(number), step, time))
    study = tmp_path / "study"
    for line in lines_of(operations):
        with (folder / "data-1.log").open("ab") as more:
            more.write(line)
        with ExperimentCollection(study) as collection:
            import_runs(folder, collection)
    (state,) = tmp_path.rglob("imports.jsonl")
    state.unlink()
    with (folder / "data-1.log").open("ab") as more:
        more.write(lines_of([point("loss", 10.0, 10)])[0])
    with ExperimentCollection(study) as collection:
        assert import_runs(folder, collection).records == 1
        keys = "step", "time", "loss", "acc", "f1"
        rows = [{key: row[key] for key in keys} for row in collection.records]
    for key in ("loss", "acc", "f1"):
        found = [(row["step"], row[key]) for row in rows if row[key] is not None]
        expected = [(step, float(number)) for number, step in enumerate(steps)]
        assert found[:10] == expected
        assert found[10:] == ([(10, 10.0)] if key == "loss" else [])
    for number in range(10):
        of_one = [row for row in rows if number in {row["loss"], row["acc"], row["f1"]}]
        assert {row["time"].timestamp() for row in of_one} == {1_700_000_000.0 + number}


def test_a_log_that_is_followed_waits_for_the_end_of_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a buffer of the client cut off is reported once, and imported when its end is there."""
    folder = folder_with(tmp_path, [point("loss", 0.5, 1)])
    (line,) = lines_of([point("loss", 0.25, 2)], 2)
    monkeypatch.setattr(importing, "_SHORTEST", 0.001)
    seen: list[int] = []

    def goes_on() -> bool:
        seen.append(len(collection.records))
        if len(seen) in {2, 4}:
            with (folder / "data-1.log").open("ab") as more:
                more.write(line[:60] if len(seen) == 2 else line[60:])
        return len(seen) < 7

    with ExperimentCollection(tmp_path / "study") as collection:
        done = import_runs(folder, collection, follow=goes_on)
        assert [(row["step"], row["loss"]) for row in collection.records] == [(1, 0.5), (2, 0.25)]
    assert (seen[3], seen[-1]) == (1, 2)
    assert [each.text for each in done.report.losses] == ["ends within a line"]


def test_what_was_assigned_before_a_position_is_given_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import that goes on from a position loses nothing of the configuration, of logs and databases."""
    monkeypatch.setattr(neptune_log, "_OFTEN", 3)
    monkeypatch.setattr(neptune, "_OFTEN", 3)
    operations = [operation("AssignInt", "n", value=3)]
    operations += [operation("AddStrings", "sys/tags", values=["a"]), point("loss", 0.5, 1)]
    folder = folder_with(tmp_path, [*operations, point("acc", 0.25, 1)])
    file = database(tmp_path)
    with sqlite3.connect(file) as connection:
        assigned = field(4, field(1, "m") + field(2, field(3, 4)))
        connection.execute(
            "UPDATE run_operations SET operation = ? WHERE sequence_id = 2", [assigned]
        )
    connection.close()
    format_ = format_named("neptune")
    for path, key, value in ((folder, "n", 3), (file, "m", 4)):
        (source,) = format_.find(path, {})
        known: dict[str, Any] = {}
        before, at = [], None
        for event in format_.read(source, Report(), None):
            if type(event) is Position:
                at = event.value
                break
            if type(event) is Run:
                known |= event.config  # as it is by now: the format may still change it
            elif type(event) is Record:
                before.append(event.fields)
        assert known[key] == value
        rest = list(format_.read(source, Report(), at))
        after = [each.fields for each in rest if type(each) is Record]
        assert before + after == [fields for _, fields in records_of(path)]
        assert [each for each in rest if type(each) is Run][-1].about["tags"] == ["a"]


def test_folders_of_other_versions_and_modes_have_the_ids_of_their_runs(tmp_path: Path) -> None:
    """Once each process had a folder in that of the run; a model is a run too; files have their bytes."""
    names = {
        "async/run__id-1/exec-17.5-2023-01-01_00.00.00.5": ("id-1", None),
        "offline/0a1b2c3d": ("0a1b2c3d", None),
        "async/model_version__M-1__12__zz9": ("M-1", "model_version"),
    }
    for name in names:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        content = operation("UploadFileContent", "a/c", ext="txt", file_content="aGVsbG8=")
        (folder / "data-12.log").write_bytes(b"".join(lines_of([point("x", 1.0), content], 12)))
    with ExperimentCollection(tmp_path / "study") as collection:
        import_runs(tmp_path, collection, format="neptune")
        found = {run["run"]: (run["run_id"], run.get("type")) for run in collection.experiments}
        files = {(run["a/c"], run["a/c/name"]) for run in collection.experiments}
    assert found == names
    assert files == {(b"hello", "c.txt")}


def test_paths_that_lead_out_of_the_folder_are_not_read(tmp_path: Path) -> None:
    """A file elsewhere has only its name, whatever a log says of it."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    uploads = [
        operation("UploadFile", f"f{number}", ext="", file_path=path, tmp_file_name=name)
        for number, (path, name) in enumerate(
            [(str(secret), None), (None, "../../../secret"), (None, str(secret)), (None, "gone")]
        )
    ]
    folder = folder_with(tmp_path, uploads)
    events, report = events_of(folder)
    config = [each for each in events if type(each) is Run][-1].config
    assert sorted(config) == ["f0/name", "f1/name", "f2/name", "f3/name"]
    assert [each.text for each in report.losses] == ["can't be read: No such file or directory"]


def test_a_failed_run_has_its_traceback_by_lines(tmp_path: Path) -> None:
    """What was printed in pieces is a line; so is each part of a traceback; a user's series is neither."""
    values = [{"value": line, "step": None, "ts": 1.0} for line in ("Traceback:", "  File", "x\n")]
    operations = [
        operation("AssignString", "mon/hostname", value="vm"),
        operation("AssignString", "mon/pid", value="7"),
        *(point("mon/stderr", text) for text in ("", "a", "b\n\nc", "d")),
        operation("LogStrings", "mon/traceback", values=values),
        operation("AssignBool", "sys/failed", value=True),
        point("my/stdout", "kept"), point("mon/cpu", 5.0),
    ]  # fmt: skip
    events, _ = events_of(folder_with(tmp_path, operations))
    records = [each for each in events if type(each) is Record]
    found = [tuple(each.fields.values()) for each in records if each.run == "an-id/console"]
    traceback = [(line, "traceback") for line in ("Traceback:", "  File", "x")]
    assert found == [("ab", "stderr"), ("", "stderr"), *traceback, ("cd", "stderr")]
    own = [(each.run, each.fields) for each in records if each.run != "an-id/console"]
    assert own == [("an-id", {"my/stdout": "kept"}), ("an-id/system", {"mon/cpu": 5.0})]
    assert {each.about.get("status") for each in events if type(each) is Run} >= {"failed"}


def test_operations_with_other_contents_are_reported(tmp_path: Path) -> None:
    """Each is left out by itself; series that were cleared later keep their points."""
    other: list[Any] = [
        operation("LogFloats", "a", values=[{"value": "x"}]),
        operation("LogFloats", "a", values=3),
        operation("AssignInt", "a", value=[1]),
        operation("LogImages", "a", values=[{"value": {"data": "?"}}]),
        operation("AddStrings", "a", values=[[1]]) | {"path": 3},
        {"type": "AssignInt"},
        {"type": ["x"], "path": ["a"]},
        None,
    ]
    good = [point("loss", 1, 1, float("nan")), operation("ClearFloatLog", "loss")]
    unknown = [operation("Invented", "x"), point("loss", 2.0, 2)]
    folder = folder_with(tmp_path, [*good, *other, *unknown])
    with (folder / "data-1.log").open("ab") as more:
        more.write(b"[1]\n{oops\n" + lines_of([point("loss", 3.0, 3)])[0][:-1])
    assert records_of(folder) == [(1, {"loss": 1}), (2, {"loss": 2.0}), (3, {"loss": 3.0})]
    assert {each.text: each.count for each in events_of(folder)[1].losses} == {
        "series that were cleared or deleted later: their points are imported": 1,
        "operations with other contents: left out": len(other) + 1,
        "operations of other types: left out": 1,
        "lines that are not valid JSON: skipped": 1,
    }


@pytest.mark.parametrize("times", [40, pytest.param(1500, marks=pytest.mark.slow)])
def test_changed_bytes_of_a_log_raise_nothing(times: int, tmp_path: Path) -> None:
    """Whatever the files of a run have, the rest is read."""
    chance = random.Random(5)
    files = [file for file in sorted(SAMPLE.rglob("*")) if file.suffix in {".log", ".json"}]
    for number in range(times):
        file = chance.choice(files)
        folder = tmp_path / str(number)
        shutil.copytree(file.parent, folder)
        (folder / file.name).write_bytes(damaged(chance, file.read_bytes()))
        for format_, source in find(folder, ("neptune",), {}):
            events = list(format_.read(source, Report(), None))
            assert type(events[-1]) is Position
            list(format_.read(source, Report(), json.loads(json.dumps(events[-1].value))))
