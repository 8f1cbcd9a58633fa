"""What MLflow has and this module has not: a call reports what to use instead."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from rigorous_recorder._report import report

__all__ = ["Library", "autolog", "delete_run", "start_span", "trace"]

_CALLBACKS: Final = "docs/integrations.md has a callback for each library"


def autolog(*_: Any, disable: bool = False, **__: Any) -> None:
    """Log nothing, and report so: ``rigorous_recorder.integrations`` has a callback for each library."""
    if not disable:
        report(f"mlflow.autolog() logs nothing here; {_CALLBACKS}")


class Library:
    """``mlflow.sklearn`` and the like: no models are stored, and nothing is logged by itself."""

    def __init__(self, name: str) -> None:
        self._name = name

    def autolog(self, *_: Any, disable: bool = False, **__: Any) -> None:
        """Log nothing, and report so."""
        if not disable:
            report(f"mlflow.{self._name}.autolog() logs nothing here; {_CALLBACKS}")

    def log_model(self, *_: Any, **__: Any) -> None:
        """Store nothing, and report so."""
        report(
            f"mlflow.{self._name}.log_model() stores nothing here: save the model to a file, and"
            " log_artifact() that"
        )


def delete_run(run_id: str) -> None:
    """Delete nothing, and report so."""
    report("mlflow.delete_run() deletes nothing here; ExperimentCollection.delete() does")


class _Span:
    """A span that records nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def trace(function: Any = None, *_: Any, **__: Any) -> Any:
    """The function as it is, which is reported: nothing is traced."""
    report("mlflow.trace() records nothing here; run.push() logs times and values of your own")
    return function if callable(function) else lambda found: found


@contextlib.contextmanager
def start_span(*_: Any, **__: Any) -> Iterator[Any]:
    """A span that records nothing, which is reported."""
    report("mlflow.start_span() records nothing here; run.push() logs times and values of your own")
    yield _Span()
