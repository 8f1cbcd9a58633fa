"""The job of a scheduler that this process is a part of: SLURM's, where there is one."""

from __future__ import annotations

import os
from typing import NamedTuple

__all__ = ["SchedulerJob", "current_job"]


class SchedulerJob(NamedTuple):
    """What stays the same when a job is requeued, and how often it was.

    Attributes:
        name: ``slurm <id>``, or ``slurm <id>.<task>`` where the job has several tasks. Each task
            of an array is a job with an id of its own.
        restarts: how often the job was started before.
    """

    name: str
    restarts: int


def current_job() -> SchedulerJob | None:
    """The job that this process is a part of; None where there is none."""
    number = os.environ.get("SLURM_JOB_ID")
    if not number:
        return None
    task = os.environ.get("SLURM_PROCID")
    is_one_of_several = task and os.environ.get("SLURM_NTASKS", "") not in {"", "1"}
    name = f"slurm {number}.{task}" if is_one_of_several else f"slurm {number}"
    restarts = os.environ.get("SLURM_RESTART_COUNT", "")
    return SchedulerJob(name, int(restarts) if restarts.isdecimal() else 0)
