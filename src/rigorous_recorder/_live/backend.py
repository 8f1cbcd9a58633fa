"""What a live table needs of the place where its images and sealed rows go."""

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
    """A name that a writer has until others presume it dead, and the files under that name."""

    def metadata(self, table: str) -> dict[bytes, bytes]:
        """What every file of that table has in its metadata."""

    def image(self, table: str, number: int, blank: Blank) -> Image:
        """An image without rows, not yet published; in memory where nothing else works."""

    def publish(self, table: str, number: int, image: Image) -> None:
        """Let readers find an image under its segment's number."""

    def withdraw(self, table: str, number: int, image: Image) -> None:
        """Take the file of a segment without rows away."""

    def seal(self, table: str, parts: list[SegmentBatch]) -> bool:
        """Store the rows of neighbouring segments, which have one schema, for good.

        Returns:
            False where others presumed the writer dead, who may have sealed some of the rows.

        Raises:
            OSError: they can't be stored now; the caller holds on to them.
        """

    def seal_first_rows(self, table: str, part: SegmentBatch) -> int:
        """Have the first rows of a segment sealed for good, once others presumed the writer dead.

        Returns:
            How many: those that the others have found, or all, where they sealed none.

        Raises:
            OSError: others are just sealing them, or they can't be stored now.
        """


class Backend(Protocol):
    """Where a live table's images and sealed rows go: a folder, or memory."""

    #: Whether rows go to files: an image is then free again once its rows are sealed.
    is_durable: bool
    #: Whether the interpreter exits.
    is_ending: bool
    #: What was complained of last.
    trouble: str

    @property
    def lease(self) -> Lease:
        """The name under which rows go now."""

    def open(self) -> None:
        """Be ready to write; called before the first row and after a fork.

        Raises:
            ClosedError: the place was closed.
        """

    def look(self) -> Lease:
        """The name under which rows go now: another one where others presumed the writer dead.

        Raises:
            OSError: nobody knows, or there is no place for files.
        """

    def schedule(self, job: Callable[[], object]) -> None:
        """Have a job done soon, off the caller's thread where there is another."""

    def complain(self, error: Exception) -> None:
        """Tell the user, once, that data waits in memory."""


def attempt(backend: Backend, action: Callable[[], _T]) -> tuple[_T] | None:
    """What an action gives, in a tuple; None, and the user is told, where the disk fails."""
    try:
        return (action(),)
    except OSError as error:
        backend.complain(error)
        return None
