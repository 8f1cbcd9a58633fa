"""Sources that are followed: what is written is soon in an answer, and costs little while nothing is."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.importers import import_runs, importing

from .test_again import scalar
from .test_killed import mlflow


def test_nothing_is_opened_while_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are found once more when there is another one; a file that was moved away may come back."""
    folder = tmp_path / "runs"
    folder.mkdir()
    file = folder / "events.out.tfevents.1.host"
    file.write_bytes(scalar("loss", 0, 0.0))
    seen: list[tuple[int, int, int]] = []
    calls = {"find": 0, "turn": 0}

    def counted(name: str, original: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            calls[name] += 1
            return original(*args, **options)

        return call

    def goes_on() -> bool:
        seen.append((len(collection.records), *calls.values()))
        if len(seen) == 4:
            with file.open("ab") as more:
                more.write(scalar("loss", 1, 1.0))
        if len(seen) == 6:
            folder.rename(tmp_path / "moved")
        if len(seen) == 8:
            (tmp_path / "moved" / "other").mkdir()
            (tmp_path / "moved" / "other" / file.name).write_bytes(scalar("loss", 7, 1.0))
            (tmp_path / "moved").rename(folder)
        return len(seen) < 11

    with ExperimentCollection(tmp_path / "study") as collection:
        monkeypatch.setattr(importing, "find_runs", counted("find", importing.find_runs))
        monkeypatch.setattr(importing.Target, "turn", counted("turn", importing.Target.turn))
        monkeypatch.setattr(importing, "_SHORTEST", 0.001)
        done = import_runs(folder, collection, follow=goes_on)
        steps = [(row["run"], row["step"]) for row in collection.records]
    assert [each[0] for each in seen] == [1] * 4 + [2] * 4 + [3] * 3
    assert [each[1:] for each in seen[:5]] == [(1, 1)] * 4 + [(1, 2)]
    assert seen[-1] == (3, 3, 4)
    assert steps == [("runs", 0), ("runs", 1), ("other", 7)]
    assert (done.records, done.sources) == (3, {"tensorboard": 2})


@pytest.mark.slow
def test_a_row_is_in_an_answer_within_a_second(tmp_path: Path) -> None:
    """The median of rows of three tools, each from when it is in the file, also in another reader."""
    folder = tmp_path / "runs"
    folder.mkdir()
    lines, events = folder / "log.jsonl", folder / "events.out.tfevents.1.host"
    lines.write_text('{"x": 0}\n')
    events.write_bytes(scalar("loss", 0, 0.0))
    mlflow(folder, 1)
    stopped = threading.Event()
    with ExperimentCollection(tmp_path / "study") as collection:
        follow = threading.Thread(
            target=import_runs,
            args=([folder, lines], collection),
            kwargs={"follow": lambda: not stopped.is_set()},
        )
        follow.start()
        try:
            delays = [delay_of(at, folder, tmp_path / "study", collection) for at in range(1, 21)]
        finally:
            stopped.set()
            follow.join()
    assert statistics.median(delays) < 1.0


def delay_of(at: int, folder: Path, study: Path, collection: ExperimentCollection) -> float:
    """Write a row, and wait until a query has it; or for so long that something is wrong."""
    reader = collection if at % 2 else ExperimentCollection.open(study, read_only=True)
    while len(reader.records) < at + 2:
        time.sleep(0.01)
    if at % 3 == 0:
        with (folder / "events.out.tfevents.1.host").open("ab") as file:
            file.write(scalar("loss", at, 1.0))
    elif at % 3 == 1:
        with (folder / "log.jsonl").open("a") as text:
            text.write(json.dumps({"x": at}) + "\n")
            text.flush()
            os.fsync(text.fileno())
    else:
        with closing(sqlite3.connect(folder / "mlflow.db")) as store, store:
            row = "x", 0.5, 1_900_000_000_000 + at, "a", at, 0
            store.execute("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", row)
    start = time.monotonic()
    while len(reader.records) < at + 3 and time.monotonic() - start < 30:
        time.sleep(0.01)
    return time.monotonic() - start


def test_the_report_is_shown_when_ctrl_c_ends_following(tmp_path: Path) -> None:
    """What was damaged, and how many records there are; Ctrl-C before that ends the first import."""
    folder = tmp_path / "runs"
    folder.mkdir()
    file = folder / "events.out.tfevents.1.host"
    data = scalar("loss", 0, 0.0) + scalar("loss", 5, 0.0)[:-4] + bytes(4)
    file.write_bytes(data)
    command = [sys.executable, "-m", "rigorous_recorder", "import", "--follow", str(folder)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen([*command, str(tmp_path / "study")], **pipes) as process:
        try:
            for written in range(2):  # the second one is there once it follows
                while not (tmp_path / "study.collection").exists() or count(tmp_path) <= written:
                    assert process.poll() is None
                    time.sleep(0.02)
                file.write_bytes(data + scalar("loss", 1, 1.0))
            process.send_signal(signal.SIGINT)
            words, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    found, damage, summary = words.splitlines()
    assert found == "TensorBoard: 1 source found"
    place = len(scalar("loss", 0, 0.0))
    assert damage == f"{file} at byte {place}: records with a wrong checksum: skipped"
    assert summary == "2 records imported"


def count(folder: Path) -> int:
    """How many records there are by now."""
    return len(ExperimentCollection(folder / "study").records)
