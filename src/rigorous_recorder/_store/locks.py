"""Locks on files: how it is known whether a writer lives, without asking its process id."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .._durable import publish, temporary_of
from ..errors import DamagedFileError

__all__ = ["FileLock", "are_supported", "is_held", "locked"]

#: What file systems answer that have no locks, such as Lustre without its option ``flock``.
_NO_LOCKS: Final = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP})
#: Without locks, whoever made a file last has the turn; for so long, in case that it died.
_TURN_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.05

#: In place of the number of a descriptor that was closed.
_RELEASED: Final = -1
#: What there is under a name, or above it, is not what it was.
_ANOTHER_BY_NOW: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
#: A lock file is never a link to another one, nor a pipe that an opener waits for.
_NOT_ELSEWHERE: Final = os.O_NOFOLLOW | os.O_NONBLOCK


def _acquire(descriptor: int, *, wait: bool) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _ask(descriptor: int) -> None:
    # Shared: several that ask at once do not take each other for the writer.
    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _let_go(descriptor: int) -> None:
    # Closing is not enough: a child that another thread forked meanwhile has the file open too.
    try:
        with contextlib.suppress(OSError):  # where there are no locks
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:  # Ctrl-C may come in between
        os.close(descriptor)


class FileLock:
    """A held lock on a file; the system lets go of it when the process dies."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        #: Whether the file had a name, as far as its file system tells.
        self._had_name = os.fstat(descriptor).st_nlink > 0

    @classmethod
    def create(cls, path: Path) -> FileLock | None:
        """Make the file and lock it; None where it is there already, or somebody else was faster.

        It never waits: who locks a file that has just been made takes its writer for dead, or it is
        this process itself, where a file system has the new file for the one that it has locked.

        Raises:
            OSError: the file can't be made or locked.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return None
        return cls._locked(path, descriptor)

    @classmethod
    def take(cls, path: Path) -> FileLock | None:
        """Lock a file that is there; None where it is not, or somebody else holds it.

        Raises:
            OSError: the file can't be opened.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | _NOT_ELSEWHERE)
        except FileNotFoundError:
            return None
        return cls._locked(path, descriptor)

    @classmethod
    def _locked(cls, path: Path, descriptor: int) -> FileLock | None:
        try:
            with _where_supported():
                _acquire(descriptor, wait=False)
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

    @property
    def is_in_place(self) -> bool:
        """Whether the file that is locked is the one with that name.

        Raises:
            OSError: that can't be looked up now.
        """
        if self._descriptor == _RELEASED:
            return False
        try:
            held = os.fstat(self._descriptor)
            # An overlay goes on to find a file that somebody took away in the layer below.
            is_named = held.st_nlink > 0 or not self._had_name
            return is_named and os.path.samestat(held, self.path.stat())
        except OSError as error:
            if error.errno in _ANOTHER_BY_NOW:
                return False
            raise

    def replace_file(self) -> None:
        """Hold the lock on a new file of the same name: whoever held it before finds it gone.

        Its time is now: so who does not see this lock takes the writer for one that lives.

        Raises:
            OSError: the file can't be made or locked.
        """
        temporary = temporary_of(self.path.with_name(f"{self.path.name}.{os.urandom(8).hex()}"))
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with _where_supported():
                _acquire(descriptor, wait=False)
            publish(temporary, self.path)
        except BaseException:
            os.close(descriptor)
            temporary.unlink(missing_ok=True)
            raise
        self._descriptor, old = descriptor, self._descriptor
        os.close(old)

    def release(self) -> None:
        """Let others have the lock; a second time, as after Ctrl-C in the middle, does nothing."""
        descriptor, self._descriptor = self._descriptor, _RELEASED
        if descriptor != _RELEASED:
            os.close(descriptor)

    def give_up(self) -> None:
        """Let others have the lock at once, though forked children have the file open, too."""
        descriptor, self._descriptor = self._descriptor, _RELEASED
        if descriptor != _RELEASED:
            _let_go(descriptor)

    def remove(self) -> None:
        """Take the file away, then let go of the lock."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        self.release()


@contextlib.contextmanager
def _where_supported() -> Iterator[None]:
    """Go on where the file system has no locks."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock on a file that is there; being able to read it is enough.

    Where the file system has no locks nobody does.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _NOT_ELSEWHERE)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENXIO}:
            return False  # none is there, or a link or a socket, which nobody locks
        raise
    try:
        with _where_supported():
            _ask(descriptor)
    except (BlockingIOError, PermissionError):
        return path.exists()
    finally:
        os.close(descriptor)
    return False


def are_supported(path: Path) -> bool:
    """Whether the file system of a file has locks.

    Raises:
        FileNotFoundError: the file is not there.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _NOT_ELSEWHERE)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            return True  # a link or a socket, which nobody locks
        raise
    try:
        _ask(descriptor)
    except OSError as error:
        return error.errno not in _NO_LOCKS
    finally:
        os.close(descriptor)
    return True


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on ``path``, made where it is missing; wait for others that hold it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NOT_ELSEWHERE, 0o666)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.EISDIR}:
            message = f"{path} is not a lock file but a link, a folder or the like: take it away"
            raise DamagedFileError(message) from error
        raise
    try:
        with contextlib.ExitStack() as turn:
            try:
                _acquire(descriptor, wait=True)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                turn.enter_context(_turn(path.with_name(f"{path.name}.held")))
            yield
    finally:
        _let_go(descriptor)


@contextlib.contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Have a file that is there for one at a time; wait for others that have it."""
    while True:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            break
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _TURN_SECONDS:
                    path.unlink(missing_ok=True)  # of a process that died
                    continue
            time.sleep(_LOOK_SECONDS)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
