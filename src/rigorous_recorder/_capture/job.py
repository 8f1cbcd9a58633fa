"""The job of a scheduler: environment variables by name, none of which holds a secret."""

from __future__ import annotations

import os
from typing import Final

from .secrets import masked

__all__ = ["job"]

#: Variables are recorded if they are in this list, and never by a prefix: SLURM_JWT is a token.
_NAMES: Final = (
    *("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"),
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "NODE_RANK"),
    *("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"),
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG"),
    *("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    *("PMI_RANK", "PMI_SIZE"),
    *("PBS_JOBID", "PBS_JOBNAME", "PBS_QUEUE", "PBS_ARRAY_INDEX"),
    *("LSB_JOBID", "LSB_JOBNAME", "LSB_JOBINDEX", "LSB_QUEUE", "JOB_ID", "JOB_NAME", "SGE_TASK_ID"),
    *("AWS_BATCH_JOB_ID", "AWS_BATCH_JOB_ATTEMPT", "AWS_BATCH_JOB_ARRAY_INDEX"),
    *(
        f"SLURM_{name}"
        for name in (
            *("JOB_ID", "JOB_NAME", "JOB_PARTITION", "JOB_NODELIST", "JOB_NUM_NODES", "JOB_GPUS"),
            *("JOB_CPUS_PER_NODE", "JOB_QOS", "CLUSTER_NAME", "ARRAY_JOB_ID", "ARRAY_TASK_ID"),
            *("ARRAY_TASK_COUNT", "RESTART_COUNT", "NTASKS", "PROCID", "LOCALID", "NODEID"),
            *("NODELIST", "NNODES", "CPUS_PER_TASK", "MEM_PER_NODE", "GPUS", "GPUS_ON_NODE"),
            *("STEP_ID", "SUBMIT_DIR", "SUBMIT_HOST"),
        )
    ),
    *("KUBERNETES_SERVICE_HOST", "POD_NAME", "POD_NAMESPACE", "POD_UID", "POD_IP", "NODE_NAME"),
    *("JOB_COMPLETION_INDEX",),
    *("RAY_JOB_ID", "RAY_NODE_ID", "RAY_WORKER_ID", "RAY_CLUSTER_NAME"),
)


def job() -> dict[str, str]:
    """The variables that are set, in the order of the list."""
    return {name: masked(os.environ[name]) for name in _NAMES if os.environ.get(name)}
