"""What is stored of a run that failed: its error, as attributes of the experiment; and its times."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection, Recorder
from rigorous_recorder._failure import error_attributes
from rigorous_recorder._keys import ERROR_KEYS, EXPERIMENT_KEYS

Opener = Callable[..., ExperimentCollection]

TYPE, MESSAGE, TRACEBACK = ERROR_KEYS


class Mute(BaseException):
    """One whose text can't be had."""

    def __str__(self) -> str:
        raise RuntimeError


def run(collection: ExperimentCollection, error: BaseException | None = None) -> None:
    with collection.new_experiment(lr=0.1) as experiment:
        experiment.push(step=0)
        if error is not None:
            raise error


def failed(collection: ExperimentCollection, error: BaseException) -> dict[str, Any]:
    """The row of an experiment that ended with an error."""
    with pytest.raises(type(error)) as caught:
        run(collection, error)
    assert caught.value is error
    return dict(collection.experiments[-1])


def test_type_message_and_traceback_are_attributes(open_collection: Opener) -> None:
    """Rows, experiments, SQL and the overview have them; the traceback ends as Python prints it."""
    collection = open_collection(quiet=True)
    row = failed(collection, ValueError("diverged"))
    assert (row[TYPE], row[MESSAGE]) == ("ValueError", "diverged")
    first, *_, last = row[TRACEBACK].splitlines()
    assert (first, last) == ("Traceback (most recent call last):", "ValueError: diverged")
    assert f'File "{__file__}", line' in row[TRACEBACK]
    assert "_report.py" not in row[TRACEBACK]
    (record,) = open_collection().records
    assert [record[key] for key in ERROR_KEYS] == [row[key] for key in ERROR_KEYS]
    query = f"SELECT DISTINCT {TYPE}, {MESSAGE} FROM records"
    assert collection.sql(query).fetchall() == [("ValueError", "diverged")]
    (told,) = collection.overview()
    assert (told.error_type, told.error_message) == ("ValueError", "diverged")
    assert told.error_traceback == row[TRACEBACK]
    assert not set(told.keys) & set(ERROR_KEYS)


def test_good_and_killed_runs_have_none(open_collection: Opener) -> None:
    """Nor has a table of good runs a column of them; the six keys come first all the same."""
    collection = open_collection(quiet=True)
    run(collection)
    collection.new_experiment().__enter__()
    assert not set(ERROR_KEYS) & set(collection.records.columns)
    assert not set(ERROR_KEYS) & set(collection.experiments.to_arrow().column_names)
    failed(collection, ValueError("diverged"))
    assert tuple(collection.records.columns)[:6] == EXPERIMENT_KEYS
    assert [row[TYPE] for row in collection.experiments] == [None, None, "ValueError"]
    assert [each.error_type for each in collection.overview()] == [None, None, "ValueError"]


def test_the_last_attempt_counts(open_collection: Opener) -> None:
    """A resume takes the error back at once; a good end leaves it so, another error replaces it."""
    collection = open_collection(quiet=True)
    failed(collection, ValueError("first"))
    with pytest.raises(KeyError), collection.resume(1) as attempt:
        assert open_collection(quiet=True).experiments[0][MESSAGE] is None
        attempt.push(step=1)
        raise KeyError("second")
    assert collection.experiments[0][MESSAGE] == "'second'"
    with open_collection(quiet=True).resume(1) as attempt:
        attempt.push(step=2)
    assert [[row[key] for key in ERROR_KEYS] for row in collection.records] == 3 * [3 * [None]]
    assert collection.overview()[0].error_type is None


def test_a_run_that_was_never_resumed_after_success_has_no_error_attributes(
    open_collection: Opener,
) -> None:
    """To resume a good run adds no columns."""
    collection = open_collection(quiet=True)
    run(collection)
    with collection.resume(1):
        pass
    assert not set(ERROR_KEYS) & set(collection.experiments.to_arrow().column_names)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (SystemExit(75), "SystemExit", "75"),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""),
        (Mute(), f"{__name__}.Mute", "<exception str() failed>"),
        (ValueError("\ud800 \x00 \x1b[2J \u202e"), "ValueError", "\\ud800 \x00 \x1b[2J \u202e"),
        (ExceptionGroup("many", [KeyError("k")]), "ExceptionGroup", "many (1 sub-exception)"),
    ],
)
def test_any_exception_is_stored(
    open_collection: Opener, error: BaseException, kind: str, message: str
) -> None:
    """Whatever its text is; lone surrogates, which no file holds, as escapes."""
    row = failed(open_collection(quiet=True), error)
    assert (row[TYPE], row[MESSAGE]) == (kind, message)
    assert kind in row[TRACEBACK]


