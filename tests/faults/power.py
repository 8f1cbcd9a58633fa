"""A loss of power, simulated: what a device may have of files that were written and not synced.

``PowerLog`` looks at a folder after every step that changes it or makes a change last, and keeps
every version of every file and folder, and what was synced when. ``Outage`` then makes the folder
that a loss of power at any of these moments may leave: of what was not synced, each block of each
file and each name in each folder is an older or a newer one, as the dice want.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from rigorous_recorder._store import seal

#: What is written or dropped whole. Devices have 512 bytes or more; less is harder to survive.
BLOCKS: Final = (8, 64, 512, 4096)
MODES: Final = ("nothing", "everything", "names", "bytes", "dice", "dice", "dice", "dice")

Inode = tuple[int, int]


class Version(NamedTuple):
    """What a file or folder had from a time on: its bytes, or the inodes of its names."""

    moment: int
    content: bytes | dict[str, Inode]


class Synced(NamedTuple):
    """From a time on, a version of a file or folder survives."""

    moment: int
    inode: Inode
    version: int


class PowerLog:
    """All versions of all files below a folder, and which of them were synced when."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.RLock()
        self._kept: dict[Inode, int] = {}
        self._is_over = False
        self.versions: dict[Inode, list[Version]] = {}
        self.syncs: list[Synced] = []
        self.moments = 0
        #: For each moment what the workload said at that time.
        self.said: list[Any] = []
        self.root = self._look(root, None)

    @contextmanager
    def watching(self, monkeypatch: pytest.MonkeyPatch, say: Callable[[], Any]) -> Iterator[None]:
        """Look after each step of any thread; ``say`` returns what is known at that time."""

        def watched(original: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **named: Any) -> Any:
                self.look(say)
                try:
                    return original(*args, **named)
                finally:
                    self.look(say)

            return call

        sync = os.fsync

        def synced(descriptor: int) -> None:
            # Only what was there at the call is sure to be synced when it returns.
            with self._lock:
                self.look(say)
                inode = _inode(os.fstat(descriptor))
                version = len(self.versions[inode]) - 1 if inode in self.versions else None
            sync(descriptor)
            if version is not None:
                with self._lock:
                    self.syncs.append(Synced(self.moments, inode, version))
                    self.look(say)

        with monkeypatch.context() as patch:
            for module, name in [
                (os, "replace"), (os, "rename"), (os, "unlink"), (os, "pwrite"), (os, "pwritev"),
                (os, "mkdir"), (os, "rmdir"), (os, "posix_fallocate"), (seal.pq.ParquetWriter, "write_table"),
            ]:  # fmt: skip
                patch.setattr(module, name, watched(getattr(module, name)))
            patch.setattr(os, "fsync", synced)
            yield
            self.look(say)
        with self._lock:  # a thread may still be between two steps
            self._is_over = True
            for descriptor in self._kept.values():
                os.close(descriptor)

    def look(self, say: Callable[[], Any]) -> None:
        """Keep what there is now."""
        with self._lock:
            if self._is_over:
                return
            # Said before it is looked: what was acknowledged by then is in what is seen.
            said = say()
            self._look(self._root, None)
            self.said.append(said)
            self.moments += 1

    def _look(self, path: Path, known: os.stat_result | None) -> Inode:
        found = known or path.lstat()
        inode = _inode(found)
        if inode not in self._kept:
            # As long as it is open, no other file gets its number.
            self._kept[inode] = os.open(path, os.O_RDONLY)
            self.versions[inode] = [Version(-1, {} if stat.S_ISDIR(found.st_mode) else b"")]
        content: bytes | dict[str, Inode]
        if stat.S_ISDIR(found.st_mode):
            content = {}
            for name in os.listdir(path):
                try:
                    content[name] = self._look(path / name, None)
                except FileNotFoundError:  # another thread took it away
                    continue
        else:
            content = os.pread(self._kept[inode], found.st_size, 0)
        if content != self.versions[inode][-1].content:
            self.versions[inode].append(Version(self.moments, content))
        return inode


class Outage:
    """What a loss of power at a time leaves."""

    def __init__(self, log: PowerLog, moment: int, seed: int) -> None:
        self._log = log
        self._moment = moment
        self._dice = random.Random(f"{moment}/{seed}")
        self._mode = self._dice.choice(MODES)
        self._block = self._dice.choice(BLOCKS)

    def leave(self, target: Path) -> None:
        """Make a folder as it may be found."""
        target.mkdir()
        self._fill(self._log.root, target)

    def _fill(self, inode: Inode, target: Path) -> None:
        for name, child in self._names(inode).items():
            if isinstance(self._log.versions[child][0].content, dict):
                (target / name).mkdir()
                self._fill(child, target / name)
            else:
                (target / name).write_bytes(self._bytes(child))

    def _since_sync(self, inode: Inode) -> list[Any]:
        """The versions from the one that was synced last on."""
        synced = [
            each.version
            for each in self._log.syncs
            if each.inode == inode and each.moment <= self._moment
        ]
        first = max(synced, default=0)
        versions = self._log.versions[inode]
        return [
            each.content
            for number, each in enumerate(versions)
            if number == first or (number > first and each.moment <= self._moment)
        ]

    def _names(self, inode: Inode) -> dict[str, Inode]:
        found: list[dict[str, Inode]] = self._since_sync(inode)
        if self._mode in {"nothing", "bytes"}:
            return found[0]
        if self._mode in {"everything", "names"}:
            return found[-1]
        names = {name: None for each in found for name in each}
        chosen = {name: self._dice.choice(found).get(name) for name in names}
        return {name: child for name, child in chosen.items() if child is not None}

    def _bytes(self, inode: Inode) -> bytes:
        found: list[bytes] = self._since_sync(inode)
        if self._mode in {"nothing", "names"}:
            return found[0]
        if self._mode in {"everything", "bytes"}:
            return found[-1]
        size = len(self._dice.choice(found))
        return b"".join(
            self._dice.choice(found)[start : start + self._block].ljust(
                min(self._block, size - start), b"\0"
            )
            for start in range(0, size, self._block)
        )[:size]


def _inode(found: os.stat_result) -> Inode:
    return found.st_dev, found.st_ino


def remove(folder: Path) -> None:
    """Take a folder away that an outage left."""
    shutil.rmtree(folder)
