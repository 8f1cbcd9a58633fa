"""Every command of docs/cli.md prints what the page shows, and every command is on the page."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

pytest.importorskip("typer")
pytest.importorskip("matplotlib")

import typer.main

from rigorous_recorder.cli import main
from rigorous_recorder.cli.app import make_app

from . import pages

PAGE = pages.ROOT / "docs" / "cli.md"
_BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: What is another at each run: times, durations, sizes and paths.
_CHANGING = [
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<time>"),
    (r"\d+\.\d\d s\b", "<duration>"),
    (r'"last_start": [\d.]+', '"last_start": <seconds>'),
    (r'"size": \d+', '"size": <bytes>'),
    (r"[\d.]+ kB", "<size>"),
    (r"[^\s\"]*/(data|spare)\b", r"<folder>/\1"),
    (r"in /\S+:", "in <folder>:"),
    (r"/[0-9a-f]{8}-0\.parquet", "/<writer>-0.parquet"),
]


def without_changing(text: str) -> list[str]:
    """Lines without what is another at each run; columns may be as wide as they happen to be."""
    for pattern, word in _CHANGING:
        text = re.sub(pattern, word, text)
    return [" ".join(line.split()) for line in text.splitlines()]


def commands(block: str) -> list[tuple[str, str]]:
    """Each command of a block, with the lines that it is said to print."""
    pieces = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (each.partition("\n") for each in pieces)]


def test_every_command_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blocks run in order; what a command prints, on both outputs, is what stands below it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for kind, block in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "python":
            exec(block, {"__name__": "__page__"})
            continue
        for command, expected in commands(block):
            monkeypatch.setattr(sys, "argv", shlex.split(command))
            capsys.readouterr()
            with pytest.raises(SystemExit):
                main()
            printed = capsys.readouterr()
            assert without_changing(printed.out + printed.err) == without_changing(expected), (
                command
            )


def test_every_command_and_option_is_on_the_page() -> None:
    """What is not documented does not exist for those who read."""
    text = PAGE.read_text(encoding="utf-8")
    for name, command in typer.main.get_command(make_app()).commands.items():  # type: ignore[attr-defined]
        assert f"`{name}`" in text, name
        for each in command.params:
            names = [*each.opts, *each.secondary_opts]
            if each.param_type_name == "option":
                assert any(re.search(rf"[ `]{option}\b", text) for option in names), names
