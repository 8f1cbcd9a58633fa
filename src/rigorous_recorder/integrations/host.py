"""Where an integration logs: to a recorder of the caller's, or to a run that it begins."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

from rigorous_recorder import ExperimentCollection, Recorder, Run
from rigorous_recorder._capture.wanted import Capture

from .ends import end_at_exit

__all__ = ["Capture", "Host", "Place", "collection_at"]

Place = ExperimentCollection | str | PathLike[str]


def collection_at(place: Place) -> ExperimentCollection:
    """The collection, or the one at a path."""
    return place if isinstance(place, ExperimentCollection) else ExperimentCollection(place)


class Host:
    """Where an integration logs: a recorder of the caller's, or a run that begins when it is needed.

    Args:
        place: a collection or its path, in which a run begins; or a started run or a recorder.
        info: attributes of the run that begins.
        options: those of ``ExperimentCollection.start``.
    """

    def __init__(
        self, place: Place | Run | Recorder, info: Mapping[str, Any] | None, **options: Any
    ) -> None:
        found = place.recorder if isinstance(place, Run) else place
        self._place: Any = None if isinstance(found, Recorder) else found
        self._recorder = found if isinstance(found, Recorder) else None
        self._info, self._options = dict(info or {}), options
        self.run: Run | None = None

    @property
    def recorder(self) -> Recorder:
        """Where to log; a run begins if there is none yet."""
        if self._recorder is None:
            self._place = collection_at(self._place)
            self.run = self._place.start(self._info, **self._options)
            self._recorder = self.run.recorder
            end_at_exit(self.run)
        return self._recorder

    def fail(self) -> None:
        """End the run that began here, with the exception that is being handled."""
        if self.run is not None:
            self.run.fail()

    def finish(self, status: str = "finished") -> None:
        """End the run that began here."""
        if self.run is not None:
            self.run.finish(status)

    def __getstate__(self) -> dict[str, Any]:
        """Processes that are spawned get the recorder; the run ends in the one that began it."""
        return {**vars(self), "run": None}
