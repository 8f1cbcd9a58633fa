"""Experiments: their numbers, the six keys above every record, how they begin and end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._live import table
from rigorous_recorder._live.table_writer import TableWriter
from rigorous_recorder._store import backend
from rigorous_recorder.errors import (
    ClosedError,
    EnteredError,
    PendingRecordWarning,
    ReservedKeyError,
    SaveError,
)

SIX_KEYS = (
    "experiment_number",
    "error_number",
    "had_error",
    "experiment_start_time",
    "experiment_end_time",
    "experiment_duration",
)


class Mishap(Exception):
    """What goes wrong in these experiments."""


Opener = Callable[..., ExperimentCollection]


def attempt(collection: ExperimentCollection, *, is_good: bool) -> Recorder:
    try:
        with collection.new_experiment() as experiment:
            experiment.push(is_good=is_good)
            if not is_good:
                raise Mishap("boom")
    except Mishap:
        pass
    return experiment


def test_numbers_count_successes_and_error_numbers_count_errors(open_collection: Opener) -> None:
    """Success, error, error, success, success gives numbers 1 2 2 2 3 and errors 0 1 2 0 0."""
    collection = open_collection(quiet=True)
    for is_good in (True, False, False, True, True):
        attempt(collection, is_good=is_good)
    rows = collection.experiments
    assert [row["experiment_number"] for row in rows] == [1, 2, 2, 2, 3]
    assert [row["error_number"] for row in rows] == [0, 1, 2, 0, 0]
    assert [row["had_error"] for row in rows] == [False, True, True, False, False]
    assert [row["experiment_number"] for row in collection.records] == [1, 2, 2, 2, 3]
    assert collection.experiment_numbers == (1, 2, 3)


def test_numbers_go_on_when_the_collection_is_opened_again(open_collection: Opener) -> None:
    """Numbers depend on what is in the folder, not on the object or the process."""
    for is_good in (False, False, True, True):
        collection = open_collection(quiet=True)
        attempt(collection, is_good=is_good)
        collection.close()
    rows = open_collection().experiments
    assert [(row["experiment_number"], row["error_number"]) for row in rows] == [
        (1, 1),
        (1, 2),
        (1, 0),
        (2, 0),
    ]


def test_numbers_go_on_when_two_collections_take_turns(open_collection: Opener) -> None:
    """The last experiment is the one that was started last, whichever writer it belongs to."""
    one, other = open_collection(quiet=True), open_collection(quiet=True)
    for collection, is_good in [
        (one, False), (other, False), (one, False), (other, True), (one, True), (other, False),
    ]:  # fmt: skip
        attempt(collection, is_good=is_good)
    expected = [(1, 1), (1, 2), (1, 3), (1, 0), (2, 0), (3, 1)]
    for collection in (one, other):
        rows = collection.experiments
        assert [(row["experiment_number"], row["error_number"]) for row in rows] == expected


def test_six_keys_stand_above_every_record(open_collection: Opener) -> None:
    """Every record, however deep, has the six keys, first, with times in seconds since the epoch."""
    collection = open_collection()
    before = time.time()
    with collection.new_experiment({"lr": 0.1}, size=3) as experiment:
        experiment.push(x=1)
        experiment.child(model="m").child(episode=2).push(x=2)
        (inside, _) = collection.records
        assert inside["had_error"] is True
        assert inside["experiment_end_time"] is None
    after = time.time()
    for row in collection.records:
        assert tuple(row)[:6] == SIX_KEYS
        assert (row["experiment_number"], row["error_number"], row["had_error"]) == (1, 0, False)
        assert before <= row["experiment_start_time"] <= row["experiment_end_time"] <= after
        duration = row["experiment_end_time"] - row["experiment_start_time"]
        assert row["experiment_duration"] == pytest.approx(duration)
        assert (row["lr"], row["size"]) == (0.1, 3)
    assert [row["episode"] for row in collection.records] == [None, 2]
    table = collection.records.to_arrow()
    assert tuple(table.column_names)[:6] == SIX_KEYS


def test_an_exception_is_reported_in_one_line_and_raised_again(
    open_collection: Opener, capsys: pytest.CaptureFixture[str]
) -> None:
    """The caller gets the exception itself; standard error one line; the records are stored."""
    collection = open_collection()
    mishap = Mishap("out of luck")
    with pytest.raises(Mishap) as caught, collection.new_experiment() as experiment:
        experiment.push(x=1)
        raise mishap
    assert caught.value is mishap
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "Mishap: out of luck" in said.err
    assert "experiment 1" in said.err
    (row,) = open_collection().records
    assert (row["x"], row["had_error"], row["error_number"]) == (1, True, 1)
    assert row["experiment_end_time"] is not None
    assert row["experiment_duration"] is not None


def test_a_long_exception_is_reported_in_short(
    open_collection: Opener, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of an exception with a page of text one short message is reported, not the page."""
    with pytest.raises(Mishap), open_collection().new_experiment():
        raise Mishap("\n".join(f"line {n}" for n in range(1_000)))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert len(said) < 1_000


