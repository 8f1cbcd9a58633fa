"""The experiments that imported runs become: their numbers, times and statuses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rigorous_recorder import Recorder, Status
from rigorous_recorder._experiments_lock import changing_experiments
from rigorous_recorder._keys import STATUS_KEY
from rigorous_recorder._latest import latest_runs
from rigorous_recorder._recorder import recorder_at
from rigorous_recorder._status import STOPS
from rigorous_recorder._store.node_ids import ROOT
from rigorous_recorder._store.store import FolderStore

__all__ = ["new_experiment", "outcome"]


def new_experiment(store: FolderStore, attributes: Mapping[str, Any]) -> Recorder:
    """A new experiment with a number of its own, visible in one step; its ``outcome`` is set later.

    Raises:
        SaveError: the folder can't be written.
    """
    with changing_experiments(store):
        latest = latest_runs(store)
        number = max(latest.runs.highest, latest.deleted) + 1
        own = {key: value for key, value in outcome({}).items() if key != STATUS_KEY}
        node = store.new_node()
        store.set_attributes(node, {"experiment_number": number, **own, **attributes}, ROOT)
        store.flush()
    return recorder_at(store, node)


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
    ends = [each for each in (ended, _seconds(last), before) if each is not None]
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
