"""What W&B has and this module has not: a call names what to use instead, an import never fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn

from rigorous_recorder._report import report

from .advice import INSTEAD, advice
from .errors import UsageError

__all__ = ["Absent", "absent"]

_FILES: Final = "files stay in <project>.artifacts: log_artifact() and use_artifact() serve them"


def absent(name: str) -> Callable[..., NoReturn]:
    """A function that raises an error, with what to use instead."""

    def call(*_: Any, **__: Any) -> NoReturn:
        message = f"rigorous_recorder.wandb has no {name}(): use {INSTEAD[name]}"
        raise UsageError(message)

    call.__name__ = call.__qualname__ = name
    return call


class Absent:
    """Methods of a run for which there is no server; those that would publish something report so."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(advice(f"Run.{name}"))

    def _label(self, *_: Any, **__: Any) -> None:
        """Nothing: Transformers notes here which code logs."""

    def mark_preempting(self) -> None:
        """Nothing: a run that is killed can go on by ``init(id=..., resume="allow")``."""

    def link_artifact(self, *_: Any, **__: Any) -> None:
        """Link nothing, and report so."""
        report(f"link_artifact() links nothing here: {_FILES}")

    def link_model(self, *_: Any, **__: Any) -> None:
        """Link nothing, and report so."""
        report(f"link_model() links nothing here: {_FILES}")

    def display(self, height: int = 420, hidden: bool = False) -> bool:
        """False: there is no page of W&B; ``rigorous view`` has one."""
        return False

    def to_html(self, height: int = 420, hidden: bool = False) -> str:
        """No page."""
        return ""

    def status(self) -> None:
        """None: nothing waits to be sent."""
