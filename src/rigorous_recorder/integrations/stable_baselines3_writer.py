"""Stable-Baselines3's output format: a record of each row of its logger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rigorous_recorder import Recorder, Run

from .guest import guest, push
from .requirement import required
from .target import run_or_recorder

with required("stable-baselines3>=2.3"):
    from stable_baselines3.common.logger import KVWriter

__all__ = ["RigorousWriter"]


class RigorousWriter(KVWriter):
    """An output format: ``Logger(None, [RigorousWriter(run)])``.

    A record is a row, and ``step``; keys that exclude "rigorous" are left out.
    """

    def __init__(self, recorder: Recorder | Run) -> None:
        self._recorder = run_or_recorder(recorder)
        #: What was logged before it is dumped.
        self.early: dict[str, Any] = {}

    @guest
    def write(self, key_values: Any, key_excluded: Any, step: int = 0) -> None:
        """Log a row; the dict is cleared after the call."""
        early, self.early = self.early, {}
        self._push(_without(early, key_values), key_excluded, step)

    def write_early(self, key_values: Any, step: int) -> None:
        """Log what was recorded and not dumped yet; the next dump does not log it again."""
        new = _without(self.early, key_values)
        self.early |= new
        self._push(new, {}, step)

    def forget(self, start: str) -> None:
        """Log values of keys with this start again, if they are recorded again."""
        self.early = {key: each for key, each in self.early.items() if not key.startswith(start)}

    def _push(self, fields: Mapping[str, Any], excluded: Any, step: int) -> None:
        found = {
            key: each for key, each in fields.items() if "rigorous" not in excluded.get(key, ())
        }
        if found:
            push(self._recorder, {"step": step, **found})

    def close(self) -> None:
        """Nothing to close: the run ends with the process, or where the caller ends it."""


def _without(early: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in values.items() if key not in early or early[key] is not each}
