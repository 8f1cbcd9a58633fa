"""What reading costs beside other writers: what is there is looked at, and only what is new is read."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._engines import pages
from rigorous_recorder._live.probe_block import FOOTER_END, footer_size
from rigorous_recorder._store import backend, foreign, listed, listing, sealed_files
from rigorous_recorder._store.folder import SealedName
from rigorous_recorder._store.listed import Listed
from rigorous_recorder._store.listing import Listing
from rigorous_recorder._store.reader import FolderReader
from tests.unit.devices.pretended import Tensor

#: What a user asks of records, each beside a writer that has live files.
QUERIES: dict[str, Callable[[ExperimentCollection], Any]] = {
    "row": lambda c: c.records[0],
    "last row": lambda c: c.records[-1],
    "slice": lambda c: c.records[1:3],
    "reversed": lambda c: next(reversed(c.records)),
    "length": len,
    "rows": lambda c: list(c.records),
    "where": lambda c: c.records.where(kind="b")[1],
    "tail": lambda c: list(c.records.tail(2)),
    "number": lambda c: c[1][0],
    "experiments": lambda c: len(c.experiments),
    "arrow": lambda c: c.records.to_arrow(),
    "sql": lambda c: c.sql("select count(*) from records").fetchall(),
    "polars": lambda c: c.records.to_polars(),
    "pandas": lambda c: c.records.to_pandas(),
}


@pytest.fixture(params=["mapped", "write-behind"])
def is_mapped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Live files of both sorts."""
    monkeypatch.setattr(backend, "is_safe_to_map", lambda _: request.param == "mapped")
    return bool(request.param == "mapped")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The live files that were read, and the snapshots that were taken."""
    found: list[str] = []
    read_live, snapshot = foreign.read_live, FolderReader.snapshot

    def counting_read(path: Path, *arguments: Any) -> Any:
        found.append(path.name.split(".")[1])
        return read_live(path, *arguments)

    def counting_snapshot(self: FolderReader) -> Any:
        found.append("snapshot")
        return snapshot(self)

    monkeypatch.setattr(foreign, "read_live", counting_read)
    monkeypatch.setattr(FolderReader, "snapshot", counting_snapshot)
    return found


@pytest.fixture
def both(
    open_collection: Callable[..., ExperimentCollection],
) -> tuple[ExperimentCollection, ExperimentCollection]:
    """A writer, and a reader of the same folder that shares nothing else with it."""
    return open_collection(quiet=True), open_collection(quiet=True)


def test_an_idle_writer_is_read_once(
    both: tuple[ExperimentCollection, ExperimentCollection], is_mapped: bool, reads: list[str]
) -> None:
    """Each later query looks at a few bytes of its files; one more record is one more read."""
    writer, reader = both
    with writer.new_experiment(lr=0.1) as experiment:
        for i in range(20):
            experiment.push(i=i, kind="ab"[i % 2], text=f"longer than a view {i}")
        writer._store.flush()
        assert [row["i"] for row in reader.records] == list(range(20))
        assert sorted(reads) == ["nodes", "records", "snapshot"]
        reads.clear()
        first = {name: query(reader) for name, query in QUERIES.items()}
        assert first["row"]["i"] == 0
        assert [row["i"] for row in first["slice"]] == [1, 2]
        assert reads == []
        experiment.push(i=20, kind="a", text="")
        writer._store.flush()
        assert (reader.records[-1]["i"], len(reader.records)) == (20, 21)
        assert reads == ["snapshot", "records"]  # the nodes are the same
        experiment["lr"] = 0.2
        writer._store.flush()
        assert {row["lr"] for row in reader.records} == {0.2}
        assert reads[2:] == ["snapshot", "nodes"]


def test_values_that_come_later_are_seen(
    both: tuple[ExperimentCollection, ExperimentCollection], is_mapped: bool
) -> None:
    """A value that was on a device when its record was read, also in a larger file than before."""
    writer, reader = both
    recorder = writer.recorder.child(name="a")
    recorder.push(i=0, loss=Tensor(0.5))
    writer._store.flush()
    assert [row["loss"] for row in reader.records] == [None]
    writer._store.records._segments.resolve_pending()
    writer._store.flush()
    assert [row["loss"] for row in reader.records] == [0.5]
    recorder.push(i=1, loss=Tensor(1.5))
    recorder.push(i=2, new=0)  # a wider file
    writer._store.flush()
    assert [row["loss"] for row in reader.records] == [0.5, None, None]
    writer._store.records._segments.resolve_pending()
    writer._store.flush()
    assert [row["loss"] for row in reader.records] == [0.5, 1.5, None]


def test_growing_files_are_followed(
    both: tuple[ExperimentCollection, ExperimentCollection], small_tables: None, is_mapped: bool
) -> None:
    """Through larger images, seals and new files each record is there at once, exactly once."""
    writer, reader = both
    with writer.new_experiment() as experiment:
        for i in range(70):
            experiment.push({"i": i, f"k{i // 20}": "x" * i})
            writer._store.flush()
            assert reader.records[-1]["i"] == i
            assert len(reader.records) == i + 1


def test_live_files_of_an_older_version_are_read_each_time(
    both: tuple[ExperimentCollection, ExperimentCollection], folder: Path, reads: list[str]
) -> None:
    """They don't record whether values came later."""
    writer, reader = both
    writer.recorder.child(name="a").push(i=0)
    assert len(reader.records) == 1
    for path in (folder / "live").glob("*.arrow"):
        data = path.read_bytes()
        at = len(data) - footer_size(data[-FOOTER_END:])
        path.with_name(".older").write_bytes(data[: at - 32] + data[at:])
        path.with_name(".older").rename(path)
    reads.clear()
    assert [len(reader.records), len(reader.records)] == [1, 1]
    assert reads.count("records") == 2


