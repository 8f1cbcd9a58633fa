"""Accelerate: a tracker for ``Accelerator(log_with=...)``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Literal

from rigorous_recorder import Recorder, Run

from .guest import guest, push, set_attributes
from .host import Capture, Host, Place
from .requirement import required
from .silent import SilentRecorder

with required("accelerate>=1.8"):
    from accelerate.tracking import GeneralTracker

__all__ = ["RigorousTracker"]


class RigorousTracker(GeneralTracker):
    """Logs what ``accelerator.log`` gets: ``Accelerator(log_with=RigorousTracker("data/study"))``.

    A record has ``step``, if one was given, and the values; ``config`` of ``init_trackers`` is an
    attribute. The main process alone logs. ``end_training`` ends the run; a later ``init_trackers``
    begins another one, and logs each value once, though Accelerate then has the tracker twice.

    Args:
        place: a collection or its path, in which a run begins with ``init_trackers``; or a started
            run or a recorder, which the caller ends.
        info: attributes of the run that begins.
        resume: "auto" to continue the run that this program began before; see
            ``ExperimentCollection.new_experiment``.
        capture: what the run that begins records of itself; see ``new_experiment``.
    """

    name = "rigorous"
    requires_logging_directory = False
    main_process_only = True

    def __init__(
        self,
        place: Place | Run | Recorder,
        info: Mapping[str, Any] | None = None,
        *,
        resume: Literal["auto"] | None = None,
        capture: Capture = True,
    ) -> None:
        super().__init__()
        self._new_host = functools.partial(Host, place, info, resume=resume, capture=capture)
        self._host = self._new_host()
        self._is_over = False
        #: How often Accelerate has this tracker, and the call that it repeats.
        self._copies = self._repeats = 0
        self._last: tuple[Any, Any] = (None, None)

    @property
    def tracker(self) -> Recorder:
        """The recorder of the run; it begins if there is none yet.

        Where no run can begin, it drops what it gets.
        """
        known = self._known()
        return SilentRecorder() if known is None else known

    @guest
    def _known(self) -> Recorder | None:
        return self._host.recorder

    @guest
    def start(self) -> None:
        """Begin the run; Accelerate calls it for each place in its list."""
        if self._is_over:
            self._host, self._is_over, self._copies = self._new_host(), False, 0
        self._copies += 1
        self._last = (None, None)
        self._known()

    @guest
    def store_init_configuration(self, values: dict[str, Any]) -> None:
        """Set the attribute ``config``."""
        set_attributes(self.tracker, {"config": values})

    @guest
    def log(self, values: dict[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Log a record."""
        is_same = self._last[0] is values and self._last[1] == step
        self._repeats = self._repeats + 1 if is_same else 0
        self._last = values, step
        if not self._repeats % max(self._copies, 1):
            push(self.tracker, values if step is None else {"step": step, **values})

    @guest
    def finish(self) -> None:
        """End the run that it began."""
        if not self._is_over:
            self._is_over = True
            self._host.finish()
