"""What W&B's runs do and these do not: it is reported, so that scripts that call it go on."""

from __future__ import annotations

from typing import Any

from rigorous_recorder._report import report

__all__ = ["Absent"]


class Absent:
    """Methods that log nothing."""

    def watch(self, models: Any, *_: Any, **__: Any) -> None:
        """Log nothing, and report so: see ``rigorous_recorder.integrations`` for norms of a model."""
        report("watch() logs nothing here; rigorous_recorder.integrations.torch.watch does")

    def unwatch(self, models: Any = None) -> None:
        """Nothing was watched."""

    def log_code(self, *_: Any, **__: Any) -> None:
        """Log nothing, and report so: the commit, and what differs from it, is in the environment."""
        report("log_code() stores no files; log_artifact() of a folder does")

    def mark_preempting(self) -> None:
        """Nothing: a run that is killed can go on by ``init(id=..., resume="allow")``."""
