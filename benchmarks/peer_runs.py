"""Runs of the contenders, each in a process of its own environment and a new folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from peer_catalogue import Entry

__all__ = [
    "Run",
    "Site",
    "ToolFailed",
    "check_reader",
    "stored_after_kill",
    "study_seconds",
    "time_run",
]

SCRIPTS = str(Path(__file__).resolve().parent)
QUIET = {
    "DO_NOT_TRACK": "1",
    "GIT_PYTHON_REFRESH": "quiet",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "SWANLAB_MODE": "offline",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_MODE": "offline",
}
"""No tool sends anything."""
LONGEST = 1200
"""Seconds after which a script counts as stuck."""
SETTLING = 2
"""Seconds that the helpers of a killed process get to write what they hold."""


class ToolFailed(Exception):  # noqa: N818 - what happened, not whose fault it is
    """A script of a tool failed; the message is the last line that it printed."""


class Run(NamedTuple):
    """One run: seconds and bytes a record, and the release of the tool."""

    log: float
    whole: float
    bytes: float
    version: str


class Site(NamedTuple):
    """A new folder, and how to start a script that writes there and nowhere else."""

    folder: Path
    python: Path
    settings: dict[str, str]
    errors: Path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a module; it leads a session, so that helpers it leaves behind can be ended."""
        with self.errors.open("w") as errors:
            return subprocess.Popen(
                [self.python, "-m", *arguments],
                cwd=self.folder,
                env=self.settings,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def run(self, *arguments: str) -> Any:
        """The answer of a module that runs to its end."""
        with self.start(*arguments) as process:
            try:
                answer, _ = process.communicate(timeout=LONGEST)
            except subprocess.TimeoutExpired as expired:
                message = f"it was stuck for {LONGEST} seconds"
                raise ToolFailed(message) from expired
            finally:
                end_session(process)
        if process.returncode:
            raise self.failure()
        return json.loads(answer)

    def failure(self) -> ToolFailed:
        """What the last script complained of."""
        lines = [line for line in self.errors.read_text().splitlines() if line.strip()]
        return ToolFailed(lines[-1].strip() if lines else "it ended without a word")


@contextmanager
def new_site(python: Path) -> Iterator[Site]:
    """A folder for what is logged; home and scratch are elsewhere, and all goes at the end."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as around:
        folder, home, scratch = (Path(around, name) for name in ("logged", "home", "scratch"))
        for each in (folder, home, scratch):
            each.mkdir()
        own = {
            "HOME": str(home),
            "PYTHONPATH": SCRIPTS,
            "PYTHONSAFEPATH": "1",
            "TMPDIR": str(scratch),
            "TRACKIO_DIR": str(folder),
        }
        yield Site(folder, python, {**os.environ, **QUIET, **own}, Path(around, "errors.txt"))


def end_session(process: subprocess.Popen[str]) -> None:
    """End a script that was started, and whatever it left behind."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def time_run(entry: Entry, python: Path, records: int) -> Run:
    """Log into a new folder, and finish."""
    with new_site(python) as site:
        return _time_run(site, entry, records)


def _time_run(site: Site, entry: Entry, records: int) -> Run:
    found = site.run("peer_scripts", entry.contender, "time", str(site.folder), str(records))
    sizes = (found[name] / records for name in ("log", "whole", "bytes"))
    return Run(*sizes, version=found["version"])


def check_reader(entry: Entry, python: Path) -> None:
    """Complain where the reader doesn't find all of a run that was finished."""
    with new_site(python) as site:
        _time_run(site, entry, entry.killed)
        found = _count(site, entry)
    if entry.is_saved and found != entry.killed:
        message = f"its reader finds {found} of {entry.killed} records"
        raise ToolFailed(message)


def stored_after_kill(entry: Entry, python: Path) -> float:
    """The share of records that can be read after a kill right behind the last call.

    The process alone is killed. What helper processes hold they may still write. Where the reader
    fails on what is left, nothing is stored: it found all of a run that was finished.
    """
    place = entry.contender, "hold"
    with new_site(python) as site:
        with site.start("peer_scripts", *place, str(site.folder), str(entry.killed)) as process:
            assert process.stdout
            answer = process.stdout.readline()
            process.kill()
        time.sleep(SETTLING)
        end_session(process)
        if not answer:
            raise site.failure()
        return _count_or_none(site, entry) / entry.killed


def _count(site: Site, entry: Entry) -> int:
    return int(site.run("peer_scripts", entry.contender, "count", str(site.folder), "0"))


def _count_or_none(site: Site, entry: Entry) -> int:
    try:
        return _count(site, entry)
    except ToolFailed as failure:
        print(f"{entry.name} reads nothing: {failure}", file=sys.stderr)
        return 0


def study_seconds(python: Path, records: int) -> float:
    """Seconds that the study of the first README takes to log and to save."""
    with new_site(python) as site:
        return float(site.run("peer_scripts.study", str(site.folder), str(records)))
