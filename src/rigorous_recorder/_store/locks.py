"""Locks on files: how it is known whether a writer lives, without asking its process id."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["FileLock", "is_held", "locked"]

if sys.platform != "win32":
    import fcntl

    def _acquire(descriptor: int, *, wait: bool) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))

    def _ask(descriptor: int) -> None:
        # Shared: several that ask at once do not take each other for the writer.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def _let_go(descriptor: int) -> None:
        # Closing is not enough: a child that another thread forked meanwhile has the file open too.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)

else:
    import msvcrt

    def _acquire(descriptor: int, *, wait: bool) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

    def _ask(descriptor: int) -> None:
        _acquire(descriptor, wait=False)

    _let_go = os.close


class FileLock:
    """A held lock on a file; the system lets go of it when the process dies."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def create(cls, path: Path) -> FileLock | None:
        """Make the file and lock it; None where it is there already, or was taken away again.

        Raises:
            OSError: the file can't be made or locked.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return None
        return cls._locked(path, descriptor, wait=True)

    @classmethod
    def take(cls, path: Path, *, wait: bool = False) -> FileLock | None:
        """Lock a file that is there; None where it is not, or somebody else holds it.

        Raises:
            OSError: the file can't be opened.
        """
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        return cls._locked(path, descriptor, wait=wait)

    @classmethod
    def _locked(cls, path: Path, descriptor: int, *, wait: bool) -> FileLock | None:
        try:
            _acquire(descriptor, wait=wait)
            # Whoever held the lock before may have taken the file away meanwhile.
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return cls(path, descriptor)
        except (BlockingIOError, FileNotFoundError, PermissionError):
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def release(self) -> None:
        """Let others have the lock."""
        os.close(self._descriptor)

    def remove(self) -> None:
        """Take the file away, then let go of the lock."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        self.release()


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock on a file that is there; being able to read it is enough."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        _ask(descriptor)
    except (BlockingIOError, PermissionError):
        return path.exists()
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on ``path``, made where it is missing; wait for others that hold it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _acquire(descriptor, wait=True)
        yield
    finally:
        _let_go(descriptor)