def test_a_quiet_collection_reports_nothing(
    open_collection: Opener, capsys: pytest.CaptureFixture[str]
) -> None:
    """With quiet an exception is saved and raised, and nothing is reported."""
    collection = open_collection(quiet=True)
    with pytest.raises(Mishap), collection.new_experiment():
        raise Mishap
    assert capsys.readouterr() == ("", "")
    assert collection.experiments[0]["had_error"] is True


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupt_is_an_error_too(
    open_collection: Opener, kind: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C and the like count as errors, and go on to the caller."""
    collection = open_collection()
    with pytest.raises(kind), collection.new_experiment() as experiment:
        experiment.push(x=1)
        raise kind
    assert kind.__name__ in capsys.readouterr().err
    (row,) = collection.records
    assert (row["had_error"], row["error_number"], row["x"]) == (True, 1, 1)


def test_an_interrupt_while_the_end_is_synced_ends_the_experiment(
    open_collection: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an error, and for every process: it can be gone on with, and deleted."""
    collection, other = open_collection(quiet=True), open_collection(quiet=True)
    original = TableWriter.sync

    def interrupt(table: TableWriter) -> None:
        monkeypatch.setattr(TableWriter, "sync", original)
        raise KeyboardInterrupt

    for number in (None, 1):
        run = collection.resume(number) if number else collection.new_experiment()
        with pytest.raises(KeyboardInterrupt), run as experiment:
            experiment.push(x=1)
            monkeypatch.setattr(TableWriter, "sync", interrupt)
        for each in (collection, other):
            (row,) = each.experiments
            assert row["had_error"] is True
            assert row["experiment_end_time"] > row["experiment_start_time"]
            assert each.experiment(1).status == "stopped"
    assert other.delete(1) == 2


def test_a_small_experiment_waits_for_the_device_three_times(
    open_collection: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For its records, for its end, and for the mark that both are there; no file is renamed."""
    collection = open_collection()
    for _ in range(2):
        with collection.new_experiment(lr=0.1) as recorder:
            recorder.push(step=0, loss=0.1)
    waits: list[str] = []
    for name in ("fsync", "replace", "rename"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, o=original: (waits.append(n), o(*a))[1])
    run = collection.start(lr=0.1)
    for step in range(20):
        run.push(step=step, loss=0.1)
    run.finish()
    assert waits == 3 * ["fsync"]


@pytest.mark.parametrize(("rows", "sealed"), [(64, 0), (65, 64), (79, 64), (80, 80), (128, 128)])
def test_what_an_experiment_logged_last_is_sealed_with_full_tables_that_wait(
    open_collection: Opener, monkeypatch: pytest.MonkeyPatch, rows: int, sealed: int
) -> None:
    """From a quarter of the rows of a table on; fewer stay where they are, and are synced."""
    monkeypatch.setattr(table, "FIRST_ROWS", 8)
    monkeypatch.setattr(table, "MOST_ROWS", 64)
    monkeypatch.setattr(backend.FolderBackend, "schedule", lambda *_: None)
    collection = open_collection(quiet=True)
    with collection.new_experiment() as experiment:
        for i in range(rows):
            experiment.push(i=i)
    files = list(collection._store.folder.path.glob("records/*.parquet"))
    assert sum(pq.read_metadata(path).num_rows for path in files) == sealed
    assert len(files) == min(sealed, 1)
    assert [row["i"] for row in open_collection().records] == list(range(rows))


def test_nested_experiments_get_different_numbers(open_collection: Opener) -> None:
    """An experiment that is started while another runs gets the next number."""
    collection = open_collection()
    with collection.new_experiment() as outer, collection.new_experiment() as inner:
        inner.push(who="inner")
        outer.push(who="outer")
    assert {row["who"]: row["experiment_number"] for row in collection.records} == {
        "outer": 1,
        "inner": 2,
    }
    with collection.new_experiment() as third:
        assert third["experiment_number"] == 3


def test_threads_get_different_numbers(open_collection: Opener) -> None:
    """Experiments that run at once in threads have each their own number, and their own records."""
    collection = open_collection()
    together = threading.Barrier(8)

    def work(worker: int) -> None:
        with collection.new_experiment(worker=worker) as experiment:
            together.wait(30)
            for i in range(100):
                experiment.push(worker_of_record=worker, i=i)
            together.wait(30)

    threads = [threading.Thread(target=work, args=[n]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert collection.experiment_numbers == tuple(range(1, 9))
    for number in collection.experiment_numbers:
        rows = collection[number]
        assert [row["i"] for row in rows] == list(range(100))
        assert {row["worker"] for row in rows} == {row["worker_of_record"] for row in rows}
        assert len({row["worker"] for row in rows}) == 1


@pytest.mark.parametrize("key", SIX_KEYS)
def test_reserved_keys_are_refused(open_collection: Opener, key: str) -> None:
    """What the collection sets itself can't be given; the message names the key; nothing starts."""
    collection = open_collection()
    with pytest.raises(ReservedKeyError, match=key):
        collection.new_experiment({key: 1})
    with pytest.raises(ValueError, match=key):
        collection.new_experiment(**{key: 1})
    assert collection.experiments == []
    assert not collection._store.folder.path.exists()


def test_late_data_shows_on_earlier_records(open_collection: Opener) -> None:
    """What is set on an experiment after its end is on all its records, here and when reopened."""
    collection = open_collection()
    with collection.new_experiment() as experiment:
        model = experiment.child(model="m")
        model.push(x=1)
    experiment["verdict"] = "good"
    model.update(score=0.5)
    model.push(x=2)
    for each in (collection, open_collection()):
        assert [(r["x"], r["verdict"], r["score"]) for r in each.records] == [
            (1, "good", 0.5),
            (2, "good", 0.5),
        ]
        assert [row["had_error"] for row in each.records] == [False, False]
    collection.close()
    assert open_collection().records[0]["verdict"] == "good"
    with pytest.raises(ClosedError, match="closed"):
        experiment["verdict"] = "bad"
    with pytest.raises(ClosedError):
        model.push(x=3)


def test_add_without_commit_warns_at_the_end(open_collection: Opener) -> None:
    """Fields that were added and never committed are reported by name when the experiment ends."""
    collection = open_collection()
    with (
        pytest.warns(PendingRecordWarning, match=r"reward.*commit\(\)"),
        collection.new_experiment() as experiment,
    ):
        episode = experiment.child(episode=1)
        episode.add(step=1).commit()
        episode.add(reward=2)
    assert [row["step"] for row in collection.records] == [1]
    episode.commit()  # not too late
    assert collection.records[1]["reward"] == 2


def test_committed_fields_do_not_warn(open_collection: Opener) -> None:
    """Fields that a commit or a push took along are no reason to warn."""
    collection = open_collection()
    with collection.new_experiment() as experiment:
        experiment.add(a=1).add(b=2).commit()
        experiment.add(a=3).push(b=4)
    assert [(row["a"], row["b"]) for row in collection.records] == [(1, 2), (3, 4)]


def test_experiments_by_number(open_collection: Opener) -> None:
    """collection[n] has the records of all attempts at n; negative ones count from the end."""
    collection = open_collection(quiet=True)
    for is_good in (True, False, True, True):
        attempt(collection, is_good=is_good)
    assert [row["is_good"] for row in collection[2]] == [False, True]
    assert [row["experiment_number"] for row in collection[-1]] == [3]
    assert [row["experiment_number"] for row in collection[-3]] == [1]
    for number in (0, 4, -4):
        with pytest.raises(KeyError, match=str(number)):
            collection[number]


def test_an_empty_collection(open_collection: Opener) -> None:
    """Nothing logged is nothing on disk, no records, no experiments, and true all the same."""
    collection = open_collection()
    assert (len(collection), list(collection.records), collection.experiments) == (0, [], [])
    assert collection.experiment_numbers == ()
    assert collection
    assert collection.verify() == []
    assert collection.compact() == 0
    with pytest.raises(KeyError):
        collection[-1]
    collection.save()
    collection.close()
    assert not collection._store.folder.path.exists()


def test_the_extension_is_put_behind_once(tmp_path: Path) -> None:
    """The folder's name ends with the extension, whether it was given or not; and another may be."""
    with ExperimentCollection(tmp_path / "a") as collection, collection.new_experiment() as e:
        e.push(x=1)
    assert [path.name for path in tmp_path.iterdir()] == ["a.collection"]
    assert len(ExperimentCollection(tmp_path / "a.collection")) == 1
    assert len(ExperimentCollection(str(tmp_path / "a"))) == 1
    with (
        ExperimentCollection(tmp_path / "b.v1", extension=".study") as collection,
        collection.new_experiment() as e,
    ):
        e.push(x=1)
    assert (tmp_path / "b.v1.study" / "collection.json").is_file()
    with (
        ExperimentCollection(tmp_path / "c", extension="") as collection,
        collection.new_experiment() as e,
    ):
        e.push(x=1)
    assert (tmp_path / "c" / "collection.json").is_file()


def test_a_relative_path_stays_when_the_process_changes_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path means the folder it meant when the collection was made."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    collection = ExperimentCollection("data/deep/study")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with collection.new_experiment() as experiment:
        experiment.push(x=1)
        monkeypatch.chdir("/")
        experiment.push(x=2)
    collection.close()
    assert list((tmp_path / "elsewhere").iterdir()) == []
    monkeypatch.chdir(tmp_path)
    assert [row["x"] for row in ExperimentCollection("data/deep/study").records] == [1, 2]


def test_data_of_the_whole_study_shows_on_every_record(open_collection: Opener) -> None:
    """What is set on the collection's recorder, before or after, is on all records; near wins."""
    collection = open_collection()
    collection.recorder["study"] = "s1"
    for lr in (0.1, 0.2):
        with collection.new_experiment(lr=lr) as experiment:
            experiment.push(x=1)
            experiment.push(x=2, study="own")
    collection.recorder.update(site="here", lr=9)
    for each in (collection, open_collection()):
        rows = each.records
        assert [row["study"] for row in rows] == ["s1", "own", "s1", "own"]
        assert {row["site"] for row in rows} == {"here"}
        assert [row["lr"] for row in rows] == [0.1, 0.1, 0.2, 0.2]
        assert each.recorder["study"] == "s1"
        assert [row["site"] for row in each.experiments] == ["here", "here"]
    assert collection.sql("SELECT count(*) FROM records WHERE site = 'here'").fetchall() == [(4,)]


def test_an_experiment_without_records_counts(open_collection: Opener) -> None:
    """An experiment in which nothing was logged is listed, and the next one has another number."""
    collection = open_collection()
    with collection.new_experiment(note="nothing"):
        pass
    (row,) = collection.experiments
    assert (row["experiment_number"], row["note"]) == (1, "nothing")
    assert len(collection) == 0
    with collection.new_experiment() as experiment:
        assert experiment["experiment_number"] == 2


def test_closing_twice_is_fine_and_reading_goes_on(open_collection: Opener) -> None:
    """After close the records are still read; a second close does nothing; a new start is refused."""
    collection = open_collection()
    attempt(collection, is_good=True)
    collection.close()
    collection.close()
    assert [row["is_good"] for row in collection.records] == [True]
    with pytest.raises(ClosedError), collection.new_experiment():
        pass


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_an_experiment_that_has_ended_has_all_its_records(
    folder: Path, open_collection: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies at its end, where files are written behind, tells no end too early."""
    monkeypatch.setattr(backend, "is_safe_to_map", lambda _: False)
    sync = TableWriter.sync

    def die_at_the_records(table: TableWriter) -> None:
        if table.name == "records":
            os._exit(9)
        sync(table)

    child = os.fork()
    if not child:
        try:
            with open_collection().new_experiment() as experiment:
                experiment.push(step=0)
                monkeypatch.setattr(TableWriter, "sync", die_at_the_records)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    (row,) = open_collection(quiet=True).experiments
    assert (row["had_error"], row["experiment_end_time"]) == (True, None)


def test_two_fresh_collections_agree_on_one_folder(open_collection: Opener) -> None:
    """Two objects made before the folder was write into one collection, of one identity."""
    one, other = open_collection(), open_collection()
    attempt(one, is_good=True)
    attempt(other, is_good=True)
    assert one._store.identity == other._store.identity
    assert [row["experiment_number"] for row in other.experiments] == [1, 2]


@pytest.mark.parametrize("resumes", [False, True])
def test_a_run_is_entered_once(open_collection: Opener, *, resumes: bool) -> None:
    """A second time, inside of it or after it, is refused; the first one is as it was."""
    collection = open_collection()
    with collection.new_experiment() as experiment:
        experiment.push(x=1)
    run = collection.resume(1) if resumes else collection.new_experiment()
    with run as experiment:
        with pytest.raises(EnteredError, match="entered before"):
            run.__enter__()
        experiment.push(x=2)
    with pytest.raises(EnteredError):
        run.__enter__()
    assert [row["had_error"] for row in collection.experiments] == (2 - resumes) * [False]


def test_a_run_that_could_not_begin_can_be_entered_again(folder: Path) -> None:
    """As soon as its folder can be made."""
    folder.parent.joinpath("above").write_text("a file")
    collection = ExperimentCollection(folder.parent / "above" / "study", quiet=True)
    run = collection.new_experiment()
    with pytest.raises(SaveError) as refused:
        run.__enter__()
    assert "can be read all the same" not in str(refused.value)
    folder.parent.joinpath("above").unlink()
    with run as experiment:
        experiment.push(x=1)
    assert len(collection.records) == 1
    collection.close()
