"""The experiments that imported runs become: their numbers, times and statuses."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import Any, Final

from rigorous_recorder import Recorder, Status
from rigorous_recorder._experiments_lock import changing_experiments
from rigorous_recorder._keys import STATUS_KEY
from rigorous_recorder._latest import latest_runs
from rigorous_recorder._recorder import recorder_known
from rigorous_recorder._status import STOPS
from rigorous_recorder._store.node_ids import ROOT
from rigorous_recorder._store.store import FolderStore

__all__ = ["NewExperiments", "outcome"]

#: For how many seconds other processes may have to wait.
_LONGEST: Final = 0.25


class NewExperiments:
    """Begins experiments, each with a number of its own, many of them under one lock.

    While the lock is held, no other process begins an experiment: ``release`` it after some time.
    """

    def __init__(self, store: FolderStore) -> None:
        self._store = store
        self._held = ExitStack()
        self._highest: int | None = None
        self._since = 0.0

    def begin(self, attributes: Mapping[str, Any]) -> Recorder:
        """A new experiment, visible in one step; its ``outcome`` is set later.

        Raises:
            SaveError: the folder can't be written.
        """
        if self._highest is not None and time.monotonic() - self._since > _LONGEST:
            self.release()
        if self._highest is None:
            self._held.enter_context(changing_experiments(self._store))
            self._since = time.monotonic()
            latest = latest_runs(self._store)
            self._highest = max(latest.runs.highest, latest.deleted)
        self._highest += 1
        own = {key: value for key, value in outcome({}).items() if key != STATUS_KEY}
        data = {"experiment_number": self._highest, **own, **attributes}
        node = self._store.new_node()
        self._store.set_attributes(node, data, ROOT)
        return recorder_known(self._store, node, data)

    def release(self) -> None:
        """Let other processes begin experiments, too."""
        if self._highest is not None:
            self._highest = None
            with self._held:
                self._store.flush()


def outcome(
    about: Mapping[str, Any], last: datetime | None = None, before: float | None = None
) -> dict[str, Any]:
    """The attributes of an experiment that tell how it ended, and when.

    A run without a status in its source counts as finished; one that is still running there counts
    as crashed when the import ends.

    Args:
        about: the run's status and times, as formats give them.
        last: the time of its last record, at which it ended if the source does not tell it.
        before: when it had ended by what was known before, if that is all there is.
    """
    status = about.get("status")
    is_open = status in {Status.RUNNING, Status.CRASHED}
    is_good = not is_open and status != Status.FAILED
    start, ended = _seconds(about.get("start_time")), _seconds(about.get("end_time"))
    latest = _seconds(last)
    if start is not None and latest is not None:
        latest = max(start, latest)  # records can be older than what says when it started
    ends = [each for each in (ended, latest, before) if each is not None]
    end = None if is_open or not ends else ends[0]
    return {
        "error_number": 0 if is_good else 1,
        "had_error": not is_good,
        "experiment_start_time": start,
        "experiment_end_time": end,
        "experiment_duration": None if start is None or end is None else max(end - start, 0.0),
        STATUS_KEY: status if status in STOPS else None,
    }


def _seconds(time: object) -> float | None:
    return time.timestamp() if isinstance(time, datetime) else None
