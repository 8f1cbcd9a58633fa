"""Standard error that can't be written: the user's own error and exit code are what comes out."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder import _report as reporting
from rigorous_recorder._report import report, warn, warn_or_report
from rigorous_recorder.errors import StorageWarning

#: Opened after a crash; then a run ends with an exception, told on standard output, and the program
#: with the exit code by which a job asks to be requeued.
RUN = """
import os, signal, sys
from rigorous_recorder import ExperimentCollection

signal.signal(signal.SIGHUP, signal.SIG_IGN)
{breakage}
collection = ExperimentCollection(sys.argv[1])
try:
    with collection.new_experiment() as run:
        run.push(step=len(collection.records))
        raise {error}
except {kind} as error:
    print(type(error).__name__, error, error.__context__, flush=True)
    raise SystemExit(75)
"""
KILLED = """
import os, sys
from rigorous_recorder import ExperimentCollection

run = ExperimentCollection(sys.argv[1]).new_experiment().__enter__()
run.push(step=0)
os._exit(1)
"""
#: What standard error is, made so by the program itself or by whoever starts it.
BREAKAGES = {
    "none": "sys.stderr = None",
    "closed": "sys.stderr.close()",
    "refusing": """
class Refusing:
    def write(self, text):
        raise RuntimeError("no window")
    def flush(self):
        pass
sys.stderr = Refusing()
""",
    "full": "import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 2)",
    "pipe": "import os; r, w = os.pipe(); os.dup2(w, 2); os.close(w); os.close(r)",
    "terminal": """
import os, pty
master, terminal = pty.openpty()
os.dup2(terminal, 2)
os.close(terminal)
os.close(master)
""",
}


def python(code: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a program whose standard streams have the buffers that they have by default."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=False, **options
    )


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a collection that a process died in, with a record to recover."""
    path = tmp_path_factory.mktemp("crashed") / "study.collection"
    assert python(KILLED, path).returncode == 1
    return path


@pytest.mark.parametrize("breakage", BREAKAGES.values(), ids=BREAKAGES)
def test_the_error_of_a_run_wins(crashed: Path, tmp_path: Path, breakage: str) -> None:
    """After a crash the collection opens; the error comes out as it was raised, and the exit code."""
    study = Path(shutil.copytree(crashed, tmp_path / "study.collection"))
    code = RUN.format(breakage=breakage, error="RuntimeError('CUDA')", kind="BaseException")
    done = python(code, study, stderr=subprocess.PIPE)
    assert (done.stdout, done.returncode) == ("RuntimeError CUDA None\n", 75)
    collection = ExperimentCollection(study, quiet=True)
    assert [row["step"] for row in collection.records] == [0, 1]
    row = collection.experiments[-1]
    assert (row["had_error"], row["experiment_error_message"]) == (True, "CUDA")


def test_the_exit_code_of_a_run_wins(tmp_path: Path) -> None:
    """Standard error was closed by whoever started it; nobody catches the exit."""
    code = RUN.format(breakage="", error="SystemExit(75)", kind="ValueError")
    command = f'exec {sys.executable} -c "$0" "$1" 2>&-'
    done = subprocess.run(["sh", "-c", command, code, str(tmp_path / "study")], check=False)
    assert done.returncode == 75


def test_the_error_wins_over_one_that_the_end_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever goes wrong while the end is saved is reported in the line."""
    collection = ExperimentCollection(tmp_path / "study")

    def fail() -> None:
        raise MemoryError("too much")

    with pytest.raises(ValueError, match="mine") as caught, collection.new_experiment() as run:
        run.push(step=0)
        monkeypatch.setattr(collection._store, "finish", fail)
        raise ValueError("mine")
    assert caught.value.__context__ is None
    assert "ended with ValueError: mine; MemoryError: too much" in capsys.readouterr().err
    monkeypatch.undo()
    (row,) = collection.experiments
    assert row["experiment_error_type"] == "ValueError"


def test_the_error_wins_in_a_collection_that_was_closed(tmp_path: Path) -> None:
    """That the end can't be written any more is reported, not raised."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    with pytest.raises(ValueError, match="mine"), collection.new_experiment():
        collection.close()
        raise ValueError("mine")


class _Narrow(io.StringIO):
    def write(self, text: str) -> int:
        text.encode("ascii")
        return super().write(text)


def test_a_narrow_encoding_gets_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an object of the user's that encodes strictly, and of a file with such an encoding."""
    narrow = _Narrow()
    monkeypatch.setattr(sys, "stderr", narrow)
    report("r\u00e9sum\u00e9 \U0001f600")
    assert narrow.getvalue() == "r\\xe9sum\\xe9 \\U0001f600\n"


def test_a_file_with_a_narrow_encoding_gets_escapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order in which the lines were written, buffered ones of the user's included."""
    with (tmp_path / "log").open("w", encoding="latin-1", errors="strict") as file:
        monkeypatch.setattr(sys, "stderr", file)
        file.write("before\n")
        report("\u00e9 \u03b1 \x1b[2J")
        monkeypatch.undo()
    assert (tmp_path / "log").read_bytes() == b"before\n\xe9 \\u03b1 \\x1b[2J\n"


@pytest.mark.parametrize("tell", [warn, warn_or_report])
def test_a_warning_that_cannot_be_written_is_dropped(
    tell: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the stream, or a hook of the user's, raises."""

    def refuse(*_args: object, **_named: object) -> None:
        raise RuntimeError("no window")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", refuse)
        tell("text", StorageWarning, stacklevel=1)


def test_a_warning_as_an_error_is_raised_or_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """Raised where the caller waits for it, reported where it would end something else."""
    with pytest.raises(StorageWarning, match="first"):
        warn("first", StorageWarning, stacklevel=1)
    warn_or_report("second", StorageWarning, stacklevel=1)
    assert capsys.readouterr().err == "second\n"


def test_a_warning_names_the_line_that_it_is_about() -> None:
    """``stacklevel`` counts from the caller of the two functions, as that of Python does."""
    with pytest.warns(StorageWarning) as told:
        warn("text", StorageWarning, stacklevel=1)
        warn_or_report("text", StorageWarning, stacklevel=1)
    assert [each.filename for each in told] == [__file__, __file__]


def test_text_of_a_report_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    """C0, C1, DEL, directions of reading and zero-width characters are escapes; lines stay lines."""
    report("a\x1b]0;x\x07\x9b2J\x7f\u202e\u2066\u200b\r b\n\tc")
    assert capsys.readouterr().err == (
        "a\\x1b]0;x\\x07\\x9b2J\\x7f\\u202e\\u2066\\u200b\\r b\n\tc\n"
    )


def test_nothing_else_writes_to_standard_error() -> None:
    """One function reports, and one warns: nobody else in the package can raise by it."""
    package = Path(reporting.__file__).parent
    for path in package.rglob("*.py"):
        if path.name != "_report.py":
            source = path.read_text(encoding="utf-8")
            assert "stderr.write" not in source, path
            assert "warnings.warn(" not in source, path
