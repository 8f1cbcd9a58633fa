"""Opening what is there: never made, and read-only without a trace."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._store import liveness
from rigorous_recorder.errors import (
    ArgumentTypeError,
    IncompleteCopyWarning,
    NotACollectionError,
    ReadOnlyError,
)

#: Logs three records that are in live files, says so, and waits to be killed.
_KILLED = """
import sys, time
from rigorous_recorder import ExperimentCollection
collection = ExperimentCollection(sys.argv[1])
experiment = collection.new_experiment(lr=0.1).__enter__()
for step in range(3):
    experiment.push(step=step, loss=1 / (1 + step))
print("logged", flush=True)
time.sleep(1000)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection that a killed process left, with rows in its live files."""
    path = tmp_path_factory.mktemp("killed") / "study"
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "logged\n"
        process.send_signal(signal.SIGKILL)
    return path.with_name("study.collection")


@pytest.fixture
def left(killed: Path, tmp_path: Path) -> Path:
    """The same, for a test that may change it."""
    return Path(shutil.copytree(killed, tmp_path / "study.collection"))


def traces(folder: Path) -> dict[str, Any]:
    """All that writing to a folder would change: names, times, sizes and bytes."""
    found: dict[str, Any] = {}
    for path in (folder.parent, folder, *folder.rglob("*")):
        status = path.stat()
        content = path.read_bytes() if path.is_file() else None
        found[str(path)] = (
            status.st_ino,
            status.st_mode,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            content,
        )
    return found


def read_everything(collection: ExperimentCollection) -> None:
    """Call all that reads, and what looks as if it wrote."""
    assert [row["step"] for row in collection.records] == [0, 1, 2]
    assert collection.sql("SELECT sum(step) FROM records").fetchall() == [(3,)]
    assert collection.records.to_polars(lazy=True).collect().height == 3
    assert collection.records.to_pandas().shape[0] == collection.records.to_arrow().num_rows == 3
    assert [each.status for each in collection.overview()] == ["crashed"]
    assert "3 records" in str(collection.tree()) + repr(collection)
    assert collection[1].where(step=2)[0]["lr"] == 0.1
    assert len(collection.experiments) == 1
    assert collection.verify() == []
    assert collection.recorder.sync().children[0]["lr"] == 0.1
    collection.records.plot("step", "loss")
    collection.reload()
    stop = Event()
    stop.set()
    assert len(list(collection.records.follow(stop=stop))) == 3


# --- open ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read_only", [False, True])
def test_open_finds_what_is_there_and_makes_nothing(tmp_path: Path, read_only: bool) -> None:
    """A left that is none is an error that lists near ones; nothing is made at either name."""
    for name in ("data/my_study", "data/other"):
        with (
            ExperimentCollection(tmp_path / name) as collection,
            collection.new_experiment() as run,
        ):
            run.push(step=0)
    plain = ExperimentCollection(tmp_path / "data" / "plain", extension="")
    with plain, plain.new_experiment() as run:
        run.push(step=0)

    def opened(name: str) -> ExperimentCollection:
        return ExperimentCollection.open(tmp_path / name, read_only=read_only)

    for name in ("data/my_study", "data/my_study.collection", "data/my_study/", "data/plain"):
        with opened(name) as collection:
            assert len(collection.records) == 1
    for name, meant in (
        ("data/my_studi", "my_study.collection"),
        ("data/My-Study.collection", "my_study.collection"),
        ("data/plain.collection", "plain"),
    ):
        with pytest.raises(NotACollectionError) as error:
            opened(name)
        assert f"Did you mean {tmp_path / 'data' / meant}?" in str(error.value)
        assert f"\n  {tmp_path / 'data' / 'other.collection'}" in str(error.value)
    with pytest.raises(NotACollectionError, match="neither") as error:
        opened("data/unlike")
    assert "Did you mean" not in str(error.value)
    with pytest.raises(NotACollectionError, match="There is no folder"):
        opened("nowhere/my_study")
    with pytest.raises(NotACollectionError, match="is not the path of a folder"):
        ExperimentCollection.open("")
    with pytest.raises(ArgumentTypeError, match="not a valid path"):
        ExperimentCollection.open(7)  # type: ignore[arg-type]
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "my_study.collection",
        "other.collection",
        "plain",
    ]


def test_open_to_write_recovers_and_goes_on(left: Path) -> None:
    """Without read_only it is the collection as the constructor opens it."""
    with ExperimentCollection.open(left.with_suffix(""), quiet=True) as collection:
        assert not list((left / "live").glob("*.arrow"))
        with collection.new_experiment() as run:
            run.push(step=3)
        assert [row["step"] for row in collection.records] == [0, 1, 2, 3]


# --- read_only -------------------------------------------------------------------------------------


def test_read_only_leaves_no_trace(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a killed process are read where they are; no file, time or byte changes for it.

    Nor where it is not known whether the lock of its writer can be seen, and its heartbeat counts.
    """
    before = traces(left)
    with ExperimentCollection.open(left, read_only=True) as collection:
        read_everything(collection)
    assert traces(left) == before
    monkeypatch.setattr(liveness, "locks_meet", lambda *_, **__: False)
    monkeypatch.setattr(liveness, "SILENCE_SECONDS", 0.0)
    with ExperimentCollection.open(left, read_only=True) as collection:
        read_everything(collection)
    ExperimentCollection.verify_folder(left)
    del collection
    assert traces(left) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_needs_no_right_to_write(left: Path) -> None:
    """A folder that can't be written is read all the same."""
    folders = [left, *(each for each in left.rglob("*") if each.is_dir())]
    for each in folders:
        each.chmod(0o555)
    try:
        read_everything(ExperimentCollection.open(left, read_only=True))
    finally:
        for each in folders:
            each.chmod(0o755)


