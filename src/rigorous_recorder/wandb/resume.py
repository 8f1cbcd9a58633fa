"""The id of the run with which ``resume="auto"`` goes on: that of the last one that did not end well."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rigorous_recorder.integrations.guest import guest

__all__ = ["forget_id", "is_automatic", "store_id", "stored_id"]


def is_automatic(resume: Any) -> bool:
    """Whether the last run is wanted; ``resume=True`` means the same."""
    return resume is True or resume == "auto"


def stored_id(file: Path) -> str | None:
    """The id in the file, if there is one."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["run_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


@guest
def store_id(file: Path, id_: str) -> None:
    """Note the id until the run has ended well; other ranks can do so at the same time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps({"run_id": id_}), encoding="utf-8")
    draft.replace(file)


@guest
def forget_id(file: Path) -> None:
    """Go on with no run, as the last one has ended well."""
    if file.exists():
        file.unlink(missing_ok=True)
