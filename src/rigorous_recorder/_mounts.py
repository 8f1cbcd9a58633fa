"""What is known of the file system that a folder is on, by its type and its options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["is_local", "is_safe_to_map", "locks_reach_other_hosts"]

_MOUNTS: Final = "/proc/self/mounts"

#: File systems on which space that was reserved is really there, so that a mapped page can always
#: be written. On others (network, FUSE, copy-on-write) a full disk would kill the process.
_SAFE: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "tmpfs", "f2fs", "jfs", "overlay"})
#: File systems of this machine alone: whoever writes there runs, or ran, on it.
_LOCAL: Final = _SAFE | {"btrfs", "zfs", "bcachefs", "nilfs2", "reiserfs", "vfat", "exfat", "ntfs3"}
#: File systems of which all hosts see each other's ``flock``, unless an option says otherwise.
_SHARING_LOCKS: Final = frozenset({"nfs", "nfs4", "gpfs", "ceph", "cifs", "smb3", "ocfs2", "gfs2"})
_LOCKS_OF_ONE_HOST: Final = frozenset(
    {"nolock", "local_lock=flock", "local_lock=all", "nobrl", "localflocks"}
)


def is_safe_to_map(folder: Path) -> bool:
    """Whether files in ``folder`` are on a local file system that is known to reserve space."""
    return hasattr(os, "posix_fallocate") and _mount_of(folder).kind in _SAFE


def is_local(folder: Path) -> bool:
    """Whether no other machine can write to ``folder``; False where that isn't known."""
    return _mount_of(folder).kind in _LOCAL


def locks_reach_other_hosts(folder: Path) -> bool:
    """Whether whoever can write to ``folder`` sees the locks on its files; False if not known."""
    mount = _mount_of(folder)
    if mount.kind == "lustre":
        return "flock" in mount.options
    is_sharing = mount.kind in _SHARING_LOCKS and mount.options.isdisjoint(_LOCKS_OF_ONE_HOST)
    return is_sharing or mount.kind in _LOCAL


class _Mount(NamedTuple):
    """A mounted file system: its type, empty where it isn't known, and its options."""

    kind: str
    options: frozenset[str]


def _mount_of(folder: Path) -> _Mount:
    """The file system that the longest mount point above ``folder`` has; the last one wins."""
    try:
        mounts = Path(_MOUNTS).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return _Mount("", frozenset())
    place = folder.resolve()
    best, found = "", _Mount("", frozenset())
    for line in mounts.splitlines():
        _, quoted, kind, options, *_ = line.split(" ")
        point = quoted.replace("\\040", " ")
        if place.is_relative_to(point) and len(point) >= len(best):
            best, found = point, _Mount(kind, frozenset(options.split(",")))
    return found
