"""Disk full, folder gone, no permission: one warning, training goes on, nothing is lost."""

from __future__ import annotations

import errno
import mmap
import os
import resource
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import pytest

import rigorous_recorder._durable as durable
import rigorous_recorder._live.table as live_table
from rigorous_recorder import ExperimentCollection, _mounts
from rigorous_recorder._live.backing import WriteBehindImage
from rigorous_recorder._live.layout import Blank, Layout
from rigorous_recorder._live.segment import Segment
from rigorous_recorder._live.segments import Segments
from rigorous_recorder._store import backend, seal
from rigorous_recorder._store.background import schedule
from rigorous_recorder.errors import SaveError, StorageWarning

from .steps import no_space


class Trouble(Protocol):
    """Something that keeps a folder from being written, for a while."""

    folder: Path

    def begin(self) -> None: ...

    def end(self) -> None: ...


class DiskFull:
    """A real file system without any space left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder.parent / "filler"

    def begin(self) -> None:
        with self._filler.open("wb", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC

    def end(self) -> None:
        self._filler.unlink(missing_ok=True)


def take_away(folder: Path) -> None:
    """Delete a folder in which a writer may just be making a file."""
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)


class FolderGone:
    """The folder was deleted, and something that is no folder is in its place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self) -> None:
        take_away(self.folder)
        self.folder.write_text("in the way")

    def end(self) -> None:
        if self.folder.is_file():
            self.folder.unlink()


class Refusing:
    """The system refuses every new file, as of a folder that was made read-only."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder
        self._number = number
        self._patch = pytest.MonkeyPatch()

    def begin(self) -> None:
        def refused(*_: Any, **__: Any) -> Any:
            raise OSError(self._number, os.strerror(self._number), str(self.folder))

        opened = os.open

        def reading_only(path: Any, flags: int, *more: Any, **named: Any) -> int:
            if flags & (os.O_CREAT | os.O_RDWR | os.O_WRONLY) and str(self.folder) in str(path):
                refused()
            return opened(path, flags, *more, **named)

        self._patch.setattr(os, "open", reading_only)
        self._patch.setattr(os, "replace", refused)
        self._patch.setattr(seal.pq.ParquetWriter, "write_table", refused)

    def end(self) -> None:
        self._patch.undo()


class NoMoreFiles:
    """The process has as many files open as it may have."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    def begin(self) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, self._limits[1]))

    def end(self) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, self._limits)


class NoMap:
    """No file can be mapped into memory, as where a process has too many maps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._patch = pytest.MonkeyPatch()

    def begin(self) -> None:
        def refused(*_: Any, **__: Any) -> Any:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

        self._patch.setattr(mmap, "mmap", refused)

    def end(self) -> None:
        self._patch.undo()


@contextmanager
def small_file_system(point: Path, kind: str) -> Iterator[None]:
    point.mkdir()
    commands = {
        "tmpfs": [["mount", "-t", "tmpfs", "-o", "size=3m", "rigorous-test", str(point)]],
        "ext4": [
            ["truncate", "--size", "4M", str(disk := point.with_suffix(".ext4"))],
            ["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(disk)],
            ["mount", "-o", "loop", str(disk), str(point)],
        ],
    }
    for command in commands[kind]:
        if shutil.which(command[0]) is None:
            pytest.skip(f"NO {command[0]} COMMAND HERE, disk full on {kind} is not tested")
        done = subprocess.run(command, capture_output=True, check=False, text=True)
        if done.returncode:
            pytest.skip(
                f"NO {kind} CAN BE MOUNTED HERE, disk full is not tested on it: {done.stderr}"
            )
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(point)], check=True)


@pytest.fixture(params=["mapped", "write-behind"])
def backing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where live rows are: in a mapped file, or in memory with a write-behind."""
    monkeypatch.setattr(backend, "is_safe_to_map", lambda _: request.param == "mapped")
    return str(request.param)


@pytest.fixture(
    params=[
        "disk full", "ext4 full", "no space", "no permission", "read only", "no quota",
    ]
)  # fmt: skip
def trouble(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Trouble]:
    """A folder that can't be written between ``begin`` and ``end``, and keeps what it has."""
    found: Trouble
    if request.param in {"disk full", "ext4 full"}:
        kind = "tmpfs" if request.param == "disk full" else "ext4"
        with small_file_system(tmp_path / "disk", kind):
            yield DiskFull(tmp_path / "disk" / "study.collection")
        return
    number = {
        "no space": errno.ENOSPC,
        "no permission": errno.EACCES,
        "read only": errno.EROFS,
        "no quota": errno.EDQUOT,
    }
    found = Refusing(tmp_path / "study.collection", number[request.param])
    yield found
    found.end()


