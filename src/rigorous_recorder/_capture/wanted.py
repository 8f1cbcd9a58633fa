"""The option ``capture`` of a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

from ..errors import ArgumentError

__all__ = [
    "CONSOLE",
    "DEPENDENCIES_KEY",
    "ENVIRONMENT",
    "ENVIRONMENT_KEY",
    "SYSTEM",
    "Capture",
    "Part",
    "wanted_of",
]

ENVIRONMENT: Final = "environment"
SYSTEM: Final = "system"
CONSOLE: Final = "console"
#: The attribute of a child of a run that has its environment.
ENVIRONMENT_KEY: Final = "experiment_environment"
#: That which has its dependencies; queries of one don't read the other.
DEPENDENCIES_KEY: Final = "experiment_dependencies"

Part = Literal["environment", "system", "console"]
Capture = bool | Part | Iterable[Part]
_ALL: Final[tuple[Part, ...]] = (ENVIRONMENT, SYSTEM, CONSOLE)


def wanted_of(capture: Any) -> frozenset[Part]:
    """What to capture: True is the environment.

    Raises:
        ArgumentError: it is not a valid option.
    """
    if isinstance(capture, bool):
        return frozenset[Part]({ENVIRONMENT} if capture else ())
    names = [capture] if isinstance(capture, str) else capture
    if isinstance(names, Iterable):
        found = list(names)
        if all(isinstance(each, str) and each in _ALL for each in found):
            return frozenset(part for part in _ALL if part in found)
    message = (
        f"capture={capture!r:.60}: expected True, False, 'environment', 'system', 'console', or a list of"
        " such texts; data under the key 'capture' is given as {'capture': ...}"
    )
    raise ArgumentError(message)
