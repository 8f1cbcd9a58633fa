"""Exports the flat table to a dataset of Lance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rigorous_recorder._lazy import lazy_module

from .contract import Losses, Target
from .flat import flat_table
from .study import Study

if TYPE_CHECKING:
    lance: Any
else:
    lance = lazy_module("lance", install="pylance")


def _write(study: Study, path: Path, losses: Losses) -> None:
    write = lance.write_dataset
    write(flat_table(study, losses, is_plain=False, valid=_valid).reader, str(path))


def _valid(name: str) -> str:
    """A dot would be a path to a part of a column."""
    return name.replace(".", "_") or "_"


TARGET: Final = Target("lance", "Lance", _write)
