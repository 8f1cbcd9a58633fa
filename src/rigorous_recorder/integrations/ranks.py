"""Processes of one distributed training, as torchrun, SLURM and MPI start them, in one run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal

from rigorous_recorder import ExperimentCollection, Recorder, Run, Status

from .guest import guest, report_once
from .host import Place, collection_at
from .silent import SilentRecorder

__all__ = ["rank_and_size", "run_of_ranks"]

#: Variables with the rank and the number of processes; torchrun's first, which can run below others.
_RANKS: Final = (
    ("RANK", "WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMIX_RANK", "PMIX_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
)
#: Variables that all processes of one training share, and no other training has.
_NAMES: Final = (
    "TORCHELASTIC_RUN_ID",
    "TORCHELASTIC_RESTART_COUNT",
    "MASTER_ADDR",
    "MASTER_PORT",
    "SLURM_JOB_ID",
    "SLURM_STEP_ID",
    "SLURM_RESTART_COUNT",
    "PMIX_NAMESPACE",
    "OMPI_MCA_ess_base_jobid",
)
_WAIT: Final = 0.1
#: About when this process began, and how much earlier that of rank 0 can have begun and ended.
_STARTED: Final = time.time()
_EARLIER: Final = 30.0


def rank_and_size() -> tuple[int, int]:
    """The rank of this process, and how many there are: (0, 1) without a launcher."""
    for rank, size in _RANKS:
        if rank in os.environ:
            return int(os.environ[rank]), int(os.environ.get(size, "1"))
    return 0, 1


@contextmanager
def run_of_ranks(
    place: Place,
    info: Mapping[str, Any] | None = None,
    *,
    ranks: Literal["each", "first"] = "each",
    group: str | None = None,
    timeout: float = 60.0,
    **options: Any,
) -> Iterator[Recorder]:
    """A run that the process of rank 0 begins and ends; ``with`` returns where this process logs.

    Where no run can begin, that is reported, and what the process logs is dropped.

    Args:
        place: a collection or its path, which all processes can reach.
        info: attributes of the run.
        ranks: "each" for a child of the run with ``rank`` for each process; "first" for rank 0
            alone, in the run itself: recorders of the others drop what they get.
        group: a name that all processes of this training have, and no other training that runs; by
            default one of the launcher's variables. It is the attribute ``process_group``.
        timeout: how many seconds other ranks wait for the run. Then it is reported, and they drop
            what they get: the training goes on.
        options: those of ``ExperimentCollection.new_experiment``.

    Examples:
        >>> with run_of_ranks("data/study", {"lr": 0.1}) as recorder:  # doctest: +SKIP
        ...     recorder.push(step=0, loss=0.5)
    """
    rank, size = rank_and_size()
    name = _group() if group is None else group
    if rank == 0:
        attributes = {**(info or {}), "ranks": size, "process_group": name}
        begun = _begun(place, attributes, options)
        if begun is None:
            yield SilentRecorder()
        else:
            with begun as run:
                yield run.child(rank=0) if ranks == "each" else run
        return
    found = None if ranks == "first" else _wait_for(place, name, timeout)
    yield SilentRecorder() if found is None else found.child(rank=rank)


@guest
def _begun(place: Place, attributes: Mapping[str, Any], options: dict[str, Any]) -> Run | None:
    return collection_at(place).start(attributes, **options)


def _group() -> str:
    return " ".join(f"{name}={os.environ[name]}" for name in _NAMES if name in os.environ)


@guest
def _wait_for(place: Place, group: str, timeout: float) -> Recorder | None:
    """The recorder of the running run of a group."""
    end = time.monotonic() + timeout
    collection = collection_at(place)
    while True:
        found = _running(collection, group)
        if found is not None:
            return found
        if time.monotonic() > end:
            error = TimeoutError(f"there is no run of the group {group!r} after {timeout} s")
            report_once("this rank logs nothing", error)
            return None
        time.sleep(_WAIT)


def _running(collection: ExperimentCollection, group: str) -> Recorder | None:
    """The run of a group that is running, or that was over before this process looked."""
    for number in reversed(collection):
        experiment = collection.experiment(number)
        if experiment.recorder.attributes.get("process_group") == group:
            is_of_now = experiment["experiment_start_time"] > _STARTED - _EARLIER
            if is_of_now or experiment.status is Status.RUNNING:
                return experiment.recorder
    return None
