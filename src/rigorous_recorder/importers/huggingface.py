"""Imports ``trainer_state.json`` of Hugging Face trainers: the log of the last checkpoint."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from .contract import Event, Format, Record, Report, Run, Source
from .files import files_below, read_json, run_name

_NAME: Final = "trainer_state.json"
_CHECKPOINT: Final = re.compile(r"checkpoint-\d+")
#: What the state has for the trainer itself, and its log.
_NOT_CONFIG: Final = {"log_history", "stateful_callbacks"}


def _find(path: Path, _options: Mapping[str, Any]) -> Iterator[Source]:
    """A source for each output folder, with the states of all its checkpoints."""
    runs: defaultdict[Path, list[Path]] = defaultdict(list)
    for file in files_below(path):
        if file.name == _NAME:
            is_part = _CHECKPOINT.fullmatch(file.parent.name) and file != path
            runs[file.parent.parent if is_part and file.parent != path else file.parent].append(
                file
            )
    for folder, files in sorted(runs.items()):
        yield Source(folder, tuple(files), run_name(folder, path))


def _read(source: Source, report: Report, _position: Any) -> Iterator[Event]:
    """The log of the state with the highest step, of which all others are beginnings."""
    states = [(file, read_json(file, report)) for file in source.files]
    found = [(file, state) for file, state in states if _is_state(state)]
    for file in {file for file, state in states if state is not None} - {file for file, _ in found}:
        report.add(file, "has no log_history: not taken")
    if not found:
        return
    file, state = max(found, key=lambda each: len(each[1]["log_history"]))
    yield Run("", source.name, {key: each for key, each in state.items() if key not in _NOT_CONFIG})
    for entry in state["log_history"]:
        if isinstance(entry, dict):
            rest = {key: value for key, value in entry.items() if key != "step"}
            yield Record("", rest, entry.get("step"))
        else:
            report.add(file, "entries of the log that are no objects: not taken")


def _is_state(state: Any) -> bool:
    return isinstance(state, dict) and isinstance(state.get("log_history"), list)


FORMAT: Final = Format("huggingface", "Hugging Face Trainer", _find, _read)
