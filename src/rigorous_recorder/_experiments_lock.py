"""The lock under which experiments are begun, resumed and deleted, one at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ._store.locks import locked
from ._store.store import FolderStore
from .errors import SaveError

__all__ = ["changing_experiments", "unwritable"]


@contextlib.contextmanager
def changing_experiments(store: FolderStore) -> Iterator[None]:
    """Hold the lock, so that no other process begins or deletes experiments; create the folder.

    Raises:
        SaveError: the folder can't be written.
    """
    with contextlib.ExitStack() as held:
        try:
            store.folder.create(store.identity)
            held.enter_context(locked(store.folder.live / "experiments.lock"))
        except OSError as error:
            raise unwritable(store, error) from error
        yield


def unwritable(store: FolderStore, error: OSError) -> SaveError:
    """The error for a folder that can't be written."""
    there = "; what is in it can be read all the same" if store.folder.path.exists() else ""
    message = (
        f"{store.folder.path} can't be written ({error}){there}."
        " See that the disk has room, and that you may write there, or work on a copy of the folder"
    )
    return SaveError(message)
