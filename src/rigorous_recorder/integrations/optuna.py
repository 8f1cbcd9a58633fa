"""Optuna: each trial is a child of a run, with its parameters as attributes."""

from __future__ import annotations

import threading
from typing import Any

from rigorous_recorder import Recorder, Run

from .guest import guest
from .requirement import required

with required("optuna>=4.5"):
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["OptunaCallback"]


class OptunaCallback:
    """Logs trials: ``study.optimize(objective, callbacks=[OptunaCallback(run)])``.

    A trial is a child with the attribute ``trial``, its number; its parameters by their own names;
    ``state``, ``value`` (or ``values``, if there are several objectives), ``trial_start_time`` and
    ``trial_duration`` in seconds, ``user_attrs``, and ``constraints`` if there are any. What it
    reported are its records: ``step`` and ``value``.

    Optuna calls no callback for a trial that raised an error that is not in ``catch``, that was
    interrupted, or that came from ``ask``: call ``log_study(study)`` at the end, which logs each
    trial once. With ``load_study`` it imports a study of any storage.

    Args:
        recorder: a started run, or a recorder.

    Examples:
        >>> with collection.new_experiment(study="lr") as run:  # doctest: +SKIP
        ...     callback = OptunaCallback(run)
        ...     try:
        ...         study.optimize(objective, n_trials=20, callbacks=[callback])
        ...     finally:
        ...         callback.log_study(study)
    """

    def __init__(self, recorder: Recorder | Run) -> None:
        self._recorder = recorder
        self._logged: set[tuple[str, int]] = set()
        self._lock = threading.Lock()  # with n_jobs it is called in several threads

    @guest
    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        """Log a trial that has ended."""
        self._log(study, trial)

    @guest
    def log_study(self, study: Study) -> None:
        """Log all trials that have ended and are not logged yet, in the order of their numbers."""
        for trial in study.get_trials(deepcopy=False):
            if trial.state.is_finished():
                self._log(study, trial)

    def _log(self, study: Study, trial: FrozenTrial) -> None:
        name = (study.study_name, trial.number)
        with self._lock:
            if name in self._logged:
                return
            self._logged.add(name)
        child = self._recorder.child(_attributes(trial))
        for step, value in sorted(trial.intermediate_values.items()):
            child.push(step=step, value=value)


def _attributes(trial: FrozenTrial) -> dict[str, Any]:
    start, end = trial.datetime_start, trial.datetime_complete
    several = trial.values
    found = {
        **trial.params,
        "trial": trial.number,
        "state": trial.state.name.lower(),
        "trial_start_time": start.timestamp() if start else None,
        "trial_duration": (end - start).total_seconds() if start and end else None,
        "user_attrs": dict(trial.user_attrs) or None,
        "constraints": list(getattr(trial, "constraints", None) or []) or None,
    }
    if several is not None:
        found |= {"value": several[0]} if len(several) == 1 else {"values": list(several)}
    return {key: value for key, value in found.items() if value is not None or key in trial.params}
