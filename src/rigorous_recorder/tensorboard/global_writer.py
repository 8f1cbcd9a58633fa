"""tensorboardX's writer for all modules and processes of a program, which counts steps."""

from __future__ import annotations

import multiprocessing
from typing import Any, ClassVar

from rigorous_recorder.integrations.guest import guest

from .file_writer import FileWriter
from .writer import SummaryWriter

__all__ = ["GlobalSummaryWriter"]


class GlobalSummaryWriter:
    """A writer whose step is the number of calls with the tag, in all processes.

    Args:
        values, options: those of ``SummaryWriter``.
        coalesce_process: has no meaning here.
    """

    _of_all: ClassVar[GlobalSummaryWriter | None] = None

    def __init__(self, *values: Any, coalesce_process: bool = True, **options: Any) -> None:
        self.smw = SummaryWriter(*values, **options)
        self._lock = multiprocessing.Lock()
        self._calls = multiprocessing.Manager().dict()

    @staticmethod
    def getSummaryWriter() -> GlobalSummaryWriter:  # noqa: N802 - tensorboardX's name
        """The one that all modules share."""
        found = GlobalSummaryWriter._of_all
        if found is None:
            found = GlobalSummaryWriter._of_all = GlobalSummaryWriter()
        return found

    def _step(self, kind: str, tag: str) -> int:
        with self._lock:
            found: int = self._calls.get((kind, tag), -1) + 1
            self._calls[kind, tag] = found
        return found

    @guest
    def add_scalar(self, tag: str, scalar_value: Any, walltime: float | None = None) -> None:
        """Log a number."""
        self.smw.add_scalar(tag, scalar_value, self._step("scalar", tag), walltime)

    @guest
    def add_image(
        self, tag: str, img_tensor: Any, walltime: float | None = None, dataformats: str = "CHW"
    ) -> None:
        """Log a picture."""
        self.smw.add_image(tag, img_tensor, self._step("image", tag), walltime, dataformats)

    @guest
    def add_text(self, tag: str, text_string: str, walltime: float | None = None) -> None:
        """Log a text."""
        self.smw.add_text(tag, text_string, self._step("text", tag), walltime)

    def file_writer(self) -> FileWriter:
        """That of the writer."""
        return self.smw.file_writer

    def close(self) -> None:
        """End the run."""
        self.smw.close()
