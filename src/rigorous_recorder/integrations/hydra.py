"""Hydra: a callback that makes each job a run, and the jobs of a sweep children of one run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rigorous_recorder import ExperimentCollection, Recorder, Run

from .ends import end_at_exit
from .guest import guest, set_attributes
from .host import Capture, Place, collection_at
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

    A job has the attributes ``config``, ``overrides`` and ``output_dir``. In a multirun the jobs of
    this process are children of one run, with ``job``, its number, and at the end ``state``. A
    launcher that starts other processes has a run for each job, with ``job`` and ``sweep_dir``.

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
        self._sweep: Run | None = None
        self._run: Run | None = None

    @guest
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Begin the run of a sweep."""
        self._sweep = self._begin({"sweep_dir": config.hydra.sweep.dir})

    def _begin(self, info: dict[str, Any]) -> Run:
        run = collection_at(self._place).start(info, capture=self._capture)
        end_at_exit(run)
        return run

    @guest
    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Begin a child of the sweep, or a run."""
        hydra = config.hydra
        number = OmegaConf.select(hydra, "job.num", default=None)
        place = {} if number is None else {"job": number}
        if self._sweep is None:
            sweep = {} if number is None else {"sweep_dir": hydra.sweep.dir}
            self._run = self._begin({**place, **sweep})
        current = self._run.recorder if self._run else self._of_sweep(place)
        _CURRENT.append(current)
        found = {"config": _plain(config), "overrides": list(hydra.overrides.task)}
        set_attributes(current, {**found, "output_dir": hydra.runtime.output_dir})

    def _of_sweep(self, place: dict[str, Any]) -> Recorder:
        assert self._sweep is not None
        return self._sweep.child(place)

    @guest
    def on_job_end(self, config: DictConfig, job_return: Any, **kwargs: Any) -> None:
        """End the run of the job, with its exception if it failed, or set its ``state``."""
        current, error = _CURRENT.pop(), job_return._return_value
        has_failed = job_return.status.name == "FAILED"
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


def _plain(config: DictConfig) -> Any:
    """The config of the job as plain values, without that of Hydra."""
    own = OmegaConf.masked_copy(config, [key for key in map(str, config) if key != "hydra"])
    written = OmegaConf.to_container(own, resolve=False)
    resolved = OmegaConf.to_container(own, resolve=True)
    secrets = {str(each) for text, each in _leaves(written, resolved) if "oc.env" in str(text)}
    return _without(secrets - {""}, written, resolved)


def _leaves(written: Any, resolved: Any) -> Iterator[tuple[Any, Any]]:
    """Each value as it is written, and what it is."""
    if isinstance(written, dict | list):
        for key in written if isinstance(written, dict) else range(len(written)):
            yield from _leaves(written[key], resolved[key])
    else:
        yield written, resolved


def _without(secrets: set[str], written: Any, resolved: Any) -> Any:
    """The resolved values; those that interpolate one of the environment's as they are written."""
    if isinstance(written, dict):
        return {str(key): _without(secrets, written[key], resolved[key]) for key in written}
    if isinstance(written, list):
        return [_without(secrets, *pair) for pair in zip(written, resolved, strict=True)]
    is_secret = "${" in str(written) and any(each in str(resolved) for each in secrets)
    return written if is_secret else resolved
