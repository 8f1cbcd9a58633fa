"""The console of a run as records: what a terminal would show, by whatever code it was written."""

from __future__ import annotations

import base64
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder._capture import console_process
from rigorous_recorder._capture.console_log import log
from rigorous_recorder._capture.console_process import Tasks
from rigorous_recorder._capture.streams import Watched
from rigorous_recorder._capture.terminal import Screen

BEGIN = """
import ctypes, os, stat, subprocess, sys, threading, time
from rigorous_recorder import ExperimentCollection
collection = ExperimentCollection(sys.argv[1], quiet=True)
"""


def shown(*parts: bytes | str) -> list[str]:
    """The lines that are there at the end, of what was written part by part."""
    screen, lines = Screen(), []
    for time, part in enumerate(parts):
        lines += screen.feed(part.encode() if isinstance(part, str) else part, float(time))
    return [each.text for each in [*lines, *screen.end()]]


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        ("a\nb\r\n\nc", ["a", "b", "", "c"]),
        ("  0%|  | 0/2\r 50%|# | 1/2\r100%|##| 2/2\nend\n", ["100%|##| 2/2", "end"]),
        ("a long bar\rshort\x1b[K\n", ["short"]),
        ("bar 1/2\r       \rkept\n", ["kept"]),
        ("outer\n\rinner\r     \x1b[A\n", ["outer"]),
        (
            "\x1b[31;1mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07 \x1b[?25lgone\n",
            ["red link gone"],
        ),
        ("one\ntwo\nthree\n\x1b[2A\x1b[2Knew\n\x1b[1Bend", ["one", "new", "three", "end"]),
        ("outer 0\n\rinner 0\x1b[A\n\rinner 1\x1b[A\router 1\n\n", ["outer 1", "inner 1"]),
        ("abc\b\bX\x07\x00\n\ttab", ["aXc", "\ttab"]),
        ("abc\x1b[2Dx\x1b[5Gy\x1b[1Cz\n", ["axc y z"]),
        ("first\x1b[2J\x1b[Hsecond", ["first", "second"]),
        ("1\n2\n3\x1b[2F\x1b[0Jnew\n", ["new"]),
        ("\u00e9\U0001f600 \udcff".encode("utf-8", "surrogateescape"), ["\u00e9\U0001f600 \ufffd"]),
        ("x" * 150_000 + "\n", ["x" * 65_536, "x" * 65_536, "x" * 18_928]),
    ],
)
def test_lines_are_what_a_terminal_shows(written: str | bytes, lines: list[str]) -> None:
    """Whole, and byte by byte: a sequence, or a letter, can be in two parts."""
    data = written.encode() if isinstance(written, str) else written
    assert shown(data) == lines
    if len(data) < 1000:
        assert shown(*(data[at : at + 1] for at in range(len(data)))) == lines


def test_lines_are_final_once_nothing_can_change_them() -> None:
    """Soon, if the cursor only goes down; later, if it went up; at once, if there are many."""
    screen = Screen()
    assert screen.feed(b"a\nb\nbar 1", 1.0) == []
    assert [each.text for each in screen.settled(1.2)] == ["a", "b"]
    assert screen.settled(9.0) == []  # the line of the cursor
    screen.feed(b"\rbar 2\n\x1b[A", 9.0)
    screen.feed(b"\n", 9.0)
    assert screen.settled(9.5) == []
    assert [each.text for each in screen.settled(12.0)] == ["bar 2"]
    hidden = Screen()
    hidden.feed(b"\x1b[?25la\nb\n", 1.0)
    assert hidden.settled(1.4) == []
    hidden.feed(b"\x1b[2Ac\nd\n", 1.4)
    assert [each.text for each in hidden.settled(4.0)] == ["c", "d"]
    many = screen.feed(b"x\n" * 1000, 12.0)
    assert len(many) > 700
    # A line that was final can be written anew, and is then a line again; a gap is not.
    screen.feed(b"\x1b[999Aagain\n", 13.0)
    assert "again" in [each.text for each in screen.end()]


