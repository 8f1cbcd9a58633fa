"""TensorBoard's writer as a drop-in: the same calls give the values that its own files have."""

from __future__ import annotations

import inspect
import io
import json
import math
import os
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
from rigorous_recorder.tensorboard import GlobalSummaryWriter, SummaryWriter, patch

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
    assert rows[12:] == [{"metric.step": 9.0, "step": 4}, {"both/x": 1.0, "both/y": 2.0, "step": 1}]
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
    writer.add_histogram("biases", np.array([math.nan]), global_step=3)
    writer.add_audio("stereo", np.zeros((2, 9)), 0)
    writer.add_scalar("loss", 0.5, 1)
    writer.close()
    writer.add_scalar("loss", 0.25, 2)
    assert logged(writer.run.recorder) == [{"loss": 0.5, "step": 1}, {"loss": 0.25, "step": 2}]
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if "add_scalar could not log 'loss'" in line]) == 5
    for line, what in zip(lines[5:], ("picture", "weights", "biases", "stereo"), strict=True):
        assert f"could not log {what!r}: ValueError" in line
    assert [line.endswith("(first at step 0)") for line in lines] == [
        *[True] * 7,
        *(False, True),
    ]


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


def test_no_tag_and_no_parameter_replaces_what_describes_a_run(study: ExperimentCollection) -> None:
    """They are ``metric.<tag>`` and ``config.<key>``; a parameter that can't be stored is a text."""
    with SummaryWriter("runs/a", collection=study, capture=False) as writer:
        for tag in ("wall_time", "name", "log_dir", "experiment_number"):
            writer.add_scalar(tag, 2.0, np.array([4]))
        odd = {"name": "resnet", "experiment_number": 7, "lr": np.array([0.1]), "net": object()}
        writer.add_hparams(odd, {})
        writer.add_hparams({"lr": 1}, {"loss": 2}, "second", 5)  # type: ignore[arg-type]
    experiment = study.experiment(1)
    assert (experiment.name, experiment["config.name"], experiment["lr"]) == ("a", "resnet", 0.1)
    assert experiment["config.experiment_number"] == 7
    assert experiment["net"].startswith("<object object")
    rows = logged(writer.run.recorder)
    assert rows == [
        {f"metric.{tag}": 2.0, "step": 4}
        for tag in ("wall_time", "name", "log_dir", "experiment_number")
    ]
    (second,) = writer.run.recorder.children
    assert [dict(row)["run_name"] for row in second.records] == ["second"]
    assert [(row["lr"], row["loss"], row["step"]) for row in second.records] == [(1, 2, 5)]


def test_a_run_is_of_a_folder_with_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the path has none; an address of a bucket is refused, and no folder made of it."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for path in (".", "../above"):
        SummaryWriter(path, capture=False).close()
    with ExperimentCollection.open("runs", quiet=True) as collection:
        assert [each.name for each in collection.experiments] == ["here"]
    with ExperimentCollection.open("../runs", quiet=True) as collection:
        assert [each.name for each in collection.experiments] == ["above"]
    with pytest.raises(ValueError, match="not a folder of this machine"):
        SummaryWriter("s3://bucket/a")
    assert sorted(os.listdir()) == ["runs.collection"]


def test_metadata_of_a_block_and_numbers_as_json(
    study: ExperimentCollection, tmp_path: Path
) -> None:
    """As in tensorboardX: a step for all calls inside; an own step of a call goes before."""
    with SummaryWriter("runs/a", collection=study, capture=False) as writer:
        with writer.use_metadata(global_step=3, walltime=9.0):
            writer.add_scalar("loss", 0.5)
            writer.add_scalars("group", {"a": 1}, 4, walltime=8.0)
            writer.add_text("note", "x")
        writer.add_scalar("loss", 0.25, walltime=10.0)
        writer.export_scalars_to_json(tmp_path / "all.json")
    assert json.loads((tmp_path / "all.json").read_text()) == {
        "runs/a/loss": [[9.0, 3, 0.5], [10.0, None, 0.25]],
        "runs/a/group/a": [[8.0, 4, 1]],
    }
    assert writer.all_writers["runs/a"].get_logdir() == "runs/a"
    assert len(writer.default_bins) == 1549


