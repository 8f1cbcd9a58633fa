"""Heavy third-party modules that load when the first of their names is used."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from .errors import MissingPackageError

__all__ = ["lazy_module"]


class _LazyModule(ModuleType):
    def __init__(self, name: str, install: str | None) -> None:
        super().__init__(name)
        self._install = install

    def load(self) -> ModuleType:
        """The module itself, imported by now."""
        try:
            return importlib.import_module(self.__name__)
        except ModuleNotFoundError as error:
            if self._install is None:
                raise
            message = f"{self.__name__} is not installed: pip install '{self._install}'"
            raise MissingPackageError(message) from error

    def __reduce__(self) -> tuple[Any, ...]:
        """Where a function that uses it is sent to another process, its name is enough."""
        return _LazyModule, (self.__name__, self._install)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.load(), name)
        self.__dict__[name] = value
        return value


def lazy_module(name: str, *, install: str | None = None) -> Any:
    """A stand-in for module ``name``; ``install`` is what pip needs where it is missing."""
    return _LazyModule(name, install)
