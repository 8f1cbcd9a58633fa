"""File locks: whether a writer is alive, without using its process id."""

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

#: Errors of file systems without locks, such as Lustre without its option ``flock``.
_NO_LOCKS: Final = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP})
#: Without locks, the process that created a file last has its turn, for this long in case it died.
_TURN_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.05

#: Replaces the number of a closed descriptor.
_RELEASED: Final = -1
#: Errors of names that have been replaced, or whose parents have.
_ANOTHER_BY_NOW: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
#: Never opens a link, nor blocks on a pipe.
_NOT_ELSEWHERE: Final = os.O_NOFOLLOW | os.O_NONBLOCK


def _acquire(descriptor: int, *, wait: bool) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _ask(descriptor: int) -> None:
    # Shared: several processes that check at once must not take each other for the writer.
    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _let_go(descriptor: int) -> None:
    # Closing is not enough: a child that another thread forked may still have the file open.
    try:
        with contextlib.suppress(OSError):  # on file systems without locks
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:  # also after Ctrl-C
        os.close(descriptor)


class FileLock:
    """A held lock on a file; the operating system releases it when the process dies."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        #: Whether the file had a name, as far as its file system reports.
        self._had_name = os.fstat(descriptor).st_nlink > 0

    @classmethod
    def create(cls, path: Path) -> FileLock | None:
        """Create a file and lock it; None if it exists, or another process was faster.

        It never waits. If the new file is locked already, its writer was presumed dead by the holder;
        or a file system mistakes it for another file, which this process has locked.

        Raises:
            OSError: the file can't be created or locked.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return None
        return cls._locked(path, descriptor)

    @classmethod
    def take(cls, path: Path) -> FileLock | None:
        """Lock an existing file; None if it does not exist, or another process holds the lock.

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
            # The previous holder of the lock may have removed the file meanwhile.
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
        """Whether the locked file still has its name.

        Raises:
            OSError: that can't be checked now.
        """
        if self._descriptor == _RELEASED:
            return False
        try:
            held = os.fstat(self._descriptor)
            # An overlay still finds a file that was removed in the layer below.
            is_named = held.st_nlink > 0 or not self._had_name
            return is_named and os.path.samestat(held, self.path.stat())
        except OSError as error:
            if error.errno in _ANOTHER_BY_NOW:
                return False
            raise

    def replace_file(self) -> None:
        """Hold the lock on a new file of the same name, so that the previous holder finds its lock gone.

        The file has a fresh heartbeat: processes that don't see the lock presume the writer alive.

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
        """Release the lock; a second call, as after Ctrl-C, does nothing."""
        descriptor, self._descriptor = self._descriptor, _RELEASED
        if descriptor != _RELEASED:
            os.close(descriptor)

    def give_up(self) -> None:
        """Release the lock at once, even if forked children have the file open."""
        descriptor, self._descriptor = self._descriptor, _RELEASED
        if descriptor != _RELEASED:
            _let_go(descriptor)

    def remove(self) -> None:
        """Remove the file, then release the lock."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        self.release()


@contextlib.contextmanager
def _where_supported() -> Iterator[None]:
    """Ignore that the file system has no locks."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def is_held(path: Path) -> bool:
    """Whether any process holds the lock on an existing file; read permission is enough.

    On file systems without locks, none does.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _NOT_ELSEWHERE)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENXIO}:
            return False  # it does not exist, or is a link or a socket, which is never locked
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
        FileNotFoundError: the file does not exist.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _NOT_ELSEWHERE)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            return True  # a link or a socket, which is never locked
        raise
    try:
        _ask(descriptor)
    except OSError as error:
        return error.errno not in _NO_LOCKS
    finally:
        os.close(descriptor)
    return True


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock on ``path``, which is created if missing.

    Args:
        wait: whether to wait for other holders; without it, False is yielded if there is one.
    """
    descriptor = _opened(path)
    try:
        with _held(descriptor, path, wait=wait) as is_held:
            yield is_held
    finally:
        _let_go(descriptor)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | _NOT_ELSEWHERE, 0o666)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.EISDIR}:
            message = f"{path} is not a lock file but a link, a folder or the like: remove it"
            raise DamagedFileError(message) from error
        raise


@contextlib.contextmanager
def _held(descriptor: int, path: Path, *, wait: bool) -> Iterator[bool]:
    try:
        _acquire(descriptor, wait=wait)
    except BlockingIOError:
        yield False
        return
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    else:
        yield True
        return
    with _turn(path.with_name(f"{path.name}.held"), wait=wait) as is_held:
        yield is_held


@contextlib.contextmanager
def _turn(path: Path, *, wait: bool) -> Iterator[bool]:
    """Have exclusive use of an existing file; wait for others that have it, or yield False."""
    while True:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            break
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _TURN_SECONDS:
                    path.unlink(missing_ok=True)  # left by a process that died
                    continue
            if not wait:
                yield False
                return
            time.sleep(_LOOK_SECONDS)
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)
