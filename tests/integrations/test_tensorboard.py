"""TensorBoard's writer as a drop-in: the same calls give the values that its own files have."""

from __future__ import annotations

import inspect
import math
import subprocess
import sys
import time
import zlib
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from rigorous_recorder import ExperimentCollection, Status
from rigorous_recorder.importers import import_runs
from rigorous_recorder.integrations.media import picture
from rigorous_recorder.tensorboard import SummaryWriter, patch

#: What every record has beside its value.
COMMON = {"wall_time"}


def logged(recorder: Any) -> list[dict[str, Any]]:
    """The own fields of the records, without what is missing."""
    inherited = set(recorder.attributes) | COMMON
    return [
        {key: value for key, value in row.items() if value is not None and key not in inherited}
        for row in recorder.records
    ]


def test_scalars_keep_their_digits_and_steps_go_anywhere(study: ExperimentCollection) -> None:
    """Numbers of all kinds that the original takes, at any step, also one that goes back."""
    with SummaryWriter("runs/a", collection=study, capture=False) as writer:
        for value in (0.1, 7, True, np.float32(0.5), np.array([3.0]), "0.25", math.nan):
            writer.add_scalar("loss/train", value, 5)
        for step in (1.5, "3", 2**40, None, -1):
            writer.add_scalar("a", 1.0, step)
        writer.add_scalar("step", 9.0, 4, walltime=123.0)
        writer.add_scalars("both", {"x": 1.0, "y": np.float64(2)}, 1)
    rows = logged(writer.run.recorder)
    assert [row["loss/train"] for row in rows[:6]] == [0.1, 7, True, 0.5, 3.0, 0.25]
    assert math.isnan(rows[6]["loss/train"])
    assert [row.get("step") for row in rows[7:12]] == [1.5, 3, 2**40, None, -1]
    assert rows[12:] == [{"step_": 9.0, "step": 4}, {"both/x": 1.0, "both/y": 2.0, "step": 1}]
    assert writer.run.recorder.records[12]["wall_time"] == 123.0
    assert study.experiment(1).status is Status.FINISHED
    assert (study.experiment(1).name, study.experiment(1)["log_dir"]) == ("a", "runs/a")


