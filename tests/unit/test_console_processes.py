"""The console of trainings that are killed, interrupted, redirected, or end in odd ways."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection, Status

pytestmark = pytest.mark.slow

BEGIN = """
import contextlib, io, os, signal, subprocess, sys, termios, threading, time
from rigorous_recorder import ExperimentCollection
collection = ExperimentCollection(sys.argv[1], quiet=True)
os.environ["OF_TRAINING"] = str(os.getpid())
def recording_process():
    # No child, but with our environment; who starts it ends soon.
    import psutil
    while psutil.Process().children():
        time.sleep(0.01)
    (found,) = [
        each
        for each in psutil.process_iter(["cmdline", "environ"])
        if any(part.endswith("console_process.py") for part in each.info["cmdline"] or ())
        and (each.info["environ"] or {}).get("OF_TRAINING") == str(os.getpid())
    ]
    return found
"""
SECONDS = 60


def script(study: Path, body: str) -> list[str]:
    return [sys.executable, "-c", BEGIN + textwrap.dedent(body), str(study)]


def lines_of(study: Path, number: int = 1) -> list[str]:
    with ExperimentCollection(study, quiet=True) as collection:
        records = collection.experiment(number).records
        if "line" not in records.columns:
            return []
        return [row["line"] for row in records.where(part="console")]


def eventually(is_true: Callable[[], bool]) -> bool:
    """Whether it is true within a minute; what a process does after another has ended has no event."""
    end = time.monotonic() + SECONDS
    while not is_true() and time.monotonic() < end:
        time.sleep(0.05)
    return is_true()


def test_what_was_written_before_a_kill_is_recorded(tmp_path: Path) -> None:
    """By the training and by a child that outlives it; a kill of the whole group changes nothing."""
    body = """
    run = collection.start(capture="console")
    subprocess.Popen(["setsid", "sh", "-c", "sleep 0.5; echo orphan"])
    for n in range(5000):
        print("line", n)
    print("no newline", end="", flush=True)
    os.killpg(0, signal.SIGKILL)
    """
    done = subprocess.run(
        script(tmp_path / "c", body), capture_output=True, check=False, start_new_session=True
    )
    assert done.returncode == -signal.SIGKILL
    expected = [*(f"line {n}" for n in range(5000)), "no newlineorphan"]
    assert done.stdout.decode().splitlines() == expected
    assert eventually(lambda: lines_of(tmp_path / "c") == expected)
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        assert collection.experiment(1).status is Status.CRASHED


def test_a_training_goes_on_without_the_process_that_records(tmp_path: Path) -> None:
    """All that is written arrives; a line reports that it is not recorded any more."""
    body = """
    with collection.new_experiment(capture="console") as run:
        print("recorded", flush=True)
        recording_process().kill()
        for n in range(20000):
            print("line", n)
        subprocess.run(["echo", "child"])
        run.push(loss=1)
    print("after")
    """
    pytest.importorskip("psutil", reason="psutil is not installed")
    done = subprocess.run(
        script(tmp_path / "c", body), capture_output=True, check=True, timeout=SECONDS
    )
    lines = [f"line {n}" for n in range(20000)]
    # At the moment of the change a line can be torn; no byte is missing.
    expected = "".join(f"{line}\n" for line in ["recorded", *lines, "child", "after"])
    assert sorted(done.stdout) == sorted(expected.encode())
    assert done.stderr.count(b"is not recorded any more") == 1


def test_a_training_can_wait_for_all_its_children_or_kill_them(tmp_path: Path) -> None:
    """The process that records is none of them."""
    body = """
    run = collection.start(capture="console")
    print("first", flush=True)
    recording_process()
    if not (child := os.fork()):
        os._exit(0)
    assert os.wait()[0] == child
    with contextlib.suppress(ChildProcessError):
        os.wait()
    run.finish()
    """
    pytest.importorskip("psutil", reason="psutil is not installed")
    subprocess.run(script(tmp_path / "c", body), capture_output=True, check=True, timeout=SECONDS)
    assert lines_of(tmp_path / "c") == ["first"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_process_that_records_loads_only_what_logging_needs(tmp_path: Path) -> None:
    """Of a collection with records; the training has loaded the rest."""
    pytest.importorskip("numpy", reason="numpy is not installed")
    pytest.importorskip("psutil", reason="psutil is not installed")
    body = """
    import numpy, pyarrow.compute
    with collection.new_experiment(lr=1) as run:
        run.push(loss=1)
    run = collection.start(capture="console")
    with collection.new_experiment(capture="console"):
        print("a line")
    maps = open(f"/proc/{recording_process().pid}/maps").read()
    loaded = [name for name in ("libarrow", "numpy", "pandas", "pyarrow/_compute") if name in maps]
    print(loaded)
    """
    done = subprocess.run(
        script(tmp_path / "c", body), capture_output=True, check=True, timeout=SECONDS
    )
    assert done.stdout.decode() == "a line\n['libarrow']\n"
    assert lines_of(tmp_path / "c", 3) == ["a line"]


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("os._exit(3)", 3),
        ("sys.exit(4)", 4),
        ("raise ValueError('wrong')", 1),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("threading.Thread(target=talk, daemon=True).start(); is_talking.wait()", 0),
    ],
)
def test_each_end_leaves_all_output_and_its_own_code(tmp_path: Path, end: str, code: int) -> None:
    """Also of a run that is never ended, and with a daemon thread that writes all the time."""
    body = f"""
    is_talking = threading.Event()
    def talk():
        while True:
            print("talk", flush=True)
            is_talking.set()
    run = collection.start(capture="console")
    print("first", flush=True)
    {end}
    """
    with (tmp_path / "out").open("wb") as out:
        done = subprocess.run(
            script(tmp_path / "c", body), stdout=out, stderr=out, check=False, timeout=SECONDS
        )
    assert done.returncode == code
    assert eventually(lambda: lines_of(tmp_path / "c")[:1] == ["first"])
    assert (tmp_path / "out").read_text().startswith("first\n")


def test_redirects_inside_and_outside_of_a_run(tmp_path: Path) -> None:
    """What goes elsewhere is not recorded; a run in a redirect records what goes there."""
    body = """
    with collection.new_experiment(capture="console"):
        wrapped = sys.stdout = io.TextIOWrapper(sys.stdout.buffer, "utf-8", line_buffering=True)
        assert sys.stdout.name == "<stdout>" and not sys.stdout.seekable()
        print("shown")
        with contextlib.redirect_stdout(io.StringIO()) as inner:
            print("elsewhere")
        with contextlib.redirect_stderr(sys.stdout):
            print("as stdout", file=sys.stderr)
    with contextlib.redirect_stdout(io.StringIO()) as outer:
        assert sys.stdout is outer and sys.__stdout__.seekable()
        with collection.new_experiment(capture="console"):
            print("watched")
            os.write(1, b"descriptor\\n")
        print("after")
    assert inner.getvalue() == "elsewhere\\n", inner.getvalue()
    assert outer.getvalue() == "watched\\nafter\\n", outer.getvalue()
    class Tee:
        def __init__(self, stream):
            self.stream, self.flush = stream, stream.flush
        def write(self, text):
            return self.stream.write(text)
    sys.stdout, sys.stderr = Tee(sys.__stdout__), Tee(sys.__stderr__)
    for _ in range(2):
        with collection.new_experiment(capture="console"):
            print("both")
            print("error", file=sys.stderr)
        named = [sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__]
        assert not any("write" in vars(each) for each in named)
    sys.stderr = sys.__stderr__
    os.close(1)
    with collection.new_experiment(capture="console"):
        print("without standard output", file=sys.stderr)
    """
    out = tmp_path / "out"  # a file, which has places where text is written; a pipe has none
    with out.open("wb") as file:
        subprocess.run(script(tmp_path / "c", body), stdout=file, stderr=file, check=True)
    end = "both\nerror\nboth\nerror\nwithout standard output\n"
    assert out.read_text() == f"shown\nas stdout\ndescriptor\n{end}"
    assert lines_of(tmp_path / "c") == ["shown", "as stdout"]
    assert sorted(lines_of(tmp_path / "c", 2)) == ["descriptor", "watched"]
    for number in (3, 4):  # not copied, too
        assert sorted(lines_of(tmp_path / "c", number)) == ["both", "error"]
    assert lines_of(tmp_path / "c", 5) == ["without standard output"]


def test_a_full_disk_does_not_end_a_training(tmp_path: Path) -> None:
    """What can't be forwarded is recorded."""
    body = """
    with collection.new_experiment(capture="console"):
        for n in range(3):
            print("line", n, flush=True)
    """
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - no file, but a device
        done = subprocess.run(
            script(tmp_path / "c", body), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert lines_of(tmp_path / "c") == ["line 0", "line 1", "line 2"]


class Terminal:
    """A terminal with a training in its foreground."""

    def __init__(self, command: list[str]) -> None:
        self._master, slave = os.openpty()
        self.resize(30, 100)
        control = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
        start = [sys.executable, "-c", control + "os.execv(sys.argv[1], sys.argv[1:])"]
        self.process = subprocess.Popen(
            [*start, *command], stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.text = ""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def read_until(self, text: str) -> None:
        while text not in self.text:
            assert select.select([self._master], [], [], SECONDS)[0], self.text
            self.text += os.read(self._master, 65_536).decode()

    def end(self) -> int:
        """Its exit code; reads what is left."""
        code = self.process.wait(SECONDS)
        while select.select([self._master], [], [], 1)[0]:
            try:
                self.text += os.read(self._master, 65_536).decode()
            except OSError:
                break
        os.close(self._master)
        return code


def test_a_terminal_stays_one(tmp_path: Path) -> None:
    """With its size, modes that are set by output, the order of both streams, prompts and Ctrl-C."""
    body = """
    is_resized, before = threading.Event(), termios.tcgetattr(0)
    signal.signal(signal.SIGWINCH, lambda *_: is_resized.set())
    with collection.new_experiment(capture="console"):
        print(sys.stdout.isatty(), sys.stderr.isatty(), *os.get_terminal_size(2), "\\x1b[1mbold\\x1b[0m")
        for n in range(100):
            print(f"<out {n}>")
            print(f"<error {n}>", file=sys.stderr)
        print("name:", input("prompt> "))
        is_resized.wait()
        while os.get_terminal_size(1).columns != 60:
            time.sleep(0.01)
        print("resized")
    with collection.new_experiment(capture="console"):  # set before its process has begun
        modes = termios.tcgetattr(1)  # as curses and pagers do
        termios.tcsetattr(1, termios.TCSADRAIN, [*modes[:3], modes[3] & ~termios.ICANON, *modes[4:]])
        print("key:", os.read(0, 1))
        termios.tcsetattr(1, termios.TCSADRAIN, modes)
        while termios.tcgetattr(0) != before:
            time.sleep(0.01)
        print("restored")
        while True:
            time.sleep(0.01)
    """
    terminal = Terminal(script(tmp_path / "c", body))
    terminal.read_until("prompt> ")
    terminal.type("me\n")
    terminal.read_until("name: me")
    terminal.resize(20, 60)
    terminal.read_until("resized")
    terminal.type("x")
    terminal.read_until("key: b'x'")
    terminal.read_until("restored")
    terminal.type("\x03")
    assert terminal.end() == -signal.SIGINT
    both = [f"<{name} {n}>" for n in range(100) for name in ("out", "error")]
    shown = terminal.text.replace("\r", "").split("\n")
    assert shown[:201] == ["True True 100 30 \x1b[1mbold\x1b[0m", *both]
    assert "prompt> me" in shown
    lines = lines_of(tmp_path / "c")
    assert lines[0] == "True True 100 30 bold"
    assert sorted(both) == sorted(line for line in lines if line.startswith("<"))
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        assert collection.experiment(2).status is Status.STOPPED


def test_threads_and_workers_write_at_the_same_time(tmp_path: Path) -> None:
    """What is recorded is what arrived, in order; runs in threads leave the streams as they were."""
    body = """
    import multiprocessing
    from concurrent.futures import ThreadPoolExecutor
    def work(n):
        print("worker", n, flush=True)
        print("worker", n, file=sys.stderr, flush=True)
    def talk():
        for _ in range(200):
            print("out")
            print("error", file=sys.stderr)
    def short(n):
        with collection.new_experiment(capture="console"):
            sys.stdout.write(f"run {n}\\n")
    before = [os.fstat(n)[:3] for n in (1, 2)]
    with collection.new_experiment(capture="console"):
        threads = [threading.Thread(target=talk) for _ in range(3)]
        with multiprocessing.get_context("fork").Pool(2) as pool:
            for each in threads:
                each.start()
            pool.map(work, range(20))
            for each in threads:
                each.join()
    with ThreadPoolExecutor(4) as executor:
        list(executor.map(short, range(4)))
    assert [os.fstat(n)[:3] for n in (1, 2)] == before
    """
    with (tmp_path / "out").open("wb") as out, (tmp_path / "error").open("wb") as error:
        subprocess.run(
            script(tmp_path / "c", body), stdout=out, stderr=error, check=True, timeout=SECONDS
        )
    shown = (tmp_path / "out").read_text().splitlines()
    with ExperimentCollection(tmp_path / "c", quiet=True) as collection:
        first, *others = collection.experiments
        rows = list(first.records.where(part="console"))
        recorded = [row["line"] for row in rows if row["stream"] == "stdout"]
        assert recorded == shown[:-4]
        assert [row["line"] for row in rows if row["stream"] == "stderr"] == (
            (tmp_path / "error").read_text().splitlines()
        )
        for n, run in enumerate(sorted(others, key=lambda each: each.number)):
            assert {f"run {n}" for n in range(4)} >= {row["line"] for row in run.records}, n
            assert len(run.records) >= 1
    assert sorted(shown[-4:]) == [f"run {n}" for n in range(4)]
