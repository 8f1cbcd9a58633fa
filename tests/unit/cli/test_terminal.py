"""Text of others' on a real terminal: whatever was logged, nothing but the library moves its cursor."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import pty
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.cli import main

from .conftest import Run

#: Sets the title, clears the screen (by C0 and by C1), turns the direction of reading, hides.
EVIL = "\x1b]0;x\x07\x1b[2J\x9b2J\u202e\u2066\u200b\x7f\x85\u2028end"
#: The codes that rich and the plot use themselves: colors, and those that a bar is drawn with.
OURS = re.compile(r"\x1b\[(\d+(;\d+)*)?m|\x1b\[\?25[lh]|\x1b\[\d*[AKG]|\r\n|\n|\r|\t")

Shown = Callable[..., str]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection whose name, keys, values and errors are hostile."""
    path = tmp_path_factory.mktemp("far") / f"study{EVIL}.collection"
    with ExperimentCollection(path, quiet=True) as collection:
        for number in (1, 2):
            with collection.new_experiment({"seed": number, EVIL: EVIL}) as experiment:
                child = experiment.child(model=f"m{EVIL}")
                for step in range(3):
                    child.push(
                        {"step": step, f"loss{EVIL}": 0.5 * step, "note": [EVIL], "loss": step}
                    )
        with pytest.raises(ValueError, match="end"), collection.new_experiment() as experiment:
            experiment.push(step=0)
            raise ValueError(EVIL)
    return path


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """Runs `rigorous` as typed on a terminal; all that reached it."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm-256color")

    def run(*arguments: object) -> str:
        master, slave = pty.openpty()
        received = bytearray()
        reader = threading.Thread(target=_read, args=(master, received))
        reader.start()
        with monkeypatch.context() as patch, os.fdopen(slave, "w", encoding="utf-8") as terminal:
            for name in ("stdout", "stderr"):
                patch.setattr(sys, name, terminal)
            patch.setenv("COLUMNS", "300")  # as wide as what is hostile
            patch.setattr(sys, "argv", ["rigorous", *map(str, arguments)])
            with pytest.raises(SystemExit):
                main()
        reader.join()
        return received.decode()

    return run


def _read(master: int, into: bytearray) -> None:
    try:
        while piece := os.read(master, 65_536):
            into += piece
    except OSError as error:
        if error.errno != errno.EIO:  # nobody has the other end any more
            raise
    finally:
        os.close(master)


COMMANDS: dict[str, list[str]] = {
    "ls": ["ls", "{path}"],
    "ls of a folder": ["ls", "{folder}"],
    "ls as JSON": ["ls", "{path}", "--json"],
    "show": ["show", "{path}", "--errors"],
    "show as JSON": ["show", "{path}", "--json"],
    "sql": ["sql", "{path}", "FROM records"],
    "sql as JSON": ["sql", "{path}", "FROM records", "--json"],
    "sql as CSV": ["sql", "{path}", "FROM records", "--csv"],
    "sql that fails on a value": ["sql", "{path}", "SELECT max(model)::INT FROM records"],
    "sql that fails": ["sql", "{path}", f"SELECT '{EVIL}' FROM {EVIL}"],
    "tail": ["tail", "{path}", "--no-follow"],
    "tail as JSON": ["tail", "{path}", "--no-follow", "--json"],
    "plot": ["plot", "{path}", "-x", "step", "-y", "loss", "--by", "model", "--by", EVIL],
    "plot of an evil key": ["plot", "{path}", "-x", "step", "-y", f"loss{EVIL}"],
    "plot as JSON": ["plot", "{path}", "-x", "step", "-y", "loss", "--by", "model", "--json"],
    "plot of no such key": ["plot", "{path}", "-x", "step", "-y", f"nothing{EVIL}"],
    "a condition that is none": ["tail", "{path}", "--no-follow", "--where", EVIL],
    "a condition on no such key": ["tail", "{path}", "--no-follow", "--where", f"{EVIL}x=1"],
    "export": ["export", "{path}", "{out}"],
    "export again": ["export", "{path}", "{out}"],
    "verify": ["verify", "{path}"],
    "delete": ["delete", "{path}", "9"],
    "nothing there": ["show", "{path}" + EVIL],
    "nothing near": ["ls", "{path}" + f"{EVIL}/{EVIL}"],
    "too many names": ["verify", "{path}", "{path}"],
    "no such command": [EVIL],
    "repair": ["repair", "{path}", "{path}" + "2"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_control_characters_are_visible_on_a_terminal(
    shown: Shown, hostile: Path, command: list[str]
) -> None:
    """In keys, values, errors and names of files, by every command, whatever goes wrong."""
    places = {"path": hostile, "folder": hostile.parent, "out": hostile.parent / f"x{EVIL}.csv"}
    text = shown(*(word.format(**places) if "{" in word else word for word in command))
    assert "end" in text  # what is hostile was printed
    left = OURS.sub("", text)
    assert left.isprintable(), {c for c in left if not c.isprintable()}


def test_the_line_of_a_failed_run_is_printable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the message of the exception, and the name of the folder."""
    collection = ExperimentCollection(tmp_path / f"s{EVIL}")
    with pytest.raises(ValueError, match="end"), collection.new_experiment():
        raise ValueError(EVIL)
    told = capsys.readouterr().err
    assert told.count("\\x1b]0;x\\x07") == 2
    assert told.rstrip("\n").isprintable()


def test_a_pipe_gets_the_bytes(run: Run, hostile: Path) -> None:
    """What is no terminal gets data as it is: JSON and CSV read back."""
    query = "SELECT DISTINCT model FROM records WHERE seed = 1"
    assert json.loads(run("sql", hostile, query, "--json").out) == {"model": f"m{EVIL}"}
    rows = csv.reader(io.StringIO(run("sql", hostile, query, "--csv").out, newline=""))
    assert list(rows) == [["model"], [f"m{EVIL}"]]
