"""File systems: the properties of a folder's file system, by its type and mount options."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

__all__ = [
    "LockDomain",
    "has_exact_times",
    "has_layers",
    "is_local",
    "is_safe_to_map",
    "lock_domain",
    "locks_meet",
    "locks_reach_other_hosts",
]

_MOUNTS: Final = "/proc/self/mounts"
_NAMESPACE: Final = Path("/proc/self/ns/mnt")
#: How white space and backslashes are escaped in the list of mounts.
_ESCAPED: Final = r"\\([0-7]{3})"

#: File systems that really reserve space, so that a mapped page can always be written. On others
#: (network, FUSE, copy-on-write) a full disk would kill the process.
_SAFE: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "tmpfs", "f2fs", "jfs", "overlay"})
#: File systems of a single machine: all writers run, or ran, on it.
_LOCAL: Final = _SAFE | {"btrfs", "zfs", "bcachefs", "nilfs2", "reiserfs", "vfat", "exfat", "ntfs3"}
#: File systems whose folders have another modification time after each change of their names.
_TIMED: Final = _LOCAL - {"overlay", "vfat", "exfat", "ntfs3"}
#: File systems on which no file exists twice, so that all locks on a file meet, whatever path leads
#: there. An overlay has other locks than the layer below it, and so does FUSE.
_ON_DEVICE: Final = _LOCAL - {"overlay"}
#: File systems whose hosts see each other's ``flock``, unless an option disables that.
_SHARING_LOCKS: Final = frozenset({"nfs", "nfs4", "gpfs", "ceph", "cifs", "smb3", "ocfs2", "gfs2"})
_LOCKS_OF_ONE_HOST: Final = frozenset(
    {"nolock", "local_lock=flock", "local_lock=all", "nobrl", "localflocks"}
)


def is_safe_to_map(folder: Path) -> bool:
    """Whether files in ``folder`` are on a local file system that is known to reserve space."""
    return hasattr(os, "posix_fallocate") and _mount_of(folder).kind in _SAFE


def is_local(folder: Path) -> bool:
    """Whether no other machine can write to ``folder``; False if unknown."""
    return _mount_of(folder).kind in _LOCAL


def locks_reach_other_hosts(folder: Path) -> bool:
    """Whether all writers of ``folder`` see the locks on its files; False if unknown."""
    mount = _mount_of(folder)
    if mount.kind == "lustre":
        return "flock" in mount.options
    is_sharing = mount.kind in _SHARING_LOCKS and mount.options.isdisjoint(_LOCKS_OF_ONE_HOST)
    return is_sharing or mount.kind in _LOCAL


def has_layers(folder: Path) -> bool:
    """Whether ``folder`` is on an overlay, which may not see changes of its layers."""
    return _mount_of(folder).kind == "overlay"


def has_exact_times(folder: Path) -> bool:
    """Whether each change of the names in ``folder`` changes its modification time."""
    return _mount_of(folder).kind in _TIMED


class LockDomain(NamedTuple):
    """How a process sees a locked file: processes with equal values see each other's lock.

    Attributes:
        kind: the type of the file system; empty if unknown.
        reaches: whether other hosts with that file system see the lock.
        device, inode: of the file. FUSE sometimes gives several files the same number.
        namespace: the mount namespace of the process, in which a path has one meaning.
        path: the path of the file, without links.
    """

    kind: str
    reaches: bool
    device: int
    inode: int
    namespace: str
    path: str


def lock_domain(path: Path) -> LockDomain:
    """How this process sees an existing file.

    Raises:
        OSError: it can't be accessed.
    """
    stat = path.stat()
    kind, reaches = _mount_of(path.parent).kind, locks_reach_other_hosts(path.parent)
    return LockDomain(kind, reaches, stat.st_dev, stat.st_ino, _namespace(), str(path.resolve()))


def locks_meet(one: LockDomain, other: LockDomain, *, is_same_kernel: bool) -> bool:
    """Whether two processes certainly see each other's locks on a file; False if unknown."""
    if is_same_kernel and one.kind in _LOCAL:
        return {one.kind, other.kind} <= _ON_DEVICE or one == other
    if one.kind == other.kind and one.reaches and other.reaches:
        return True  # on a local one the other process ran before the machine was rebooted
    return is_same_kernel and one == other


def _namespace() -> str:
    try:
        return str(_NAMESPACE.readlink())
    except OSError:
        return ""


class _Mount(NamedTuple):
    """A mounted file system: its type, empty if unknown, and its options."""

    kind: str
    options: frozenset[str]


def _mount_of(folder: Path) -> _Mount:
    """The file system at the longest mount point above ``folder``; the last one wins."""
    try:
        mounts = Path(_MOUNTS).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return _Mount("", frozenset())
    place = folder.resolve()
    best, found = "", _Mount("", frozenset())
    for line in mounts.splitlines():
        _, quoted, kind, options, *_ = line.split(" ")
        point = re.sub(_ESCAPED, lambda found: chr(int(found[1], 8)), quoted)
        if place.is_relative_to(point) and len(point) >= len(best):
            best, found = point, _Mount(kind, frozenset(options.split(",")))
    return found
