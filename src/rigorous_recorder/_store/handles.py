"""The recorders in use, by node, so that each node has a single recorder."""

from __future__ import annotations

import weakref
from typing import Any, Final

__all__ = ["Handles"]

_FIRST_SWEEP: Final = 1024


class Handles:
    """Weak references to recorders by node.

    Unlike a ``WeakValueDictionary`` it runs no code for each recorder that is dropped, since there can
    be a million of them: it sweeps when it has grown to twice its size.
    """

    def __init__(self) -> None:
        self._known: dict[int, weakref.ref[Any]] = {}
        self._held: list[Any] = []
        self._sweep_at = _FIRST_SWEEP

    def add(self, node: int, recorder: Any) -> None:
        """Register the recorder of a node."""
        self._known[node] = weakref.ref(recorder)
        if len(self._known) > self._sweep_at:
            self._sweep()

    def hold(self, recorder: Any) -> None:
        """Keep a recorder alive."""
        self._held.append(recorder)

    def forget(self, node: int) -> None:
        """Forget the recorder of a node."""
        self._known.pop(node, None)

    def get(self, node: int) -> Any:
        """The recorder of a node; None if there is none in use."""
        found = self._known.get(node)
        return None if found is None else found()

    def items(self) -> list[tuple[int, Any]]:
        """The nodes of all recorders in use, with the recorders."""
        known = list(self._known.items())
        return [(node, found) for node, one in known if (found := one()) is not None]

    def values(self) -> list[Any]:
        """All recorders in use."""
        return [recorder for _, recorder in self.items()]

    def _sweep(self) -> None:
        for node, one in list(self._known.items()):
            if one() is None:
                popped = self._known.pop(node, one)
                if popped is not one:  # another thread has just registered a new one
                    self._known.setdefault(node, popped)
        self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._known))