@pytest.mark.slow
def test_read_only_on_a_mount_that_is(left: Path) -> None:
    """On a file system that is mounted read-only it is read without an error or a warning."""
    code = (
        "import sys, warnings; warnings.simplefilter('error');"
        "from rigorous_recorder import ExperimentCollection as C;"
        "c = C.open(sys.argv[1], read_only=True);"
        "assert len(c.records) == 3 and c.overview()[0].status == 'crashed';"
        "open(sys.argv[1] + '/x', 'w')"
    )
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && exec "$2" -c "$3" "$1"'
    arguments = ["unshare", "-rm", "sh", "-c", script, "sh", str(left), sys.executable, code]
    ran = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if "unshare" in ran.stderr or "mount:" in ran.stderr:
        pytest.skip("no mounts here")
    assert "Read-only file system" in ran.stderr, ran.stderr


def test_read_only_follows_a_writer(tmp_path: Path) -> None:
    """What another opening of the collection logs is seen as it is logged, before it is sealed."""
    with ExperimentCollection(tmp_path / "study") as writing, writing.new_experiment() as run:
        run.push(step=0)
        reading = ExperimentCollection.open(tmp_path / "study", read_only=True)
        assert len(reading.records) == 1
        rows = reading.records.follow(interval=0.01)
        assert next(rows)["step"] == 0
        run.push(step=1).push(step=2)
        assert [row["step"] for row in islice(rows, 2)] == [1, 2]
        assert reading.overview()[0].status == "running"
        copy = reading.copy_to(tmp_path / "copy")
    assert len(ExperimentCollection.open(copy, read_only=True).records) == 3


WRITING: list[Callable[[ExperimentCollection], object]] = [
    lambda collection: collection.new_experiment(),
    lambda collection: collection.new_experiment(resume="auto"),
    lambda collection: collection.resume(1),
    lambda collection: collection.save(),
    lambda collection: collection.compact(),
    lambda collection: collection.delete(1),
    lambda collection: collection.delete(),
    lambda collection: collection.recorder.push(a=1),
    lambda collection: collection.recorder.push({"a": "text"}),
    lambda collection: collection.recorder.add(a=1).commit(),
    lambda collection: collection.recorder.extend({"a": [1, 2]}),
    lambda collection: collection.recorder.update(a=1),
    lambda collection: collection.recorder.__setitem__("a", 1),
    lambda collection: collection.recorder.child(a=1),
    lambda collection: collection.recorder.children[0].push(a=1),
    lambda collection: collection.recorder.children[0].update(a=1),
    lambda collection: collection.recorder.children[0].set_parent(collection.recorder),
    lambda collection: Recorder(a=1).set_parent(collection.recorder),
    lambda collection: Recorder(a=1).push(b=1).set_parent(collection.recorder),
    lambda collection: pickle.loads(pickle.dumps(collection.recorder)).push(a=1),
    lambda collection: collection.start(lr=1),
    lambda collection: collection.experiment(1).update(note="a"),
    lambda collection: setattr(collection.experiments[0], "tags", ["a"]),
    lambda collection: pickle.loads(pickle.dumps(collection.experiment(1))).update(note="a"),
]


def test_what_would_write_is_refused(left: Path) -> None:
    """Each call that writes raises an error that names the way out, and changes nothing."""
    before = traces(left)
    collection = ExperimentCollection.open(left, read_only=True)
    for write in WRITING:
        with pytest.raises(ReadOnlyError, match=r"opened read-only.*ExperimentCollection\.open\('"):
            write(collection)
    assert len(collection.records) == 3
    assert traces(left) == before
    collection.close()


def test_a_pickle_of_read_only_is_read_only(left: Path) -> None:
    """In another process, too, it writes nothing; beside one that writes each stays what it is."""
    before = traces(left)
    collection = ExperimentCollection.open(left, read_only=True, quiet=True)
    things = (collection, collection.records.where(step=1), collection.recorder.children[0])
    dumped = pickle.dumps(things)
    again, records, recorder = pickle.loads(dumped)
    assert (len(again.records), records[0]["step"], len(recorder.records)) == (3, 1, 3)
    with pytest.raises(ReadOnlyError):
        again.new_experiment()
    code = "import pickle, sys; print(*map(len, pickle.load(sys.stdin.buffer)[1:]))"
    ran = subprocess.run(
        [sys.executable, "-c", code], input=dumped, capture_output=True, check=True
    )
    assert ran.stdout.split() == [b"1", b"3"]
    assert traces(left) == before
    with ExperimentCollection(left, quiet=True) as writing:
        pickle.loads(pickle.dumps(writing.recorder)).push(step=9)
        with pytest.raises(ReadOnlyError):
            pickle.loads(dumped)[2].push(step=9)
        assert len(writing.records) == 4


def test_an_incomplete_copy_is_reported_and_left(left: Path) -> None:
    """The mark of an incomplete copy stays there, and is reported at each opening."""
    ExperimentCollection(left, quiet=True).close()
    with warnings.catch_warnings():
        warnings.simplefilter("error", IncompleteCopyWarning)
        ExperimentCollection.open(left, read_only=True)
    (left / "incomplete.json").write_text("{}")
    before = traces(left)
    ExperimentCollection.open(left, read_only=True)
    assert traces(left) == before
