"""The lock under which experiments begin, go on and are deleted, one at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ._store.locks import locked
from ._store.store import FolderStore
from .errors import SaveError

__all__ = ["changing_experiments", "unwritable"]


@contextlib.contextmanager
def changing_experiments(store: FolderStore) -> Iterator[None]:
    """Let nobody else begin or delete experiments meanwhile; the folder is made where it is missing.

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
    """The error where a folder can't be written."""
    there = "; what is in it can be read all the same" if store.folder.path.exists() else ""
    message = (
        f"{store.folder.path} can't be written ({error}){there}."
        " See that the disk has room, and that you may write there, or work on a copy of the folder"
    )
    return SaveError(message)