def test_a_folder_is_listed_again_only_after_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after one that follows so soon that the folder's time stays the same."""
    lists: list[str] = []
    finished_in = listed.finished_in

    def counted(path: Path) -> frozenset[str]:
        lists.append(str(path))
        return finished_in(path)

    monkeypatch.setattr(listed, "finished_in", counted)
    monkeypatch.setattr(listed, "has_exact_times", lambda _: True)
    names = Listed(tmp_path)
    assert names.names() == frozenset()
    (tmp_path / "a").touch()
    os.utime(tmp_path)  # now: as of another change in the same tick
    assert names.names() == names.names() == {"a"}
    now = time.time_ns()
    monkeypatch.setattr(time, "clock_gettime_ns", lambda _: now + 10**9)
    found = names.names()
    lists.clear()
    assert names.names() is found
    assert lists == []
    # A file system whose times are those of its last tick would have one for both of these.
    (tmp_path / "b").touch()
    os.utime(tmp_path, ns=(now + 1, now + 1))
    assert names.names() == {"a", "b"}
    (tmp_path / "a").unlink()
    os.utime(tmp_path, ns=(now + 2, now + 2))
    assert names.names() == {"b"}


def test_on_a_shared_file_system_a_folder_is_always_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its times are those of another clock, or come late."""
    monkeypatch.setattr(listed, "has_exact_times", lambda _: False)
    names = Listed(tmp_path)
    now = time.time_ns()
    monkeypatch.setattr(time, "clock_gettime_ns", lambda _: now + 10**10)
    assert names.names() == frozenset()
    stamp = tmp_path.stat()
    (tmp_path / "a").touch()
    os.utime(tmp_path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert names.names() == {"a"}


def test_a_new_file_is_all_that_is_looked_at(
    folder: Path,
    open_collection: Callable[..., ExperimentCollection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beside many others of its writer: a scan of the folder, and the footer of the new one."""
    writer = open_collection(quiet=True)
    recorder = writer.recorder.child(name="a")
    for i in range(3):  # too few to be merged
        recorder.push(i=i)
        writer.save()
    reader = open_collection(quiet=True)
    assert len(reader.records) == 3
    looks: list[str] = []
    recorder.push(i=3)
    writer.save()
    for module, name in [(sealed_files, "open_sealed"), (listing, "sealed_name")]:
        monkeypatch.setattr(module, name, _counting(getattr(module, name), looks))
    assert [row["i"] for row in reader.records] == list(range(4))
    assert sorted(looks) == ["open_sealed", "sealed_name"]
    new = max(folder.glob("records/*"), key=lambda path: path.stat().st_mtime_ns)
    new.unlink()
    assert len(reader.records) == 3


def _counting(function: Callable[..., Any], calls: list[str]) -> Callable[..., Any]:
    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(function.__name__)
        return function(*arguments, **options)

    return counted


@pytest.mark.parametrize("seed", range(30))
def test_files_that_count_are_those_that_no_other_covers(seed: int) -> None:
    """However the names arrive, also one by one, and for ranges that overlap."""
    draw = random.Random(seed)
    starts = [draw.randrange(40) for _ in range(25)]
    names = {
        SealedName(draw.choice("ab") * 8, start, start + draw.choice([0, 0, 0, 1, 7, 20]))
        for start in starts
    }
    counted = {n for n in names if not any(o.includes(n) for o in names - {n})}
    grown = Listing()
    for number in range(len(names) + 1):
        some = frozenset(map(str, sorted(names)[:number]))
        grown = grown.with_names(some) or Listing.of(some, {})
    for found in (grown, Listing.of(frozenset(map(str, names)), {})):
        assert {*found.files} == counted
        assert {*found.covered} == names - counted
        for writer, number in itertools.product(["a" * 8, "b" * 8], range(65)):
            holder = found.holder(writer, number)
            held = {n for n in counted if n.covers(writer, number)}
            assert holder in (held or {None})
            assert found.has_writer(writer) == any(n.writer == writer for n in counted)
        for writer in {n.writer for n in names}:
            assert found.last_number(writer) == max(n.last for n in names if n.writer == writer)
            assert {*found.of_writer(writer)} == {n for n in counted if n.writer == writer}


@pytest.mark.parametrize(
    "view",
    [
        lambda c: c.records,
        lambda c: c[1],
        lambda c: c.experiment(1).records,
        lambda c: c.records.where("i >= 0"),
    ],
    ids=["records", "number", "experiment", "condition"],
)
def test_views_of_a_snapshot_share_what_is_decoded(
    both: tuple[ExperimentCollection, ExperimentCollection],
    monkeypatch: pytest.MonkeyPatch,
    view: Callable[[ExperimentCollection], Any],
) -> None:
    """An index into a view that is made anew each time decodes nothing again."""
    writer, reader = both
    with writer.new_experiment(lr=0.1) as experiment:
        for i in range(300):
            experiment.push(i=i)
    decoded: list[int] = []
    decode = pages.decoded

    def counted(piece: Any, scan: Any) -> Any:
        decoded.append(piece.rows)
        return decode(piece, scan)

    monkeypatch.setattr(pages, "decoded", counted)
    assert [view(reader)[at]["i"] for at in (70, 100, 71, 127)] == [70, 100, 71, 127]
    assert decoded == [64]
    assert [view(reader)[at]["i"] for at in range(300)] == list(range(300))
    assert len(decoded) < 6
    assert view(reader)[-1]["i"] == 299
