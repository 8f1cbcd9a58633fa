"""Cleanup: delete what write jobs left behind when their driver was killed."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from os import PathLike

from .._collection import collection_path
from .._engines.source import Source
from .._experiments_lock import changing_experiments
from .._store.liveness import is_alive
from .._store.node_ids import writer_of
from .._store.store import FolderStore
from ..errors import NotACollectionError

__all__ = ["discard_unfinished"]

_WEEK = dt.timedelta(days=7)


def discard_unfinished(
    folder_path: str | PathLike[str],
    *,
    older_than: dt.timedelta = _WEEK,
    extension: str = ".collection",
) -> int:
    """Delete what jobs left that neither finished nor aborted, as when the driver was killed.

    Such rows are excluded from query results anyway. From now on ``collection.compact()`` drops
    them, and a job that is running after all can't commit them any more.

    Args:
        folder_path: the collection.
        older_than: jobs that began later are left alone, and those of a ``TaskLog`` whose driver
            is alive.
        extension: the suffix of the folder's name.

    Returns:
        The number of jobs that were deleted.

    Raises:
        NotACollectionError: there is no collection at the path.
        SaveError: the folder can't be written.
    """
    store = FolderStore(collection_path(folder_path, extension))
    if not store.folder.exists():
        message = f"there is no collection at {store.folder.path}"
        raise NotACollectionError(message)
    with contextlib.closing(store), changing_experiments(store):
        last = (time.time() - older_than.total_seconds()) * 1e6
        found = [
            node
            for node, since in Source(store).now().nodes.deletion.waiting_tops.items()
            if since <= last and not is_alive(store.folder, writer_of(node))
        ]
        if found:
            store.delete(found)
    return len(found)