def test_what_cannot_be_logged_is_reported_once_and_not_raised(
    study: ExperimentCollection, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training goes on; later records are logged."""
    writer = SummaryWriter("runs/a", collection=study, capture=False)
    for _ in range(2):
        for wrong in (None, [1.0], np.zeros(2), object(), "text"):
            writer.add_scalar("loss", wrong, 0)
    writer.add_image("picture", np.zeros((2, 2)), 0)
    writer.add_histogram("weights", np.array([math.nan]), 0)
    writer.add_scalar("loss", 0.5, 1)
    writer.close()
    writer.add_scalar("loss", 0.25, 2)
    assert logged(writer.run.recorder) == [{"loss": 0.5, "step": 1}, {"loss": 0.25, "step": 2}]
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if "add_scalar could not log 'loss'" in line]) == 5
    assert all(line.endswith("(first at step 0)") for line in lines[:5])
    assert len(lines) == 7


def test_media_texts_and_parameters(study: ExperimentCollection) -> None:
    """Pictures and sounds are files in a column; parameters are attributes, once each."""
    with SummaryWriter("runs/a", collection=study, capture=False) as writer:
        writer.add_image("p", np.ones((3, 4, 5)), 1)
        writer.add_audio("s", np.zeros(8), 1, sample_rate=8000)
        writer.add_text("t", "some *text*", 1)
        writer.add_video("v", np.zeros((1, 2, 3, 4, 4), np.uint8), 1)
        writer.add_mesh("m", np.zeros((1, 2, 3)), faces=np.zeros((1, 1, 3), int))
        writer.add_histogram_raw("h", 0, 1, 2, 1, 1, [0.5, 1.0], [1, 1], 1)
        writer.add_embedding(np.eye(2), metadata=["a", "b"], tag="words")
        writer.add_hparams({"lr": 0.1}, {"best": 0.5})
        writer.add_hparams({"lr": 0.2}, {"best": 0.4}, run_name="second")
        writer.add_graph("Linear(1, 2)")
        writer.add_custom_scalars_multilinechart(["a", "b"])
        writer.flush()
    image, audio, text, video, mesh, histogram, best = logged(writer.run.recorder)
    assert image["p"].startswith(b"\x89PNG")
    assert {image["p/height"], image["p/width"], image["p/channels"]} == {4, 5, 3}
    assert audio["s"][:4] == b"RIFF"
    assert (text["t"], video["v/fps"], video["v"].shape) == ("some *text*", 4, (1, 2, 3, 4, 4))
    assert mesh["m/faces"].shape == (1, 1, 3)
    assert histogram["h"]["bucket_limit"] == [0.5, 1.0]
    assert best == {"best": 0.5}
    experiment = study.experiment(1)
    assert (experiment["lr"], experiment["graph"]) == (0.1, "Linear(1, 2)")
    assert experiment["custom_scalars"] == {"default": {"untitled": ["Multiline", ["a", "b"]]}}
    (words, second) = writer.run.recorder.children
    assert [row["label"] for row in words.records] == ["a", "b"]
    assert [(row["lr"], row["best"]) for row in second.records] == [(0.2, 0.4)]


def test_two_writers_of_one_folder_are_two_runs(study: ExperimentCollection) -> None:
    """Both with all of their records; so is one that is opened again to go on."""
    first = SummaryWriter("runs/a", collection=study, capture=False)
    second = SummaryWriter("runs/a", collection=study, capture=False)
    for step in range(3):
        first.add_scalar("loss", step, step)
        second.add_scalar("loss", -step, step)
    first.close()
    second.close()
    with SummaryWriter("runs/a", collection=study, capture=False, purge_step=2) as third:
        third.add_scalar("loss", 7, 2)
    assert [each.name for each in study.experiments] == ["a"] * 3
    assert [[row["loss"] for row in each.records] for each in study.experiments] == [
        [0, 1, 2],
        [0, -1, -2],
        [7],
    ]


def test_arguments_of_tensorboardx_are_taken(study: ExperimentCollection) -> None:
    """``write_to_disk=False`` logs nothing, whatever is called."""
    with SummaryWriter(logdir="runs/a", collection=study, capture=False) as writer:
        writer.add_scalar("loss", 0.5, 1, display_name="Loss", summary_description="of all")
        writer.add_hparams({"lr": 0.1}, {"best": 1.0}, name="second")
    assert (writer.logdir, writer.run.children[0].attributes["run_name"]) == ("runs/a", "second")
    with SummaryWriter("runs/b", collection=study, write_to_disk=False) as silent:
        silent.add_scalar("loss", 0.5, 1)
        silent.add_hparams({"lr": 0.1}, {"best": 1.0}, run_name="x")
        silent.add_graph("model")
        silent.add_embedding(np.eye(2))
        silent.flush()
    assert len(study.experiments) == 1


def test_a_picture_has_its_pixels() -> None:
    """Each pixel is as it was given, whatever the order of the axes."""
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    png, size = picture(pixels, "HWC")
    data = zlib.decompress(png[png.index(b"IDAT") + 4 : png.index(b"IEND") - 8])
    rows = np.frombuffer(data, np.uint8).reshape(2, 13)
    assert rows[:, 1:].reshape(2, 4, 3).tolist() == pixels.tolist()
    assert size == {"height": 2, "width": 4, "channels": 3}
    assert picture(pixels.transpose(2, 0, 1), "CHW")[0] == png
    assert picture(np.stack([pixels] * 2), "NHWC")[1]["width"] == 8


def test_a_run_ends_with_its_process(tmp_path: Path) -> None:
    """Writers are rarely closed: the end, or the exception, of the program is that of the run."""
    code = f"""
from rigorous_recorder.tensorboard import SummaryWriter
writer = SummaryWriter({str(tmp_path / "runs" / "{}")!r})
writer.add_scalar("loss", 0.5, 1)
"""
    for name, end in (("good", ""), ("bad", "raise ValueError('diverged')")):
        subprocess.run(
            [sys.executable, "-c", code.format(name) + end], check=False, capture_output=True
        )
    with ExperimentCollection.open(tmp_path / "runs.collection", quiet=True) as collection:
        good, bad = collection.experiments
        assert (good.name, good.status, len(good.records)) == ("good", Status.FINISHED, 1)
        assert (bad.name, bad.status) == ("bad", Status.FAILED)
        assert bad["experiment_error_message"] == "diverged"
        assert "python" in good.environment
    assert (tmp_path / "runs" / "good").is_dir()


@pytest.fixture
def original() -> Any:
    """Torch's own writer."""
    pytest.importorskip("torch", reason="torch is not installed")
    return pytest.importorskip("torch.utils.tensorboard").SummaryWriter


@pytest.mark.slow
def test_it_has_all_methods_of_the_original(original: Any) -> None:
    """With the same parameters in the same order."""
    for name, method in vars(original).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            wanted = list(inspect.signature(method).parameters)
            mine = inspect.signature(getattr(SummaryWriter, name)).parameters
            is_any = any(each.kind is each.VAR_POSITIONAL for each in mine.values())
            assert is_any or list(mine)[: len(wanted)] == wanted, name


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_values_are_those_of_the_files_of_the_original(
    original: Any, study: ExperimentCollection, tmp_path: Path
) -> None:
    """What the importer reads of its files is what the drop-in logs, but for float32."""
    import torch

    tensors = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))

    def log(writer: Any) -> None:
        for step in range(3):
            writer.add_scalar("loss", 0.5 * step, step)
            writer.add_scalar("tensor", tensors[step, 0], step)
            writer.add_scalar("one", torch.tensor([0.25], requires_grad=True), step)
        writer.add_histogram("h", tensors, 1)
        writer.add_histogram("h10", tensors, 1, bins=10)
        writer.add_text("note", "hello", 2)
        writer.add_pr_curve("pr", np.array([0, 1, 1, 0]), np.array([0.1, 0.8, 0.4, 0.6]), 1)

    with original(str(tmp_path / "events")) as writer:
        log(writer)
    import_runs(tmp_path / "events", tmp_path / "imported")
    with SummaryWriter("runs/a", collection=study) as mine:
        log(mine)
    with ExperimentCollection.open(tmp_path / "imported", quiet=True) as imported:
        wanted = [dict(row) for row in imported.records]
    found = logged(mine.run.recorder)
    assert len(found) == len(wanted) == 13
    for one, other in zip(found, wanted, strict=True):
        for key, value in one.items():
            assert_same(value, other[key])


