"""What a live table asks of the place where its images and sealed rows go."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from .._arrow import pa
from .backing import Image
from .layout import Blank

__all__ = ["Backend", "Behind", "SegmentBatch", "attempt"]

_T = TypeVar("_T")


class SegmentBatch(NamedTuple):
    """Rows of one segment, as Arrow."""

    number: int
    batch: pa.RecordBatch


class Behind(NamedTuple):
    """Where rows stood that have another segment's number now: behind so many of a segment.

    Those were sealed by others, who presumed the writer dead.
    """

    number: int
    rows: int


class Backend(Protocol):
    """Where a live table's images and sealed rows go: a folder, or memory."""

    #: Whether rows go to files: an image is then free again once its rows are sealed.
    is_durable: bool
    #: Whether the interpreter exits.
    is_ending: bool
    #: What was complained of last.
    trouble: str

    def metadata(self, table: str) -> dict[bytes, bytes]:
        """What every file of that table has in its metadata."""

    def open(self) -> None:
        """Be ready to write; called before the first row and after a fork.

        Raises:
            ClosedError: the place was closed.
        """

    def image(self, table: str, number: int, blank: Blank) -> Image:
        """An image without rows, not yet published; in memory where nothing else works."""

    def publish(self, table: str, number: int, image: Image) -> None:
        """Let readers find an image under its segment's number."""

    def withdraw(self, table: str, number: int, image: Image) -> None:
        """Take the file of a segment without rows away."""

    def prepare(self, table: str) -> None:
        """Do ahead what sealing rows of that table would wait for, if it can be done now."""

    def seal(self, table: str, parts: list[SegmentBatch]) -> None:
        """Keep the rows of neighbouring segments, which have one schema, for good.

        Raises:
            OSError: they can't be stored now; the caller holds on to them.
        """

    def was_recovered(self) -> bool:
        """Whether others may have sealed rows, and may have some number of their own for them.

        Raises:
            OSError: they are just doing so, or nobody knows.
        """

    def sealed_rows(self, table: str, number: int) -> int | None:
        """How many rows of a segment are sealed; None where it can be sealed under its number."""

    def seal_rest(self, table: str, part: SegmentBatch, behind: Behind) -> None:
        """Keep what is left of a segment, for good, under this number or a higher one.

        Raises:
            OSError: it can't be stored now.
        """

    def later(self, job: Callable[[], object]) -> None:
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
