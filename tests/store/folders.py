"""Folders of collections: made, copied before each step that changes them, damaged."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._store import seal
from rigorous_recorder._store.node_ids import ROOT
from rigorous_recorder._store.store import FolderStore


def indexes(collection: ExperimentCollection) -> list[Any]:
    return [row["i"] for row in collection.records]


def opened(folder: Path) -> ExperimentCollection:
    return ExperimentCollection(folder, extension="", quiet=True)


def files_below(folder: Path) -> dict[Path, bytes]:
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def copy_live(folder: Path, copy: Path) -> None:
    """Copy a collection that this process has open, but temporary files.

    A background thread can rename one between its listing and its copy, which is an error of copytree.
    """
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.tmp"))


def log_many_small_files(folder: Path, sessions: int = 6) -> None:
    """Sessions of one experiment of 40 records each, of which the columns differ."""
    for session in range(sessions):
        with opened(folder) as collection, collection.new_experiment(session=session) as experiment:
            for i in range(40 * session, 40 * (session + 1)):
                experiment.push({"i": i, f"only_{session % 2}": "x" * i})


def log_as_writers(folder: Path, numbers: Iterable[int]) -> None:
    """One writer for each number: a recorder with one record."""
    for number in numbers:
        writer = FolderStore(folder)
        node = writer.new_node()
        writer.set_attributes(node, {"name": f"w{number}"}, ROOT)
        writer.records.append(node, {"i": number})
        writer.close()


def reading(folder: Path) -> ExperimentCollection:
    """A collection that does not recover first, so that live files stay live."""
    collection = ExperimentCollection.__new__(ExperimentCollection)
    collection._is_quiet = True
    collection._store = type(ExperimentCollection(folder / "unused")._store)(folder)
    return collection


class Snapshots:
    """Copies of a folder as it is before each step that changes files."""

    def __init__(self, folder: Path, into: Path) -> None:
        self._folder = folder
        self._into = into
        self.copies: list[Path] = []

    def take(self) -> None:
        if not self._folder.exists():
            return
        copy = self._into / f"{len(self.copies)}.collection"
        shutil.copytree(self._folder, copy)
        self.copies.append(copy)


@contextmanager
def before_every_step(
    monkeypatch: pytest.MonkeyPatch, action: Callable[[], None]
) -> Iterator[None]:
    """Do something before each call of this thread that changes a folder or makes a change last."""
    this_thread = threading.get_ident()

    def watched(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            if threading.get_ident() == this_thread:
                action()
            return original(*args, **named)

        return call

    with monkeypatch.context() as patch:
        for module, name in [
            (os, "replace"), (os, "rename"), (os, "unlink"), (os, "fsync"), (os, "pwrite"),
            (seal.pq.ParquetWriter, "write_table"),
        ]:  # fmt: skip
            patch.setattr(module, name, watched(getattr(module, name)))
        yield


def done_or_dead(work: Callable[[], object], steps: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Work in a process that dies at once after so many steps; whether it got to the end."""
    child = os.fork()
    if not child:
        left = steps

        def step() -> None:
            nonlocal left
            if not left:
                os._exit(9)
            left -= 1

        try:
            with before_every_step(monkeypatch, step):
                work()
                os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, 9}
    return code == 0


def flip_in_pages(path: Path) -> None:
    """Flip a byte in the middle of the data of a file's first column."""
    data = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(0)
    data[column.data_page_offset + column.total_compressed_size - 3] ^= 0xFF
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garble(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 20)
