"""What is installed: both backends with one face, and the types for those who import it."""

from __future__ import annotations

import inspect
import re
from importlib import metadata, resources
from inspect import Parameter
from types import ModuleType
from typing import Any

import pytest

import rigorous_recorder
from rigorous_recorder import Recorder
from rigorous_recorder._live import implementation, pure

TYPES = ["Buffers", "FastPath", "Pack", "Pusher", "Slot"]
SHARED = ["Buffers", "FastPath", "NO_CELLS", "NO_ROWS", "Pack", "Pusher", "Slot"]
USER_FACING = ["add", "commit", "push"]


@pytest.fixture(scope="module")
def native() -> ModuleType:
    return pytest.importorskip(
        "rigorous_recorder._live.native",
        reason="THE NATIVE TWIN IS NOT TESTED: it was not compiled",
        exc_type=ImportError,
    )


def parameters(function: Any) -> list[Parameter]:
    """Those that a caller gives, without their types."""
    found = inspect.signature(function).parameters.values()
    return [p.replace(annotation=Parameter.empty) for p in found if p.name != "self"]


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_both_backends_export_the_same_names(native: ModuleType) -> None:
    """What is no name of the native one is no name of the pure one either."""
    assert sorted(name for name in vars(native) if not name.startswith("_")) == SHARED
    assert set(SHARED) == set(pure.__all__) - {"ArrowBuffers"}
    assert set(SHARED) == set(implementation.__all__) - {"is_native"} | {"NO_ROWS"}
    assert (native.NO_CELLS, native.NO_ROWS) == (pure.NO_CELLS, pure.NO_ROWS)


@pytest.mark.parametrize("name", TYPES)
def test_the_fallback_has_what_the_native_backend_has(native: ModuleType, name: str) -> None:
    """The pure one also has steps of its own, and sets some attributes as it is made."""
    set_when_made = {
        "Buffers": {"capacity", "rows"},
        "FastPath": {"buffers"},
        "Pack": {"known"},
    }.get(name, set())
    ours, theirs = public(getattr(pure, name)), public(getattr(native, name))
    assert theirs - ours == set_when_made
    assert ours - theirs <= {"accept_new", "append", "begin", "end", "plain"}


@pytest.mark.parametrize("name", USER_FACING)
def test_users_read_the_same_docs_of_both_backends(native: ModuleType, name: str) -> None:
    """``help`` and an editor show one text and one signature, whichever backend runs."""
    ours, theirs = getattr(pure.Pusher, name), getattr(native.Pusher, name)
    assert inspect.getdoc(ours) == inspect.getdoc(theirs)
    assert parameters(ours) == parameters(theirs)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("Slot", "fill"),
        ("Slot", "put"),
        ("Buffers", "write"),
        ("Buffers", "add_rows"),
        ("FastPath", "append"),
    ],
)
def test_methods_take_the_same_of_both_backends(native: ModuleType, owner: str, name: str) -> None:
    """Their arguments have one name and one order."""
    ours, theirs = (
        [p.name for p in parameters(getattr(getattr(module, owner), name))]
        for module in (pure, native)
    )
    assert ours == theirs


@pytest.mark.parametrize("name", ["Slot", "Buffers", "FastPath"])
def test_both_backends_are_made_of_the_same(native: ModuleType, name: str) -> None:
    """The tables do not know which one they make."""
    assert parameters(getattr(pure, name)) == parameters(getattr(native, name))


def test_native_says_which_backend_runs(native: ModuleType) -> None:
    """``native`` tells which one a recorder is made of."""
    assert native.FastPath.is_atomic is True
    assert pure.FastPath.is_atomic is False
    assert rigorous_recorder.native is implementation.is_native
    base = native.Pusher if rigorous_recorder.native else pure.Pusher
    assert issubclass(Recorder, base)


def test_types_and_both_backends_are_installed() -> None:
    """Type checkers find the marker; the source of the native backend is beside the pure one."""
    package = resources.files("rigorous_recorder")
    assert (package / "py.typed").is_file()
    assert (package / "_live" / "pure.py").is_file()


def test_the_version_is_stated_once() -> None:
    """What pip shows is what the package says."""
    assert metadata.version("rigorous-recorder") == rigorous_recorder.__version__


def test_the_native_backend_serves_every_later_python(native: ModuleType) -> None:
    """Its file is tagged for the stable ABI, not for one Python."""
    assert native.__file__ is not None
    assert re.search(r"native(\.abi3\.so|\.pyd)$", native.__file__)
