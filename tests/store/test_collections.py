"""Collections in the hands of careless users."""

from __future__ import annotations

import errno
import gc
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder.errors import DamagedFileWarning, NotACollectionError, SaveError

from .folders import files_below, log_many_small_files, opened


def test_a_collection_that_is_forgotten_is_saved_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Logged to, read and dropped without close(), it is sealed at once; nothing is complained of."""
    collection = ExperimentCollection(tmp_path / "c")
    with collection.new_experiment() as experiment:
        experiment.push(i=1)
    assert len(collection.records) == 1
    del collection, experiment
    gc.collect()
    assert not list((tmp_path / "c.collection/live").glob("*.arrow"))
    assert list((tmp_path / "c.collection/records").glob("*.parquet"))
    assert capsys.readouterr().err == ""


def test_sql_does_not_count_damaged_values(tmp_path: Path) -> None:
    """A flipped byte in a page of doubles is no number of a sum, and its neighbours still count."""
    with (
        ExperimentCollection(tmp_path / "c") as collection,
        collection.new_experiment() as experiment,
    ):
        experiment.extend({"x": [i / 7 for i in range(20_000)], "y": [1] * 20_000})
    path = max(
        (tmp_path / "c.collection/records").glob("*.parquet"), key=lambda p: p.stat().st_size
    )
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    damaged = ExperimentCollection(tmp_path / "c")
    with pytest.warns(DamagedFileWarning, match=path.name):
        assert [row["y"] for row in damaged.records if row["x"] is None] == [1] * 20_000
    with pytest.warns(DamagedFileWarning, match=path.name):
        found = damaged.sql("SELECT sum(x), count(x), count(*) FROM records").fetchall()
    assert found == [(None, 0, 20_000)]
    found = damaged.sql("SELECT sum(y), count(*) FROM records").fetchall()
    assert found == [(20_000, 20_000)] == [(20_000, len(damaged))]


@pytest.mark.parametrize(
    "ask",
    [
        lambda found: found.records.to_arrow().num_rows,
        lambda found: found.records.to_polars().height,
        lambda found: len(list(found.records)),
        lambda found: len(list(found.all_records.where(name="a"))),
    ],
    ids=["arrow", "polars", "rows", "where"],
)
def test_each_query_of_one_recorder_reports_what_it_leaves_out(
    tmp_path: Path, ask: Callable[[Recorder], int]
) -> None:
    """Rows of which it can't be read whose they are may be this one's, also when it is queried again."""
    with ExperimentCollection(tmp_path / "c") as collection:
        for name in "ab":
            collection.recorder.child(name=name).extend({"i": range(2_000)})
    (path,) = (tmp_path / "c.collection/records").glob("*.parquet")
    data = bytearray(path.read_bytes())
    data[8] ^= 0xFF  # in the first column, which says whose the rows are
    path.write_bytes(data)
    (recorder, _) = ExperimentCollection(tmp_path / "c").recorder.children
    for _ in range(3):
        with pytest.warns(DamagedFileWarning, match=path.name):
            assert ask(recorder) == 0


def test_the_latest_value_counts_when_the_clock_went_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a later process sets on a recorder wins, also where its clock is an hour behind."""
    with ExperimentCollection(tmp_path / "c") as collection:
        recorder = Recorder(a="old").set_parent(collection.recorder)
        recorder.push(x=1)
        place = pickle.dumps(recorder)
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now - 3_600 * 10**9)
    later = pickle.loads(place)
    later["a"] = "new"
    assert later.records[0]["a"] == "new"


def test_an_error_is_not_hidden_by_a_closed_collection(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The experiment's own exception comes out, whatever its end meets."""
    collection = ExperimentCollection(tmp_path / "c")
    with pytest.raises(KeyError, match="mine"), collection.new_experiment() as experiment:
        experiment.push(x=1)
        collection.close()
        raise KeyError("mine")
    assert "closed" in capsys.readouterr().err


def test_the_children_of_a_large_node_come_at_once(tmp_path: Path) -> None:
    """Children that nobody holds any more are made anew together, each with its data."""
    with (
        ExperimentCollection(tmp_path / "c") as collection,
        collection.new_experiment() as experiment,
    ):
        for i in range(5_000):
            experiment.child(i=i)
        assert [child["i"] for child in experiment.children] == list(range(5_000))


def test_odd_paths(tmp_path: Path) -> None:
    """A slash at the end changes nothing, and an empty path is refused."""
    assert repr(ExperimentCollection(f"{tmp_path}/c/")) == repr(
        ExperimentCollection(tmp_path / "c")
    )
    with pytest.raises(NotACollectionError, match="is not the path of a folder"):
        ExperimentCollection("")


def test_a_column_with_gaps_survives_csv(tmp_path: Path) -> None:
    """A record without a value in the only column is an empty line, and still a record."""
    recorder = Recorder().push().push(a=1).push()
    recorder.save_to(tmp_path / "x.csv")
    assert [row["a"] for row in Recorder.load_from(tmp_path / "x.csv").records] == [None, 1, None]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_what_would_change_a_folder_that_cant_be_written_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """With an error that names the way out; nothing is changed, and all of it can be read."""
    log_many_small_files(folder, 2)
    before, original = files_below(folder), os.open

    def refuse(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & (os.O_CREAT | os.O_RDWR | os.O_WRONLY) and str(folder) in str(path):
            raise OSError(number, os.strerror(number), str(path))
        return original(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refuse)
    collection = opened(folder)
    changes: list[Callable[[], object]] = [
        lambda: collection.new_experiment().__enter__(),
        lambda: collection.new_experiment(resume="auto").__enter__(),
        lambda: collection.resume(1).__enter__(),
        lambda: collection.delete(1),
        collection.compact,
    ]
    for change in changes:
        with pytest.raises(SaveError, match="work on a copy") as error:
            change()
        assert str(folder) in str(error.value)
        assert os.strerror(number) in str(error.value)
    assert len(collection) == 80
    assert files_below(folder) == before


def test_a_relative_path_in_a_deleted_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the path, and what is wrong with it."""
    place = tmp_path / "gone"
    place.mkdir()
    monkeypatch.chdir(place)
    place.rmdir()
    with pytest.raises(NotACollectionError, match=r"'study' is relative.*deleted.*absolute path"):
        ExperimentCollection("study")
    with ExperimentCollection(tmp_path / "study", quiet=True) as collection:
        assert len(collection) == 0
