"""Runs as objects: begun without a block, ended with a status, and found again by number."""

from __future__ import annotations

import asyncio
import copy
import math
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from rigorous_recorder import (
    Experiment,
    ExperimentCollection,
    Experiments,
    Run,
    Status,
    register_stop,
)
from rigorous_recorder.errors import (
    ArgumentError,
    ArgumentTypeError,
    ColumnError,
    EndedError,
    EnteredError,
    NotStartedError,
    PendingRecordWarning,
    ReadOnlyError,
    ReservedKeyError,
    UnknownExperimentError,
    UnsupportedTypeError,
)

Opener = Callable[..., ExperimentCollection]

#: As Optuna's, which is not imported for it.
TrialPruned = type("TrialPruned", (Exception,), {"__module__": "optuna.exceptions"})


class EarlyStop(Exception):
    """What a user's training stops itself with."""


class Patience(EarlyStop):
    """One kind of it."""


def in_another_process(text: str, *arguments: object) -> str:
    head = "import sys\nfrom rigorous_recorder import ExperimentCollection\n"
    command = [sys.executable, "-c", head + text, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# --- begun and ended without a block ---------------------------------------------------------------


def test_a_run_is_started_logged_to_and_finished(open_collection: Opener) -> None:
    """As by a block: six keys, records on disk, the next number; it has what a recorder has."""
    collection = open_collection()
    run = collection.start({"model": "m1"}, lr=0.1)
    assert (run.number, run.status, run["lr"]) == (1, Status.RUNNING, 0.1)
    run.push(step=0).push(step=1)
    run.add(step=2)
    run.commit()
    run.extend({"step": [3]})
    run["late"] = True
    run.update(later=1)
    assert run.child(episode=1).parent is run.recorder
    assert len(run.all_records) == 4
    assert run.experiment.status is Status.RUNNING
    run.finish()
    run.finish()
    assert run.status is run.experiment.status is Status.FINISHED
    assert [row["step"] for row in collection.records.where(late=True, later=1)] == [0, 1, 2, 3]
    assert {row["had_error"] for row in collection.records} == {False}
    assert open_collection().start().number == 2


def test_statuses_that_a_run_ends_with(open_collection: Opener) -> None:
    """Given up on purpose is no error, and has a number of its own; failed is one, as in a block."""
    collection = open_collection(quiet=True)
    collection.start().finish(status="pruned")
    collection.start().finish("stopped")
    collection.start().finish("failed")
    collection.start().fail(ValueError("diverged"))
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        collection.start().fail()
    collection.start().finish()
    running = collection.start()
    assert [
        (e.number, e["error_number"], e["had_error"], e.status, e["experiment_error_type"])
        for e in collection.experiments
    ] == [
        (1, 0, False, "pruned", None),
        (2, 0, False, "stopped", None),
        (3, 1, True, "failed", None),
        (3, 2, True, "failed", "ValueError"),
        (3, 3, True, "failed", "ZeroDivisionError"),
        (3, 0, False, "finished", None),
        (4, 1, True, "running", None),
    ]
    assert [each.status for each in collection.overview()] == collection.experiments.statuses()
    running.finish()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), Status.STOPPED),
        (asyncio.CancelledError(), Status.STOPPED),
        (TrialPruned("bad"), Status.PRUNED),
        (Patience("10 epochs"), Status.STOPPED),
        (SystemExit(1), Status.FAILED),
        (ValueError("x"), Status.FAILED),
    ],
    ids=repr,
)
def test_exceptions_that_mean_a_stop(
    open_collection: Opener,
    error: BaseException,
    status: Status,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They have their status; the six keys are those of any exception, which goes on to the caller."""
    register_stop(EarlyStop)
    collection = open_collection()
    with pytest.raises(type(error)), collection.new_experiment() as recorder:
        recorder.push(x=1)
        raise error
    (found,) = collection.experiments
    assert (found.status, found["had_error"], found["error_number"]) == (status, True, 1)
    assert collection.overview()[0].status is status
    assert collection.records[0]["experiment_status"] == (
        None if status is Status.FAILED else status.value
    )
    assert bool(capsys.readouterr().err) == (status is not Status.PRUNED)
    with collection.resume(1):
        assert collection.experiment(1).status is Status.RUNNING
    assert collection.experiment(1).status is Status.FINISHED
    assert collection.records[0]["experiment_status"] is None
    with collection.new_experiment() as recorder:
        assert recorder["experiment_number"] == 2


def test_what_is_registered_as_a_stop_is_checked(open_collection: Opener) -> None:
    """A type of exceptions, and a status that means a stop; the nearest type counts."""
    for wrong in ("EarlyStop", EarlyStop(), int):
        with pytest.raises(ArgumentTypeError, match="type of exceptions"):
            register_stop(wrong)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="expected one of stopped, pruned"):
        register_stop(EarlyStop, "finished")
    register_stop(EarlyStop, "pruned")
    register_stop(Patience, "failed")
    collection = open_collection(quiet=True)
    collection.start().fail(EarlyStop())
    collection.start().fail(Patience())
    assert collection.experiments.statuses() == ["pruned", "failed"]
    register_stop(Patience, "stopped")


def test_a_block_whose_run_was_ended_in_it(open_collection: Opener) -> None:
    """What it was ended as stays; an exception afterwards goes on to the caller."""
    collection = open_collection(quiet=True)
    run = collection.new_experiment()
    with run as recorder:
        recorder.push(x=1)
        run.finish("pruned")
    other = collection.start()
    with pytest.raises(EarlyStop), other as recorder:
        assert recorder is other.recorder
        other.finish()
        raise EarlyStop
    assert collection.experiments.statuses() == ["pruned", "finished"]


def test_a_run_is_started_once_and_ended_one_way(open_collection: Opener) -> None:
    """Any other call names what to do instead, and changes nothing."""
    collection = open_collection()
    run = collection.start()
    with pytest.raises(EnteredError, match="started before.*new_experiment"):
        run.start()
    for wrong in ("crashed", "running", "good", 3, None):
        with pytest.raises(ArgumentError, match="expected one of finished, failed"):
            run.finish(wrong)  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError, match="takes an exception"):
        run.fail("diverged")  # type: ignore[arg-type]
    assert run.status is Status.RUNNING
    run.finish("pruned")
    for end in (run.finish, run.fail):
        with pytest.raises(EndedError, match=r"ended as pruned.*resume"):
            end()
    again = collection.resume(1).start()
    assert (again["experiment_attempt"], again.experiment.status) == (2, Status.RUNNING)
    again.finish()
    assert collection.experiment(1).status is Status.FINISHED


def test_attributes_that_are_no_mapping_are_refused(open_collection: Opener) -> None:
    """By an error about attributes, wherever some are given; nothing is started."""
    collection = open_collection()
    recorder = collection.recorder
    for given in (5, [1, 2], "lr=0.1"):
        for take in (collection.start, collection.new_experiment, recorder.child, recorder.update):
            with pytest.raises(
                UnsupportedTypeError, match=f"^attributes are .* type {type(given).__name__}"
            ):
                take(given)
        with pytest.raises(UnsupportedTypeError, match="^fields are given as keywords"):
            recorder.push(given)
    assert len(collection.experiments) == 0


def test_threads_that_end_a_run_at_once_end_it_one_way(
    open_collection: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes second is refused, or silently leaves its block; what is stored is the status."""
    collection = open_collection(quiet=True)
    for ends_block in (False, True):
        run, together = collection.start(), threading.Barrier(2, timeout=60)

        def leave(run: Run = run) -> None:
            with run:
                pass

        ends = [leave if ends_block else run.finish, partial(run.finish, "stopped")]
        with monkeypatch.context() as patched, ThreadPoolExecutor() as pool:
            patched.setattr(collection._store, "finish", together.wait)
            errors = [each.exception() for each in [pool.submit(end) for end in ends]]
        refused = [error for error in errors if error is not None]
        assert len(refused) == 1 or (ends_block and run.status is Status.STOPPED)
        assert all(isinstance(error, EndedError) for error in refused)
        assert run.status is collection.experiment(-1).status


def test_an_end_that_could_not_be_written_can_be_tried_again(
    open_collection: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in another way: it has not ended."""
    collection = open_collection()
    run = collection.start()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(collection._store, "set_attributes", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run.finish()
    assert run.status is run.experiment.status is Status.RUNNING
    run.finish("stopped")
    assert run.status is run.experiment.status is Status.STOPPED


def test_what_needs_a_recorder_says_how_to_start(open_collection: Opener) -> None:
    """Every method that a recorder has, before the start; no folder is made by asking."""
    run = open_collection().new_experiment(lr=0.1)
    uses: list[Callable[[], object]] = [
        lambda: run.push(x=1),
        lambda: run.child(model="m1"),
        lambda: run.number,
        lambda: run.recorder,
        lambda: run.status,
        lambda: run["lr"],
        lambda: run.all_records,  # type: ignore[attr-defined]
        run.finish,
        run.fail,
    ]
    for use in uses:
        with pytest.raises(NotStartedError, match=r"run\.start\(\).*run\.finish\(\)"):
            use()
    assert "not started" in repr(run)
    with pytest.raises(AttributeError, match="has no attribute 'psuh'"):
        run.psuh  # type: ignore[attr-defined]  # noqa: B018
    assert {"push", "start", "finish", "fail", "recorder", "all_records", "tree"} <= set(dir(run))
    assert open_collection().experiment_numbers == ()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_end_its_parents_run(open_collection: Opener) -> None:
    """It is reported, and the run goes on."""
    collection = open_collection()
    run = collection.start()
    if (child := os.fork()) == 0:
        try:
            run.finish()
        except NotStartedError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert collection.experiment(1).status is Status.RUNNING
    run.finish()


def test_the_end_of_a_run_warns_of_fields_that_wait(open_collection: Opener) -> None:
    """As the end of a block does, at the caller's line."""
    run = open_collection().start()
    run.add(x=1)
    with pytest.warns(PendingRecordWarning) as caught:
        run.finish()
    assert caught[0].filename == __file__


# --- found again -----------------------------------------------------------------------------------


def test_an_experiment_by_its_number(open_collection: Opener) -> None:
    """Negative from the end; of several with one number the latest, or the one that is chosen."""
    collection = open_collection(quiet=True)
    collection.start(lr=1).finish()
    collection.start(lr=2).fail()
    collection.start(lr=3).finish()
    assert [collection.experiment(n)["lr"] for n in (1, 2, -1, -2)] == [1, 3, 3, 1]
    assert collection.experiment(2, error_number=1)["lr"] == 2
    for wrong in (0, 3, -3, "one", True):
        with pytest.raises(UnknownExperimentError):
            collection.experiment(wrong)  # type: ignore[arg-type]
    with pytest.raises(UnknownExperimentError, match=r"no run with error_number 5:\n.*lr=2"):
        collection.experiment(2, error_number=5)
    ids = [each.id for each in collection.experiments]
    assert len(set(ids)) == 3
    assert collection.experiment(2).id == ids[2]
    assert [e.id for e in open_collection().experiments] == ids
    assert all(len(each) < 20 for each in ids)
    collection.delete(1)
    with pytest.raises(UnknownExperimentError):
        collection.experiment(1)


def test_an_experiment_is_a_mapping_of_its_attributes(open_collection: Opener) -> None:
    """As the rows were before: a dict with what is inherited, in which missing keys read as None."""
    collection = open_collection()
    collection.recorder["study"] = "a"
    collection.start(lr=0.1, seed=3).finish()
    (found,) = collection.experiments
    assert isinstance(found, Experiment)
    assert isinstance(found, dict)
    assert found == dict(found) == collection.experiment(1)
    assert (found["study"], found["lr"], found["nothing"]) == ("a", 0.1, None)
    assert found.get("nothing", 7) == 7
    assert repr(found) == '<Experiment 1 (finished): study="a", lr=0.1, seed=3>'
    for change in (found.clear, lambda: found.pop("lr"), lambda: found.__delitem__("lr")):
        with pytest.raises(ReadOnlyError):
            change()
    with pytest.raises(ReservedKeyError):
        found["had_error"] = True
    assert found["lr"] == 0.1


def test_what_is_set_a_day_later_shows_on_every_record(open_collection: Opener) -> None:
    """From another process, of a run that has ended; from any process it is seen at once."""
    collection = open_collection()
    run = collection.start(lr=0.1)
    run.child(model="m1").push(x=1)
    run.push(x=2)
    run.finish()
    collection.start().finish()
    collection.close()
    in_another_process(
        """
with ExperimentCollection(sys.argv[1]) as collection:
    experiment = collection.experiment(1)
    experiment["note"] = "best so far"
    experiment.tags = ["paper", "best", "paper"]
    experiment.name = "baseline"
    assert experiment["note"] == experiment.note == "best so far"
    assert experiment.tags == ("paper", "best")
    experiment.recorder.push(x=3)
""",
        collection._store.folder.path,
    )
    found = collection.experiment(1)
    assert (found.note, found.tags, found.name) == ("best so far", ("paper", "best"), "baseline")
    assert [row["x"] for row in found.records] == [1, 2, 3]
    assert {row["note"] for row in found.records} == {"best so far"}
    assert found.status is Status.FINISHED
    last = collection.experiment(2)
    assert (last.note, last.tags, last.name) == (None, (), None)


def test_attributes_are_taken_back_and_read_anew(open_collection: Opener) -> None:
    """None shows again what is inherited; an object has what it was read with, until reload()."""
    collection = open_collection()
    collection.recorder["note"] = "study"
    collection.start().finish()
    one, other = collection.experiment(1), collection.experiment(1)
    one.note = "mine"
    assert (one.note, other.note, other.reload().note) == ("mine", "study", "mine")
    one["note"] = None
    assert one["note"] == "study"
    one.tags = ("a",)
    one.tags = ()
    assert one.tags == ()
    for wrong in ("paper", 3, [3]):
        with pytest.raises(ArgumentTypeError, match="tags are several texts"):
            one.tags = wrong  # type: ignore[assignment]
    collection.delete(1)
    for gone in (one.reload, lambda: one.update(x=1), lambda: collection.experiments[0]):
        with pytest.raises((UnknownExperimentError, IndexError)):
            gone()


def test_what_is_set_counts_for_every_attempt(open_collection: Opener) -> None:
    """Also where an attempt had said otherwise of itself; deeper recorders keep their own."""
    collection = open_collection()
    with collection.new_experiment(note="first") as recorder:
        recorder.push(x=1)
    with collection.resume(1) as attempt:
        attempt["note"] = "second"
        attempt.push(x=2)
        attempt.child(note="deep").push(x=3)
    experiment = collection.experiment(1)
    assert experiment["note"] == "second"
    experiment["note"] = "for all"
    assert experiment["note"] == attempt["note"] == "for all"
    assert [row["note"] for row in experiment.records] == ["for all", "for all", "deep"]


def test_status_of_runs_of_other_processes(open_collection: Opener, folder: Path) -> None:
    """Running until its end or its process's death; an object that was read before sees that."""
    collection = open_collection()
    script = """
import os
collection = ExperimentCollection(sys.argv[1], quiet=True)
collection.start(mode="ends"), collection.start(mode="dies").push(x=1)
print("started", flush=True)
sys.stdin.readline()
os._exit(1)
"""
    head = "import sys\nfrom rigorous_recorder import ExperimentCollection\n"
    command = [sys.executable, "-c", head + script, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        seen = collection.experiments
        assert seen.statuses() == [each.status for each in seen] == ["running", "running"]
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.wait()
        assert seen.statuses() == [each.status for each in seen] == ["crashed", "crashed"]
    with collection.resume(2):
        assert seen.statuses() == ["crashed", "running"]
    assert [each.status for each in seen] == ["crashed", "finished"]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_an_experiment_goes_to_another_process(
    open_collection: Opener, copied: Callable[[Experiment], Experiment]
) -> None:
    """With its attributes; what is asked of it besides is found in the collection."""
    collection = open_collection()
    collection.start(lr=0.1).finish()
    found = copied(collection.experiment(1))
    assert type(found) is Experiment
    assert found == collection.experiment(1)
    assert (found.id, found.status) == (collection.experiment(1).id, Status.FINISHED)
    found["note"] = "from there"
    assert collection.experiment(1).note == "from there"
    assert type(collection.new_experiment()) is Run


# --- the runs as a table ---------------------------------------------------------------------------


@pytest.fixture
def runs(open_collection: Opener) -> Experiments:
    """Four runs that ended in different ways, one of them without an accuracy."""
    collection = open_collection(quiet=True)
    collection.recorder["study"] = "a"
    for lr, accuracy, status in [
        (0.1, 0.9, "finished"),
        (1.0, math.nan, "pruned"),
        (0.01, 0.95, "finished"),
        (0.5, None, "failed"),
    ]:
        run = collection.start(lr=lr, model=f"m{lr}")
        run["accuracy"] = accuracy
        run.push(x=1)
        run.finish(status)
    return collection.experiments


@pytest.mark.parametrize(
    ("texts", "values", "expected"),
    [
        ([], {}, [0.1, 1.0, 0.01, 0.5]),
        ([], {"status": "finished"}, [0.1, 0.01]),
        ([], {"status": ["failed", "pruned"]}, [1.0, 0.5]),
        ([], {"lr": [0.1, 0.5], "study": "a"}, [0.1, 0.5]),
        ([], {"accuracy": None}, [0.5]),
        (["lr > 0.05 and model like 'm0%'"], {}, [0.1, 0.5]),
        (["lr > 0.05", "status = 'finished'"], {"had_error": False}, [0.1]),
        (["experiment_number >= 2 -- the later ones"], {}, [1.0, 0.01, 0.5]),
        ([], {"lr": 7.0}, []),
    ],
)
def test_which_experiments(
    runs: Experiments, texts: list[str], values: dict[str, object], expected: list[float]
) -> None:
    """By values, lists of them and SQL, inherited attributes and the status among them."""
    found = runs.where(*texts, **values)
    assert type(found) is Experiments
    assert [each["lr"] for each in found] == expected
    assert found.to_arrow().num_rows == len(found.sort("lr")) == len(expected)
    assert [each["lr"] for each in found.where("lr < 0.2")] == [e for e in expected if e < 0.2]


def test_experiments_in_order(runs: Experiments) -> None:
    """What is missing, and NaN, comes last either way; equal ones stay in order of start."""
    assert [each["lr"] for each in runs.sort("lr")] == [0.01, 0.1, 0.5, 1.0]
    assert [each["lr"] for each in runs.sort("accuracy", descending=True)] == [0.01, 0.1, 1.0, 0.5]
    assert [each["lr"] for each in runs.sort("accuracy")] == [0.1, 0.01, 1.0, 0.5]
    assert [each["lr"] for each in runs.sort("status", "lr")] == [0.5, 0.01, 0.1, 1.0]
    assert [each["lr"] for each in runs.where(status="finished").sort("lr")[:1]] == [0.01]
    with pytest.raises(
        ArgumentError, match="where\\(status='finshed'\\): expected one of running, "
    ):
        runs.where(status="finshed")
    with pytest.raises(ArgumentError, match="'crash'"):
        runs.where(status=["failed", "crash"])


def test_experiments_as_tables_have_the_status(runs: Experiments) -> None:
    """Behind the six keys, in every engine; an attribute of that name is what it is."""
    statuses = ["finished", "pruned", "finished", "failed"]
    table = runs.to_arrow()
    assert table.column_names[6] == "status"
    assert table["status"].to_pylist() == runs.to_polars()["status"].to_list() == statuses
    assert list(runs.to_pandas()["status"]) == statuses
    query = "SELECT status, count(*), max(lr) FROM experiments GROUP BY ALL ORDER BY ALL"
    assert runs.sql(query).fetchall() == [
        ("failed", 1, 0.5),
        ("finished", 2, 0.1),
        ("pruned", 1, 1.0),
    ]


def test_an_attribute_that_is_called_status_stays_what_it_is(open_collection: Opener) -> None:
    """The tables and conditions have the attribute then; the property has the status."""
    collection = open_collection()
    collection.start(status="mine").finish()
    collection.start().finish()
    found = collection.experiments
    assert found.to_arrow()["status"].to_pylist() == ["mine", None]
    assert [each.number for each in found.where(status="mine")] == [1]
    assert found.statuses() == ["finished", "finished"]


def test_a_part_of_the_experiments_is_a_table_as_well(runs: Experiments) -> None:
    """The first and last ones, and each slice; they can be narrowed further."""
    numbers = [each.number for each in runs]
    for part, wanted in (
        (runs.head(2), numbers[:2]),
        (runs.tail(1), numbers[-1:]),
        (runs.tail(99), numbers),
        (runs.head(0), []),
        (runs[::-1], numbers[::-1]),
        (runs.sort("lr")[1:], [numbers[0], numbers[3], numbers[1]]),
    ):
        assert [each.number for each in part] == wanted
        assert part.to_arrow().num_rows == len(wanted)
        assert len(part.where("error_number < 99")) == len(wanted)
        assert f"{len(wanted)} experiment" in str(part)
    assert runs[-1].number == numbers[-1]
    with pytest.raises(ArgumentError, match="expected 0 or more"):
        runs.head(-1)


def test_what_cant_be_queried_of_experiments_is_refused(runs: Experiments) -> None:
    """With the near keys, or why a text is no condition."""
    with pytest.raises(ColumnError, match="did you mean 'accuracy'"):
        runs.where(acuracy=1)
    with pytest.raises(ColumnError, match="did you mean 'accuracy'"):
        runs.sort("acuracy")
    with pytest.raises(ColumnError, match='did you mean "accuracy"'):
        runs.where("acuracy > 1")
    for text in ("lr > 0.1) or (true", "lr >", "SELECT 1; SELECT 2"):
        with pytest.raises(ArgumentError):
            runs.where(text)
    with pytest.raises(ArgumentError, match="at least one"):
        runs.sort()
    with pytest.raises(ArgumentTypeError):
        runs.where(7)  # type: ignore[arg-type]
