"""The scheduler job of this process: SLURM's, if there is one."""

from __future__ import annotations

import os
from typing import NamedTuple

__all__ = ["SchedulerJob", "current_job"]


class SchedulerJob(NamedTuple):
    """What identifies a job when it is requeued, and how often it was.

    Attributes:
        name: ``slurm <id>``, or ``slurm <id>.<task>`` if the job has several tasks. Each task of an
            array is a job with its own id.
        restarts: how often the job was started before.
    """

    name: str
    restarts: int


def current_job() -> SchedulerJob | None:
    """The job of this process; None if there is none."""
    number = os.environ.get("SLURM_JOB_ID")
    if not number:
        return None
    task = os.environ.get("SLURM_PROCID")
    is_one_of_several = task and os.environ.get("SLURM_NTASKS", "") not in {"", "1"}
    name = f"slurm {number}.{task}" if is_one_of_several else f"slurm {number}"
    restarts = os.environ.get("SLURM_RESTART_COUNT", "")
    return SchedulerJob(name, int(restarts) if restarts.isdecimal() else 0)
