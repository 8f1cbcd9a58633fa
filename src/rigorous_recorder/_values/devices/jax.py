"""Arrays of jax, including sharded and replicated ones."""

from __future__ import annotations

import sys
from typing import Any

from ..._lazy_imports import np
from ..kinds import Kind
from .dlpack import Dlpack
from .values import DeviceValue

__all__ = ["Jax"]


class Jax(Dlpack):
    """Like ``Dlpack``, with jax's own functions."""

    def is_on_device(self, value: Any) -> bool:
        return any(device.platform != "cpu" for device in value.devices())

    def detach_copy(self, kind: Kind, value: Any) -> DeviceValue | None:
        if value.is_fully_replicated:  # one copy is enough, and needs no other process
            value = value.addressable_data(0)
        elif not value.is_fully_addressable:
            return None
        array = value.copy()  # a later computation may reuse its memory
        return DeviceValue(kind, array) if type(array) is type(value) else None

    def fetch(self, tensors: list[Any], stream: Any) -> Any:  # noqa: ARG002 - jax has none
        return np.stack(sys.modules["jax"].device_get(tensors))
