"""The writer: a run of a collection with the methods of torch's and tensorboardX's."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from rigorous_recorder import Run
from rigorous_recorder.integrations.ends import end_at_exit
from rigorous_recorder.integrations.guest import report_once, set_attributes
from rigorous_recorder.integrations.histograms import edges, histogram, pr_curve
from rigorous_recorder.integrations.host import Capture, Place, collection_at
from rigorous_recorder.integrations.joining import Beside
from rigorous_recorder.integrations.media import array_of, number, picture, sound

from .file_writer import FileWriter
from .values import free, media, pixels, plain, reporting

__all__ = ["SummaryWriter"]


class SummaryWriter:
    """A run of a collection, with all methods of ``torch.utils.tensorboard.SummaryWriter``.

    Each call logs a record: the value under its tag, ``step``, and ``wall_time`` in seconds. Values
    keep their digits. What can't be logged is reported once, and never raised.

    Args:
        log_dir: the run ``runs/a`` is in the collection ``runs.collection``, with the attributes
            ``name`` (``a``) and ``log_dir``; by default ``runs/<time>_<host>``.
        comment: a suffix of the default ``log_dir``.
        purge_step: an attribute of the run; nothing is hidden.
        logdir, write_to_disk: as in tensorboardX; another name of ``log_dir``, and False, as on other
            ranks than 0, to log nothing.
        max_queue, flush_secs, filename_suffix, comet_config: have no meaning here, since nothing waits in a queue.
        collection: another collection, or its path.
        capture: what it records of itself; see ``ExperimentCollection.new_experiment``.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
        *,
        logdir: str | os.PathLike[str] | None = None,
        write_to_disk: bool = True,
        comet_config: Any = None,
        collection: Place | None = None,
        capture: Capture = True,
    ) -> None:
        stamp = f"{time.strftime('%b%d_%H-%M-%S')}_{socket.gethostname()}{comment}"
        self.log_dir = self.logdir = str(log_dir or logdir or Path("runs") / stamp)
        self.purge_step = purge_step
        self.file_writer = FileWriter(self)
        self._has_hparams = False
        self._process = os.getpid()
        self._step: Any = None
        self._walltime: float | None = None
        self.run: Any = _Nowhere()
        if write_to_disk:
            place = _folder(self.log_dir)
            about = {"name": place.absolute().name, "log_dir": self.log_dir}
            self.run = collection_at(_place(place) if collection is None else collection).start(
                {**about, "purge_step": purge_step}, capture=capture
            )
            end_at_exit(self.run)
            place.mkdir(parents=True, exist_ok=True)  # where scripts put their checkpoints
        self._push = self.run.recorder.push

    def __getstate__(self) -> dict[str, Any]:
        """A process that is spawned logs to the run, which it does not end."""
        run = Beside(self.run.recorder) if isinstance(self.run, Run) else self.run
        return {**vars(self), "run": run, "_push": run.recorder.push}

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: Any = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
        display_name: str = "",
        summary_description: str = "",
    ) -> None:
        """Log a number, also as an array with one element, a tensor on any device, or text."""
        try:
            if type(scalar_value) is not float:
                scalar_value = number(scalar_value)
            self._log({free(tag): scalar_value}, global_step, walltime)
        except Exception as error:  # noqa: BLE001 - the training goes on
            report_once(f"add_scalar could not log {tag!r}", error, step=global_step)

    def _log(self, fields: dict[str, Any], step: Any, walltime: float | None) -> None:
        if step is None:
            step = self._step
        elif type(step) is not int:
            step = int(step) if type(step) is str else number(step)
        fields["step"] = step
        if walltime is None:
            walltime = time.time() if self._walltime is None else self._walltime
        fields["wall_time"] = walltime
        self._push(fields)

    @contextlib.contextmanager
    def use_metadata(
        self, *, global_step: Any = None, walltime: float | None = None
    ) -> Iterator[Self]:
        """The step and the time of calls inside of the block that have none."""
        before = self._step, self._walltime
        self._step, self._walltime = global_step, walltime
        try:
            yield self
        finally:
            self._step, self._walltime = before

    @reporting
    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Log several numbers in one record, under ``main_tag/tag``."""
        found = {f"{main_tag}/{tag}": number(value) for tag, value in tag_scalar_dict.items()}
        self._log(found, global_step, walltime)

    @reporting
    def add_tensor(
        self, tag: str, tensor: Any, global_step: Any = None, walltime: float | None = None
    ) -> None:
        """Log an array."""
        self._log({free(tag): array_of(tensor)}, global_step, walltime)

    @reporting
    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: Any = None,
        bins: Any = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """Log a dict with ``min``, ``max``, ``num``, ``sum``, ``sum_squares`` and the buckets."""
        self._log({free(tag): histogram(values, bins, max_bins)}, global_step, walltime)

    @reporting
    def add_histogram_raw(
        self,
        tag: str,
        min: Any,
        max: Any,
        num: Any,
        sum: Any,
        sum_squares: Any,
        bucket_limits: Any,
        bucket_counts: Any,
        global_step: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Log a histogram that was made elsewhere."""
        numbers = {"min": min, "max": max, "num": num, "sum": sum, "sum_squares": sum_squares}
        found: dict[str, Any] = {name: float(value) for name, value in numbers.items()}
        found |= {"bucket_limit": array_of(bucket_limits).tolist()}
        found |= {"bucket": array_of(bucket_counts).tolist()}
        self._log({free(tag): found}, global_step, walltime)

    @reporting
    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """Log a picture as PNG, with ``tag/height``, ``tag/width`` and ``tag/channels``."""
        png, size = picture(pixels(img_tensor), dataformats)
        self._log(media(free(tag), png, size), global_step, walltime)

    @reporting
    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Log several pictures as one, with eight in a row."""
        png, size = picture(pixels(img_tensor), dataformats)
        self._log(media(free(tag), png, size), global_step, walltime)

    @reporting
    def add_image_with_boxes(
        self,
        tag: str,
        img_tensor: Any,
        box_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        rescale: float = 1,
        dataformats: str = "CHW",
        labels: list[str] | None = None,
        **_: Any,
    ) -> None:
        """Log a picture, and beside it ``tag/boxes`` and ``tag/labels``: they are not drawn on it."""
        png, size = picture(pixels(img_tensor), dataformats)
        boxes = {"boxes": array_of(box_tensor).tolist(), "labels": labels}
        self._log(media(free(tag), png, {**size, **boxes}), global_step, walltime)

    @reporting
    def add_figure(
        self,
        tag: str,
        figure: Any,
        global_step: Any = None,
        close: bool = True,
        walltime: float | None = None,
    ) -> None:
        """Log a figure of Matplotlib, or each of a list, as PNG."""
        figures = figure if isinstance(figure, list) else [figure]
        for index, each in enumerate(figures):
            file = io.BytesIO()
            each.savefig(file, format="png", dpi="figure")
            key = tag if len(figures) == 1 else f"{tag}/{index}"
            self._log({free(key): file.getvalue()}, global_step, walltime)
            if close:
                sys.modules["matplotlib.pyplot"].close(each)

    @reporting
    def add_video(
        self,
        tag: str,
        vid_tensor: Any,
        global_step: Any = None,
        fps: float = 4,
        walltime: float | None = None,
        dataformats: str = "NTCHW",
    ) -> None:
        """Log the frames as an array with these axes, and ``tag/fps``."""
        axes = [dataformats.upper().index(axis) for axis in "NTCHW"]
        frames = array_of(vid_tensor).transpose(axes)
        self._log(media(free(tag), frames, {"fps": fps}), global_step, walltime)

    @reporting
    def add_audio(
        self,
        tag: str,
        snd_tensor: Any,
        global_step: Any = None,
        sample_rate: int = 44100,
        walltime: float | None = None,
    ) -> None:
        """Log samples between -1 and 1 as WAV."""
        data = sound(snd_tensor, sample_rate)
        self._log(media(free(tag), data, {"sample_rate": sample_rate}), global_step, walltime)

    @reporting
    def add_text(
        self, tag: str, text_string: str, global_step: Any = None, walltime: float | None = None
    ) -> None:
        """Log a text."""
        self._log({free(tag): text_string}, global_step, walltime)

    @reporting
    def add_graph(self, model: Any, *_: Any, **__: Any) -> None:
        """Set the model's text as the attribute ``graph``; it is not traced."""
        self.run.recorder["graph"] = str(model)

    @reporting
    def add_onnx_graph(self, prototxt: Any) -> None:
        """Set the path of the graph as the attribute ``onnx_graph``."""
        self.run.recorder["onnx_graph"] = str(prototxt)

    @reporting
    def add_openvino_graph(self, xmlname: Any) -> None:
        """Set the path of the graph as the attribute ``openvino_graph``."""
        self.run.recorder["openvino_graph"] = str(xmlname)

    @reporting
    def add_embedding(
        self,
        mat: Any,
        metadata: list[Any] | None = None,
        label_img: Any = None,
        global_step: Any = None,
        tag: str = "default",
        metadata_header: list[str] | None = None,
    ) -> None:
        """Log the vectors as records of a child with the attribute ``embedding``, one each."""
        columns: dict[str, Any] = {"vector": array_of(mat)}
        if metadata is not None and metadata_header:
            columns |= dict(
                zip(metadata_header, map(list, zip(*metadata, strict=True)), strict=True)
            )
        elif metadata is not None:
            columns["label"] = list(metadata)
        if label_img is not None:
            columns["picture"] = [picture(each, "CHW")[0] for each in label_img]
        self.run.recorder.child(embedding=tag, step=global_step).extend(columns)

    @reporting
    def add_pr_curve(
        self,
        tag: str,
        labels: Any,
        predictions: Any,
        global_step: Any = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Log an array with rows for TP, FP, TN, FN, precision and recall, by threshold."""
        found = pr_curve(labels, predictions, min(num_thresholds, 127), weights)
        self._log({free(tag): found}, global_step, walltime)

    @reporting
    def add_pr_curve_raw(
        self,
        tag: str,
        true_positive_counts: Any,
        false_positive_counts: Any,
        true_negative_counts: Any,
        false_negative_counts: Any,
        precision: Any,
        recall: Any,
        global_step: Any = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Log a curve that was computed elsewhere; see ``add_pr_curve``."""
        negatives = (true_negative_counts, false_negative_counts)
        rows = (true_positive_counts, false_positive_counts, *negatives, precision, recall)
        table = array_of([array_of(each).astype(float) for each in rows])
        self._log({free(tag): table}, global_step, walltime)

    @reporting
    def add_mesh(
        self,
        tag: str,
        vertices: Any,
        colors: Any = None,
        faces: Any = None,
        config_dict: dict[str, Any] | None = None,
        global_step: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Log the arrays under ``tag``, ``tag/colors`` and ``tag/faces``."""
        more = {"colors": colors, "faces": faces}
        arrays = {name: array_of(each) for name, each in more.items() if each is not None}
        found = media(free(tag), array_of(vertices), {**arrays, "config": config_dict})
        self._log(found, global_step, walltime)

    @reporting
    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        hparam_domain_discrete: Any = None,
        run_name: str | None = None,
        global_step: Any = None,
        *,
        name: str | None = None,
    ) -> None:
        """Set hyperparameters as attributes of the run, and log metrics as a record.

        Those of later calls, and of calls with a ``run_name``, belong to a child of the run.
        """
        if isinstance(hparam_domain_discrete, str):  # by position, as tensorboardX has them
            run_name, global_step = hparam_domain_discrete, run_name
        run_name = run_name or name
        recorder = self.run.recorder
        if run_name is not None or self._has_hparams:
            recorder = recorder.child(run_name=run_name)
        self._has_hparams = True
        self.set_hparams(hparam_dict, recorder)
        metrics = {free(key): number(value) for key, value in metric_dict.items()}
        if metrics:
            recorder.push({**metrics, "step": global_step, "wall_time": time.time()})

    def set_hparams(self, hparams: Mapping[str, Any], recorder: Any = None) -> None:
        """Set hyperparameters as attributes of the run, or of another recorder."""
        found = {free(str(key), "config"): plain(value) for key, value in hparams.items()}
        set_attributes(self.run.recorder if recorder is None else recorder, found)

    @reporting
    def add_custom_scalars(self, layout: Mapping[str, Any]) -> None:
        """Set the layout as the attribute ``custom_scalars``."""
        self.run.recorder["custom_scalars"] = dict(layout)

    @reporting
    def add_custom_scalars_multilinechart(
        self, tags: list[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Set a layout with one chart of several lines."""
        self.add_custom_scalars({category: {title: ["Multiline", list(tags)]}})

    @reporting
    def add_custom_scalars_marginchart(
        self, tags: list[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Set a layout with one chart of a line and its margins."""
        self.add_custom_scalars({category: {title: ["Margin", list(tags)]}})

    @property
    def all_writers(self) -> dict[str, FileWriter]:
        """The one that there is, by its folder."""
        return {self.log_dir: self.file_writer}

    def _get_file_writer(self) -> FileWriter:
        return self.file_writer

    @property
    def default_bins(self) -> list[float]:
        """The edges of the buckets of histograms."""
        return list(map(float, edges()))

    @reporting
    def export_scalars_to_json(self, path: str | os.PathLike[str]) -> None:
        """Write all numbers of the run as JSON: ``{"<log_dir>/<tag>": [[time, step, value], ...]}``."""
        found: dict[str, list[Any]] = {}
        others = {*self.run.recorder.attributes, "step", "wall_time"}
        for row in self.run.recorder.records:
            for tag, value in row.items():
                if isinstance(value, (int, float)) and tag not in others:
                    point = [row["wall_time"], row["step"], value]
                    found.setdefault(f"{self.log_dir}/{tag}", []).append(point)
        Path(path).write_text(json.dumps(found), encoding="utf-8")

    def get_logdir(self) -> str:
        """The folder that was given, which exists; the data is in the collection."""
        return self.log_dir

    @reporting
    def flush(self) -> None:
        """Return when everything that was logged survives a power loss."""
        self.run.recorder.sync()

    @reporting
    def close(self) -> None:
        """End the run; records can still be added to it. A forked process ends nothing."""
        self._own_run.finish()

    def __enter__(self) -> Self:
        return self

    @reporting
    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            self._own_run.finish()
        else:
            self._own_run.fail(error)

    @property
    def _own_run(self) -> Any:
        """The run, or what a forked process has in its place."""
        is_own = os.getpid() == self._process
        return self.run if is_own else Beside(self.run.recorder)


def _folder(log_dir: str) -> Path:
    if "://" in log_dir:
        message = (
            f"{log_dir!r} is not a folder of this machine: log to one, and send the collection there by"
            " rigorous copy"
        )
        raise ValueError(message)
    return Path(log_dir)


def _place(folder: Path) -> Path:
    """The collection of a folder: that of the folder above, or ``runs`` where that has no name."""
    return folder.parent if folder.parent.name not in {"", ".."} else folder.parent / "runs"


class _Nowhere:
    """The run, and the recorder, of a writer that logs nothing."""

    def __getattr__(self, name: str) -> Any:
        return self if name == "recorder" else self._ignored

    def _ignored(self, *_: Any, **__: Any) -> Any:
        return self

    def __setitem__(self, key: str, value: Any) -> None:
        """Set nothing."""
