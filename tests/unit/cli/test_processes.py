"""`rigorous` as a process among others: it follows loggers, and ends as pipes and Ctrl-C want it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection

from .conftest import Run, make_study

RIGOROUS = [sys.executable, "-m", "rigorous_recorder"]
LOGGER = """
import sys
from rigorous_recorder import ExperimentCollection
collection = ExperimentCollection(sys.argv[1])
with collection.new_experiment(lr=0.1) as experiment:
    model = experiment.child(model="m1")
    print("ready", flush=True)
    for line in sys.stdin:
        model.push(number=int(line))
        if int(line) == 2:
            collection.save()
"""


@contextmanager
def started(*command: str, **options: object) -> Iterator[subprocess.Popen[str]]:
    """A process whose input and output are ours, killed at the end where it still runs."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **{**pipes, **options}) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return make_study(tmp_path / "study")


def test_ls_loads_nothing_that_it_does_not_use(study: Path) -> None:
    """Most of its time is loading; pandas alone, which pyarrow looks for, takes as long as the rest."""
    code = """
import atexit, sys
from rigorous_recorder.cli import run
heavy = {"pandas", "rich", "duckdb", "polars", "plotext", "matplotlib", "rigorous_recorder.cli.sql"}
atexit.register(lambda: print(sorted(heavy & set(sys.modules))))
run()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, "ls", str(study)], capture_output=True, text=True, check=True
    )
    *_, loaded = done.stdout.splitlines()
    assert loaded == "[]"


def test_tail_follows_a_logger_in_another_process(tmp_path: Path) -> None:
    """Each row that the other process logs is printed while it runs, once, sealed or not."""
    folder = str(tmp_path / "live")
    options = ["--json", "--interval", "0.05", "-k", "number", "-k", "model"]
    tail = [*RIGOROUS, "tail", folder, *options]
    with started(sys.executable, "-c", LOGGER, folder) as logger:
        assert logger.stdout.readline() == "ready\n"
        logger.stdin.write("0\n")
        logger.stdin.flush()
        with started(*tail) as follower:
            for number in range(1, 6):
                row = json.loads(follower.stdout.readline())
                assert row == {"number": number - 1, "model": "m1"}
                logger.stdin.write(f"{number}\n")
                logger.stdin.flush()
            assert json.loads(follower.stdout.readline())["number"] == 5
            logger.stdin.close()
            logger.wait()
            follower.send_signal(signal.SIGINT)
            rest, words = follower.communicate(timeout=30)
            assert (rest, words) == ("", "")
            assert follower.returncode == 130


def test_ls_shows_a_running_experiment_of_another_process(run: Run, tmp_path: Path) -> None:
    """It is running while the process lives, and crashed once that is killed."""
    folder = str(tmp_path / "live")
    with started(sys.executable, "-c", LOGGER, folder) as logger:
        assert logger.stdout.readline() == "ready\n"
        assert [each["status"] for each in run("ls", folder, "--json").json] == ["running"]
        logger.kill()
        logger.wait()
        assert [each["status"] for each in run("ls", folder, "--json").json] == ["crashed"]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_has_enough_ends_the_command_silently(
    study: Path, options: list[str]
) -> None:
    """As in `rigorous sql ... | head`: no traceback, no word."""
    query = "SELECT range, repeat('x', 100) FROM range(100000)"
    with started(*RIGOROUS, "sql", str(study), query, *options) as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        process.wait()


def test_a_reader_that_has_enough_ends_tail_silently(study: Path) -> None:
    """Tail ends with the first record that nobody takes."""
    with (
        started(*RIGOROUS, "tail", str(study), "-n", "1", "--interval", "0.01") as process,
        ExperimentCollection(study) as collection,
    ):
        assert process.stdout.readline().startswith("experiment_number=2")
        process.stdout.close()
        collection.recorder.push(x=1)
        assert process.stderr.read() == ""
        process.wait()


def read_terminal(descriptor: int) -> str:
    """All that is printed to a terminal until nobody prints any more."""
    data = b""
    while True:
        try:
            piece = os.read(descriptor, 65_536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not piece:
            break
        data += piece
    return data.decode()


@pytest.mark.skipif(sys.platform != "linux", reason="terminals are tried on Linux")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ls", "{study}"], "\x1b[32mfinished"),
        (["plot", "{study}", "-x", "epoch", "-y", "loss"], "\x1b[38;2;0;114;178m"),
        (["sql", "{study}", "FROM range(1001)"], "only the first 1,000 rows are shown"),
        (["export", "{study}", "{study}/../flat.csv"], "12 records written to"),
    ],
)
def test_a_terminal_gets_colors_and_what_fits(
    study: Path, arguments: list[str], words: str
) -> None:
    """Where a person reads along, tables and charts have colors, and long ones are cut."""
    import pty

    ours, theirs = pty.openpty()
    command = [*RIGOROUS, *(each.format(study=study) for each in arguments)]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        printed = read_terminal(ours)
        process.wait()
    os.close(ours)
    assert process.returncode == 0, printed
    assert words in printed


def test_output_that_has_not_every_character_is_still_printed(tmp_path: Path) -> None:
    """Where a character can't be written its code is; in JSON as JSON writes it."""
    with ExperimentCollection(tmp_path / "study") as collection:
        collection.recorder.push(text="é")
    for options, expected in (([], "text=\\xe9\n"), (["--json"], '{"text": "\\u00e9"}\n')):
        done = subprocess.run(
            [*RIGOROUS, "tail", str(tmp_path / "study"), "--no-follow", *options],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
        )
        assert done.stdout == expected


def test_completion_is_offered_for_the_usual_shells() -> None:
    """`--show-completion` prints what a shell needs to complete commands, paths and columns."""
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(
        [*RIGOROUS, "--show-completion", "bash"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert "_RIGOROUS_COMPLETE" in done.stdout


def complete(folder: Path, words: str) -> list[str]:
    """What bash would offer for a line that ends with the last of some words."""
    done = subprocess.run(
        RIGOROUS,
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={
            **os.environ,
            "_RIGOROUS_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
    )
    return done.stdout.split()


def test_collections_and_columns_are_completed(study: Path) -> None:
    """A path is completed to the collection, or a folder on the way, and an axis to a column."""
    (study.parent / "stuff").mkdir()
    (study.parent / ".hidden").mkdir()
    assert complete(study.parent, "rigorous show ") == ["study.collection", "stuff/"]
    assert complete(study.parent, "rigorous plot study -x epoch -y lo") == ["loss"]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", ">/dev/full", "2>/dev/full"])
@pytest.mark.parametrize("is_there", [True, False], ids=["a collection", "no collection"])
def test_a_closed_or_full_stream_is_no_traceback(
    study: Path, closed: str, *, is_there: bool
) -> None:
    """The exit code says what became of the command; only what can't be printed is an error."""
    command = f'exec {sys.executable} -m rigorous_recorder ls "$0" {closed}'
    path = str(study if is_there else study / "nothing")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        ["sh", "-c", command, path], capture_output=True, text=True, check=False, env=environment
    )
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    expected = int(closed == ">/dev/full") if is_there else 2
    assert done.returncode == expected, done.stderr
