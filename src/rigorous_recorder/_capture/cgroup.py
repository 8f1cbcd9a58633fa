"""The limits of the container or job that a process is in: control groups of Linux, versions 1 and 2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["MemoryLimit", "cpu_limit", "memory_limit"]

_ROOT: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")
#: Larger limits mean that there is none.
_LARGEST: Final = 2**60


class MemoryLimit(NamedTuple):
    """The lowest limit of memory of a process's groups, and where to read what is used of it."""

    folder: Path
    bytes: int

    def used(self) -> int:
        """Bytes that the group uses, without files in memory that can be dropped."""
        for name, dropped in (
            ("memory.current", "inactive_file"),
            ("memory.usage_in_bytes", "total_inactive_file"),
        ):
            if (used := _number(self.folder / name)) is not None:
                return max(0, used - _statistics(self.folder / "memory.stat").get(dropped, 0))
        message = f"{self.folder} reports no use of memory"
        raise OSError(message)


def memory_limit(root: Path = _ROOT, own: Path = _OWN) -> MemoryLimit | None:
    """The lowest limit of memory, if there is one."""
    found = [
        MemoryLimit(folder, limit)
        for folder in _groups("memory", root, own)
        for name in ("memory.max", "memory.limit_in_bytes")
        if (limit := _number(folder / name)) is not None and limit < _LARGEST
    ]
    return min(found, key=lambda each: each.bytes, default=None)


def cpu_limit(root: Path = _ROOT, own: Path = _OWN) -> float | None:
    """The lowest limit of processors, in cores, if there is one."""
    found = [limit for folder in _groups("cpu", root, own) for limit in _cores(folder)]
    return min(found, default=None)


def _cores(folder: Path) -> Iterator[float]:
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    parts = (
        (quota, period.strip())
        if period
        else (
            _text(folder / "cpu.cfs_quota_us").strip(),
            _text(folder / "cpu.cfs_period_us").strip(),
        )
    )
    if all(part.isdecimal() and int(part) for part in parts):  # else "max", or -1, or nothing
        yield round(int(parts[0]) / int(parts[1]), 2)


def _groups(controller: str, root: Path, own: Path) -> Iterator[Path]:
    """The folders of the process's group and of those above it, which limit it, too."""
    for line in _text(own).splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            base = root
        elif controller in controllers.split(","):
            base = root / controller
        else:
            continue
        group = base / path.lstrip("/")  # in a container it may be that of the host, and not there
        yield from (each for each in (group, *group.parents) if each.is_relative_to(base))


def _statistics(path: Path) -> dict[str, int]:
    lines = (line.split() for line in _text(path).splitlines())
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdecimal()}


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