@pytest.fixture(params=["grows", "seals"])
def tables(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether new rows need a larger live table, or a sealed file and the next one."""
    monkeypatch.setattr(live_table, "FIRST_ROWS", 64)
    if request.param == "seals":
        monkeypatch.setattr(live_table, "MOST_ROWS", 256)


def indexes(collection: ExperimentCollection) -> list[Any]:
    return [row["i"] for row in collection.records]


def log(recorder: Any, start: int, stop: int) -> None:
    for i in range(start, stop):
        recorder.push(
            i=i, text=f"text of record {i}", **({"late_key": i} if i % 700 == 699 else {})
        )


@contextmanager
def storage_warnings(folder: Path) -> Iterator[list[str]]:
    """The storage warnings of the block about a folder, as text, also those of other threads."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            yield messages
        finally:
            assert {each.category for each in told} <= {StorageWarning}
            messages += [text for each in told if str(folder) in (text := str(each.message))]


@pytest.mark.usefixtures("backing", "tables")
def test_training_goes_on_and_all_is_saved_later(trouble: Trouble) -> None:
    """One warning; every record is readable meanwhile, and on disk once that works again."""
    collection = ExperimentCollection(trouble.folder)
    with storage_warnings(trouble.folder) as messages:
        with collection.new_experiment(lr=0.1) as experiment:
            log(experiment, 0, 100)
            trouble.begin()
            log(experiment, 100, 3000)
            experiment["late"] = "said in trouble"
            experiment.sync()
            collection._store.flush()
            assert indexes(collection) == list(range(3000))
            assert collection.records[-1]["late"] == "said in trouble"
            experiment.sync()
            trouble.end()
            experiment.sync()
            assert indexes(ExperimentCollection(trouble.folder)) == list(range(3000))
            log(experiment, 3000, 3500)
        collection._store.flush()
        assert indexes(ExperimentCollection(trouble.folder)) == list(range(3500))
        collection.close()
    assert len(messages) == 1
    assert str(trouble.folder) in messages[0]
    reader = ExperimentCollection(trouble.folder)
    assert indexes(reader) == list(range(3500))
    assert {row["late"] for row in reader.records} == {"said in trouble"}
    assert reader.verify() == []
    assert [path.name for path in (trouble.folder / "live").iterdir()] == ["experiments.lock"]


@pytest.mark.usefixtures("backing", "tables")
def test_an_error_at_the_end_where_it_still_cannot_be_saved(trouble: Trouble) -> None:
    """SaveError at the experiment's end and at close; the data stays, and a later save works."""
    collection = ExperimentCollection(trouble.folder)
    with storage_warnings(trouble.folder) as messages:
        with pytest.raises(SaveError, match=r"only in memory.*save\(\)"):
            with collection.new_experiment() as experiment:
                log(experiment, 0, 10)
                trouble.begin()
                log(experiment, 10, 1000)
        assert indexes(collection) == list(range(1000))
        with pytest.raises(SaveError):
            collection.close()
        with pytest.raises(SaveError):
            collection.save()
        assert indexes(collection) == list(range(1000))
        log(experiment, 1000, 1100)
        trouble.end()
        collection.save()
        assert indexes(ExperimentCollection(trouble.folder)) == list(range(1100))
        collection.close()
    assert len(messages) == 1
    assert [path.name for path in (trouble.folder / "live").iterdir()] == ["experiments.lock"]
    (row,) = ExperimentCollection(trouble.folder).experiments
    assert (row["had_error"], row["error_number"]) == (False, 0)
    assert row["experiment_end_time"] is not None


@pytest.mark.usefixtures("backing")
def test_rows_that_cannot_be_sealed_stay_in_live_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No error at the end of an experiment, which has lost nothing; close and save can't seal."""
    monkeypatch.setattr(live_table, "MOST_ROWS", 256)
    folder = tmp_path / "study.collection"
    collection = ExperimentCollection(folder)
    with storage_warnings(folder) as messages, monkeypatch.context() as patch:
        patch.setattr(seal.pq.ParquetWriter, "write_table", no_space)
        with collection.new_experiment() as experiment:
            log(experiment, 0, 1000)
        assert indexes(ExperimentCollection(folder)) == list(range(1000))
        for refused in (collection.close, collection.save):
            with pytest.raises(SaveError, match=r"rows of nodes could not be sealed.*live files"):
                refused()
        log(experiment, 1000, 1100)
        experiment.sync()
        assert indexes(ExperimentCollection(folder)) == list(range(1100))
    assert len(messages) == 1
    collection.close()
    reader = ExperimentCollection(folder)
    assert indexes(reader) == list(range(1100))
    assert reader.verify() == []


@pytest.mark.parametrize("end", ["close", "save"])
def test_trouble_that_is_over_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """What the disk refused once is tried again at once."""
    folder = tmp_path / "study.collection"
    collection = ExperimentCollection(folder)
    with collection.new_experiment() as experiment:
        log(experiment, 0, 10)
    write = seal.pq.ParquetWriter.write_table
    refused: list[None] = []

    def refuse_once(*args: Any, **named: Any) -> None:
        if not refused:
            refused.append(None)
            no_space()
        write(*args, **named)

    with storage_warnings(folder) as messages:
        monkeypatch.setattr(seal.pq.ParquetWriter, "write_table", refuse_once)
        getattr(collection, end)()
    assert (len(messages), refused) == (1, [None])
    collection.close()
    assert indexes(ExperimentCollection(folder)) == list(range(10))


@pytest.mark.parametrize("rows", [100, 300])
def test_rows_that_no_file_takes_are_an_error_though_their_file_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """A file system can want room to write over what it has: a copy on each write, or a quota."""
    monkeypatch.setattr(backend, "is_safe_to_map", lambda _: False)
    monkeypatch.setattr(live_table, "FIRST_ROWS", 256)
    monkeypatch.setattr(live_table, "MOST_ROWS", 256)
    folder = tmp_path / "study.collection"
    collection = ExperimentCollection(folder)
    with storage_warnings(folder) as messages, monkeypatch.context() as patch:
        with pytest.raises(SaveError, match="only in memory"):
            with collection.new_experiment() as experiment:
                log(experiment, 0, 1)
                experiment.sync()
                records = collection._store.records
                live = records._segments.live
                assert live is not None
                records._segments.prepare(live.layout, live.lease)
                patch.setattr(seal.pq.ParquetWriter, "write_table", no_space)
                patch.setattr(os, "pwrite", no_space)
                log(experiment, 1, rows)
        assert records.rows_at_risk() == rows - 1
        for refused in (collection.close, collection.save):
            with pytest.raises(SaveError, match="only in memory"):
                refused()
    assert len(messages) == 1
    collection.close()
    assert indexes(ExperimentCollection(folder)) == list(range(rows))


def test_a_file_is_not_closed_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who seals it takes it away meanwhile; what is opened then never gets its number."""
    image = WriteBehindImage(tmp_path / "0beef-0.records.arrow", Blank(64, []))
    pwrite = os.pwrite
    others: list[Path] = []

    def write(*args: Any) -> int:
        image.discard()
        others.append(tmp_path / f"another {len(others)}")
        kept.append(others[-1].open("xb"))
        return pwrite(*args)

    kept: list[IO[bytes]] = []
    monkeypatch.setattr(os, "pwrite", write)
    image.view[:16] = b"live rows, live."
    image.flush([(0, 8), (8, 16)])
    for file in kept:
        file.close()
    assert [path.read_bytes() for path in others] == [b"", b""]
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        image.flush([(0, 8)])


@pytest.mark.usefixtures("backing")
def test_rows_that_another_thread_is_about_to_seal_are_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many rows with lists are in no live file, but sealed by the thread that extends."""
    monkeypatch.setattr(Segments, "seal_if_urgent", lambda _: None)
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    with collection.new_experiment() as experiment:
        experiment.extend({"i": range(6000), "list": [np.zeros(i % 3) for i in range(6000)]})
        records = collection._store.records
        with monkeypatch.context() as patch:  # another one has the turn, and has not begun
            patch.setattr(records._segments, "seal", lambda: True)
            assert records.rows_at_risk() == 0
        with monkeypatch.context() as patch, pytest.warns(StorageWarning, match="No space left"):
            patch.setattr(seal.pq.ParquetWriter, "write_table", no_space)
            assert not records.seal()
            assert records.rows_at_risk() == 6000
    collection.close()
    assert len(ExperimentCollection(tmp_path / "study")) == 6000


def test_a_sealed_file_that_has_no_room_for_its_end(tmp_path: Path) -> None:
    """Wherever in it the room ends: pyarrow has errors of its own where a footer can't be written."""
    collection = ExperimentCollection(tmp_path / "study.collection")
    with collection.new_experiment() as experiment:
        log(experiment, 0, 10)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    refused, is_saved = 0, False
    with storage_warnings(tmp_path) as messages:
        while not is_saved:
            resource.setrlimit(resource.RLIMIT_FSIZE, (97 * refused, before[1]))
            try:
                collection.save()
                is_saved = True
            except SaveError:
                refused += 1
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert refused > 20
    assert len(messages) == 1
    collection.close()
    assert indexes(ExperimentCollection(tmp_path / "study.collection")) == list(range(10))


@pytest.mark.usefixtures("backing", "tables")
@pytest.mark.parametrize("kind", [NoMoreFiles, NoMap])
def test_training_goes_on_without_files_or_maps(
    tmp_path: Path, kind: type[NoMoreFiles | NoMap]
) -> None:
    """Where no file can be opened, or none mapped: at most one warning, and all is saved later."""
    trouble = kind(tmp_path / "study.collection")
    collection = ExperimentCollection(trouble.folder)
    with storage_warnings(trouble.folder) as messages:
        with collection.new_experiment(lr=0.1) as experiment:
            log(experiment, 0, 100)
            trouble.begin()
            try:
                log(experiment, 100, 3000)
                experiment["late"] = "said in trouble"
                experiment.child(a_child=True).push(i=3000)
                experiment.sync()
                collection._store.flush()
            finally:
                trouble.end()
            experiment.sync()
            assert indexes(ExperimentCollection(trouble.folder)) == list(range(3001))
        collection.close()
    assert len(messages) <= 1
    reader = ExperimentCollection(trouble.folder)
    assert indexes(reader) == list(range(3001))
    assert {row["late"] for row in reader.records} == {"said in trouble"}
    assert reader.verify() == []
    assert [path.name for path in (trouble.folder / "live").iterdir()] == ["experiments.lock"]


@pytest.mark.usefixtures("tables")
def test_an_experiment_that_ends_without_files(tmp_path: Path) -> None:
    """The end of an experiment, and of the collection, say what is not saved; a later save works."""
    trouble = NoMoreFiles(tmp_path / "study.collection")
    collection = ExperimentCollection(trouble.folder)
    with storage_warnings(trouble.folder):
        with pytest.raises(SaveError), collection.new_experiment() as experiment:
            log(experiment, 0, 100)
            trouble.begin()
            log(experiment, 100, 3000)
        try:
            with pytest.raises(SaveError):
                collection.close()
        finally:
            trouble.end()
        collection.save()
    collection.close()
    assert indexes(ExperimentCollection(trouble.folder)) == list(range(3000))


def test_a_spare_file_that_can_not_get_its_name_gets_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages made ready before the trouble are filled in it; readers find them once it is over."""
    monkeypatch.setattr(live_table, "FIRST_ROWS", 64)
    monkeypatch.setattr(live_table, "MOST_ROWS", 256)
    trouble = Refusing(tmp_path / "study.collection", errno.EROFS)
    collection = ExperimentCollection(trouble.folder)
    ready = threading.Event()
    with storage_warnings(trouble.folder) as messages:
        with collection.new_experiment() as experiment:
            log(experiment, 0, 200)
            schedule(ready.set)
            assert ready.wait(60)
            assert collection._store.records._segments._spares
            trouble.begin()
            log(experiment, 200, 300)  # 44 of them in what was the spare
            experiment.sync()
            trouble.end()
            log(experiment, 300, 310)
            experiment.sync()
            assert indexes(ExperimentCollection(trouble.folder)) == list(range(310))
            log(experiment, 310, 3000)
        collection.close()
    assert len(messages) == 1
    assert indexes(ExperimentCollection(trouble.folder)) == list(range(3000))
    assert [path.name for path in (trouble.folder / "live").iterdir()] == ["experiments.lock"]


def test_closing_waits_for_the_pages_that_are_just_made_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file appears in the folder after the collection was closed."""
    monkeypatch.setattr(live_table, "FIRST_ROWS", 64)
    monkeypatch.setattr(live_table, "MOST_ROWS", 256)
    collection = ExperimentCollection(tmp_path / "study.collection")
    segments = collection._store.records._segments
    making, closed = threading.Event(), threading.Event()
    came_first: list[bool] = []
    make = segments.make

    def slow_make(layout: Layout, *number: int) -> Segment:
        if threading.current_thread().name.endswith("seal"):
            making.set()
            came_first.append(closed.wait(1))
        return make(layout, *number)

    monkeypatch.setattr(segments, "make", slow_make)
    with collection.new_experiment() as experiment:
        log(experiment, 0, 200)
    assert making.wait(60)
    collection.close()
    closed.set()
    assert came_first == [False]
    live = tmp_path / "study.collection" / "live"
    assert [path.name for path in live.iterdir()] == ["experiments.lock"]


@pytest.mark.usefixtures("backing")
def test_an_exception_in_trouble_is_the_one_that_is_raised(
    trouble: Trouble, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training's own exception reaches the caller; the message reports that data waits."""
    monkeypatch.setattr(live_table, "FIRST_ROWS", 64)
    collection = ExperimentCollection(trouble.folder)
    with storage_warnings(trouble.folder):
        with pytest.raises(ZeroDivisionError), collection.new_experiment() as experiment:
            log(experiment, 0, 10)
            trouble.begin()
            log(experiment, 10, 1000)
            1 / 0  # noqa: B018
        assert "only in memory" in capsys.readouterr().err
        trouble.end()
        collection.close()
    assert indexes(ExperimentCollection(trouble.folder)) == list(range(1000))


@pytest.mark.usefixtures("backing")
def test_new_trouble_after_all_was_saved_is_a_new_warning(
    trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time of trouble has a warning of its own, once everything was saved in between."""
    monkeypatch.setattr(live_table, "FIRST_ROWS", 64)
    monkeypatch.setattr(live_table, "MOST_ROWS", 256)
    collection = ExperimentCollection(trouble.folder)
    with storage_warnings(trouble.folder) as messages:
        for time in range(2):
            with collection.new_experiment() as experiment:
                trouble.begin()
                log(experiment, 1000 * time, 1000 * (time + 1))
                trouble.end()
        collection.close()
    assert len(messages) == 2
    assert indexes(ExperimentCollection(trouble.folder)) == list(range(2000))


@pytest.mark.usefixtures("backing")
def test_a_deleted_folder_is_made_again(tmp_path: Path) -> None:
    """Where the folder was deleted while logging, what is not sealed yet is saved in a new one."""
    folder = tmp_path / "study.collection"
    collection = ExperimentCollection(folder)
    with storage_warnings(folder) as messages:
        with collection.new_experiment(lr=0.1) as experiment:
            log(experiment, 0, 100)
            take_away(folder)
            log(experiment, 100, 200)
            experiment.sync()
            assert indexes(collection) == list(range(200))
            assert indexes(ExperimentCollection(folder)) == list(range(200))
            log(experiment, 200, 5000)
        assert indexes(ExperimentCollection(folder)) == list(range(5000))
        log(experiment, 5000, 5100)
        collection.close()
    assert len(messages) <= 1
    reader = ExperimentCollection(folder)
    assert indexes(reader) == list(range(5100))
    (row,) = reader.experiments
    assert (row["lr"], row["had_error"]) == (0.1, False)
    assert reader.verify() == []
    assert [path.name for path in (folder / "live").iterdir()] == ["experiments.lock"]


@pytest.mark.usefixtures("backing")
def test_a_folder_that_can_not_be_made_again_is_an_error_at_the_end(tmp_path: Path) -> None:
    """Where something else is in the folder's place, the end reports it, and a later save works."""
    trouble = FolderGone(tmp_path / "study.collection")
    collection = ExperimentCollection(trouble.folder)
    with storage_warnings(trouble.folder) as messages:
        with pytest.raises(SaveError), collection.new_experiment(lr=0.1) as experiment:
            log(experiment, 0, 100)
            trouble.begin()
            log(experiment, 100, 200)
        with pytest.raises(SaveError):
            collection.close()
        assert indexes(collection) == list(range(200))
        trouble.end()
        collection.save()
        assert indexes(ExperimentCollection(trouble.folder)) == list(range(200))
        collection.close()
    assert len(messages) == 1
    assert {row["lr"] for row in ExperimentCollection(trouble.folder).records} == {0.1}


def test_a_write_behind_shows_its_rows_after_a_flush(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where mapping is not safe, rows are visible to another process once they were flushed."""
    monkeypatch.setattr(backend, "is_safe_to_map", lambda _: False)
    folder = tmp_path / "study.collection"
    collection = ExperimentCollection(folder)
    script = (
        "import sys; from rigorous_recorder import ExperimentCollection;"
        "print([row['i'] for row in ExperimentCollection(sys.argv[1]).records])"
    )
    with collection.new_experiment() as experiment:
        for stop in (10, 3000):
            log(experiment, len(collection), stop)
            collection._store.flush()
            seen = subprocess.run(
                [sys.executable, "-c", script, str(folder)],
                capture_output=True,
                check=True,
                text=True,
            )
            assert seen.stdout == f"{list(range(stop))}\n"
    collection.close()


def test_only_known_local_file_systems_are_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On NFS, FUSE and copy-on-write file systems live files are not mapped; the last mount wins."""
    mounts = tmp_path / "mounts"
    monkeypatch.setattr(_mounts, "_MOUNTS", str(mounts))
    kinds = {"ext4": True, "xfs": True, "tmpfs": True, "nfs4": False, "fuse.sshfs": False}
    kinds |= {"btrfs": False, "zfs": False, "lustre": False}
    for kind, expected in kinds.items():
        mounts.write_text(
            f"root / ext4 rw 0 0\nx {tmp_path} ext4 rw 0 0\ny {tmp_path} {kind} rw 0 0\n"
        )
        assert _mounts.is_safe_to_map(tmp_path / "live") is expected
        assert _mounts.is_safe_to_map(Path("/elsewhere")) is True
    mounts.unlink()
    assert _mounts.is_safe_to_map(tmp_path) is False


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    """What can't be written whole does not appear, and leaves what was there before."""
    path = tmp_path / "a.json"
    durable.write_whole(path, b"old")

    def fail() -> None:
        with durable.replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"a.json": b"old"}


ASKED: dict[str, Callable[[ExperimentCollection], Any]] = {
    "len": len,
    "rows": lambda collection: [row["i"] for row in collection.records],
    "sql": lambda collection: collection.sql("select i from records").fetchall(),
    "verify": lambda collection: collection.verify(),
    "compact": lambda collection: (collection.compact(), len(collection))[1],
}


@pytest.mark.parametrize("asked", ASKED)
def test_too_many_open_files_are_no_damage(tmp_path: Path, asked: str) -> None:
    """Whoever reads then gets a whole answer, or an error that names what ran out; none is left out."""
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        for i in range(2):
            with collection.new_experiment() as experiment:
                experiment.push(i=i)

    def ask(free: int) -> bool:
        """Whether an answer came where so many files more can be open."""
        opened = ExperimentCollection(tmp_path / "study", quiet=True)
        at = os.open(os.devnull, os.O_RDONLY)  # what is open is below the first number that is free
        os.close(at)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (at + free, hard))
        try:
            found = ASKED[asked](opened)
        except (OSError, SaveError) as error:
            cause = error.__cause__ if isinstance(error, SaveError) else error
            assert isinstance(cause, OSError)
            assert cause.errno == errno.EMFILE
            return False
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        expected = {"len": 2, "rows": [0, 1], "sql": [(0,), (1,)], "verify": [], "compact": 2}
        assert found == expected[asked]
        return True

    answers = [ask(free) for free in (0, 1, 2, 3, 100)]
    assert answers == sorted(answers)  # errors first
    assert not answers[0]
    assert answers[-1]


LIMITED = """
import resource, signal, sys, warnings
from rigorous_recorder import ExperimentCollection
from rigorous_recorder.errors import SaveError, StorageWarning

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
collection = ExperimentCollection(sys.argv[1], quiet=True)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    try:
        with collection.new_experiment() as experiment:
            for i in range(100_000):
                experiment.push(i=i, text=f"{i * 7919 % 100_003:040d}", x=i / 7, y=i / 11, z=i / 13)
    except SaveError as error:
        assert "ulimit -f" in str(error), error
    else:
        raise AssertionError("nothing was too large")
assert [each for each in told if "ulimit -f" in str(each.message)], told
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
collection.close()
"""


def test_a_limit_of_the_size_of_files_is_reported_and_costs_nothing(tmp_path: Path) -> None:
    """The warning and the error name the limit; once it is raised, all is saved."""
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "study")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        assert [row["i"] for row in collection.records] == list(range(100_000))
