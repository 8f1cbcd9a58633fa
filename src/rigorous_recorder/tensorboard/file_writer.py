"""What frameworks take for the writer of an event file: it logs the summaries that they made."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from rigorous_recorder.integrations.guest import guest, report_once

if TYPE_CHECKING:
    from .writer import SummaryWriter

__all__ = ["FileWriter"]

#: Where the messages of hyperparameters are defined, one of which made the summary.
_HPARAMS: Final = (
    "tensorboard.plugins.hparams.plugin_data_pb2",
    "tensorboardX.proto.plugin_hparams_pb2",
)


class FileWriter:
    """``SummaryWriter.file_writer``, by which Lightning, Ray and Stable-Baselines3 log hyperparameters."""

    def __init__(self, writer: SummaryWriter) -> None:
        self._writer = writer

    def get_logdir(self) -> str:
        """The folder that was given."""
        return self._writer.log_dir

    @guest
    def add_summary(
        self, summary: Any, global_step: Any = None, walltime: float | None = None
    ) -> None:
        """Log the values of a summary; hyperparameters are attributes of the run."""
        for value in summary.value:
            plugin = value.metadata.plugin_data
            if plugin.plugin_name == "hparams":
                self._writer.set_hparams(_hparams(plugin.content))
            else:
                self._log(value, global_step, walltime)

    def _log(self, value: Any, step: Any, walltime: float | None) -> None:
        kind = value.WhichOneof("value")
        found: Any = getattr(value, kind or "tag")
        if kind == "simple_value":
            self._writer.add_scalar(value.tag, found, step, walltime)
        elif kind == "tensor" and found.string_val:
            self._writer.add_text(value.tag, found.string_val[0].decode(), step, walltime)
        elif kind == "tensor" and len(numbers := [*found.float_val, *found.double_val]) == 1:
            self._writer.add_scalar(value.tag, numbers[0], step, walltime)
        else:
            error = TypeError(f"a summary with {kind}: call the writer's own add_... methods")
            report_once(f"add_summary could not log {value.tag!r}", error, step=step)

    @guest
    def add_event(self, event: Any, step: Any = None, walltime: float | None = None) -> None:
        """Log the summary of an event."""
        self.add_summary(event.summary, event.step if step is None else step, walltime)

    def flush(self) -> None:
        """As ``SummaryWriter.flush``."""
        self._writer.flush()

    def close(self) -> None:
        """As ``SummaryWriter.close``."""
        self._writer.close()

    def reopen(self) -> None:
        """Nothing: a run that has ended still logs."""


def _hparams(content: bytes) -> dict[str, Any]:
    """The hyperparameters of a session's start; none of other parts."""
    for name in _HPARAMS:
        try:
            message = importlib.import_module(name).HParamsPluginData.FromString(content)
        except ModuleNotFoundError:
            continue
        found = message.session_start_info.hparams
        return {key: getattr(each, each.WhichOneof("kind")) for key, each in found.items()}
    return {}
