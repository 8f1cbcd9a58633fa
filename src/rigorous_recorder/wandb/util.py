"""What scripts use of W&B's ``util``."""

from __future__ import annotations

import json
import re
import secrets
import string
from typing import Any, Final

from .advice import found_on_use

__all__ = ["generate_id", "json_dumps_safer", "make_artifact_name_safe"]

#: Names that it has not are looked for as modules below it, which gives advice.
__path__: list[str] = []
__getattr__ = found_on_use(__name__)

_LETTERS: Final = string.ascii_lowercase + string.digits
_LONGEST_NAME: Final = 128


def generate_id(length: int = 8) -> str:
    """Random letters and digits, for the id of a run; seeds of the script stay its own."""
    return "".join(map(secrets.choice, [_LETTERS] * length))


def make_artifact_name_safe(name: str) -> str:
    """A name for an artifact, with "_" for what is not allowed; the middle of a long one is left out."""
    safe = re.sub(r"[^A-Za-z0-9_\-.]", "_", name)
    half = _LONGEST_NAME // 2 - 1
    return safe if len(safe) <= _LONGEST_NAME else f"{safe[:half]}..{safe[-half:]}"


def json_dumps_safer(obj: Any, **options: Any) -> str:
    """JSON, with texts for what it has no form for."""
    return json.dumps(obj, default=str, **options)
