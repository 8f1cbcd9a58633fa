"""Arrays of any library that states where they are as DLPack does, and has them copied."""

from __future__ import annotations

from typing import Any, Final

from ..._lazy_imports import np
from ..kinds import Kind
from .values import DeviceValue

__all__ = ["Dlpack"]

#: DLPack's numbers of memory that the processor reads without a wait.
_HOST: Final = {1, 3, 11}  # kDLCPU, kDLCUDAHost, kDLROCMHost


class Dlpack:
    """How arrays are copied on their device and fetched from it; each library has these methods."""

    def is_on_device(self, value: Any) -> bool:
        """Whether the processor would have to wait for the value."""
        place = getattr(value, "__dlpack_device__", None)
        return place is not None and int(place()[0]) not in _HOST

    def detach_copy(self, kind: Kind, value: Any) -> DeviceValue | None:
        """What later changes of the value, as by ``+=``, leave alone, made without a wait.

        None where it can't be copied so: it is to be read at once.
        """
        is_read = hasattr(value, "get") or hasattr(value, "__array__")
        return DeviceValue(kind, value.copy()) if is_read else None

    def queue(self, value: DeviceValue) -> Any:
        """The place from which values can be fetched together, to be hashed."""
        return str(getattr(value.tensor, "device", None))

    def fetch(self, tensors: list[Any], stream: Any) -> Any:  # noqa: ARG002 - only torch has several
        """One numpy array of all values, which have one dtype, one shape and one queue."""
        return np.stack([t.get() if hasattr(t, "get") else np.asarray(t) for t in tensors])
