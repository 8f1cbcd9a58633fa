"""What was synced survives a loss of power, whatever else the device kept of what came after."""

from __future__ import annotations

import errno
import os
import random
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pyarrow import ipc

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._keys import EXPERIMENT_KEYS
from rigorous_recorder._live import backing
from rigorous_recorder._store import backend, liveness, recover, seal, watermark
from rigorous_recorder._store.background import schedule
from rigorous_recorder._store.folder import Folder
from rigorous_recorder.errors import DamagedFileWarning, StorageWarning

from ..small_tables import make_small
from . import THOROUGH
from .power import Outage, PowerLog, remove
from .steps import no_space

#: Outages of each workload in the default run, and more of them in the slow one.
FEW, MANY = 15, 1_200 if THOROUGH else 90
INHERITED = {*EXPERIMENT_KEYS, "lr", "episode", "late"}


class Said(NamedTuple):
    """What was acknowledged as being on the device."""

    records: int = 0
    late: int = 0
    ended: int = 0


class Study:
    """A study whose every value follows from a record's number."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.dice = random.Random(seed)
        self.pushed = 0
        self.late = 0
        self.ended = 0
        self.said = Said()

    def log(self) -> None:
        """Two processes' worth of work: experiments, all ways to log, syncs, compaction."""
        for _ in range(2):
            self.collection = collection = ExperimentCollection(
                self.folder, extension="", quiet=True
            )
            for _ in range(2):
                with collection.new_experiment(lr=0.5) as experiment:
                    self._log_experiment(experiment)
                self.ended += 1
                self._acknowledge()
            collection.close()
            self._acknowledge()
            collection.compact()
            self._acknowledge()

    def _log_experiment(self, experiment: Recorder) -> None:
        for _ in range(self.dice.randrange(2, 5)):
            episode = experiment.child(episode=self.pushed)
            for _ in range(self.dice.randrange(1, 40)):
                self._push(episode)
            match self.dice.randrange(6):
                case 0:
                    experiment.sync()
                    self._acknowledge()
                case 1:
                    self.late += 1
                    experiment["late"] = self.late
                    experiment.sync()
                    self._acknowledge()
                case 2:
                    start, self.pushed = self.pushed, self.pushed + 30
                    numbers = list(range(start, self.pushed))
                    columns = {"i": numbers, "text": [text_of(i) for i in numbers]}
                    episode.extend({**columns, "is_bulk": [True] * 30})
                case 3:
                    self.collection.save()
                case 4:
                    done = threading.Event()
                    schedule(done.set)
                    done.wait(60)

    def _push(self, episode: Recorder) -> None:
        self.pushed += 1
        episode.push(fields_of(self.pushed - 1))

    def _acknowledge(self) -> None:
        self.said = Said(self.pushed, self.late, self.ended)


def text_of(i: int) -> str:
    return f"{i} " * (i % 30)


def fields_of(i: int, *, is_bulk: bool = False) -> dict[str, Any]:
    fields: dict[str, Any] = {"i": i, "text": text_of(i)}
    if is_bulk:
        return {**fields, "is_bulk": True}
    if i % 50 > 45:
        fields[f"key_{i // 50}"] = i / 7
    if i % 4 > 1:
        values = [i / 4, i, i % 3 == 0, text_of(i), [i, {"deep": i}]]
        fields |= {
            f"key {i % 13}": values[i % 5],
            f"{'long ' * (i % 5)}key {i % 17}": values[i % 3],
        }
    return fields


@pytest.fixture(params=["mapped", "write-behind"])
def kept_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(backend, "is_safe_to_map", lambda _: request.param == "mapped")
    monkeypatch.setattr(watermark, "is_local", lambda _: True)
    return str(request.param)


@pytest.fixture
def _small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch.setattr, rows=64)


