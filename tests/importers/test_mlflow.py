"""Metrics of MLflow as columns are those of its rows, one by one."""

from __future__ import annotations

import random
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from itertools import groupby
from math import nan
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.importers import import_runs, mlflow_metrics
from rigorous_recorder.importers.contract import Position, Record, Rows, Run, utc_time

from .test_samples import DATA

RUNS = ("first", "second", "stray")
KEYS = ("loss", "acc", "system/cpu", "größe/☃")


def rows_of_store(seed: int) -> Iterator[tuple[Any, ...]]:
    """Rows in all the shapes that a store can have: plain ones first."""
    choose = random.Random(seed)
    time, step, run = 1_800_000_000_000, 0, RUNS[0]
    runs, keys = choose.choice([1, 2, 2, 3]), choose.choice([1, 3, 4])
    odd = choose.random() < 0.5
    for rowid in range(1, 300):
        if choose.random() < 0.4:
            time, step = time + choose.choice([0, 1, -5, 1000]), step + choose.choice([0, 1, 7, -3])
            run = choose.choice(RUNS[:runs])
        value = choose.choice([choose.random(), -0.0, 3.0, sys.float_info.max, -sys.float_info.max])
        is_nan = choose.random() < 0.1
        if odd and choose.random() < 0.02:
            value = choose.choice(["text", 1 << 70])
        at = choose.choice([None, 1 << 60, time]) if odd and choose.random() < 0.02 else time
        yield rowid, run.encode(), choose.choice(KEYS[:keys]).encode(), value, at, step, is_nan


def model(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The records: rows of a run that follow each other at one time and step, each key once."""
    found: list[tuple[Any, ...]] = []

    def call(row: tuple[Any, ...]) -> tuple[Any, ...]:
        part = b"/system" if row[2].startswith(b"system/") else b""
        return row[1] + part, row[4], row[5]

    for (of, time, step), group in groupby(rows, key=call):
        at = None if time is None else utc_time(time / 1000)
        new = True
        for _, _, key, value, *_, is_nan in group if not of.startswith(b"stray") else ():
            if new or key.decode() in found[-1][3]:
                found.append((of.decode(), step, at, {}))
            new = False
            found[-1][3][key.decode()] = nan if is_nan else value
    return found


#: Whether rows that were given are of several runs: both have to be seen.
kinds_of_rows: set[bool] = set()


def given(events: list[Any]) -> Iterator[tuple[Any, ...]]:
    for event in events:
        if isinstance(event, Record):
            yield event.run, event.step, event.time, dict(event.fields)
        elif isinstance(event, Rows):
            columns = {key: values.to_pylist() for key, values in event.columns.items()}
            several = event.runs is not None
            runs = event.runs.to_pylist() if several else [event.run] * event.size
            kinds_of_rows.add(several)
            for at, (step, time) in enumerate(zip(event.steps, event.times, strict=True)):
                fields = {key: each[at] for key, each in columns.items() if each[at] is not None}
                yield runs[at], step.as_py(), time.as_py(), fields


def test_columns_have_what_rows_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, also where a call is in two batches, keys repeat, and runs alternate."""
    monkeypatch.setattr(mlflow_metrics, "_AT_ONCE", 7)
    monkeypatch.setattr(mlflow_metrics, "_TOGETHER", 20)
    monkeypatch.setattr(mlflow_metrics, "_MOST_OF_CALL", 30)
    monkeypatch.setattr(mlflow_metrics, "_FEW", 3)
    kinds = set()
    for seed in range(30):
        rows = list(rows_of_store(seed))
        metrics = mlflow_metrics.Metrics(RUNS[:2], 0)
        events = list(metrics.events(iter(rows)))
        kinds |= set(map(type, events))
        assert repr(sorted_keys(given(events))) == repr(sorted_keys(model(rows))), seed
        known = [row for row in rows if row[1] != b"stray"]
        assert metrics.strays == len(rows) - len(known)
        largest = (sys.float_info.max, -sys.float_info.max)
        assert metrics.ends == sum(row[3] in largest and not row[6] for row in known)
        assert events[-1] == Position({"row": 299})
    assert kinds == {Record, Rows, Run, Position}
    assert kinds_of_rows == {False, True}


def sorted_keys(records: Any) -> list[tuple[Any, ...]]:
    return [(run, step, str(time), sorted(fields.items())) for run, step, time, fields in records]


def test_a_call_that_was_imported_in_parts_is_there_once_without_the_state(tmp_path: Path) -> None:
    """An import into a copy of the collection adds what is new of it, and of what follows."""
    file = Path(shutil.copy(DATA / "mlflow" / "sqlite" / "mlflow.db", tmp_path))
    file.chmod(0o600)
    with sqlite3.connect(file) as database:
        (run,) = database.execute("SELECT run_uuid FROM runs WHERE name = 'parent'").fetchone()

    def add(step: int, *keys: str) -> None:
        with sqlite3.connect(file) as database:
            insert = "INSERT INTO metrics VALUES (?, ?, 1795871840000, ?, ?, 0)"
            database.executemany(insert, [(key, step / 2, run, step) for key in keys])
        database.close()
        with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
            import_runs(file, collection)

    database.close()
    for step in range(3):
        for key in ("first", "second", "third"):
            add(step, key)
    (state,) = tmp_path.rglob("imports.jsonl")
    state.unlink()
    add(9, "first", "second")
    with ExperimentCollection(tmp_path / "study") as collection:
        for key, steps in (("first", [0, 1, 2, 9]), ("second", [0, 1, 2, 9]), ("third", [0, 1, 2])):
            found = [(row["step"], row[key]) for row in collection.records if row[key] is not None]
            assert found == [(step, step / 2) for step in steps]
