"""An import that is killed at any step, of a source that then grows, is completed: nothing twice, nothing lost."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder.importers import (
    batches,
    import_runs,
    importing,
    mlflow_metrics,
    neptune_log,
)
from rigorous_recorder.importers import swanlab as swanlab_files
from rigorous_recorder.importers.experiments import NewExperiments
from rigorous_recorder.importers.states import States

from .test_again import scalar
from .test_wandb import history, log_of

#: How many values a source has when its import is killed, and at the end.
EARLY, LATE = 13, 23

MLFLOW = """
CREATE TABLE runs (run_uuid TEXT PRIMARY KEY, name TEXT);
CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
CREATE TABLE experiments (experiment_id INT, name TEXT);
CREATE TABLE metrics (key TEXT, value FLOAT, timestamp INT, run_uuid TEXT, step INT, is_nan INT);
INSERT INTO runs VALUES ('a', 'first'), ('b', 'second');
"""
TRACKIO = """
CREATE TABLE metrics (id INTEGER PRIMARY KEY, run_id, timestamp, run_name, step, metrics);
CREATE TABLE system_metrics (id INTEGER PRIMARY KEY, run_id, timestamp, run_name, metrics);
CREATE TABLE configs (id INTEGER PRIMARY KEY, run_id, run_name, config);
"""
GOODSEED = """
CREATE TABLE run_meta (key, value);
CREATE TABLE configs (path, type_tag, value);
CREATE TABLE metric_series (id, path);
CREATE TABLE metric_points (series_id, step REAL, y REAL, ts);
CREATE TABLE string_series (id, path);
CREATE TABLE string_points (series_id, step REAL, value, ts);
INSERT INTO metric_series VALUES (1, 'loss'), (2, 'acc');
INSERT INTO string_series VALUES (1, 'x');
"""


def tensorboard(folder: Path, size: int) -> None:
    data = b"".join(scalar("ab"[at % 2], at // 2, at / 4) for at in range(size))
    torn = scalar("a", size, 1.0)[: size % 20]
    (folder / "events.out.tfevents.1.host").write_bytes(data + torn)


def wandb(folder: Path, size: int) -> None:
    data = log_of([history(at, loss=at / 4, epoch=at // 3) for at in range(size)])
    (folder / "run-x.wandb").write_bytes(data + b"torn"[: size % 5])


def mlflow(folder: Path, size: int) -> None:
    """Calls of two runs in turn, of which the last one is being written."""
    with database(folder / "mlflow.db", MLFLOW) as store:
        for at in range(size):
            run, call = "ab"[at // 8 % 2], at // 2
            row = "xy"[at % 2], at / 4, 1_800_000_000_000 + call, run, call, 0
            store.execute("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", row)


def mlflow_files(folder: Path, size: int) -> None:
    """One metric is behind the other, and then catches up with it."""
    pytest.importorskip("yaml")
    run = folder / "0" / "run"
    (run / "metrics").mkdir(parents=True, exist_ok=True)
    (run / "meta.yaml").write_text("run_id: run\nrun_name: first\n")
    for name, rows in (("x", size), ("y", size if size == LATE else size // 2)):
        lines = [f"{1_800_000_000_000 + at // 2} {at / 4} {at // 2}\n" for at in range(rows)]
        (run / "metrics" / name).write_text("".join(lines) + "18000")


def trackio(folder: Path, size: int) -> None:
    with database(folder / "project.db", TRACKIO) as store:
        for at in range(size):
            of, time = "ab"[at % 2], f"2026-01-01T00:00:{at:02}"
            row = at + 1, of, time, of, at, json.dumps({"loss": at / 4})
            store.execute("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", row)
            row = at + 1, of, time, of, json.dumps({"cpu": at})
            store.execute("INSERT INTO system_metrics VALUES (?, ?, ?, ?, ?)", row)


def goodseed(folder: Path, size: int) -> None:
    """Numbers and texts are in tables of their own, both of which grow."""
    with database(folder / "run.sqlite", GOODSEED) as store:
        for at in range(size):
            row = 1 + at % 2, at // 2, at / 4, at
            store.execute("INSERT INTO metric_points VALUES (?, ?, ?, ?)", row)
            store.execute("INSERT INTO string_points VALUES (1, ?, ?, ?)", (at, f"text {at}", at))


def sacred(folder: Path, size: int) -> None:
    """All that was logged so far is in one file, by metrics."""
    run = folder / "1"
    run.mkdir(exist_ok=True)
    (run / "run.json").write_text('{"status": "RUNNING"}')
    (run / "config.json").write_text('{"lr": 0.5}')
    metrics = {}
    for name, places in (("loss", range(0, size, 2)), ("acc", range(1, size, 2))):
        times = [f"2026-01-01T00:00:{at:02}" for at in places]
        metrics[name] = {
            "steps": [*places],
            "timestamps": times,
            "values": [at / 4 for at in places],
        }
    (run / "metrics.json").write_text(json.dumps(metrics))


def csv(folder: Path, size: int) -> None:
    """The last row is cut off before its last cell."""
    rows = "".join(f"{at},{at / 4}\n" for at in range(size))
    (folder / "table.csv").write_text(f"x,y\n{rows}{size}")


def jsonl(folder: Path, size: int) -> None:
    """One value is never there."""
    row = {"none": None, "y": {"z": 0.25}}
    rows = [json.dumps({"x": at, **row}) + "\n" for at in range(size + 1)]
    (folder / "lines.jsonl").write_text("".join(rows)[:-5])


def lightning(folder: Path, size: int) -> None:
    """The file is written anew with a column more."""
    more = size == LATE
    rows = [f"{at},{at / 4}" + (f",{at}" if at > 15 else "," if more else "") for at in range(size)]
    path = folder / "version_0" / "metrics.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["step,loss" + (",acc" if more else ""), *rows, ""]))


def huggingface(folder: Path, size: int) -> None:
    log = [{"step": at, "loss": at / 4} for at in range(size)]
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": log}))


def neptune(folder: Path, size: int) -> None:
    """Points of two series in turn, each with a time of its own."""
    lines = []
    for at in range(size):
        key, step = ("loss", "acc")[at % 2], at // 2
        values = [{"value": at / 4, "step": step, "ts": 1_800_000_000 + step + at % 2 / 100}]
        lines.append({"type": "LogFloats", "path": [key], "values": values})
    text = "".join(
        json.dumps({"obj": line, "version": number}) + "\n" for number, line in enumerate(lines, 1)
    )
    torn = json.dumps({"obj": {"type": "LogFloats", "path": ["loss"]}})[: size % 20]
    run = folder / "run__x"
    run.mkdir(exist_ok=True)
    (run / "data-1.log").write_text(text + torn, "utf-8")


def swanlab(folder: Path, size: int) -> None:
    """The same of SwanLab before version 0.8."""
    records = []
    for at in range(size):
        time = f"2026-11-29T10:00:{at:02d}.5+00:00"
        metric = {"index": at // 2, "data": at / 4, "create_time": time}
        data = {"key": ("loss", "acc")[at % 2], "step": at // 2, "metric": metric}
        records.append({"model_type": "Scalar", "data": {**data, "create_time": time}})
    log = log_of([json.dumps(each).encode() for each in records])
    (folder / "run-1-x").mkdir(exist_ok=True)
    file = folder / "run-1-x" / "backup.swanlab"
    file.write_bytes(b":SWL\xd6\xe1\x01" + log[7:] + b"torn"[: size % 5])


SOURCES = [
    tensorboard, wandb, mlflow, mlflow_files, trackio, goodseed, sacred, csv, jsonl, lightning,
    huggingface, neptune, swanlab,
]  # fmt: skip


@contextmanager
def database(path: Path, script: str) -> Iterator[sqlite3.Connection]:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as store, store:
        store.executescript(script)
        yield store


def source_of(write: Callable[[Path, int], None], folder: Path) -> Path:
    """What is imported: for files of no tool, the file itself."""
    names = {"csv": "table.csv", "jsonl": "lines.jsonl"}
    return folder / names.get(write.__name__, "")


def points(collection: ExperimentCollection) -> dict[Any, list[Any]]:
    """The values of each key of each recorder, in order, with steps and times."""
    found = defaultdict(list)
    for row in collection.records:
        of = row["source"], row.get("run_id"), row.get("part")
        for key in row.keys() - {"step", "time"}:
            if key in {"a", "b", "loss", "epoch", "x", "y", "cpu", "acc", "cells"}:
                found[of, key].append((row.get("step"), row.get("time"), row[key]))
    assert found
    return dict(found)


class KilledError(BaseException):
    """Stands for a kill: nothing after it runs."""


class Killer:
    """Kills at a step: before or after what changes the collection, or within a table."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int) -> None:
        self.left = at
        self._patch = patch
        for owner, name in (
            (Recorder, "push"),
            (Recorder, "child"),
            (Recorder, "_set"),
            (NewExperiments, "begin"),
            (States, "update"),
        ):
            self._wrap(owner, name)
        extend = Recorder.extend

        def in_part(recorder: Recorder, columns: Any, **options: Any) -> Any:
            self.step()
            if self.left == 1:
                size = len(next(iter(columns.values()))) // 2
                columns = {key: values[:size] for key, values in columns.items()}
            done = extend(recorder, columns, **options)
            self.step()
            return done

        patch.setattr(Recorder, "extend", in_part)

    def _wrap(self, owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def wrapped(*args: Any, **options: Any) -> Any:
            self.step()
            done = original(*args, **options)
            self.step()
            return done

        self._patch.setattr(owner, name, wrapped)

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise KilledError


def killed(source: Path, study: Path, at: int, patch: pytest.MonkeyPatch) -> bool:
    """Import until a step; whether there is such a step."""
    with ExperimentCollection(study) as collection, patch.context() as inside:
        killer = Killer(inside, at)
        try:
            import_runs(source, collection)
        except KilledError:
            return True
        assert killer.left > 0
        return False


def check(write: Any, folder: Path, patch: pytest.MonkeyPatch, steps: range) -> None:
    """Kill at each of these steps, and again while it is completed; compare with one import."""
    patch.setattr(batches, "_MOST", 10)
    patch.setattr(mlflow_metrics, "_AT_ONCE", 3)
    patch.setattr(mlflow_metrics, "_TOGETHER", 6)
    patch.setattr(neptune_log, "_OFTEN", 5)
    patch.setattr(swanlab_files, "_OFTEN", 5)
    runs = folder / "runs"
    runs.mkdir()
    write(runs, LATE)
    source = source_of(write, runs)
    with ExperimentCollection(folder / "whole") as collection:
        import_runs(source, collection)
        whole = points(collection)
    for at in steps:
        patch.setattr(importing, "_CHECKPOINT", 10.0 if at % 2 else -1.0)
        write(runs, EARLY)
        study = folder / f"killed{at}"
        if not killed(source, study, at, patch):
            assert at > 10
            return
        write(runs, LATE)
        killed(source, study, 1 + at // 2, patch)
        with ExperimentCollection(study) as collection:
            import_runs(source, collection)
            assert points(collection) == whole, at
            assert import_runs(source, collection).records == 0


@pytest.mark.parametrize(
    "write", [mlflow, mlflow_files, goodseed, sacred, neptune], ids=lambda write: write.__name__
)
def test_a_kill_within_records(write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a call that is being written, and of metrics or tables of which one is behind."""
    check(write, tmp_path, monkeypatch, range(13, 16, 2))


@pytest.mark.slow
@pytest.mark.parametrize("write", SOURCES, ids=lambda write: write.__name__)
def test_a_kill_at_any_step(write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without what was stored of how far it had come, which changes from step to step."""
    check(write, tmp_path, monkeypatch, range(3, 400, 9))
