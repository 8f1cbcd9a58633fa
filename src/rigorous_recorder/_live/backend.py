"""The backend of a live table: the place of its images and sealed rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from .._arrow import pa
from .backing import Image
from .layout import Blank

__all__ = ["Backend", "Lease", "SegmentBatch", "attempt"]

_T = TypeVar("_T")


class SegmentBatch(NamedTuple):
    """Rows of one segment, as Arrow."""

    number: int
    batch: pa.RecordBatch


class Lease(Protocol):
    """A writer's name until others presume it dead, with the files under that name."""

    def metadata(self, table: str) -> dict[bytes, bytes]:
        """The metadata of all files of a table."""

    def image(self, table: str, number: int, blank: Blank) -> Image:
        """An empty image, not yet published; in memory if nothing else works."""

    def publish(self, table: str, number: int, image: Image) -> None:
        """Make an image visible to readers under its segment's number."""

    def withdraw(self, table: str, number: int, image: Image) -> None:
        """Remove the file of a segment without rows."""

    def seal(self, table: str, parts: list[SegmentBatch]) -> bool:
        """Store the rows of contiguous segments with the same schema permanently.

        Returns:
            False if others presumed the writer dead, and may have sealed some of the rows.

        Raises:
            OSError: they can't be stored now; the caller retains them.
        """

    def seal_first_rows(self, table: str, part: SegmentBatch) -> int:
        """Have the first rows of a segment sealed after others presumed the writer dead.

        Returns:
            Their number: those that the others found, or all rows if they sealed none.

        Raises:
            OSError: others are sealing them right now, or they can't be stored.
        """


class Backend(Protocol):
    """The place of a live table's images and sealed rows: a folder, or memory."""

    #: Whether rows go to files, so that images are unused once their rows are sealed.
    is_durable: bool
    #: Whether the interpreter exits.
    is_ending: bool
    #: The latest error that was reported.
    trouble: str

    @property
    def lease(self) -> Lease:
        """The current name of the writer."""

    def open(self) -> None:
        """Prepare for writing; called before the first row and after a fork.

        Raises:
            ClosedError: the collection was closed.
        """

    def allows_sparse(self) -> bool:
        """Whether rows may have sparse columns: not as long as an older version may read them."""

    def look(self) -> Lease:
        """The current name; a new one if others presumed the writer dead.

        Raises:
            OSError: it is unknown, or files can't be created.
        """

    def schedule(self, job: Callable[[], object]) -> None:
        """Run a job soon, on another thread if there is one."""

    def complain(self, error: Exception) -> None:
        """Warn the user, once, that data waits in memory."""


def attempt(backend: Backend, action: Callable[[], _T]) -> tuple[_T] | None:
    """The result of an action, in a tuple; None, with a warning to the user, if the disk fails."""
    try:
        return (action(),)
    except OSError as error:
        backend.complain(error)
        return None
