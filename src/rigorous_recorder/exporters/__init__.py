"""Exports a collection to the formats of other tools; what those can't hold is reported."""

from .exporting import TARGETS, Exported, export_runs

__all__ = ["TARGETS", "Exported", "export_runs"]