def run_script(study: Path, body: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", BEGIN + body, str(study)]
    return subprocess.run(command, capture_output=True, check=True, **options)  # type: ignore[call-overload,no-any-return]


def lines_of(study: Path, number: int = 1) -> dict[str, list[str]]:
    """The recorded lines of a run, by stream."""
    found: dict[str, list[str]] = {"stdout": [], "stderr": []}
    with ExperimentCollection(study, quiet=True) as collection:
        for row in collection.experiment(number).records.where(part="console"):
            assert row["time"].tzinfo is not None
            found[row["stream"]].append(row["line"])
    return found


def test_all_that_a_run_writes_is_recorded_and_forwarded(tmp_path: Path) -> None:
    """By Python, C, child processes and forks, for each of several runs; the streams are given back."""
    body = """
    before = [os.fstat(n)[:3] for n in (1, 2)]
    print("before")
    with collection.new_experiment(capture="console") as run:
        print("python")
        print("to stderr", file=sys.stderr)
        library = ctypes.CDLL(None)
        library.printf(b"from C\\n")
        subprocess.run(["sh", "-c", "echo child; echo child error >&2"])
        for n in range(3):
            print(f"\\r{n}/2", end="", file=sys.stderr, flush=True)
        if (pid := os.fork()) == 0:
            os.write(1, b"fork\\n")
            os._exit(0)
        os.waitpid(pid, 0)
        run.push(loss=1)
    print("between")
    assert [os.fstat(n)[:3] for n in (1, 2)] == before
    outer = collection.start(capture="console")
    print("outer only")
    inner = collection.start(capture="console")
    print("both")
    outer.finish()
    print("inner only")
    inner.finish()
    print("after")
    for each in threading.enumerate():
        if each.name == "rigorous-console":
            each.join(60)
    def is_socket(number):
        try:
            return stat.S_ISSOCK(os.fstat(number).st_mode)
        except OSError:
            return False
    assert not any(map(is_socket, range(256)))
    """
    done = run_script(tmp_path / "study", "\n".join(line[4:] for line in body.splitlines()))
    own = ["python", "from C", "child", "fork"]
    others = ["between", "outer only", "both", "inner only", "after"]
    assert done.stdout.decode().split("\n") == ["before", *own, *others, ""]
    assert done.stderr.decode().startswith("to stderr\nchild error\n\r0/2\r1/2\r2/2")
    assert lines_of(tmp_path / "study") == {
        "stdout": own,
        "stderr": ["to stderr", "child error", "2/2"],
    }
    assert lines_of(tmp_path / "study", 2)["stdout"] == ["outer only", "both"]
    assert lines_of(tmp_path / "study", 3)["stdout"] == ["both", "inner only"]
    assert os.fstat(1)


class Shown(list[str]):
    """A stream of a notebook."""

    def write(self, text: str) -> int:
        self.append(text)
        return len(text)

    def flush(self) -> None: ...


def test_streams_of_notebooks_are_copied_in_each_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython replaces ``write`` for a cell, and sets it back; each text is copied once."""
    begun: list[Callable[[object], None]] = []
    events = SimpleNamespace(
        register=lambda _, call: begun.append(call), unregister=lambda _, call: begun.remove(call)
    )
    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(events=events))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    stream, seen = Shown(), list[str]()
    watched = Watched("stdout", stream)

    @contextmanager
    def cell() -> Iterator[None]:
        own = stream.write
        stream.write = lambda text: (seen.append(text), own(text))[1]  # type: ignore[method-assign]
        for call in begun:
            call(None)
        yield
        stream.write = own  # type: ignore[method-assign]

    with cell():
        watched.redirect()
        print("first", file=stream)
    for call in begun:
        call(None)  # an IPython that leaves ``write`` alone
        call(None)
    with cell():
        print("second", file=stream)
    with cell():
        print("third", file=stream)
        watched.restore()
        print("not recorded", file=stream)
    print("after", file=stream)
    watched.restore()
    assert os.read(watched.reader, 1000) == b"first\nsecond\nthird\n"
    assert os.read(watched.reader, 1000) == b""
    watched.close()
    assert begun == []
    texts = [text for line in ("first", "second", "third", "not recorded") for text in (line, "\n")]
    assert seen == texts
    assert [*stream] == [*texts, "after", "\n"]


class Broken:
    """A recorder on a disk that fails."""

    def push(self, **fields: object) -> None:
        raise OSError(f"the disk is gone: {len(fields)} fields")

    def sync(self) -> None:
        raise AssertionError("it is not used any more")


def test_a_recorder_that_fails_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Commands are answered all the same, and so is one with a recorder that can't be read."""
    tasks, answers = Tasks(), list[dict[str, object]]()
    broken = base64.b64encode(pickle.dumps(Broken())).decode()
    tasks.tell({"begin": 1, "recorder": broken})
    tasks.tell({"begin": 2, "recorder": ""})
    for _ in range(3):
        tasks.add(("stdout", b"line\n" * 500, 1.0))
    tasks.tell({"end": 1})
    tasks.tell({"end": 2})
    tasks.tell(None)
    log(tasks, answers.append)
    assert [next(iter(each)) for each in answers] == ["begun", "begun", "ended", "ended"]
    assert answers[2] == {"ended": 1, "trouble": "OSError: the disk is gone: 3 fields"}
    assert str(answers[3]["trouble"]).startswith("EOFError")
    assert capsys.readouterr().err.count("is not recorded any more") == 2


class Kept:
    """A recorder of this process."""

    lines: ClassVar[list[object]] = []

    def push(self, **fields: object) -> None:
        self.lines.append(fields["line"])

    def sync(self) -> None:
        """They are stored already."""


def test_bars_that_wait_to_be_logged_are_folded_all_the_same() -> None:
    """Lines are final by the times at which they were written, however late these are looked at."""
    tasks = Tasks()
    tasks.tell({"begin": 1, "recorder": base64.b64encode(pickle.dumps(Kept())).decode()})
    for n in range(5):
        tasks.add(("stdout", f"outer {n}\ninner {n}\n".encode(), 1.0 + n / 10))
        tasks.add(("stderr", b"warning\n", 1.05 + n / 10))
        tasks.add(("stdout", b"\x1b[2A" if n < 4 else b"", 1.05 + n / 10))
    tasks.tell(None)
    log(tasks, lambda _: None)
    assert [each for each in Kept.lines if each != "warning"] == ["outer 4", "inner 4"]


def test_a_frozen_program_does_not_start_itself_to_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its executable is no Python; the run goes on, and a line reports it."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        with collection.new_experiment(capture="console") as run:
            sys.stdout.write("shown\n")
            run.push(loss=1.0)
        assert len(collection.records) == 1
    out, err = capsys.readouterr()
    assert out == "shown\n"
    assert "the console of the run is not recorded: OSError: a program that is frozen" in err


def test_what_comes_too_fast_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is forwarded, and does not fill the memory; the log says how much is missing."""
    monkeypatch.setattr(console_process, "_LONGEST_QUEUE", 10)
    tasks = Tasks()
    for data in (b"0123456789", b"a", b"dropped", b"too"):
        tasks.add(("stdout", data, 1.0))
    assert [tasks.next(None)[1] for _ in range(2)] == [b"0123456789", b"a"]  # type: ignore[index]
    tasks.add(("stdout", b"again", 2.0))
    note = b"\n[10 bytes came too fast, and are not recorded]\nagain"
    assert tasks.next(None) == ("stdout", note, 2.0)
