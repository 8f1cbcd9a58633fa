"""Exports the flat table to a table of Delta Lake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rigorous_recorder._lazy import lazy_module

from .contract import Losses, Target
from .flat import flat_table
from .study import Study

if TYPE_CHECKING:
    deltalake: Any
else:
    deltalake = lazy_module("deltalake", install="deltalake")


def _write(study: Study, path: Path, losses: Losses) -> None:
    write = deltalake.write_deltalake
    table = flat_table(study, losses, valid=_valid)
    write(str(path), table.reader, name=study.name)


def _valid(name: str) -> str:
    """Any text is valid, but not beside one that differs in the case of letters alone."""
    return name or "_"


TARGET: Final = Target("delta", "Delta Lake", _write)
