"""A drop-in for TensorBoard's writer: ``from rigorous_recorder.tensorboard import SummaryWriter``."""

from __future__ import annotations

import importlib
import io
import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from .integrations.ends import end_at_exit
from .integrations.guest import Capture, Place, collection_at, guest, report_once
from .integrations.media import array_of, histogram, picture, pr_curve, sound

__all__ = ["SummaryWriter", "patch"]

_WRITERS: Final = ("torch.utils.tensorboard", "torch.utils.tensorboard.writer", "tensorboardX")


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
        place = Path(self.log_dir)
        parent = place.parent if place.parent.name else place.parent / "runs"
        about = {"name": place.name, "log_dir": self.log_dir, "purge_step": purge_step}
        self._has_hparams = False
        self.run: Any = _Nowhere()
        if write_to_disk:
            self.run = collection_at(collection or parent).start(about, capture=capture)
            end_at_exit(self.run)
        self._push = self.run.recorder.push
        place.mkdir(parents=True, exist_ok=True)  # where scripts put their checkpoints

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
                scalar_value = _number(scalar_value)
            self._log({tag: scalar_value}, global_step, walltime)
        except Exception as error:  # noqa: BLE001 - the training goes on
            report_once(f"add_scalar could not log {tag!r}", error, step=global_step)

    def _log(self, fields: dict[str, Any], step: Any, walltime: float | None) -> None:
        if "step" in fields:
            fields["step_"] = fields["step"]  # a tag of this name
        fields["step"] = int(step) if type(step) is str else step
        fields["wall_time"] = time.time() if walltime is None else walltime
        self._push(fields)

    @guest
    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Log several numbers in one record, under ``main_tag/tag``."""
        found = {f"{main_tag}/{tag}": _number(value) for tag, value in tag_scalar_dict.items()}
        self._log(found, global_step, walltime)

    @guest
    def add_tensor(
        self, tag: str, tensor: Any, global_step: Any = None, walltime: float | None = None
    ) -> None:
        """Log an array."""
        self._log({tag: array_of(tensor)}, global_step, walltime)

    @guest
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
        self._log({tag: histogram(values, bins)}, global_step, walltime)

    @guest
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
        self._log({tag: found}, global_step, walltime)

    @guest
    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """Log a picture as PNG, with ``tag/height``, ``tag/width`` and ``tag/channels``."""
        png, size = picture(img_tensor, dataformats)
        self._log(_media(tag, png, size), global_step, walltime)

    @guest
    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Log several pictures side by side, as one."""
        png, size = picture(img_tensor, dataformats)
        self._log(_media(tag, png, size), global_step, walltime)

    @guest
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
        png, size = picture(img_tensor, dataformats)
        boxes = {"boxes": array_of(box_tensor).tolist(), "labels": labels}
        self._log(_media(tag, png, {**size, **boxes}), global_step, walltime)

    @guest
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
        for number, each in enumerate(figures):
            file = io.BytesIO()
            each.savefig(file, format="png", dpi="figure")
            key = tag if len(figures) == 1 else f"{tag}/{number}"
            self._log({key: file.getvalue()}, global_step, walltime)
            if close:
                sys.modules["matplotlib.pyplot"].close(each)

    @guest
    def add_video(
        self,
        tag: str,
        vid_tensor: Any,
        global_step: Any = None,
        fps: float = 4,
        walltime: float | None = None,
    ) -> None:
        """Log the frames as an array, and ``tag/fps``."""
        self._log(_media(tag, array_of(vid_tensor), {"fps": fps}), global_step, walltime)

    @guest
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
        self._log(_media(tag, data, {"sample_rate": sample_rate}), global_step, walltime)

    @guest
    def add_text(
        self, tag: str, text_string: str, global_step: Any = None, walltime: float | None = None
    ) -> None:
        """Log a text."""
        self._log({tag: text_string}, global_step, walltime)

    @guest
    def add_graph(self, model: Any, *_: Any, **__: Any) -> None:
        """Set the model's text as the attribute ``graph``; it is not traced."""
        self.run["graph"] = str(model)

    @guest
    def add_onnx_graph(self, prototxt: Any) -> None:
        """Set the path of the graph as the attribute ``onnx_graph``."""
        self.run["onnx_graph"] = str(prototxt)

    @guest
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
        self.run.child(embedding=tag, step=global_step).extend(columns)

    @guest
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
        self._log({tag: found}, global_step, walltime)

    @guest
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
        self._log({tag: table}, global_step, walltime)

    @guest
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
        found = _media(tag, array_of(vertices), {**arrays, "config": config_dict})
        self._log(found, global_step, walltime)

    @guest
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
        run_name = run_name or name
        is_of_run = run_name is None and not self._has_hparams
        self._has_hparams = True
        if is_of_run:
            self.run.update(dict(hparam_dict))
            recorder = self.run.recorder
        else:
            recorder = self.run.child({**hparam_dict, "run_name": run_name})
        metrics = {key: _number(value) for key, value in metric_dict.items()}
        recorder.push({**metrics, "step": global_step, "wall_time": time.time()})

    @guest
    def add_custom_scalars(self, layout: Mapping[str, Any]) -> None:
        """Set the layout as the attribute ``custom_scalars``."""
        self.run["custom_scalars"] = dict(layout)

    def add_custom_scalars_multilinechart(
        self, tags: list[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Set a layout with one chart of several lines."""
        self.add_custom_scalars({category: {title: ["Multiline", list(tags)]}})

    def add_custom_scalars_marginchart(
        self, tags: list[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Set a layout with one chart of a line and its margins."""
        self.add_custom_scalars({category: {title: ["Margin", list(tags)]}})

    def get_logdir(self) -> str:
        """The folder that was given, which exists; the data is in the collection."""
        return self.log_dir

    @guest
    def flush(self) -> None:
        """Return when everything that was logged survives a power loss."""
        self.run.recorder.sync()

    @guest
    def close(self) -> None:
        """End the run; records can still be added to it."""
        self.run.finish()

    def __enter__(self) -> Self:
        return self

    @guest
    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            self.run.finish()
        else:
            self.run.fail(error)


class _Nowhere:
    """The run, and the recorder, of a writer that logs nothing."""

    def __getattr__(self, name: str) -> Any:
        return self if name == "recorder" else self._ignored

    def _ignored(self, *_: Any, **__: Any) -> Any:
        return self

    def __setitem__(self, key: str, value: Any) -> None:
        """Set nothing."""


def _number(value: Any) -> Any:
    """One number: of an array or tensor with one element, or of text."""
    if isinstance(value, str):
        return float(value)
    size = getattr(value, "size", 1)
    size = value.numel() if hasattr(value, "numel") else size
    if value is None or isinstance(value, (list, tuple, dict)) or size != 1:
        message = f"a scalar is one number, not {value!r:.60}"
        raise TypeError(message)
    return value.reshape(()) if getattr(value, "ndim", 0) else value


def _media(tag: str, value: Any, about: Mapping[str, Any]) -> dict[str, Any]:
    return {tag: value, **{f"{tag}/{name}": each for name, each in about.items()}}


def patch() -> None:
    """Make torch's, and tensorboardX's, ``SummaryWriter`` this one; call it before they are imported from.

    Raises:
        ModuleNotFoundError: neither torch with tensorboard nor tensorboardX is installed.
    """
    found = []
    for name in _WRITERS:
        try:
            found.append(importlib.import_module(name))
        except ModuleNotFoundError as error:
            trouble = error
    if not found:
        raise trouble
    for module in found:
        module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
