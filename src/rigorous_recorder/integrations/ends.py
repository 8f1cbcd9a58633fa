"""Ends of runs with their process, as that ends."""

from __future__ import annotations

import atexit
import functools
import multiprocessing
import sys
import threading
from collections.abc import Callable
from multiprocessing import util
from typing import Any, NoReturn

from rigorous_recorder import Run
from rigorous_recorder._arrow import without_pandas

__all__ = ["at_exit", "end_at_exit"]


def end_at_exit(run: Run) -> None:
    """End the run with the process, unless it has ended: with its exception, if it dies of one."""
    at_exit(lambda error: run.finish() if error is None else run.fail(error))


def at_exit(end: Callable[[BaseException | None], Any]) -> None:
    """Call this when the process ends, with the exception that it dies of, if there is one.

    That is also ``SystemExit`` where the script calls ``sys.exit`` with another status than 0.
    """
    if not isinstance(sys.exit, _Exit):
        sys.exit = _Exit(sys.exit)
    if multiprocessing.parent_process() is None:
        atexit.register(_end, end)
    else:  # children of multiprocessing end without atexit
        util.Finalize(None, _end, (end,), exitpriority=0)


class _Exit:
    """``sys.exit``, which notes its status: the interpreter does not tell it when it ends."""

    status: Any = None

    def __init__(self, call: Callable[..., NoReturn]) -> None:
        self._call = call
        functools.update_wrapper(self, call)

    def __call__(self, status: Any = None, /) -> NoReturn:
        if threading.current_thread() is threading.main_thread():  # others only end themselves
            _Exit.status = status
        self._call(status)


def _end(end: Callable[[BaseException | None], Any]) -> None:
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None) or sys.exc_info()[1]
    if isinstance(error, SystemExit) and not error.code:
        error = None
    if error is None and _Exit.status:
        error = SystemExit(_Exit.status)
    try:
        with without_pandas():
            end(error)
    except Exception:  # noqa: BLE001 - it has ended, or belongs to the parent of a fork
        return
