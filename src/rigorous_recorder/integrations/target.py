"""Where a callback logs that frameworks copy, and pickle together with a model."""

from __future__ import annotations

import pickle
import threading
from typing import Any, Final, Self

from rigorous_recorder import Recorder, Run
from rigorous_recorder.errors import ArgumentTypeError

__all__ = ["Target", "recorder_of", "run_or_recorder"]

_LOCK: Final = threading.Lock()


def run_or_recorder(place: Recorder | Run) -> Recorder | Run:
    """What an integration was given, if it can log there.

    Raises:
        ArgumentTypeError: it is something else, such as the path of a collection.
    """
    if not isinstance(place, (Recorder, Run)):
        message = (
            f"expected a started run or a recorder, not a value of type {type(place).__name__}; begin"
            " one with `run = ExperimentCollection(path).start()`, and end it with `run.finish()`"
        )
        raise ArgumentTypeError(message)
    return place


def recorder_of(place: Recorder | Run) -> Recorder:
    """The recorder that was given, or that of a started run.

    Raises:
        ArgumentTypeError: it is something else, such as the path of a collection.
        NotStartedError: the run was not started.
    """
    found = run_or_recorder(place)
    return found.recorder if isinstance(found, Run) else found


class Target:
    """A recorder whose copies log to it, too, also those in other processes.

    A copy that comes from a file, such as that in a saved model, opens the collection when it logs:
    the model can be loaded where the collection is not.

    Args:
        recorder: a started run, or a recorder.
    """

    def __init__(self, recorder: Recorder | Run) -> None:
        self._recorder: Any = recorder_of(recorder)
        self._pickled = b""
        self._numbers = 0

    @property
    def recorder(self) -> Recorder:
        """Where to log.

        Raises:
            RigorousError: the collection is not there.
        """
        if self._recorder is None:
            self._recorder = pickle.loads(self._pickled)  # noqa: S301 - came in a pickle itself
        found: Recorder = self._recorder
        return found

    def next_number(self) -> int:
        """0, 1, ...: in turn over all copies in this process."""
        with _LOCK:
            self._numbers += 1
            return self._numbers - 1

    def __copy__(self) -> Self:
        """Itself: a clone of an estimator logs to the same recorder."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Itself, as well."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """The recorder as bytes, which are read when it is needed."""
        pickled = self._pickled or pickle.dumps(self._recorder)
        return {"_recorder": None, "_pickled": pickled, "_numbers": self._numbers}
