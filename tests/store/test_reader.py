"""A reader of a folder: alone, and beside a writer of the same process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._live.column import NODE
from rigorous_recorder._store import foreign
from rigorous_recorder._store.folder import Folder
from rigorous_recorder._store.node_ids import ROOT
from rigorous_recorder._store.reader import FolderReader, Reader
from rigorous_recorder._store.store import FolderStore
from rigorous_recorder._store.union import UnionStore

AHEAD = 3600 * 1_000_000


@pytest.fixture
def store(folder: Path) -> Iterator[FolderStore]:
    """A writer of the test's folder, and a reader beside it."""
    store = FolderStore(folder)
    yield store
    store.close()


def nodes_of_records(reader: Reader) -> list[int]:
    """Whose records a reader finds."""
    records = reader.snapshot().records
    found = [node for each in records for table in each.tables([]) for node in table[NODE]]
    return [node.as_py() for node in found]


def test_a_reader_needs_a_path_alone(store: FolderStore, folder: Path) -> None:
    """It finds sealed rows and those of writers, each once, and leaves the folder as it is."""
    node = store.new_node()
    store.set_attributes(node, {"lr": 0.1}, ROOT)
    store.records.append(node, {"i": 0})
    store.seal()
    store.records.append(node, {"i": 1})
    files = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    alone = FolderReader(Folder(folder, is_read_only=True))
    assert nodes_of_records(alone) == nodes_of_records(store.reader) == [node, node]
    version = alone.version()
    store.records.append(node, {"i": 2})
    assert alone.version() != version
    assert nodes_of_records(alone) == nodes_of_records(store.reader) == [node] * 3
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert {*folder.rglob("*")} == {*files}


def test_beside_a_writer_its_rows_are_read_from_memory(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So they are read without a system call, and the same snapshot is valid until one is added."""
    monkeypatch.setattr(foreign, "read_live", pytest.fail)
    node = store.new_node()
    store.records.append(node, {"i": 0})
    version = store.reader.version()
    assert nodes_of_records(store.reader) == [node]
    assert store.reader.version() == version
    store.records.append(node, {"i": 1})
    assert store.reader.version() != version


@pytest.mark.parametrize("by_union", [False, True])
def test_what_is_set_is_later_than_what_was_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, by_union: bool
) -> None:
    """Also where the clock of another machine is ahead, and its value was seen in a union."""
    with ExperimentCollection(folder) as collection:
        recorder = collection.recorder.child(note="first")
        recorder.push(i=0)
        other = FolderStore(folder)
        with monkeypatch.context() as patch:
            later = time.time_ns() + AHEAD * 1000
            patch.setattr(time, "time_ns", lambda: later)
            other.set_attributes(recorder._node, {"note": "ahead"})
        union: Any = ExperimentCollection.union([collection]) if by_union else collection
        assert isinstance(union._store, UnionStore) == by_union
        assert [row["note"] for row in union.records] == ["ahead"]
        recorder["note"] = "last"
        assert [row["note"] for row in collection.records] == ["last"]
        other.close()
