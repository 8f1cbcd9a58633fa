"""Lazy modules: third-party imports that happen on first use."""

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
        """Import the module."""
        try:
            return importlib.import_module(self.__name__)
        except ModuleNotFoundError as error:
            if self._install is None:
                raise
            message = f"{self.__name__} is not installed: pip install '{self._install}'"
            raise MissingPackageError(message) from error

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name, for functions that are sent to another process."""
        return _LazyModule, (self.__name__, self._install)

    def __getattr__(self, name: str) -> Any:
        # Only the name that is used: with all names of old versions of pyarrow and duckdb held here,
        # Python crashes when it ends.
        value = self.__dict__[name] = getattr(_LazyModule.load(self), name)
        return value


def lazy_module(name: str, *, install: str | None = None) -> Any:
    """A proxy of module ``name``; ``install`` is the package to install if it is missing."""
    return _LazyModule(name, install)
