"""The config of a Hydra job as plain values, without those of the environment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from .requirement import required

with required("hydra-core>=1.3"):
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

__all__ = ["overrides", "plain"]

#: A key in the config, by its keys from the top; items of lists have their numbers.
_Path = tuple[str, ...]

_REFERENCE: Final = re.compile(r"\$\{\s*(\.*)([^${}:]+)\}")
#: What a resolver computes, or whose name is computed: it can depend on any key.
_COMPUTED: Final = re.compile(r"\$\{[^${}]*(?::|\$\{)")
#: Shorter values of the environment, such as "1", are in many others by chance.
_LEAST_SECRET: Final = 4


def overrides(config: DictConfig) -> Any:
    """The overrides of the job as they were written: interpolations in them would be resolved."""
    return OmegaConf.to_container(config.hydra.overrides.task, resolve=False)


def plain(config: DictConfig) -> Any:
    """The resolved values, without those of Hydra.

    What reads the environment stays as it is written, and so does what interpolates it; a config that
    can't be resolved, as a whole.
    """
    own = OmegaConf.masked_copy(config, [key for key in map(str, config) if key != "hydra"])
    written = OmegaConf.to_container(own, resolve=False)
    try:
        resolved = OmegaConf.to_container(own, resolve=True)
    except OmegaConfBaseException:
        return _keyed(written, written)
    leaves = _Leaves(written, resolved)
    return _keyed(written, resolved, leaves)


class _Leaves:
    """The values of a config that are neither dicts nor lists."""

    def __init__(self, written: Any, resolved: Any) -> None:
        self._known = {path: (str(text), value) for path, text, value in _walk(written, resolved)}
        found = {str(value) for text, value in self._known.values() if "oc.env" in text}
        self._secrets = found - {""}

    def read_environment(self, path: _Path) -> bool:
        """Whether a value depends on the environment."""
        text, value = self._known[path]
        if "oc.env" in text or (_COMPUTED.search(text) and self._has_secret(str(value))):
            return True
        targets = [
            (*(path[: -len(dots)] if dots else ()), *re.findall(r"[^.\[\]\s]+", name))
            for dots, name in _REFERENCE.findall(text)
        ]
        return any(self.read_environment(each) for target in targets for each in self._at(target))

    def _has_secret(self, text: str) -> bool:
        long = (each for each in self._secrets if len(each) >= _LEAST_SECRET)
        return text in self._secrets or any(each in text for each in long)

    def _at(self, target: _Path) -> list[_Path]:
        """What is at a place, below it, or on the way to it."""
        return [
            path
            for path in self._known
            if all(key == other for key, other in zip(path, target, strict=False))
        ]


def _walk(written: Any, resolved: Any, path: _Path = ()) -> Iterator[tuple[_Path, Any, Any]]:
    """Each value as it is written, and what it is."""
    if isinstance(written, dict | list):
        for key in written if isinstance(written, dict) else range(len(written)):
            yield from _walk(written[key], resolved[key], (*path, str(key)))
    else:
        yield path, written, resolved


def _keyed(written: Any, resolved: Any, leaves: _Leaves | None = None, path: _Path = ()) -> Any:
    """The resolved values, with text as keys."""
    if isinstance(written, dict):
        return {
            str(key): _keyed(written[key], resolved[key], leaves, (*path, str(key)))
            for key in written
        }
    if isinstance(written, list):
        pairs = enumerate(zip(written, resolved, strict=True))
        return [_keyed(*pair, leaves, (*path, str(place))) for place, pair in pairs]
    return written if leaves is not None and leaves.read_environment(path) else resolved