@pytest.fixture
def reboot(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Lets the machine have been started anew."""

    def start_anew() -> None:
        for module in (watermark, liveness):
            monkeypatch.setattr(module, "this_boot", lambda: "another boot")

    return start_anew


def check(folder: Path, said: Said, pushed: int) -> int:
    """Check what is there after an outage; how many records that are."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        collection = ExperimentCollection(folder, extension="", quiet=True)
        rows = list(collection.records)
        numbers = [row["i"] for row in rows]
        assert len(set(numbers)) == len(numbers)
        assert set(range(said.records)) <= set(numbers) <= set(range(pushed))
        for row in rows:
            expected = fields_of(row["i"], is_bulk=row["is_bulk"] is True)
            logged = {key: row[key] for key in row if key not in INHERITED and row[key] is not None}
            assert logged == expected
            assert (row["lr"], row["episode"] <= row["i"]) == (0.5, True)
            assert row["experiment_number"] >= 1
        lates = [row["late"] for row in collection.experiments if row["late"] is not None]
        assert said.late <= max(lates, default=0)
        ended = [row for row in collection.experiments if row["had_error"] is False]
        assert said.ended <= len(ended)
        assert collection.sql("SELECT count(*) FROM records").fetchall() == [(len(rows),)]
        assert collection.verify() == []
        with collection.new_experiment(lr=0.5) as experiment:
            experiment.push(i=pushed)
        collection.compact()
        collection.close()
        again = ExperimentCollection(folder, extension="", quiet=True)
        assert sorted(row["i"] for row in again.records) == [*sorted(numbers), pushed]
    return len(rows)


@pytest.mark.usefixtures("_small_tables", "kept_in")
@pytest.mark.parametrize(
    ("seed", "outages"),
    [(1, FEW), *(pytest.param(n, MANY, marks=pytest.mark.slow) for n in (2, 3, 4))],
)
def test_what_was_synced_survives_a_loss_of_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reboot: Any, seed: int, outages: int
) -> None:
    """Power is lost at any time; writes since the last sync are dropped, torn and reordered."""
    root = tmp_path / "disk"
    root.mkdir()
    study = Study(root / "data" / "study.collection", seed)
    log = PowerLog(root)
    with log.watching(monkeypatch, lambda: study.said):
        study.log()
    reboot()
    dice = random.Random(seed)
    found = []
    for number in range(outages):
        moment = dice.randrange(log.moments)
        target = tmp_path / f"after {number}"
        Outage(log, moment, number).leave(target)
        found.append(check(target / "data" / "study.collection", log.said[moment], study.pushed))
        remove(target)
    assert max(found) > 0


@pytest.mark.usefixtures("_small_tables", "kept_in")
def test_what_cannot_be_sealed_is_synced_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reboot: Any
) -> None:
    """Full tables that wait for room on the device survive a loss of power, as the last one does."""
    root = tmp_path / "disk"
    root.mkdir()
    folder = root / "data" / "study.collection"
    said = Said()
    log = PowerLog(root)

    with monkeypatch.context() as patch, pytest.warns(StorageWarning, match="can't be written now"):
        patch.setattr(seal.pq.ParquetWriter, "write_table", no_space)
        with log.watching(monkeypatch, lambda: said):
            collection = ExperimentCollection(folder, extension="", quiet=True)
            with collection.new_experiment(lr=0.5) as experiment:
                for i in range(200):
                    experiment.push(fields_of(i), episode=i)
                experiment.sync()
                said = Said(200)
                log.look(lambda: said)
                moment = log.moments - 1
            for i in range(200, 300):
                experiment.push(fields_of(i), episode=i)
    collection.close()
    reboot()
    for number in range(10):
        target = tmp_path / f"after {number}"
        Outage(log, moment, number).leave(target)
        assert check(target / "data" / "study.collection", log.said[moment], 200) == 200
        remove(target)


