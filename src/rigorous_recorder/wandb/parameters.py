"""The configuration of a run, as W&B's scripts set and read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from rigorous_recorder._lazy import lazy_module
from rigorous_recorder._lazy_imports import np

from .errors import ConfigError

yaml = lazy_module("yaml", install="rigorous-recorder[import]")

__all__ = ["Config", "parameters"]


class Config(Mapping[str, Any]):
    """Parameters by name, as items and as attributes; each is set as an attribute of the run.

    A value that was set is only changed with ``allow_val_change``, as in W&B; nothing is removed.

    Args:
        store: is called with what is new.
        can_change: whether values may be changed by plain assignment, as after a resume.
    """

    def __init__(self, store: Callable[[dict[str, Any]], None], *, can_change: bool) -> None:
        vars(self).update(_values={}, _store=store, _can_change=can_change)

    def update(self, values: Any, allow_val_change: bool | None = None) -> None:
        """Set several parameters: of a mapping, a namespace, or a JSON or YAML file.

        Raises:
            ConfigError: one has another value already, and changes are not allowed.
        """
        given = parameters(values)
        may_change = self._can_change if allow_val_change is None else allow_val_change
        known = self._values
        changed = [key for key in given if key in known and _differ(known[key], given[key])]
        if changed and not may_change:
            key = changed[0]
            message = (
                f"config[{key!r}] is {self._values[key]!r:.60} and would become {given[key]!r:.60};"
                " allow it by config.update(..., allow_val_change=True)"
            )
            raise ConfigError(message)
        self._values.update(given)
        self._store(given)

    def setdefaults(self, values: Any) -> None:
        """Set the parameters that have no value yet."""
        given = parameters(values)
        self.update({key: each for key, each in given.items() if key not in self._values})

    def restore(self, values: Mapping[str, Any]) -> None:
        """Take what the run has already."""
        self._values.update(values)

    def as_dict(self) -> dict[str, Any]:
        """A copy."""
        return dict(self._values)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __getattr__(self, name: str) -> Any:
        values: dict[str, Any] = vars(self).get("_values", {})
        if name in values:
            return values[name]
        message = f"config has no {name!r}; it has {', '.join(map(repr, values)) or 'nothing yet'}"
        raise AttributeError(message)

    def __setattr__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def __delattr__(self, name: str) -> NoReturn:
        message = f"config.{name} stays: what was configured is not removed"
        raise ConfigError(message)

    def __repr__(self) -> str:
        return repr(self._values)


def parameters(values: Any) -> dict[str, Any]:
    """The parameters in a mapping, an object's attributes, absl's flags, or a JSON or YAML file.

    Raises:
        TypeError: it is none of these.
    """
    if values is None:
        return {}
    if isinstance(values, str | Path):
        return _of_file(Path(values))
    if hasattr(values, "flag_values_dict"):
        return dict(values.flag_values_dict())
    if isinstance(values, Mapping):
        return {str(key): each for key, each in values.items()}
    if hasattr(values, "__dict__"):
        return dict(vars(values))
    message = f"config is a dict, an object with attributes or a file's path, not {values!r:.60}"
    raise TypeError(message)


def _differ(one: Any, other: Any) -> bool:
    """Whether values differ; NaN does not differ from NaN."""
    if hasattr(one, "__array__") or hasattr(other, "__array__"):
        return not np.array_equal(one, other)
    try:
        return bool(one != other) and repr(one) != repr(other)
    except ValueError:  # of arrays inside
        return repr(one) != repr(other)


def _of_file(path: Path) -> dict[str, Any]:
    """W&B's own files have a dict with ``value`` for each parameter."""
    text = path.read_text(encoding="utf-8")
    found = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    if not isinstance(found, dict):
        message = f"{path} has no parameters: expected a mapping"
        raise TypeError(message)
    return {
        str(key): each["value"] if isinstance(each, dict) and "value" in each else each
        for key, each in found.items()
        if key != "wandb_version"
    }
