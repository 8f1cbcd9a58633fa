"""Arrays of any library that supports DLPack and copies."""

from __future__ import annotations

from typing import Any, Final

from ..._lazy_imports import np
from ..kinds import Kind
from .values import DeviceValue

__all__ = ["Dlpack"]

#: DLPack's numbers of memory that the processor reads without waiting.
_HOST: Final = {1, 3, 11}  # kDLCPU, kDLCUDAHost, kDLROCMHost


class Dlpack:
    """Copies arrays on their device and fetches them; other libraries have the same methods."""

    def is_on_device(self, value: Any) -> bool:
        """Whether the processor would have to wait for the value."""
        place = getattr(value, "__dlpack_device__", None)
        return place is not None and int(place()[0]) not in _HOST

    def detach_copy(self, kind: Kind, value: Any) -> DeviceValue | None:
        """A copy that later in-place changes do not affect, made without waiting.

        None if it must be read at once.
        """
        is_read = hasattr(value, "get") or hasattr(value, "__array__")
        return DeviceValue(kind, value.copy()) if is_read else None

    def queue(self, value: DeviceValue) -> Any:
        """The queue from which values can be fetched together, hashable."""
        return str(getattr(value.tensor, "device", None))

    def fetch(self, tensors: list[Any], stream: Any) -> Any:  # noqa: ARG002 - only torch has several
        """A numpy array of all values, which have the same dtype, shape and queue."""
        return np.stack([t.get() if hasattr(t, "get") else np.asarray(t) for t in tensors])
