"""The report of damaged files that `verify` and `repair` print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .output import print_json, print_table

__all__ = ["print_damage"]


def print_damage(problems: Sequence[Any], *, as_json: bool) -> None:
    """Print a line for each damaged file: how many rows it had, how many are readable, and why."""
    if as_json:
        print_json({**each._asdict(), "path": str(each.path)} for each in problems)
        return
    names = ("damaged file", "rows", "readable", "values lost of", "reason")
    rows = [
        [str(p.path), "?" if p.rows is None else p.rows, p.readable, ", ".join(p.columns), p.reason]
        for p in problems
    ]
    print_table(names, rows, empty="")
