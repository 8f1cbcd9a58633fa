"""Copies and hard links of a collection that is being logged: every row is whole, or not there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rigorous_recorder._live.table as live_table
from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._store import home

from .folders import opened, reading

ROWS = 4096


@pytest.fixture(params=["mapped", "written behind"])
def backing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways in which rows get into live files."""
    monkeypatch.setattr(home, "is_safe_to_map", lambda _: request.param == "mapped")


@pytest.fixture
def running(
    folder: Path, monkeypatch: pytest.MonkeyPatch, backing: None
) -> Iterator[tuple[ExperimentCollection, Recorder]]:
    """A collection of which tables are full at 4,096 rows, and the recorder that is logged to."""
    monkeypatch.setattr(live_table, "MOST_ROWS", ROWS)
    collection = ExperimentCollection(folder, quiet=True)
    with collection.new_experiment(name="a run") as experiment:
        yield collection, experiment
    collection.close()


def log(recorder: Recorder, start: int, stop: int) -> None:
    """Records of which each value tells all others."""
    for i in range(start, stop):
        recorder.push(i=i, a=i * 7, text=f"the text of record {i}", d=i * 13)


def wrong(collection: ExperimentCollection) -> list[dict[str, Any]]:
    """Rows that are not as they were logged."""
    return [
        dict(row)
        for row in collection.records
        if row["name"] != "a run"
        or (row["a"], row["text"], row["d"])
        != (row["i"] * 7, f"the text of record {row['i']}", row["i"] * 13)
    ]


def indexes(collection: ExperimentCollection) -> list[int]:
    return [row["i"] for row in collection.records]


def live_records(folder: Path) -> Path:
    """The live file that is just filled."""
    (path,) = folder.glob("live/[!.]*.records.arrow")
    return path


def test_a_file_that_is_copied_in_two_halves_has_rows_of_one_segment(
    running: tuple[ExperimentCollection, Recorder], folder: Path, tmp_path: Path
) -> None:
    """While a slow tool reads it the run goes on for many segments: the copy is of the first."""
    collection, recorder = running
    log(recorder, 0, ROWS - 10)
    collection._store.flush()
    path, copy = live_records(folder), tmp_path / "copy"
    with path.open("rb") as source:
        front = source.read(path.stat().st_size * 6 // 10)
        log(recorder, ROWS - 10, 6 * ROWS + 100)
        collection._store.records._segments.seal()
        log(recorder, 6 * ROWS + 100, 6 * ROWS + 200)
        collection._store.flush()
        back = source.read()
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("records", "*.records.arrow"))
    (copy / "records").mkdir()
    (copy / "live" / path.name).write_bytes(front + back)
    read = opened(copy)
    assert wrong(read) == []
    assert indexes(read) == list(range(ROWS - 10))
    read.close()


def test_a_hard_linked_copy_goes_on_showing_its_rows(
    running: tuple[ExperimentCollection, Recorder], folder: Path, tmp_path: Path
) -> None:
    """What the original logs later is in no file of an earlier segment."""
    collection, recorder = running
    log(recorder, 0, ROWS - 10)
    collection._store.flush()
    subprocess.run(["cp", "-al", folder, tmp_path / "linked"], check=True)
    log(recorder, ROWS - 10, 6 * ROWS + 100)
    collection._store.records._segments.seal()
    log(recorder, 6 * ROWS + 100, 6 * ROWS + 200)
    read = reading(tmp_path / "linked")
    assert wrong(read) == []
    assert indexes(read)[: ROWS - 10] == list(range(ROWS - 10))
    assert len(read) <= ROWS
    read.close()


def test_no_live_file_has_rows_of_two_segments(
    running: tuple[ExperimentCollection, Recorder], folder: Path, tmp_path: Path
) -> None:
    """Whatever a segment ends with: a full table, a new column, a save, rows with ragged lists."""
    collection, recorder = running
    seen: dict[str, int] = {}
    links = tmp_path / "links"
    links.mkdir()

    def link() -> None:
        for path in folder.glob("live/[!.]*.arrow"):
            assert seen.setdefault(path.name, path.stat().st_ino) or True
            name = links / f"{path.name}.{path.stat().st_ino}"
            if not name.exists():
                os.link(path, name)

    ends: list[Callable[[], object]] = [
        lambda: log(recorder, 0, ROWS + 1),
        collection.save,
        lambda: recorder.push(i=0, new=1),
        lambda: recorder.extend(
            {"i": range(5000), "ragged": [[1.0] * (i % 3) for i in range(5000)]}
        ),
        lambda: recorder.push(i=1),
        lambda: recorder.extend(
            {"i": range(5000), "ragged": [[1.0] * (i % 3) for i in range(5000)]}
        ),
    ]
    for end in ends:
        link()
        end()
        link()
    names: dict[int, set[str]] = {}
    for path in links.iterdir():
        name, _, inode = path.name.rpartition(".")
        names.setdefault(int(inode), set()).add(name)
    assert len(names) > len(ends)
    assert all(len(each) == 1 for each in names.values())
