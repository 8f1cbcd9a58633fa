"""Device values of any library: detection, copying, and fetching of many."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from .cuda import NotComputedError
from .dlpack import Dlpack
from .jax import Jax
from .torch import Torch
from .values import DeviceValue, Unavailable, kind_of, plain_values

__all__ = ["device_value", "fetch_each", "is_on_device", "library_of"]

_OTHERS: Final = Dlpack()
_LIBRARIES: Final[dict[str, Dlpack]] = {"torch": Torch(), "jax": Jax(), "jaxlib": Jax()}


@lru_cache(maxsize=1024)
def _known(kind: Any) -> tuple[str, Dlpack]:
    """The name of a type's library, and the object that copies and fetches its values."""
    names = [str(base.__module__).partition(".")[0] for base in kind.__mro__]
    for name in names:
        if name in _LIBRARIES:
            return name, _LIBRARIES[name]
    return names[0], _OTHERS


def library_of(value: Any) -> str:
    """The library of an array: torch, jax, or that of its type."""
    kind: Any = type(value)
    return _known(kind)[0]


def _arrays_of(value: Any) -> Dlpack:
    kind: Any = type(value)
    return _known(kind)[1]


def is_on_device(value: Any) -> bool:
    """Whether the processor would have to wait for the value; False if unknown."""
    try:
        return _arrays_of(value).is_on_device(value)
    except Exception:  # noqa: BLE001 - the path for plain values reports what is wrong
        return False


def device_value(value: Any) -> DeviceValue | None:
    """A copy of a tensor on its device; None if it has to be read at once.

    That is the case if its kind depends on its numbers, or if it has none.

    Raises:
        NotComputedError: it belongs to a CUDA graph that is being captured.
    """
    try:
        kind = kind_of(value.dtype, tuple(map(int, value.shape)))
        return None if kind is None else _arrays_of(value).detach_copy(kind, value)
    except NotComputedError:
        raise
    except Exception:  # noqa: BLE001 - the path for plain values reports what is wrong
        return None


def fetch_each(values: Sequence[DeviceValue]) -> list[Any]:
    """The plain values: numbers and numpy arrays; similar ones are fetched together.

    A value that can't be fetched is an ``Unavailable``; the others are not affected.
    """
    groups: dict[Any, list[int]] = {}
    for index, value in enumerate(values):
        try:
            groups.setdefault(_sort(value), []).append(index)
        except Exception:  # noqa: BLE001 - must not affect other values
            groups[index] = [index]
    found: list[Any] = [None] * len(values)
    for indexes in groups.values():
        fetched = _fetch_group([values[index] for index in indexes])
        for index, plain in zip(indexes, fetched, strict=True):
            found[index] = plain
    return found


def _sort(value: DeviceValue) -> Any:
    """The key by which values are grouped for fetching."""
    tensor = value.tensor
    # The kind of a dtype and a shape is a single object, whose id is faster than its hash.
    return type(tensor), id(value.kind), tensor.dtype, _arrays_of(tensor).queue(value)


def _fetch_group(group: list[DeviceValue]) -> list[Any]:
    first = group[0]
    try:
        stacked = _arrays_of(first.tensor).fetch([each.tensor for each in group], first.stream)
        return plain_values(first.kind, stacked, len(group))
    except Exception as error:  # noqa: BLE001 - whatever a device's library raises
        if len(group) == 1:
            return [Unavailable(error)]
        return [plain for each in group for plain in _fetch_group([each])]
