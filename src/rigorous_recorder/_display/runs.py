"""One-line summaries of runs, which distinguish those that share a number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from .._keys import ATTEMPT_KEYS, ERROR_KEYS, EXPERIMENT_KEYS, FIRST_KEYS
from .._printable import one_line
from .text import cut, literal_text, plural

__all__ = ["attributes_line", "owner", "run_line", "run_name"]

#: Maximum number of attributes, and length of an error.
_KEYS: Final = 6
_WIDEST_ERROR: Final = 60


def run_name(number: int, error_number: int) -> str:
    """The name of a run, unique within a collection unless experiments were copied."""
    return f"experiment {number} (error_number {error_number})"


def run_line(data: Mapping[str, Any], status: str, records: int) -> str:
    """A run with its status, attributes and number of records.

    Args:
        data: the attributes of the experiment.
    """
    error = ": ".join(str(data[key]) for key in ERROR_KEYS[:2] if data.get(key))
    words = [f"{status} ({cut(one_line(error), _WIDEST_ERROR)})" if error else status]
    words += _attributes((key, value) for key, value in data.items() if key not in FIRST_KEYS)
    name = run_name(data["experiment_number"], data["error_number"])
    return f"{name}: {', '.join([*words, plural(records, 'record')])}"


def attributes_line(data: Mapping[str, Any]) -> str:
    """The first user attributes of a run, after a colon; empty if there are none."""
    words = _attributes((key, value) for key, value in data.items() if key not in FIRST_KEYS)
    return f": {', '.join(words)}" if words else ""


def owner(data: Mapping[str, Any]) -> str:
    """The experiment, or the attempt, whose recorder has these attributes; empty for others."""
    nouns = {EXPERIMENT_KEYS[0]: "experiment", ATTEMPT_KEYS[0]: "attempt"}
    words = [f"{noun} {literal_text(data[key])}" for key, noun in nouns.items() if key in data]
    return f" of {', '.join(words)}" if words else ""


def _attributes(items: Iterable[tuple[str, Any]]) -> list[str]:
    words = [f"{one_line(key)}={literal_text(value)}" for key, value in items if value is not None]
    if len(words) > _KEYS:
        words[_KEYS:] = [f"+{plural(len(words) - _KEYS, 'key')}"]
    return words
