"""The machine: operating system, processor, memory and GPUs."""

from __future__ import annotations

import getpass
import os
import platform
import re
import socket
from pathlib import Path
from typing import Any, Final

from .cgroup import cpu_limit, memory_limit

__all__ = ["machine"]

_NVIDIA: Final = Path("/proc/driver/nvidia")
_MEGABYTE: Final = 1024 * 1024


def machine() -> dict[str, Any]:
    """Host, operating system, CPU, memory in MB and, if there are any, GPUs and their driver."""
    found: dict[str, Any] = {
        "host": socket.gethostname(),
        "user": _user(),
        "os": platform.platform(),
        "cpu": _cpu(),
        "cpu_cores": os.cpu_count(),
        "cpu_cores_usable": _usable_cores(),
        "cpu_limit": cpu_limit(),
        "memory_mb": _memory(),
        "memory_limit_mb": _memory_limit(),
        "gpus": _gpus(_NVIDIA),
        "gpu_driver": _gpu_driver(_NVIDIA),
    }
    return {key: value for key, value in found.items() if value}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # one without a name, as in containers
        return ""


def _cpu() -> str:
    model = re.search(r"^model name\s*:\s*(.+)$", _text(Path("/proc/cpuinfo")), re.MULTILINE)
    return model[1] if model else platform.processor() or platform.machine()


def _usable_cores() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _MEGABYTE
    except (OSError, ValueError):
        return 0


def _memory_limit() -> int | None:
    """That of the container or job, if it is less than the machine has."""
    limit = memory_limit()
    megabytes = limit.bytes // _MEGABYTE if limit is not None else 0
    return megabytes if 0 < megabytes < _memory() else None


def _gpus(place: Path) -> list[str]:
    """The models of NVIDIA's GPUs, from its driver's files: nothing is loaded or started."""
    texts = [_text(path) for path in sorted(place.glob("gpus/*/information"))]
    models = [re.search(r"^Model:\s*(.+?)\s*$", text, re.MULTILINE) for text in texts]
    return [model[1] for model in models if model]


def _gpu_driver(place: Path) -> str:
    found = re.search(r"Kernel Module.*?\s(\d+(?:\.\d+)+)\s", _text(place / "version"))
    return found[1] if found else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
