"""What was measured with: interpreter, packages, cores."""

from __future__ import annotations

import importlib.metadata
import os
import platform

import rigorous_recorder

__all__ = ["print_machine"]

PACKAGES = ("pyarrow", "duckdb", "polars", "orjson")


def print_machine() -> None:
    """Print what it was measured with."""
    found = {each.name.lower(): each.version for each in importlib.metadata.distributions()}
    versions = [f"{name} {found[name]}" for name in PACKAGES if name in found]
    versions.append("native backend" if rigorous_recorder.native else "pure-Python fallback")
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(", ".join([python, *versions, f"{os.cpu_count()} cores"]))