PROCESSES = """
import multiprocessing, os, sys
from rigorous_recorder.tensorboard import GlobalSummaryWriter, SummaryWriter

def work(writer, start):
    for step in range(start, start + 10):
        writer.add_scalar("loss", step, step)
    writer.close()

def count(call):
    shared.add_scalar("calls", call)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    writer = SummaryWriter("runs/a", capture=False)
    workers = [context.Process(target=work, args=(writer, start)) for start in (0, 10)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    work(writer, 20)
    if sys.argv[1] == "fork":
        shared = GlobalSummaryWriter("runs/global", capture=False)
        with context.Pool(2) as pool:
            pool.map(count, range(20))
"""


@pytest.mark.parametrize(
    "method",
    [
        "spawn",
        pytest.param("fork", marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")),
    ],
)
def test_processes_log_to_one_run(tmp_path: Path, method: str) -> None:
    """What workers log is there, and their ``close`` ends nothing and reports nothing."""
    (tmp_path / "script.py").write_text(PROCESSES)
    command = [sys.executable, "script.py", method]
    ran = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert ran.stderr == ""
    with ExperimentCollection.open(tmp_path / "runs", quiet=True) as collection:
        assert sorted(row["loss"] for row in collection.experiment(1).records) == [*range(30)]
        assert collection.experiment(1).status is Status.FINISHED
        if method == "fork":  # whose workers share the number of calls
            steps = sorted(row["step"] for row in collection.experiment(2).records)
            assert steps == [*range(20)]


def test_modules_share_a_global_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a step for each call with a tag."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(GlobalSummaryWriter, "_of_all", None)
    shared = GlobalSummaryWriter.getSummaryWriter()
    GlobalSummaryWriter.getSummaryWriter().add_text("note", "a")
    shared.add_text("note", "b")
    shared.add_image("picture", np.ones((2, 2)), dataformats="HW")
    assert [(row.get("note"), row["step"]) for row in logged(shared.smw.run.recorder)] == [
        ("a", 0),
        ("b", 1),
        (None, 0),
    ]
    assert shared.file_writer().get_logdir() == shared.smw.log_dir
    shared.close()


def test_layouts_and_pictures_of_odd_forms_are_reported(
    study: ExperimentCollection, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what was expected, and never raised."""
    writer = SummaryWriter("runs/a", collection=study, capture=False)
    writer.add_custom_scalars_multilinechart(None)  # type: ignore[arg-type]
    writer.add_custom_scalars_marginchart(5)  # type: ignore[arg-type]
    writer.add_image("picture", np.zeros((7, 2, 2)))
    writer.close()
    assert len(study.records) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "7 channels: expected 1 to 4" in lines[2]


def test_a_global_writer_whose_process_is_gone_stops_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """That counts the calls of all processes; without it nothing can be logged, which is reported."""
    monkeypatch.chdir(tmp_path)
    shared = GlobalSummaryWriter("runs/a", capture=False)
    shared.add_scalar("loss", 1.0)
    shared._calls._manager.shutdown()
    shared.add_scalar("loss", 2.0)
    shared.add_text("note", "a")
    shared.add_image("picture", np.ones((2, 2)), dataformats="HW")
    shared.close()
    assert [row["loss"] for row in logged(shared.smw.run.recorder)] == [1.0]
    assert capsys.readouterr().err.count("could not log") == 3


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
def test_media_have_the_pixels_samples_and_buckets_of_the_original(
    original: Any, study: ExperimentCollection, tmp_path: Path
) -> None:
    """Also masks, whose numbers it takes for colors between 0 and 1, and grids."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    random = np.random.default_rng(0)
    pictures = {
        "bytes": random.integers(0, 256, (10, 3, 4, 5), np.uint8),
        "floats": random.random((9, 1, 4, 5)) * 3 - 1,
        "mask": random.random((3, 1, 4, 5)) > 0.5,
        "labels": random.integers(0, 2, (17, 3, 4, 5)),
    }
    tags = {*pictures, *(f"{tag}/first" for tag in pictures), "sound", "most", "few"}
    values = random.normal(size=1000)

    def log(writer: Any) -> None:
        for tag, each in pictures.items():
            writer.add_images(tag, each, 1)
            writer.add_image(f"{tag}/first", each[0], 1)
        writer.add_audio("sound", np.float32(values / 2), 1)
        writer.add_histogram("most", values, 1, max_bins=10)
        writer.add_histogram("few", values, 1, bins="auto", max_bins=7)

    with original(str(tmp_path / "events")) as writer:
        log(writer)
    import_runs(tmp_path / "events", tmp_path / "imported")
    with SummaryWriter("runs/a", collection=study, capture=False) as mine:
        log(mine)
    with ExperimentCollection.open(tmp_path / "imported", quiet=True) as imported:
        wanted = [dict(row) for row in imported.records]
    found = logged(mine.run.recorder)
    assert len(found) == len(wanted) == 11
    for one, other in zip(found, wanted, strict=True):
        (key,) = tags & one.keys()
        if key in {"most", "few"}:
            assert_same(one[key], other[key])
        elif key == "sound":
            assert one[key] == other[key]
        else:
            both = [
                np.asarray(image.open(io.BytesIO(each[key])).convert("RGB"))
                for each in (one, other)
            ]
            np.testing.assert_array_equal(*both)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_summaries_of_the_original_are_logged(
    original: Any, study: ExperimentCollection, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lightning, Ray and Stable-Baselines3 log hyperparameters as such; other kinds are reported."""
    from torch.utils.tensorboard import summary

    with SummaryWriter("runs/a", collection=study, capture=False) as writer:
        for part in summary.hparams({"lr": 0.1, "net": "small", "norm": True}, {"loss": 0}):
            writer.file_writer.add_summary(part)
        writer._get_file_writer().add_summary(summary.scalar("loss", 0.5), 3)
        double = summary.scalar("exact", 1 / 3, new_style=True, double_precision=True)
        writer.file_writer.add_summary(double, 4)
        writer.file_writer.add_summary(summary.text("note", "hello"), 4)
        writer.file_writer.add_summary(summary.image("picture", np.ones((1, 3, 2, 2))), 5)
    experiment = study.experiment(1)
    assert [experiment[key] for key in ("lr", "net", "norm")] == [0.1, "small", True]
    assert logged(writer.run.recorder) == [
        {"loss": 0.5, "step": 3},
        {"exact": 1 / 3, "step": 4},
        {"note/text_summary": "hello", "step": 4},
    ]
    assert "add_summary could not log 'picture'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_logger_of_lightning_logs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ``patch()``: hyperparameters, the model and its metrics."""
    pytest.importorskip("lightning", reason="lightning is not installed")
    code = """
import rigorous_recorder.tensorboard
rigorous_recorder.tensorboard.patch()
from lightning.pytorch.loggers import TensorBoardLogger
logger = TensorBoardLogger("logs", "study")
logger.log_hyperparams({"lr": 0.1, "net": "small"}, {"hp/loss": 0.5})
logger.log_metrics({"loss": 0.25}, 7)
logger.finalize("success")
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    with ExperimentCollection.open(tmp_path / "logs" / "study", quiet=True) as collection:
        (run,) = collection.experiments
        assert (run.name, run["lr"], run["net"]) == ("version_0", 0.1, "small")
        assert [row["loss"] for row in run.records if row["loss"] is not None] == [0.25]


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
