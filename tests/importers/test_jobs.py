"""Processes that read sources at once give what one gives; when one dies, the others go on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.errors import ArgumentError
from rigorous_recorder.importers import Imported, import_runs, importing, readers

from .test_again import rows_of, scalar
from .test_samples import DATA

#: A reader that is killed within a source, after some of its records.
DEADLY = """
import os, signal
from rigorous_recorder.importers import reader_process

seen = []

def send(file, message, *, send=reader_process.send):
    send(file, message)
    seen.append(b"deadly" in message)
    if any(seen) and b"Record" in message:
        os.kill(os.getpid(), signal.SIGKILL)

reader_process.send = send
reader_process._MOST_EVENTS = 1
reader_process.main()
"""


def runs(folder: Path, *names: str) -> Path:
    """Runs of TensorBoard with three records each."""
    for name in names:
        (folder / name).mkdir(parents=True)
        data = b"".join(scalar("loss", step, float(step)) for step in range(3))
        (folder / name / "events.out.tfevents.1.host").write_bytes(data)
    return folder


def imported(path: Path, source: list[Path], jobs: int) -> tuple[Imported, list[Any], list[str]]:
    with ExperimentCollection(path) as collection:
        done = import_runs(source, collection, jobs=jobs)
        assert import_runs(source, collection, jobs=jobs).records == 0
        numbers = [(each.number, each.get("run")) for each in collection.experiments]
        return done, numbers, rows_of(collection)


@pytest.mark.slow
def test_processes_give_what_one_gives(tmp_path: Path) -> None:
    """Runs of all formats: numbers, rows, their order, and the report; and nothing again."""
    pytest.importorskip("yaml")
    sources = [each for each in sorted(DATA.iterdir()) if each.name not in {"aim", "minari"}]
    one, two = (imported(tmp_path / str(jobs), sources, jobs) for jobs in (1, 3))
    assert one[1:] == two[1:]
    lines = [[str(loss) for loss in done.report.losses] for done in (one[0], two[0])]
    assert lines[0] == lines[1] != []
    assert one[0].records == two[0].records == len(one[2])


def test_a_reader_that_is_killed_ends_its_source_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported with the source, and the next import completes it."""
    folder = runs(tmp_path / "runs", "a", "deadly", "x", "y")
    with ExperimentCollection(tmp_path / "study") as collection:
        with monkeypatch.context() as patch:
            patch.setattr(readers, "_COMMAND", (sys.executable, "-P", "-c", DEADLY))
            done = import_runs(folder, collection, jobs=2)
        text = "its reader ended (signal SIGKILL): what came before is imported, the rest is not"
        assert [str(loss) for loss in done.report.losses] == [f"{folder / 'deadly'}: {text}"]
        assert done.records == len(collection.records) == 10
        assert import_runs(folder, collection).records == 2
        found = [(row["run"], row["step"]) for row in collection.records]
        assert sorted(found) == [
            (run, step) for run in ("a", "deadly", "x", "y") for step in range(3)
        ]
        assert [each.get("run") for each in collection.experiments] == ["a", "deadly", "x", "y"]


def test_an_import_that_is_stopped_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by Ctrl-C; and readers that can't be started cost no record."""
    started: list[Any] = []

    class Started(readers._Reader):
        def __init__(self) -> None:
            super().__init__()
            started.append(self.process)

    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    folder = runs(tmp_path / "runs", "a", "b", "c")
    monkeypatch.setattr(readers, "_Reader", Started)
    with ExperimentCollection(tmp_path / "study") as collection:
        with pytest.raises(KeyboardInterrupt):
            import_runs(folder, collection, jobs=2, progress=stop)
        assert [process.poll() is not None for process in started] == [True, True]
        monkeypatch.setattr(readers, "_COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))
        assert import_runs(folder, collection, jobs=2).records == 6
        assert len(collection.records) == 9


def test_jobs_are_as_many_as_pay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small sources, and those that are read quickly, are read by the import itself."""
    monkeypatch.setattr(importing, "_cores", lambda: 4)
    found = importing.find_runs(DATA / "sacred") * 8

    def jobs(size: int) -> int:
        return importing._jobs_for(
            [(importing.Task(*each), [["metrics.json", size, 0]]) for each in found]
        )

    assert [jobs(1000), jobs(4 << 20), jobs(1 << 30)] == [0, len(found) * 4 // 16, 4]
    with pytest.raises(ArgumentError, match="jobs=0: expected a number of processes"):
        import_runs(DATA, tmp_path / "study", jobs=0)
    assert list(tmp_path.iterdir()) == []
