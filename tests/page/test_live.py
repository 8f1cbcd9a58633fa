"""What an open page is sent: counts of changes, and the new points of its charts."""

from __future__ import annotations

import asyncio
import json
import zlib
from base64 import b64decode
from pathlib import Path
from threading import Event
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("numpy")

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.page.chart_request import ChartRequest
from rigorous_recorder.page.charts import charts, tails
from rigorous_recorder.page.live import Watcher, compressed, events
from rigorous_recorder.page.workspace import Workspace


def header(message: bytes) -> Any:
    size = int.from_bytes(message[:8], "little")
    return json.loads(message[8 : 8 + size])


def request(**more: Any) -> ChartRequest:
    return ChartRequest.of({"y": ["loss", "score"], "x": "step", **more})


@pytest.fixture
def studies(tmp_path: Path) -> list[ExperimentCollection]:
    """Two collections, of which the second one has no score."""
    found = [ExperimentCollection(tmp_path / name, quiet=True) for name in ("one", "two")]
    for study, more in zip(found, ({"score": 1.0}, {}), strict=True):
        with study.new_experiment() as experiment:
            experiment.push(step=0, loss=1.0, **more)
    return found


@pytest.fixture
def followed(studies: list[ExperimentCollection], tmp_path: Path) -> tuple[Workspace, ChartRequest]:
    """The page of both, and the request of what is new since its charts were drawn."""
    del studies
    workspace = Workspace([tmp_path])
    found = header(charts(workspace, request()))["charts"]
    return workspace, request(cursors={each["y"]: each["cursor"] for each in found})


def test_new_points_are_sent_once(
    studies: list[ExperimentCollection], followed: tuple[Workspace, ChartRequest]
) -> None:
    """A chart without any is not sent; one that has to be requested whole is named, and left."""
    workspace, wanted = followed
    assert tails(workspace, wanted) == (b"", wanted)
    with studies[0].new_experiment() as experiment:
        experiment.extend({"step": [1, 2], "loss": [3.0, float("nan")]})
    message, following = tails(workspace, wanted)
    (loss,) = header(message)["charts"]
    assert [loss[key] for key in ("y", "is_tail", "n", "odd")] == ["loss", True, [2], [1]]
    assert following is not None
    assert tails(workspace, following) == (b"", following)
    with studies[1].new_experiment() as experiment:
        experiment.push(step=1, score=1.0)  # also a key that this collection did not have
    message, following = tails(workspace, following)
    assert header(message)["charts"] == [{"y": "score", "is_stale": True}]
    assert following is not None
    assert following.y == ("loss",)
    for study in studies:
        study.delete(1)
    message, following = tails(workspace, following)
    assert header(message)["charts"] == [{"y": "loss", "is_stale": True}]
    assert following is None


def test_a_stream_has_counts_and_points(
    studies: list[ExperimentCollection], followed: tuple[Workspace, ChartRequest]
) -> None:
    """Each event can be read at once, and repeats cost little."""
    workspace, wanted = followed
    ends = Event()

    async def read() -> tuple[list[bytes], list[int]]:
        stream = compressed(events(workspace, Watcher(workspace, ends), wanted))
        reader, texts, sizes = zlib.decompressobj(zlib.MAX_WBITS | 16), [], []
        with studies[0].new_experiment() as experiment:
            async for part in stream:
                texts.append(reader.decompress(part))
                sizes.append(len(part))
                if len(texts) == 5:
                    ends.set()
                experiment.push(step=len(texts), loss=0.5)
        return texts, sizes

    texts, sizes = asyncio.run(read())
    assert texts[0] == b"retry: 1000\n\n"
    found = [each.removesuffix(b"\n\n").split(b" ") for each in texts[1:] if each[:1] == b"d"]
    assert len({(rows, runs) for _, rows, runs, _ in found}) == len(found) > 2
    counts = [header(b64decode(each[3]))["charts"][0]["n"] for each in found[1:]]
    assert counts == [[1]] * len(counts)
    assert sizes[-1] < len(texts[-1]) / 3
