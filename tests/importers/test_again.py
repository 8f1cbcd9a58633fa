"""Importing again adds what is new alone: after a kill, while a source is written, once it is cut off."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._keys import EXPERIMENT_KEYS
from rigorous_recorder.errors import ArgumentError, SaveError
from rigorous_recorder.importers import files, find_runs, import_runs
from rigorous_recorder.importers.event_frames import masked_crc

from .test_offline_formats import MAKERS
from .test_samples import DATA


def frame(event: bytes) -> bytes:
    """An event as TensorBoard writes it."""
    size = struct.pack("<Q", len(event))
    return size + struct.pack("<I", masked_crc(size)) + event + struct.pack("<I", masked_crc(event))


def scalar(tag: str, step: int, value: float) -> bytes:
    inner = b"\x0a" + bytes([len(tag)]) + tag.encode() + b"\x15" + struct.pack("<f", value)
    summary = b"\x0a" + bytes([len(inner)]) + inner
    wall = b"\x09" + struct.pack("<d", 1795871760.0 + step)
    return frame(wall + b"\x10" + bytes([step]) + b"\x2a" + bytes([len(summary)]) + summary)


def rows_of(collection: ExperimentCollection) -> list[str]:
    return [repr(sorted(row.items())) for row in collection.records]


def test_a_file_that_grows_is_imported_as_the_whole(tmp_path: Path) -> None:
    """Event files and journals, cut off anywhere, and then a bit longer each time."""
    sources = [
        "tensorboard/torch/first/events.out.tfevents.1795871760.host.26636.0",
        "optuna-journal/sample/journal.log",
    ]
    for number, source in enumerate(sources):
        data = (DATA / source).read_bytes()
        file = tmp_path / str(number) / Path(source).name
        file.parent.mkdir()
        with ExperimentCollection(tmp_path / f"whole{number}") as collection:
            file.write_bytes(data)
            import_runs(file.parent, collection)
            whole = rows_of(collection)
        with ExperimentCollection(tmp_path / f"grown{number}") as collection:
            for end in [*range(300, len(data), 1 + len(data) // 3), len(data)]:
                file.write_bytes(data[:end])
                import_runs(file.parent, collection)
            assert rows_of(collection) == whole


def test_a_file_that_is_cut_off_or_replaced_is_another_part(tmp_path: Path) -> None:
    """What was imported stays, and what is there now is a part of its own."""
    file = tmp_path / "events.out.tfevents.1.host"
    with ExperimentCollection(tmp_path / "study") as collection:
        for value in (0.5, 0.25):
            file.write_bytes(
                b"".join(scalar("loss", step, value) for step in range(int(8 * value)))
            )
            done = import_runs(tmp_path, collection)
        assert [row["loss"] for row in collection.records] == [0.5] * 4 + [0.25] * 2
        assert [str(loss) for loss in done.report.losses] == [
            f"{file}: was replaced or cut off: read from its start, as another part"
        ]
        parts = [child["part"] for child in collection.recorder.children[0].children]
        assert parts == [file.name, f"{file.name} (2)"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_file_that_was_written_anew_is_reported(suffix: str, tmp_path: Path) -> None:
    """Also if it is longer now; one that only grew is not."""

    def write(first: int, count: int) -> list[str]:
        rows = range(first, first + count)
        lines = ["x", *map(str, rows)] if suffix == "csv" else [f'{{"x": {each}}}' for each in rows]
        file.write_text("".join(f"{line}\n" for line in lines))
        report = import_runs(file, tmp_path / "again", format=suffix).report
        return [str(loss) for loss in report.losses if "written anew" in str(loss)]

    file = tmp_path / f"file.{suffix}"
    assert write(10, 5) == write(10, 8) == []
    assert len(write(10, 7)) == len(write(30, 20)) == 1
    assert write(30, 21) == []


def test_follow_keeps_up_with_a_file_that_is_written(tmp_path: Path) -> None:
    """Each record is there soon after it is whole, and new files are found."""
    folder = tmp_path / "runs"
    (folder / "a").mkdir(parents=True)
    first = folder / "a" / "events.out.tfevents.1.host"
    first.write_bytes(scalar("loss", 0, 0.5))
    written = [scalar("loss", step, 1.0) for step in range(1, 5)]
    with ExperimentCollection(tmp_path / "study") as collection:

        def goes_on() -> bool:
            if not written:
                return len(collection.records) < 6
            if len(collection.records) == 5 - len(written):
                next_ = written.pop(0)
                with first.open("ab") as file:
                    file.write(next_[:9])
                    file.flush()
                    file.write(next_[9:])
                if not written:
                    (folder / "b").mkdir()
                    (folder / "b" / "events.out.tfevents.2.host").write_bytes(scalar("x", 7, 2.0))
            return True

        import_runs(folder, collection, follow=goes_on)
        rows = [(row["run"], row["step"]) for row in collection.records]
    assert rows == [*(("a", step) for step in range(5)), ("b", 7)]


def test_a_row_of_csv_that_is_not_whole(tmp_path: Path) -> None:
    """It waits while the file is followed; imported too early, it is there again, and reported."""
    file = tmp_path / "table.csv"
    states = ["x,y\n1,2\n3", "x,y\n1,2\n3,4", "x,y\n1,2\n3,45", "x,y\n1,2\n3,45\n5,6"]

    def goes_on() -> bool:
        seen.append(len(collection.records))
        if states:
            file.write_text(states.pop(0))
        return len(seen) < 6

    seen: list[int] = []
    file.write_text("x,y\n1,2\n")
    with ExperimentCollection(tmp_path / "followed") as collection:
        import_runs(file, collection, follow=goes_on)
        assert seen == [1, 1, 1, 1, 2, 2]
        assert import_runs(file, collection).records == 1
        assert [(row["x"], row["y"]) for row in collection.records] == [(1, 2), (3, 45), (5, 6)]
    with ExperimentCollection(tmp_path / "once") as collection:
        reports = []
        for text in ("x,y\n1,2\n3", "x,y\n1,2\n3,4", "x,y\n1,2\n3,45\n"):
            file.write_text(text)
            reports.append(import_runs(file, collection).report.losses)
        assert [(row["x"], row["y"]) for row in collection.records] == [(1, 2), (3, 4), (3, 45)]
        assert "ends within a line" in str(reports[0])
        assert "imported before it was written to its end" in str(reports[2])


def test_metrics_of_dvclive_that_grow_unevenly_lose_no_row(tmp_path: Path) -> None:
    """Each file is read on where it ended; an import that was killed adds what is missing."""
    folder = tmp_path / "dvclive" / "plots" / "metrics"
    folder.mkdir(parents=True)
    steps = {"a": 0, "b": 0}

    def grow(name: str, rows: int, rest: str = "") -> None:
        with (folder / f"{name}.tsv").open("a") as file:
            file.write("" if steps[name] else f"step\t{name}\n")
            file.writelines(f"{steps[name] + at}\t{at + 0.5}\n" for at in range(rows))
            file.write(rest)
        steps[name] += rows

    with ExperimentCollection(tmp_path / "study") as collection:
        for a, b, rest in ((3, 1, ""), (1, 2, "3"), (4, 0, "\t2.5\n"), (0, 3, "")):
            grow("a", a)
            grow("b", b, rest)
            steps["b"] += rest.endswith("\n")
            import_runs(tmp_path / "dvclive", collection)
            for name, rows in steps.items():
                found = [row["step"] for row in collection.records if row[name] is not None]
                assert found == [*range(rows)]
        (tmp_path / "study.collection" / "imports.jsonl").unlink()  # as if it had been killed
        grow("a", 2)
        grow("b", 2)
    with ExperimentCollection(tmp_path / "study") as collection:
        assert import_runs(tmp_path / "dvclive", collection).records == 4


def test_imports_at_once_give_each_row_once(tmp_path: Path) -> None:
    """One waits for the other, and then adds what is new; nothing of it is in the flat table."""
    for number in range(20):
        folder = tmp_path / "runs" / str(number)
        folder.mkdir(parents=True)
        (folder / "events.out.tfevents.1.host").write_bytes(scalar("loss", 0, 0.5))
    begin, done = threading.Barrier(3), []

    def import_all() -> None:
        with ExperimentCollection(tmp_path / "study") as collection:
            begin.wait()
            done.append(import_runs(tmp_path / "runs", collection).records)

    threads = [threading.Thread(target=import_all) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(done) == [0, 0, 20]
    with ExperimentCollection(tmp_path / "study") as collection:
        assert len(collection.records) == 20
        assert sorted(each.number for each in collection.experiments) == [*range(1, 21)]
        own = {"run", "run_id", "source", "source_format", "part", "host", "step", "time", "loss"}
        assert {*collection.records.columns} == {*EXPERIMENT_KEYS, *own}
        assert len(collection.recorder.children) == 20


def test_importing_nothing_new_loads_no_arrow(tmp_path: Path) -> None:
    """So that it costs little more than the start of Python."""
    (tmp_path / "events.out.tfevents.1.host").write_bytes(scalar("loss", 0, 0.5))
    code = """