def assert_same(one: Any, other: Any) -> None:
    if isinstance(other, dict):
        assert one.keys() == other.keys()
        for key in other:
            assert_same(one[key], other[key])
    elif isinstance(one, str):
        assert one == other
    else:
        np.testing.assert_allclose(np.asarray(one, float), np.asarray(other, float), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_code_that_imports_the_original_logs_here(
    original: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After ``patch()``, also for libraries that import it later."""
    import torch.utils.tensorboard as place

    monkeypatch.setattr(place, "SummaryWriter", original)
    monkeypatch.setattr(place.writer, "SummaryWriter", original)
    monkeypatch.chdir(tmp_path)
    patch()
    from torch.utils.tensorboard import SummaryWriter as Patched

    with Patched(log_dir="logs/version_0") as writer:
        writer.add_scalar("loss", 0.5, 1)
    with ExperimentCollection.open(tmp_path / "logs.collection") as collection:
        assert [row["loss"] for row in collection.records] == [0.5]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_scalar_costs_a_fraction_of_the_original(
    original: Any, study: ExperimentCollection, tmp_path: Path
) -> None:
    """At most 0.15 of its time, in CPU time, in alternating rounds."""
    mine = SummaryWriter("runs/a", collection=study, capture=False)
    with original(str(tmp_path / "events")) as other:
        ratios = [seconds(mine) / seconds(other) for _ in range(5)]
    assert median(ratios) < 0.15


def seconds(writer: Any) -> float:
    start = time.process_time()
    for step in range(3000):
        writer.add_scalar("loss", 0.5, step)
    return time.process_time() - start
