"""Experiments: their numbers, the six keys above every record, and how they end."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Mapping
from textwrap import shorten
from types import TracebackType
from typing import Any, NamedTuple

from ._engines.scan import Source
from ._store.alive import is_alive
from ._store.home import writer_of
from ._store.locks import locked
from ._store.store import ROOT, FolderStore
from ._tree import EXPERIMENT_KEYS, Nodes
from .errors import PendingRecordWarning, ReservedKeyError, RigorousError
from .recorder import Recorder, recorder_below

__all__ = ["Experiment", "Past", "check_info", "is_running", "past_experiments"]


class Past(NamedTuple):
    """An experiment that was started before, and what it says of itself."""

    node: int
    number: int
    error_number: int
    had_error: bool
    has_ended: bool
    start: float | None
    duration: float | None


def past_experiments(nodes: Nodes) -> list[Past]:
    """The experiments of a collection, in the order in which they were started."""
    ids = nodes.children(ROOT)
    said = nodes.own_data(nodes.positions_of(ids))
    return [
        _past(node, data)
        for node, data in zip(ids, said, strict=True)
        if isinstance(data.get("experiment_number"), int)
    ]


def _past(node: int, data: Mapping[str, Any]) -> Past:
    errors = data.get("error_number")
    return Past(
        node=node,
        number=data["experiment_number"],
        error_number=errors if isinstance(errors, int) else 0,
        had_error=data.get("had_error") is not False,
        has_ended=data.get("experiment_end_time") is not None,
        start=data.get("experiment_start_time"),
        duration=data.get("experiment_duration"),
    )


def is_running(store: FolderStore, past: Past) -> bool:
    """Whether an experiment has not ended and its process lives."""
    if past.has_ended:
        return False
    writer = writer_of(past.node)
    return writer == store.home.writer or is_alive(store.folder, writer)


class Experiment:
    """One run: entered, it gives a recorder for the experiment; left, it says how it ended.

    Raises:
        SaveError: on leaving, records wait in memory and can't be written to disk.
    """

    def __init__(self, store: FolderStore, info: Mapping[str, Any], *, is_quiet: bool) -> None:
        self._store = store
        self._info = info
        self._is_quiet = is_quiet

    def __enter__(self) -> Recorder:
        self._store.folder.create(self._store.identity)
        with locked(self._store.folder.live / "experiments.lock"):
            number, error_number = self._numbers()
            self._process = os.getpid()
            self._start = time.time()
            self._recorder = recorder_below(
                self._store,
                ROOT,
                {
                    "experiment_number": number,
                    "error_number": error_number,
                    "had_error": True,
                    "experiment_start_time": self._start,
                    "experiment_end_time": None,
                    "experiment_duration": None,
                    **self._info,
                },
            )
            self._store.flush()
        return self._recorder

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if os.getpid() != self._process:
            return  # a forked child leaves by the same way; the experiment is the parent's
        end = time.time()
        said = {"experiment_end_time": end, "experiment_duration": end - self._start}
        if error is None:
            # In one word: whoever starts an experiment meanwhile sees all of the end, or none.
            self._recorder.update(said, had_error=False, error_number=0)
            self._store.require_saved()
            self._warn_of_pending()
        else:
            self._save_and_tell(error, said)

    def _numbers(self) -> tuple[int, int]:
        """The experiment's number, and its error number until it ends without one."""
        past = self._past()
        if not past:
            return 1, 1
        number = max(each.number for each in past)
        if any(each.number == number and is_running(self._store, each) for each in past):
            return number + 1, 1
        # One that ended between the reading and the look at its lock has said by now how.
        last = [each for each in self._past() if each.number == number][-1]
        return (number, last.error_number + 1) if last.had_error else (number + 1, 1)

    def _past(self) -> list[Past]:
        return past_experiments(Source(self._store).now().nodes)

    def _warn_of_pending(self) -> None:
        for recorder in self._store.handles.values():
            if recorder.pending and self._is_above(recorder):
                message = (
                    f"{recorder!r} was given fields that were never committed:"
                    f" {', '.join(recorder.pending)}. Call commit() after add()"
                )
                warnings.warn(message, PendingRecordWarning, stacklevel=3)

    def _is_above(self, recorder: Recorder) -> bool:
        above: Recorder | None = recorder
        while above is not None and above is not self._recorder:
            above = above.parent
        return above is not None

    def _save_and_tell(self, error: BaseException, said: Mapping[str, Any]) -> None:
        """Save, and say in short what happened; the error itself goes on to the caller."""
        kept = f"what it logged is saved in {self._store.folder.path}"
        try:
            self._recorder.update(said)
            self._store.require_saved()
        except RigorousError as trouble:  # the experiment's own error must not be hidden by it
            kept = str(trouble)
        if not self._is_quiet:
            data = self._recorder.local_data
            sys.stderr.write(
                f"experiment {data['experiment_number']} (error_number {data['error_number']})"
                f" ended with {shorten(f'{type(error).__name__}: {error}', 200)}; {kept}\n"
            )


def check_info(info: Mapping[str, Any]) -> None:
    """Refuse data under a key that a collection says of every experiment itself.

    Raises:
        ValueError: naming the key.
    """
    taken = [key for key in info if key in EXPERIMENT_KEYS]
    if taken:
        message = (
            f"{', '.join(taken)}: a collection says this of every experiment itself; choose"
            " another key"
        )
        raise ReservedKeyError(message)