def log_and_die(folder: Path, synced: int, pushed: int) -> None:
    """Log in a process that ends without a message, some time after a sync."""
    child = os.fork()
    if not child:
        try:
            collection = ExperimentCollection(folder, quiet=True)
            experiment = collection.new_experiment().__enter__()
            for i in range(pushed):
                experiment.push(i=i, text=text_of(i))
                if i == synced - 1:
                    experiment.sync()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def test_a_recovery_that_stops_before_it_has_set_aside(
    tmp_path: Path, reboot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one does it: what can't be trusted is set apart, not thrown away."""
    folder = tmp_path / "study.collection"
    log_and_die(folder, synced=10, pushed=15)
    reboot()
    with monkeypatch.context() as patch:

        def stop(*_: Any, **__: Any) -> None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        patch.setattr(recover, "_take_away", stop)
        assert len(ExperimentCollection(folder, quiet=True)) == 10
    assert len(ExperimentCollection(folder, quiet=True)) == 10
    (kept,) = (folder / "unsynced").glob("*.records.arrow")
    assert ipc.open_file(kept).get_batch(0).to_pydict()["i"][:15] == list(range(15))


def test_what_was_logged_after_the_last_sync_is_set_aside(
    tmp_path: Path, reboot: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows that a machine that went down may have torn are no answer, and are not thrown away."""
    folder = tmp_path / "study.collection"
    collection = ExperimentCollection(folder)
    log_and_die(folder, synced=10, pushed=15)
    assert len(collection) == 15
    reboot()
    collection = ExperimentCollection.open(folder, read_only=True)
    with pytest.warns(DamagedFileWarning, match="after the first 10 rows"):
        assert [row["i"] for row in collection.records] == list(range(10))
    (problem,) = collection.verify()
    assert problem.path.suffixes == [".records", ".arrow"]
    assert (problem.readable, "after the first 10 rows" in problem.reason) == (10, True)
    assert [row["i"] for row in ExperimentCollection(folder).records] == list(range(10))
    unsynced = folder / "unsynced"
    assert capsys.readouterr().err == (
        f"recovered 10 records of a killed process in {folder}; the machine went down, or this is"
        " another machine: rows after the last sync can't be trusted, and were moved to"
        f" {unsynced}\n"
    )
    (kept,) = unsynced.iterdir()
    rows = ipc.open_file(kept).get_batch(0).to_pydict()
    assert rows["i"][:15] == list(range(15))
    # Put back where it was, it is no answer, and not thrown away either.
    kept.rename(folder / "live" / kept.name)
    assert len(ExperimentCollection(folder)) == 10
    assert (folder / "live" / kept.name).exists()
    assert capsys.readouterr().err == ""


def test_nothing_is_set_aside_where_all_was_synced(
    tmp_path: Path, reboot: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine that went down right after a sync took nothing with it."""
    folder = tmp_path / "study.collection"
    log_and_die(folder, synced=15, pushed=15)
    reboot()
    assert len(ExperimentCollection(folder)) == 15
    assert capsys.readouterr().err == f"recovered 15 records of a killed process in {folder}\n"
    assert not (folder / "unsynced").exists()


def test_a_sync_that_meets_a_new_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rows go to a wider file while the old one is synced, the new one is synced as well."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        with collection.new_experiment() as experiment:
            experiment.push(i=0)
            syncing = backing.MappedImage.syncing
            synced: list[int] = []

            def meet(image: backing.MappedImage) -> Callable[[], None]:
                finish = syncing(image)

                def widen_first() -> None:
                    if not synced:
                        synced.append(0)
                        experiment.push(i=1, new=1.5)
                    finish()

                return widen_first

            fsync = os.fsync

            def watched(descriptor: int) -> None:
                fsync(descriptor)
                synced.append(os.fstat(descriptor).st_ino)

            monkeypatch.setattr(backing.MappedImage, "syncing", meet)
            monkeypatch.setattr(os, "fsync", watched)
            experiment.sync()
            (live,) = (tmp_path / "study.collection" / "live").glob("*.records.arrow")
            assert live.stat().st_ino in synced
            mark = watermark.read_watermark(
                collection._store.folder, collection._store.backend.writer
            )
            assert mark is not None
            assert mark.rows("records", 0) == 1  # the other one came later than the sync


def test_an_older_sync_that_ends_later_takes_nothing_back(tmp_path: Path) -> None:
    """Of two syncs at once, what the further one has on the device stays recorded."""
    folder = Folder(tmp_path / "study.collection")
    folder.create()
    marker = watermark.WatermarkWriter(folder, "00000001", 1)
    marker.record({"records": {3: 100}, "nodes": {1: 7}})
    marker.record({"records": {2: 64, 3: 10}, "nodes": {}})
    mark = watermark.read_watermark(folder, "00000001")
    assert mark is not None
    assert (mark.rows("records", 3), mark.rows("nodes", 1)) == (100, 7)
    marker.record({"records": {5: 1}, "nodes": {1: 9}})
    mark = watermark.read_watermark(folder, "00000001")
    assert mark is not None
    assert mark.synced == {"records": {5: 1}, "nodes": {1: 9}}


def test_a_mark_that_is_torn_leaves_the_one_before(tmp_path: Path) -> None:
    """Written over in place, one of two: whatever becomes of the newer, the older counts."""
    folder = Folder(tmp_path / "study.collection")
    folder.create()
    marker, path = (
        watermark.WatermarkWriter(folder, "00000001", 1),
        folder.watermark_path("00000001"),
    )
    inode = path.stat().st_ino
    for rows in range(1, 8):
        before = path.read_bytes()
        marker.record({"records": {0: rows}, "nodes": {}})
        after = path.read_bytes()
        assert path.stat().st_ino == inode
        changed = [at for at in range(len(after)) if before[at] != after[at]]
        for block in (8, 512):
            torn = bytearray(after)
            start = changed[0] // block * block
            torn[start : start + block] = bytes(block)
            path.write_bytes(torn)
            mark = watermark.read_watermark(folder, "00000001")
            assert mark is not None
            assert mark.rows("records", 0) == rows - 1
        path.write_bytes(after)
    assert watermark.read_watermark(folder, "00000001").rows("records", 0) == 7  # type: ignore[union-attr]


def test_a_mark_that_is_written_in_part_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write can end early without an error; the mark is whole all the same, each time."""
    folder = Folder(tmp_path / "study.collection")
    folder.create()
    marker, write = watermark.WatermarkWriter(folder, "00000001", 1), os.pwrite
    monkeypatch.setattr(watermark.os, "pwrite", lambda fd, data, at: write(fd, data[:50], at))
    for rows in range(1, 4):
        marker.record({"records": {0: rows}, "nodes": {}})
        mark = watermark.read_watermark(folder, "00000001")
        assert mark is not None
        assert mark.rows("records", 0) == rows


def test_a_mark_of_a_hard_linked_copy_stays_as_it_is(tmp_path: Path) -> None:
    """The writer goes on with a file of its own, also where its own was taken away or changed."""
    folder = Folder(tmp_path / "study.collection")
    folder.create()
    marker, path = (
        watermark.WatermarkWriter(folder, "00000001", 1),
        folder.watermark_path("00000001"),
    )
    marker.record({"records": {3: 5}, "nodes": {}})
    copied = tmp_path / "copied"
    copied.hardlink_to(path)
    for rows, harm in enumerate((lambda: None, path.unlink, lambda: path.write_text("{}")), 6):
        harm()
        kept = copied.read_bytes()
        marker.record({"records": {4: rows}, "nodes": {}})
        assert copied.read_bytes() == kept
        assert watermark.read_watermark(folder, "00000001").rows("records", 4) == rows  # type: ignore[union-attr]
    marker.record({"records": {9: 1, 10: 2}, "nodes": {}})
    mark = watermark.read_watermark(folder, "00000001")
    assert mark is not None
    assert (mark.rows("records", 9), mark.rows("records", 10)) == (1, 2)
    many = {number: number for number in range(11, 2_000)}
    marker.record({"records": many, "nodes": {}})
    marker.record({"records": many, "nodes": {0: 1}})
    mark = watermark.read_watermark(folder, "00000001")
    assert mark is not None
    assert mark.synced == {"records": many, "nodes": {0: 1}}
