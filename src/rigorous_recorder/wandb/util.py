"""What scripts use of W&B's ``util``."""

from __future__ import annotations

import secrets
import string

__all__ = ["generate_id"]

_LETTERS = string.ascii_lowercase + string.digits


def generate_id(length: int = 8) -> str:
    """Random letters and digits, for the id of a run; seeds of the script stay its own."""
    return "".join(map(secrets.choice, [_LETTERS] * length))
