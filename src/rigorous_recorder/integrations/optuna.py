"""Optuna: each trial is a child of a run, with its parameters as attributes."""

from __future__ import annotations

from typing import Any, Final

from rigorous_recorder import Recorder, Run

from .guest import guest
from .requirement import required
from .target import recorder_of

with required("optuna>=4.5"):
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["OptunaCallback"]

#: What a trial's parameter of this name would hide.
_TAKEN: Final = {
    "constraints",
    "state",
    "step",
    "study_name",
    "trial",
    "trial_duration",
    "trial_start_time",
    "user_attrs",
    "value",
    "values",
}


class OptunaCallback:
    """Logs trials: ``study.optimize(objective, callbacks=[OptunaCallback(run)])``.

    A trial is a child with the attributes ``trial``, its number, and ``study_name``; its parameters by
    their own names, but ``params_<name>`` where that is the name of another attribute;
    ``state``, ``value`` (or ``values``, if there are several objectives), ``trial_start_time`` and
    ``trial_duration`` in seconds, ``user_attrs``, and ``constraints``, a dict, if there are any. What
    it reported are its records: ``step`` and ``value``.

    Optuna calls no callback for a trial that raised an error that is not in ``catch``, that was
    interrupted, or that came from ``ask``: call ``log_study(study)`` at the end, which logs each
    trial that the recorder does not have. With ``load_study`` it imports a study of any storage.
    Processes with one storage each have a callback with ``run.recorder``.

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
        self._recorder = recorder_of(recorder)
        #: Trials by study and number, and the call that logs each: with n_jobs there are several threads.
        self._logged: dict[tuple[str, int], object] = {}

    @guest
    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        """Log a trial that has ended."""
        self._log(study.study_name, trial)

    @guest
    def log_study(self, study: Study) -> None:
        """Log all trials that have ended and are not logged yet, in the order of their numbers."""
        name = study.study_name
        for child in self._recorder.children:  # also those of other processes
            if child.get("study_name") == name and "trial" in child:
                self._logged.setdefault((name, child["trial"]), child)
        for trial in study.get_trials(deepcopy=False):
            if trial.state.is_finished():
                self._log(name, trial)

    @guest
    def _log(self, study: str, trial: FrozenTrial) -> None:
        call = object()
        if self._logged.setdefault((study, trial.number), call) is not call:
            return
        try:
            child = self._recorder.child(
                {"trial": trial.number, **_attributes(trial), "study_name": study}
            )
        except Exception:
            del self._logged[study, trial.number]  # for a later attempt
            raise
        for step, value in sorted(trial.intermediate_values.items()):
            child.push(step=step, value=value)


def _attributes(trial: FrozenTrial) -> dict[str, Any]:
    start, end = trial.datetime_start, trial.datetime_complete
    several = trial.values
    params = {f"params_{k}" if k in _TAKEN else k: v for k, v in trial.params.items()}
    found = {
        "state": trial.state.name.lower(),
        "trial_start_time": start.timestamp() if start else None,
        "trial_duration": (end - start).total_seconds() if start and end else None,
        "user_attrs": dict(trial.user_attrs) or None,
        "constraints": _constraints(trial) or None,
    }
    if several is not None:
        found |= {"value": several[0]} if len(several) == 1 else {"values": list(several)}
    return params | {key: value for key, value in found.items() if value is not None}


def _constraints(trial: FrozenTrial) -> dict[str, float]:
    """Constraints by their names; up to Optuna 4 they are in a list, and have numbers."""
    found = getattr(trial, "constraints", None)
    if found is None:
        found = dict(enumerate(trial.system_attrs.get("constraints") or ()))
    return {str(name): value for name, value in found.items()}