def test_causes_and_members_of_a_group_are_in_the_traceback() -> None:
    """As Python prints them."""
    try:
        try:
            raise KeyError("cause")
        except KeyError as cause:
            raise ExceptionGroup("many", [OSError("one"), TypeError("two")]) from cause
    except ExceptionGroup as error:
        text = error_attributes(error)[TRACEBACK]
    for part in ("KeyError: 'cause'", "the direct cause", "OSError: one", "TypeError: two"):
        assert part in text


def test_very_long_texts_lose_their_middle() -> None:
    """Both ends are there, and how much is not."""
    found = error_attributes(ValueError("a" * 500_000 + "z" * 500_000))
    for key, most in ((MESSAGE, 2_000), (TRACEBACK, 20_000)):
        text = found[key]
        assert len(text) < most + 100
        assert "characters are cut out here" in text
        assert text.rstrip().endswith("zzz")
    assert found[MESSAGE].startswith("aaa")
    assert "998,000 characters" in found[MESSAGE]


def test_an_exception_without_a_text_has_no_colon(
    open_collection: Opener, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line on standard error, whatever the text is, is one line."""
    collection = open_collection()
    for error in (Mute(), KeyboardInterrupt(), ValueError("two\nlines\x1b")):
        failed(collection, error)
    ended = [line.partition(" ended with ")[2] for line in capsys.readouterr().err.splitlines()]
    assert [text.partition(";")[0] for text in ended] == [
        *("Mute: <exception str() failed>", "KeyboardInterrupt", "ValueError: two lines\\x1b"),
    ]


def test_the_tree_names_the_error(open_collection: Opener) -> None:
    """Short and on one line."""
    collection = open_collection(quiet=True)
    failed(collection, ValueError("diverged\n" * 100))
    failed(collection, KeyboardInterrupt())
    tree = str(collection.tree())
    assert "experiment 1 (failed: ValueError: diverged\\ndiverged" in tree
    assert "experiment 1 (stopped: KeyboardInterrupt)  lr=0.1: 1 record" in tree
    assert all(len(line) < 130 for line in tree.splitlines())


@pytest.mark.parametrize("step", [-400 * 86_400.0, -5.0, 86_400.0])
def test_a_clock_that_is_set_changes_no_duration(
    open_collection: Opener, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    """It is what passed; the end is as long after the start, of a run that failed, too."""
    collection, real = open_collection(quiet=True), time.time
    for error in (None, ValueError()):
        with contextlib.suppress(ValueError):
            _run_while_the_clock_is_set(collection, monkeypatch, step, error)
        row = collection.experiments[-1]
        start, end = row["experiment_start_time"], row["experiment_end_time"]
        assert 0 <= row["experiment_duration"] == end - start < 60
        assert abs(start - real()) < 60


def _run_while_the_clock_is_set(
    collection: ExperimentCollection,
    monkeypatch: pytest.MonkeyPatch,
    step: float,
    error: BaseException | None,
) -> None:
    real = time.time
    with monkeypatch.context() as patch, collection.new_experiment() as experiment:
        experiment.push(step=0)
        patch.setattr(time, "time", lambda: real() + step)
        if error is not None:
            raise error


@pytest.mark.parametrize("step", [-400 * 86_400.0, 86_400.0])
def test_a_resumed_run_never_ends_before_its_start(
    open_collection: Opener, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    """Of a clock that was set between two attempts the difference is at least what passed."""
    collection, real = open_collection(quiet=True), time.time
    run(collection)
    monkeypatch.setattr(time, "time", lambda: real() + step)
    with collection.resume(1):
        assert collection.overview()[0].duration >= 0
    (row,) = collection.experiments
    start, end = row["experiment_start_time"], row["experiment_end_time"]
    assert max(step, 0) <= row["experiment_duration"] == end - start


def test_what_is_loaded_again_has_the_error(open_collection: Opener, tmp_path: Any) -> None:
    """Saved to a pickle as any attribute."""
    collection = open_collection(quiet=True)
    failed(collection, ValueError("diverged"))
    collection.recorder.save_to(tmp_path / "all.pickle")
    (row,) = Recorder.load_from(tmp_path / "all.pickle").all_records
    assert row[MESSAGE] == "diverged"


class _Refusing(type):
    def __getattribute__(cls, name: str) -> Any:
        if name in {"__module__", "__qualname__"}:
            raise OSError("refused")
        return super().__getattribute__(name)


def test_a_class_that_refuses_its_name_replaces_no_error(open_collection: Opener) -> None:
    """The error is raised, and what can be had of it is stored."""
    error = _Refusing("_Odd", (Exception,), {})("as it was")
    collection = open_collection(quiet=True)
    with pytest.raises(Exception, match="as it was") as caught, collection.new_experiment():
        raise error
    assert caught.value is error
    (run,) = collection.experiments
    assert run["experiment_end_time"] is not None
    assert "_Odd" in run["experiment_error_type"]
    assert run["experiment_error_message"] == "as it was"
