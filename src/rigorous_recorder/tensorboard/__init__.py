"""A drop-in for TensorBoard's writer: ``from rigorous_recorder.tensorboard import SummaryWriter``."""

from __future__ import annotations

import importlib
from typing import Final

from .file_writer import FileWriter
from .global_writer import GlobalSummaryWriter
from .writer import SummaryWriter

__all__ = ["FileWriter", "GlobalSummaryWriter", "SummaryWriter", "patch"]

_WRITERS: Final = ("torch.utils.tensorboard", "torch.utils.tensorboard.writer", "tensorboardX")


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
        for mine in (SummaryWriter, GlobalSummaryWriter):
            if hasattr(module, mine.__name__):
                setattr(module, mine.__name__, mine)
