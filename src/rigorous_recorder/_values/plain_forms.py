"""Plain forms of values in a configuration: paths, enums, dtypes, dataclasses, functions.

No framework is imported: a type is recognized by its package and name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

__all__ = ["NO_FORM", "Unread", "fields_of", "plain_form", "plain_key"]


class _NoForm:
    """The result for values without a known plain form."""


NO_FORM: Final = _NoForm()


class Unread:
    """A field that raised when it was read."""

    def __init__(self, owner: Any, name: str, error: Exception) -> None:
        self._error = type(error).__name__
        #: The error message.
        self.reason = f"{type(owner).__qualname__}.{name} can't be read, it raised {self._error}"

    def __repr__(self) -> str:
        return f"<unreadable: {self._error}>"


def plain_form(value: Any) -> Any:
    """The stored form of a value of such a type: text, a dict, or a list; else ``NO_FORM``.

    Items of a dict or list can have plain forms in turn.
    """
    if (fields := fields_of(value)) is not None:
        return fields
    for base in type(value).__mro__:
        if (form := _FORMS.get(_name_of(base))) is not None:
            return form(value)
    if isinstance(value, AbstractSet):
        return _sorted(list(value))
    return _qualified_name(value)


def fields_of(value: Any) -> dict[str, Any] | None:
    """The fields of an object that is similar to a mapping; None for others.

    These are dataclasses, named tuples, namespaces, and models of pydantic, attrs and OmegaConf.
    """
    kind = type(value)
    if isinstance(value, type):
        return None
    if isinstance(names := getattr(kind, "__dataclass_fields__", None), Mapping):
        return None if isinstance(value, Mapping) else _read_each(value, _of_dataclass(names))
    if isinstance(names := getattr(kind, "__attrs_attrs__", None), tuple):
        return _read_each(value, [field.name for field in names])
    if isinstance(value, tuple) and isinstance(names := getattr(kind, "_fields", None), tuple):
        return dict(zip(names, value, strict=True))
    for base in kind.__mro__:
        if (form := _FIELDS.get(_name_of(base))) is not None:
            return form(value)
    return None


def plain_key(key: Any) -> str | None:
    """The text of a dict key, as in JSON; None if it has none."""
    if isinstance(key, str):
        return str.__str__(key)
    if hasattr(key, "dtype") and hasattr(key, "item"):
        key = key.item()
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float):
        return float.__repr__(key)
    form = plain_form(key) if key is not None else None
    return form if isinstance(form, str) else None


def _name_of(kind: type) -> tuple[str, str]:
    """The package and the name of a type."""
    module = kind.__module__
    return (module.partition(".")[0] if type(module) is str else "", kind.__name__)


def _of_dataclass(fields: Mapping[str, Any]) -> list[str]:
    """The names of fields, without pseudo-fields such as ``ClassVar``."""
    return [name for name, field in fields.items() if field._field_type.name == "_FIELD"]


def _read_each(value: Any, names: list[str]) -> dict[str, Any]:
    return {name: _read(value, name) for name in names}


def _read(value: Any, name: str) -> Any:
    try:
        return getattr(value, name)
    except Exception as error:  # noqa: BLE001 - code of the user; the other fields are fine
        return Unread(value, name, error)


def _variables(value: Any) -> dict[str, Any]:
    return dict(vars(value))


def _of_pydantic(value: Any) -> dict[str, Any]:
    return dict(iter(value))


def _of_omegaconf(value: Any) -> Any:
    """A config with resolved interpolations; if one can't be resolved, with their texts."""
    config = sys.modules["omegaconf"].OmegaConf
    try:
        return config.to_container(value, resolve=True)
    except Exception:  # noqa: BLE001 - any error, including those of a user's resolver
        return config.to_container(value, resolve=False)


def _of_omegaconf_dict(value: Any) -> dict[str, Any] | None:
    found = _of_omegaconf(value)
    return found if isinstance(found, dict) else None


def _enum_name(value: Any) -> Any:
    """The name of a member; the number of unnamed flags."""
    return value.name if value.name is not None else value.value


def _sorted(values: list[Any]) -> list[Any]:
    """The values of a set in an order that does not depend on hashes."""
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=lambda each: (type(each).__qualname__, repr(each)))


def _qualified_name(value: Any) -> Any:
    """The module and name of a class or function."""
    if not callable(value):
        return NO_FORM
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(name, str):  # a ufunc of an older numpy, which has no module either
        module, name = type(value).__module__, getattr(value, "__name__", None)
    if not isinstance(name, str):
        return NO_FORM
    is_named = isinstance(module, str) and module != "builtins"
    return f"{module}.{name}" if is_named else str.__str__(name)


#: Functions that return the fields of values, by package and name of the type.
_FIELDS: Final[dict[tuple[str, str], Callable[[Any], dict[str, Any] | None]]] = {
    ("argparse", "Namespace"): _variables,
    ("types", "SimpleNamespace"): _variables,
    ("pydantic", "BaseModel"): _of_pydantic,
    ("omegaconf", "DictConfig"): _of_omegaconf_dict,
}

#: Functions that return the plain form of other values, by package and name of the type.
_FORMS: Final[dict[tuple[str, str], Callable[[Any], Any]]] = {
    ("pathlib", "PurePath"): str,
    ("enum", "Enum"): _enum_name,
    ("uuid", "UUID"): str,
    ("decimal", "Decimal"): str,
    ("datetime", "time"): lambda value: value.isoformat(),
    ("omegaconf", "ListConfig"): _of_omegaconf,
    ("torch", "device"): str,
    ("torch", "dtype"): str,
    ("torch", "layout"): str,
    ("torch", "memory_format"): str,
    ("numpy", "dtype"): str,
    ("pandas", "ExtensionDtype"): str,
}
