"""Hydra: a callback that makes each job a run, and the jobs of a sweep children of one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from rigorous_recorder import ExperimentCollection, Recorder, Run

from .ends import at_exit
from .guest import guest, set_attributes
from .host import Capture, Place, collection_at
from .hydra_config import overrides, plain
from .requirement import required

with required("hydra-core>=1.3"):
    from hydra.experimental.callback import Callback
    from omegaconf import DictConfig, OmegaConf

__all__ = ["RigorousCallback", "recorder"]

#: Where the job that runs in this process logs.
_CURRENT: Final[list[Recorder]] = []


def recorder() -> Recorder:
    """Where the running job logs; outside of one, a recorder in memory."""
    return _CURRENT[-1] if _CURRENT else Recorder()


class RigorousCallback(Callback):
    """Begins a run for each job; in the job ``integrations.hydra.recorder()`` is where to log.

    A job has the attributes ``config``, ``overrides`` and ``output_dir``. In a multirun the jobs are
    children of one run, with ``job``, its number, and at the end ``state``; also those that a launcher
    starts in other processes. If one of them fails, and Hydra with it, the run has its exception.

    A config value that reads an environment variable is stored as it is written, not as its value.

    Args:
        place: the path of a collection; a relative one is in the folder in which Hydra starts.
        capture: what runs record of themselves; see ``new_experiment``.

    Examples:
        In the config: ``hydra.callbacks.rigorous._target_`` is
        ``rigorous_recorder.integrations.hydra.RigorousCallback``, and ``place`` is beside it.
    """

    def __init__(self, place: Place, *, capture: Capture = True) -> None:
        # A job can have another working directory.
        self._place = place if isinstance(place, ExperimentCollection) else Path(place).absolute()
        self._capture = capture
        #: The run of a sweep, in the process that began it, and its recorder, in all.
        self._sweep: Run | None = None
        self._parent: Recorder | None = None
        self._run: Run | None = None
        self._error: BaseException | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Launchers send it to other processes; runs end where they began."""
        return {**vars(self), "_sweep": None, "_run": None, "_error": None}

    @guest
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Begin the run of a sweep."""
        self._error = None
        self._sweep = self._begin({"sweep_dir": config.hydra.sweep.dir})
        self._parent = self._sweep.recorder

    def _begin(self, info: dict[str, Any]) -> Run:
        run = collection_at(self._place).start(info, capture=self._capture)
        at_exit(lambda error: self._end(run, error))
        return run

    def _end(self, run: Run, error: BaseException | None) -> None:
        """End a run with the process, which Hydra ends by ``SystemExit`` when a job has failed."""
        if error is None:
            run.finish()
        else:
            run.fail(self._error if isinstance(error, SystemExit) and self._error else error)

    @guest
    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Begin a child of the sweep, or a run."""
        hydra = config.hydra
        number = OmegaConf.select(hydra, "job.num", default=None)
        place = {} if number is None else {"job": number}
        if self._parent is None:
            sweep = {} if number is None else {"sweep_dir": hydra.sweep.dir}
            self._run = self._begin({**place, **sweep})
            current = self._run.recorder
        else:
            current = self._parent.child(place)
        _CURRENT.append(current)
        found = {"config": plain(config), "overrides": overrides(config)}
        set_attributes(current, {**found, "output_dir": hydra.runtime.output_dir})

    @guest
    def on_job_end(self, config: DictConfig, job_return: Any, **kwargs: Any) -> None:
        """End the run of the job, with its exception if it failed, or set its ``state``."""
        current, error = _CURRENT.pop(), job_return._return_value
        has_failed = job_return.status.name == "FAILED"
        if has_failed:
            self._error = error
        if self._run is None:
            found = {"error": f"{type(error).__name__}: {error}"} if has_failed else {}
            current.update(state=job_return.status.name.lower(), **found)
        else:
            run, self._run = self._run, None
            if has_failed:
                run.fail(error)
            else:
                run.finish()

    @guest
    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """End the run of the sweep."""
        if self._sweep is not None:
            self._sweep.finish()
