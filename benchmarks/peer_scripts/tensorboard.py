"""tensorboardX, read back by TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tensorboardX
from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

__all__ = ["Scalars"]


class Scalars:
    """``add_scalar`` with the index as its step."""

    version = tensorboardX.__version__

    def __init__(self, folder: Path) -> None:
        self._writer = tensorboardX.SummaryWriter(str(folder))

    def log(self, losses: Sequence[float]) -> None:
        writer = self._writer
        for index, loss in enumerate(losses):
            writer.add_scalar("loss", loss, index)

    def close(self) -> None:
        self._writer.close()

    @staticmethod
    def count(folder: Path) -> int:
        events = EventAccumulator(str(folder), size_guidance={SCALARS: 0})
        events.Reload()
        return len(events.Scalars("loss")) if "loss" in events.Tags()[SCALARS] else 0