import sys
from rigorous_recorder.importers import import_runs
done = import_runs(*sys.argv[1:])
print(done.records, done.unchanged, "pyarrow" in sys.modules)
"""
    import_runs(tmp_path, tmp_path / "study")
    command = [sys.executable, "-c", code, str(tmp_path), str(tmp_path / "study")]
    assert subprocess.check_output(command, text=True) == "0 1 False\n"


def test_nothing_is_created_where_nothing_is_found(tmp_path: Path) -> None:
    """The error says what was expected."""
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(ArgumentError, match="the runs of no known tool"):
        import_runs(tmp_path, tmp_path / "study")
    with pytest.raises(ArgumentError, match="does not exist"):
        import_runs(tmp_path / "nothing", tmp_path / "study")
    with pytest.raises(ArgumentError, match="no runs of mlflow"):
        find_runs(tmp_path, format="mlflow")
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


def test_metrics_with_names_of_attributes_leave_them_to_the_run(tmp_path: Path) -> None:
    """The attribute is beside it, by another name, and tells how and when the run ended; again, too."""
    folder = tmp_path / "3"
    folder.mkdir()
    names = "status", "start_time", "loss", "host"
    series = {"steps": [0], "timestamps": ["2026-01-01T00:00:02"], "values": [0.5]}
    (folder / "metrics.json").write_text(json.dumps(dict.fromkeys(names, series)))
    config = {"status": "mine", "loss": "mse", "step": 7, "time": "noon", "host": {"a": 1}}
    (folder / "config.json").write_text(json.dumps(config))
    run = {"status": "FAILED", "start_time": "2026-01-01T00:00:00", "host": {"hostname": "here"}}
    (folder / "run.json").write_text(json.dumps(run))
    for _ in range(2):
        with ExperimentCollection(tmp_path / "study") as collection:
            import_runs(tmp_path, collection, format="sacred")
            (experiment,) = collection.experiments
            assert (experiment.status, experiment["experiment_duration"]) == ("failed", 2.0)
            found = {key: value for key, value in experiment.recorder.local_data.items() if value}
            assert (found["source.status"], found["source.host"]) == ("failed", "here")
            assert found["source.start_time"].isoformat() == "2026-01-01T00:00:00+00:00"
            assert {key: found[f"config.{key}"] for key in config} == config
            assert not {*names, "step", "time"} & found.keys()
            rows = [
                {key: row[key] for key in names if row[key] is not None}
                for row in collection.records
            ]
            assert rows == [{key: 0.5} for key in names]
        (folder / "info.json").write_text("{}")  # is something new


def test_keys_that_are_taken_get_a_word_in_front(tmp_path: Path) -> None:
    """No metric hides what is of the run, and no record inherits a configuration as a metric."""
    folder = tmp_path / "run"
    folder.mkdir()
    log = [
        {"step": 1, "loss": 0.5, "run": 7, "time": 3.0, "experiment_number": 4, "\ud800": 1},
        {"step": 2, "acc": 1.0},
    ]
    state = {"log_history": log, "loss": 0.25, "run": "x", "lr": 0.1}
    (folder / "trainer_state.json").write_text(json.dumps(state))
    with ExperimentCollection(tmp_path / "study") as collection:
        done = import_runs(folder, collection)
        first, second = collection.records
        import_runs(shutil.copytree(folder, tmp_path / "other" / "run"), collection)
        assert len(collection.records) == 4
    assert first["run"] == second["run"] == "run"
    assert (first["metric.run"], first["metric.time"], first["metric.experiment_number"]) == (
        7,
        3.0,
        4,
    )
    assert (first["config.loss"], first["config.run"], first["lr"]) == (0.25, "x", 0.1)
    assert (first["loss"], second["loss"], first["\\ud800"]) == (0.5, None, 1)
    assert done.report.losses == []


#: What makes other runs of those in a database, with rows of the same numbers; and its table of values.
ANEW = {
    "mlflow": (
        [
            f"UPDATE {table} SET run_uuid = run_uuid || 'x'"
            for table in ("runs", "metrics", "params", "tags")
        ],
        "metrics",
    ),
    "trackio": (
        [
            f"UPDATE {table} SET run_id = run_id || 'x'"
            for table in ("configs", "metrics", "system_metrics", "alerts")
        ],
        "metrics",
    ),
    "goodseed": (
        [
            "UPDATE run_meta SET value = 'other' WHERE key = 'run_id'",
            "UPDATE metric_points SET ts = ts + 1",
            "UPDATE string_points SET ts = ts + 1",
        ],
        "metric_points",
    ),
    "neptune": (
        ["UPDATE metadata SET run_id = 'x'", "UPDATE run_operations SET timestamp = 2000"],
        "run_operations",
    ),
}


@pytest.mark.parametrize("name", ANEW)
def test_a_database_that_was_begun_anew_is_read_from_its_start(name: str, tmp_path: Path) -> None:
    """Rows of other runs with the same numbers are new, the same rows with other numbers are not."""
    if name in MAKERS:
        file = MAKERS[name](tmp_path)
    else:
        (source,) = (*(DATA / name).rglob("mlflow.db"), *(DATA / name).rglob("demo.db"))
        file = Path(shutil.copy(source, tmp_path))
    of_runs, table = ANEW[name]
    renumber = [f"UPDATE {table} SET rowid = rowid + 1000000"]
    found = []
    with ExperimentCollection(tmp_path / "study") as collection:
        for statements in ([], of_runs, renumber):
            with closing(sqlite3.connect(file)) as database, database:
                for statement in statements:
                    database.execute(statement)
            done = import_runs(file, collection, format=name)
            found.append((done.records, "was begun anew" in str([*map(str, done.report.losses)])))
    first, _ = found[0]
    assert found == [(first, False), (first, True), (0, True)]
    assert first > 0


def test_an_import_looks_at_each_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many formats there are: folders are listed once, and files opened once to see what they are."""
    counts: Counter[tuple[str, Path]] = Counter()

    def counted(function: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def call(path: Path) -> Any:
            counts[function.__name__, path] += 1
            return function(path)

        return call

    monkeypatch.setattr(files, "_files_below", counted(files._files_below))
    monkeypatch.setattr(files, "_first_bytes", counted(files._first_bytes))
    file = tmp_path / "runs" / "a" / "events.out.tfevents.1.host"
    file.parent.mkdir(parents=True)
    file.write_bytes(scalar("loss", 0, 1.0))
    found: list[Any] = []
    assert import_runs(tmp_path / "runs", tmp_path / "study", found=found.extend).records == 1
    assert [format_.name for format_, _ in found] == ["tensorboard"]
    assert counts == {("_files_below", tmp_path / "runs"): 1, ("_first_bytes", file): 1}


def test_a_state_that_is_damaged_is_that_of_a_source_that_was_not_imported(tmp_path: Path) -> None:
    """Its records are skipped, not doubled; states of other sources count."""
    lines = [f'{{"x": {number}}}\n' for number in range(3)]
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text("".join(lines), "utf-8")
    study = tmp_path / "study.collection"
    import_runs([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], study)
    states = study / "imports.jsonl"
    first, second = states.read_text("utf-8").splitlines()
    for damaged in ('"x": 1}', "{", '{"a": 1', f"{first[:-9]}}}", "{7: {}}", '{"jsonl:x": [1]}'):
        states.write_text(f"{damaged}\n{second}\n", "utf-8")
        done = import_runs([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], study)
        assert (done.records, done.unchanged) == (0, 1)


def test_what_could_not_be_saved_does_not_count_as_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the disk is full: the import ends with an error, and the next one goes on from what is there."""
    (tmp_path / "a.jsonl").write_text('{"x": 1}\n', "utf-8")

    def require_saved(_store: object) -> None:
        message = "1 row could not be saved"
        raise SaveError(message)

    with ExperimentCollection(tmp_path / "study") as collection:
        with monkeypatch.context() as patch:
            patch.setattr(type(collection._store), "require_saved", require_saved)
            with pytest.raises(SaveError, match="could not be saved"):
                import_runs(tmp_path / "a.jsonl", collection)
        assert not (tmp_path / "study.collection" / "imports.jsonl").exists()
        done = import_runs(tmp_path / "a.jsonl", collection)
        assert (done.unchanged, len(collection.records)) == (0, 1)
