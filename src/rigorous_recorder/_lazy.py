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
        module = _LazyModule.load(self)
        value = getattr(module, name)
        if module.__name__.partition(".")[0] != __package__:
            # All names at once, except of this package: to look each up here costs a call more.
            self.__dict__.update({**vars(module), **self.__dict__})
        self.__dict__[name] = value
        return value


def lazy_module(name: str, *, install: str | None = None) -> Any:
    """A proxy of module ``name``; ``install`` is the package to install if it is missing."""
    return _LazyModule(name, install)
