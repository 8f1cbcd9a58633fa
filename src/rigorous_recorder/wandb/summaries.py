"""The summary of a run: the last value of each key, or what ``define_metric`` asks for."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from typing import Any, Final

from .errors import Error

__all__ = ["RULES", "Summary"]

#: What a summary can have of a metric.
RULES: Final = ("min", "max", "mean", "last", "first", "best", "copy", "none")


class Summary(Mapping[str, Any]):
    """Values by key, as items and as attributes; what is set by hand stays until it is logged again."""

    def __init__(self) -> None:
        last: dict[str, Any] = {}
        vars(self).update(_last=last, _set={}, _rules=[], _found={}, _chosen={})

    def define(self, name: str, rules: str) -> None:
        """Keep what the rules, separated by commas, ask for of the metrics with this name or pattern.

        Raises:
            Error: there is no such rule.
        """
        wanted = [each.strip().lower() for each in rules.split(",") if each.strip()]
        if unknown := [each for each in wanted if each not in RULES]:
            message = f"summary={unknown[0]!r}: expected {', '.join(RULES)}, or several of them"
            raise Error(message)
        self._rules.append((name, wanted))
        self._chosen.clear()

    def show(self, fields: dict[str, Any]) -> None:
        """Take values as the last ones, which the rules have not seen yet."""
        self._last.update(fields)

    def restore(self, last: Mapping[str, Any], own: Mapping[str, Any]) -> None:
        """Take last values, and what ``own`` was; a mean begins anew."""
        self._last.update(last)
        for key, value in own.items():
            if not self._restore_rules(key, value):
                self._set[key] = value

    def _restore_rules(self, key: str, value: Any) -> bool:
        """Take what rules found of a key, or of those in its dict; False if there is nothing such."""
        if not isinstance(value, Mapping) or not value:
            return False
        if value.keys() <= set(RULES):
            self._found[key] = {"count": 0, "sum": 0, **value}
            return True
        inside = [self._restore_rules(f"{key}.{name}", each) for name, each in value.items()]
        return any(inside)

    def has_seen(self, key: str) -> bool:
        """Whether a metric has this name."""
        return key in self._last

    def see(self, fields: dict[str, Any]) -> None:
        """Take the values of a record into account; they replace what was set by hand."""
        self._last.update(fields)
        if self._set:
            for key in self._set.keys() & fields.keys():
                if self._rules_of(key) != ["none"]:
                    del self._set[key]
        if self._rules:
            for key, value in fields.items():
                self._apply(key, value)

    def _apply(self, key: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for name, each in value.items():
                self._apply(f"{key}.{name}", each)
            return
        value = _number(value) if self._rules_of(key) else None
        if value is None:
            return
        found = self._found.setdefault(key, {"count": 0, "sum": 0, "first": value})
        found["count"] += 1
        found["sum"] += value
        found["mean"] = found["sum"] / found["count"]
        found["min"] = min(found.get("min", value), value)
        found["max"] = max(found.get("max", value), value)

    def _rules_of(self, key: str) -> list[str]:
        """Those of the last definition with its very name, else of the last pattern that fits."""
        if key not in self._chosen:
            fitting = [rules for name, rules in self._rules if name == key] or [
                rules for name, rules in self._rules if fnmatch.fnmatchcase(key, name)
            ]
            self._chosen[key] = fitting[-1] if fitting else []
        return list(self._chosen[key])

    def own(self) -> dict[str, Any]:
        """What is not just the last value of a key: set by hand, or found by a rule."""
        found = {key: self._ruled(key, value) for key, value in self._last.items()}
        return {
            **{key: each for key, each in found.items() if each is not self._last[key]},
            **self._set,
        }

    def _ruled(self, key: str, value: Any) -> Any:
        """What rules found of a key, also inside of a dict; else the value itself."""
        rules = ["min" if each == "best" else each for each in self._rules_of(key)]
        known = self._found.get(key, {})
        found = {rule: known[rule] for rule in rules if rule in known}
        if found:
            return {**found, "last": value} if "last" in rules else found
        if isinstance(value, Mapping):
            inside = {
                name: self._ruled(f"{key}.{name}", each)
                for name, each in value.items()
                if self._rules_of(f"{key}.{name}") != ["none"]
            }
            if len(inside) < len(value) or any(inside[name] is not value[name] for name in inside):
                return inside
        return value

    def update(self, values: Any) -> None:
        """Set several values by hand."""
        for key, value in dict(values).items():
            self[key] = value

    def __setitem__(self, key: str, value: Any) -> None:
        self._set[key] = value

    def __setattr__(self, name: str, value: Any) -> None:
        self._set[name] = value

    def __getitem__(self, key: str) -> Any:
        if key in self._set:
            return self._set[key]
        if self._rules_of(key) == ["none"]:
            raise KeyError(key)
        return self._ruled(key, self._last[key]) if self._rules else self._last[key]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self:
            message = f"the summary has no {name!r} yet"
            raise AttributeError(message)
        return self[name]

    def __iter__(self) -> Iterator[str]:
        keys = dict.fromkeys([*self._last, *self._set])
        return (key for key in keys if key in self)

    def __contains__(self, key: object) -> bool:
        is_hidden = isinstance(key, str) and self._rules_of(key) == ["none"]
        return key in self._set or (key in self._last and not is_hidden)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return repr(dict(self))


def _number(value: Any) -> int | float | None:
    """A number, also of NumPy or in a tensor, as Python's; None for NaN and all else."""
    if not isinstance(value, int | float) and getattr(value, "ndim", None) == 0:
        value = value.item()
    is_number = isinstance(value, int | float) and value == value  # noqa: PLR0124 - not NaN
    return value if is_number else None
