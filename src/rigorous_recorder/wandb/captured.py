"""What a run records of itself: what W&B does, unless its settings or variables switch that off."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from rigorous_recorder import Recorder
from rigorous_recorder._capture.wanted import (
    CONSOLE,
    ENVIRONMENT,
    ENVIRONMENT_KEY,
    SYSTEM,
    Capture,
    Part,
    wanted_of,
)
from rigorous_recorder._lazy import lazy_module
from rigorous_recorder._report import report
from rigorous_recorder.integrations.guest import guest

from .settings import Given

environment = lazy_module("rigorous_recorder._capture.environment")

__all__ = ["Captured"]

#: The settings of W&B that switch a part off.
_OFF: Final[dict[Part, tuple[str, ...]]] = {
    ENVIRONMENT: ("x_disable_meta", "x_disable_machine_info"),
    SYSTEM: ("x_disable_stats", "x_disable_machine_info"),
    CONSOLE: (),
}


class Captured:
    """What is recorded of one run.

    Args:
        capture: None for all that the settings do not switch off.
        given: the settings.

    Raises:
        ArgumentError: ``capture`` is not a valid option.
    """

    def __init__(self, capture: Capture | None, given: Given) -> None:
        wanted = _by_default(given) if capture is None else wanted_of(capture)
        if SYSTEM in wanted and not _has_psutil():
            wanted -= {SYSTEM}
            if capture is not None:
                report(
                    "metrics of the system are not recorded: they need"
                    " pip install 'rigorous-recorder[system]'"
                )
        self._is_without_git = ENVIRONMENT in wanted and given.is_on("disable_git")
        self.by_collection = wanted - {ENVIRONMENT} if self._is_without_git else wanted

    @guest
    def record(self, recorder: Recorder | None) -> None:
        """Record the environment where the collection does not: without the repository."""
        if self._is_without_git and recorder is not None:
            found = environment.recorded()
            found[ENVIRONMENT_KEY].pop("git", None)
            recorder.child(found)


def _has_psutil() -> bool:
    """Whether psutil can be imported, which it can't be either if it was built for another system."""
    try:
        import_module("psutil")
    except Exception:  # noqa: BLE001 - the run begins without it
        return False
    return True


def _by_default(given: Given) -> frozenset[Part]:
    found = frozenset(part for part, names in _OFF.items() if not any(map(given.is_on, names)))
    return found - {CONSOLE} if given.setting("console") == "off" else found
