"""Lock-free caching of attributes and function results.

The decorators of ``functools`` use locks (``cached_property`` before Python 3.12), and a child that
is forked while another thread holds such a lock waits for it forever. Here two threads may compute
a value at the same time, and both get the first result.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

__all__ = ["once", "remembered"]

_T = TypeVar("_T")
_P = ParamSpec("_P")


class once(Generic[_T]):  # noqa: N801 - read as ``property`` is
    """A property that is computed on first access, and then stored as an attribute."""

    def __init__(self, compute: Callable[[Any], _T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> _T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | _T:
        if instance is None:
            return self
        found: _T = instance.__dict__.setdefault(self._name, self._compute(instance))
        return found


class _Remembering(Generic[_P, _T]):
    """A function of positional arguments that caches its latest results."""

    def __init__(self, function: Callable[_P, _T], most: int) -> None:
        self._function = function
        self._most = most
        self._known: dict[Hashable, _T] = {}
        self.__doc__ = function.__doc__

    def __call__(self, *args: _P.args, **named: _P.kwargs) -> _T:
        try:
            return self._known[args]
        except KeyError:
            found = self._function(*args, **named)
        if len(self._known) >= self._most:
            for older in list(self._known)[: self._most // 2 + 1]:
                self._known.pop(older, None)
        return self._known.setdefault(args, found)

    def forget(self) -> None:
        """Drop all results."""
        self._known.clear()


def remembered(most: int) -> Callable[[Callable[_P, _T]], _Remembering[_P, _T]]:
    """Cache up to ``most`` of the latest results of a function of positional arguments."""
    return lambda function: _Remembering(function, most)
