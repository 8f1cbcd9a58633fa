"""Tensors on a pretended device, which record each access."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

CUDA = 2  # DLPack's number


class Tensor:
    """A tensor on a pretended device, which records when its value is fetched."""

    asked: list[Any] = []  # noqa: RUF012 - one list for all, emptied by a fixture
    fails = False

    def __init__(self, value: Any, dtype: str = "float32", place: Any = (CUDA, 0)) -> None:
        self.array = np.array(value, dtype)
        self.dtype = f"fake.{dtype}"
        self.shape = self.array.shape
        self.place = place

    def __dlpack_device__(self) -> Any:
        return self.place

    def __iadd__(self, other: Any) -> Self:
        self.array += np.array(other, self.array.dtype)
        return self

    def copy(self) -> Tensor:
        return Tensor(self.array, str(self.array.dtype), self.place)

    def get(self) -> Any:
        if Tensor.fails:
            raise RuntimeError("the device is gone")
        Tensor.asked.append(self.array.tolist())
        return self.array

    def item(self) -> Any:
        return self.get().item()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.get()

    def tolist(self) -> Any:
        return self.get().tolist()


class Busy(Tensor):
    """A tensor in whose fetch something else happens, once, as in a signal handler."""

    def __init__(self, value: Any, action: Callable[[], object]) -> None:
        super().__init__(value)
        self.action = action

    def copy(self) -> Tensor:
        return self

    def get(self) -> Any:
        action, self.action = self.action, lambda: None
        action()
        return super().get()


class Column(Tensor):
    """A tensor of some length."""

    def __len__(self) -> int:
        return len(self.array)


def column(records: Any, key: str) -> list[Any]:
    return [row[key] for row in records]
