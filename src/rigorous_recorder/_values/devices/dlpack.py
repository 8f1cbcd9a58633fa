"""Arrays of any library that implements ``__dlpack_device__`` and ``copy``."""

from __future__ import annotations

from typing import Any, Final

from ..._lazy_imports import np
from ..kinds import Kind
from .values import DeviceValue

__all__ = ["Dlpack"]

#: DLPack's numbers of memory that the processor reads without a wait.
_HOST: Final = {1, 3, 11}  # kDLCPU, kDLCUDAHost, kDLROCMHost


class Dlpack:
    """Detecting, copying and fetching arrays on a device; each library has these methods."""

    def is_on_device(self, value: Any) -> bool:
        """Whether the processor would have to wait for the value."""
        place = getattr(value, "__dlpack_device__", None)
        return place is not None and int(place()[0]) not in _HOST

    def detach_copy(self, kind: Kind, value: Any) -> DeviceValue | None:
        """A copy that later changes of the value, such as ``+=``, do not affect; takes no wait.

        None if it must be read at once.
        """
        is_read = hasattr(value, "get") or hasattr(value, "__array__")
        return DeviceValue(kind, value.copy()) if is_read else None

    def queue(self, value: DeviceValue) -> Any:
        """A hashable name of the place from which values can be fetched together."""
        return str(getattr(value.tensor, "device", None))

    def fetch(self, tensors: list[Any], stream: Any) -> Any:  # noqa: ARG002 - only torch has several
        """One numpy array of all values, which share a dtype, a shape and a queue."""
        return np.stack([t.get() if hasattr(t, "get") else np.asarray(t) for t in tensors])
