"""The cache of summaries of sealed files: the same charts, without reading, and never old values."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from threading import Event
from typing import Any

import pytest

pytest.importorskip("numpy")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("youplot")

import numpy as np
import pyarrow as pa

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.page import reading
from rigorous_recorder.page.app import application
from rigorous_recorder.page.chart_request import ChartRequest
from rigorous_recorder.page.charts import charts
from rigorous_recorder.page.reading import Reader
from rigorous_recorder.page.series import Cancelled
from rigorous_recorder.page.workspace import Workspace

STEPS = 40_000


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExperimentCollection:
    """Two runs, each with a spike and a NaN, whose points count as many."""
    for name, value in {
        "_MANY_POINTS": 1_000,
        "_MOST_POINTS": 1_000,
        "_LARGE_GROUP": 1_000,
    }.items():
        monkeypatch.setattr(reading, name, value)
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    for seed in (1, 2):
        with collection.new_experiment(seed=seed, lr=0.5) as experiment:
            loss = np.random.default_rng(seed).normal(size=STEPS)
            loss[[20_001, 30_003]] = 100.0 * seed, np.nan
            experiment.extend({"step": np.arange(STEPS), "loss": loss})
        collection.save()
    return collection


def folder(study: ExperimentCollection) -> Path:
    return study._to_write().folder.path


def lines(study: ExperimentCollection, stop: Event | None = None, **options: Any) -> bytes:
    """A chart of a page that was opened now, without its cursor."""
    request = ChartRequest.of({"y": "loss", "x": "step", "pixels": 7, **options})
    found = charts(Workspace([folder(study)]), request, stop)
    return found[8 + int.from_bytes(found[:8], "little") :]


def ends(study: ExperimentCollection) -> list[Any]:
    """The ends, lowest, highest and odd points of each run's line, as a page opened now draws it."""
    workspace = Workspace([folder(study)])
    state = workspace.states(workspace.opened[0], ["loss"], "step", None)["loss"]
    found = []
    for line in state.lines:
        points = line.points
        x, y = points.drawn(points.window(None, None), 7, is_log=False)
        four = [0, -1, y.argmin(), y.argmax()]
        found.append((x[four].tolist(), y[four].tolist(), points.odd[0].tolist(), points.count))
    return found


def test_a_second_visit_reads_the_summaries(
    study: ExperimentCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are Arrow; lows and highs are those of all points, and a zoom or smoothing reads these."""
    with monkeypatch.context() as patch:
        patch.setattr(reading, "_MANY_POINTS", 10**9)
        views: list[dict[str, Any]] = [{"low": 20_000, "high": 20_005}, {"smooth": 0.9}]
        views.append({"low": 20_000, "high": 20_005, "by": ["seed"]})
        direct, expected = ends(study), [lines(study, **view) for view in views]
    assert ends(study) == direct
    (path, *_) = (folder(study) / "cache").iterdir()
    assert pa.ipc.open_file(path).read_all().column_names == ["group", "position", "x", "y"]
    with monkeypatch.context() as patch:
        patch.setattr(Reader, "_rows", None)  # nothing else is read
        assert ends(study) == direct
    assert [lines(study, **view) for view in views] == expected
    study.experiment(2).recorder.push(step=STEPS, loss=-50.0)
    assert ends(study)[1][1][2] == -50.0
    shutil.rmtree(path.parent)
    path.parent.write_text("no folder can be here")
    assert lines(study, low=20_000, high=20_005) == expected[0]


def test_values_of_deleted_runs_are_in_no_cache(study: ExperimentCollection) -> None:
    """A compaction deletes it; one that comes back, or is damaged, is not used."""
    lines(study)
    cache = folder(study) / "cache"
    shutil.copytree(cache, old := folder(study).parent / "old")
    study.delete(1)
    only = lines(study)
    study.compact()
    assert not cache.exists()
    assert lines(study) == only
    names = {each.name for each in cache.iterdir()}
    for each in old.iterdir():
        shutil.copy(each, cache)
    assert lines(study) == only
    for each in cache.iterdir():
        each.write_bytes(each.read_bytes()[:500])
    assert lines(study) == only
    assert {each.name for each in cache.iterdir()} <= names | {each.name for each in old.iterdir()}


def test_reading_ends_when_the_browser_leaves(
    study: ExperimentCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the next row group; whoever asks later gets all."""
    stop, read, real = Event(), [], Reader.read

    def leave(reader: Reader, group: Any) -> Any:
        read.append(group)
        stop.set()
        return real(reader, group)

    expected = lines(study)
    shutil.rmtree(folder(study) / "cache")
    workspace = Workspace([folder(study)])
    request = ChartRequest.of({"y": "loss", "x": "step", "pixels": 7})
    with monkeypatch.context() as patch:
        patch.setattr(Reader, "read", leave)
        with pytest.raises(Cancelled):
            charts(workspace, request, stop)
    assert read
    assert charts(workspace, request).endswith(expected)


def test_smoothing_ends_when_the_browser_leaves(
    study: ExperimentCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the next part of a line, of which all points are read again."""
    expected = lines(study, smooth=0.9)
    workspace, stop, loaded, real = Workspace([folder(study)]), Event(), [], Reader._chunk

    def leave(reader: Reader, *place: Any) -> Any:
        loaded.append(place)
        stop.set()
        return real(reader, *place)

    request = ChartRequest.of({"y": "loss", "x": "step", "pixels": 7, "smooth": 0.9})
    monkeypatch.setattr(Reader, "_chunk", leave)
    charts(workspace, request._replace(smooth=0.0))
    assert not loaded
    with pytest.raises(Cancelled):
        charts(workspace, request, stop)
    assert len(loaded) == 1
    assert charts(workspace, request).endswith(expected)


@pytest.mark.parametrize(
    ("path", "kind"), [("/api/chart", {}), ("/api/plot", {"kind": "histogram"})]
)
def test_a_request_ends_when_its_connection_does(
    study: ExperimentCollection,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    kind: dict[str, str],
) -> None:
    """No row is read after that."""
    reading, stopped, read, real = Event(), [], [], Reader.read

    def wait(reader: Reader, group: Any) -> Any:
        reading.set()
        stopped.append(reader._stop is not None and reader._stop.wait(60))
        return real(reader, group)

    def rows(*_: Any) -> list[Any]:
        read.append(True)
        return []

    async def receive() -> dict[str, Any]:
        if not sent:
            sent.append({})
            body = {"y": "loss", "x": "step", **kind}
            return {"type": "http.request", "body": json.dumps(body).encode()}
        await asyncio.to_thread(reading.wait, 60)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    monkeypatch.setattr(Reader, "read", wait)
    monkeypatch.setattr(Reader, "_rows", rows)
    sent: list[dict[str, Any]] = []
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "root_path": ""}
    headers = [(b"host", b"testserver"), (b"content-type", b"application/json")]
    app = application(Workspace([folder(study)]), hosts=frozenset({"testserver"}))
    asyncio.run(app({**scope, "headers": headers}, receive, send))
    assert sent[1]["status"] == 499
    assert stopped
    assert all(stopped)
    assert not read
