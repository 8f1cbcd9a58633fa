"""Twins by their names."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest


def twin_called(name: str, room: str) -> ModuleType:
    """The backend, "pure" or "native", of a room; the test is skipped where it can't be imported."""
    try:
        return importlib.import_module(f"rigorous_recorder.{room}.{name}")
    except ImportError as error:
        pytest.skip(f"THE {name.upper()} TWIN IS NOT TESTED, it can't be imported: {error}")
