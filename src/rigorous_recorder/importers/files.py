"""Reading files of other tools: bounded, as plain data, and nothing in them is executed."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from os import walk
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rigorous_recorder._lazy import lazy_module

from .contract import Report

if TYPE_CHECKING:
    import yaml
else:
    yaml = lazy_module("yaml", install="rigorous-recorder[import]")

__all__ = [
    "NUMPY_CODES",
    "files_below",
    "first_bytes",
    "listed_once",
    "read_bounded",
    "read_json",
    "read_yaml",
    "run_name",
]

#: A configuration, or a file of metrics that is read at once, is not larger than this.
MOST_BYTES: Final = 1 << 28
#: A file of YAML has so many nodes, its aliases expanded.
_MOST_NODES: Final = 1 << 20
#: What types of NumPy are for ``struct``.
NUMPY_CODES: Final = dict(
    zip(
        ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"),
        "?bhiqBHIQefd",
        strict=True,
    )
)
#: What plain scalars of YAML 1.2 are, where that differs from 1.1.
_TAGS_OF_1_2: Final = {
    "tag:yaml.org,2002:bool": re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z"),
    "tag:yaml.org,2002:float": re.compile(
        r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?\Z"
        r"|[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z"
    ),
}
_NAMED: Final = re.compile(r"python/(?:name|module):(.+)")
#: So many bytes distinguish databases from other files.
_FIRST: Final = 16


class _Looking(NamedTuple):
    """What was seen of folders and files, while formats look at them."""

    listed: dict[Path, list[Path]]
    first: dict[Path, bytes]


_LOOKING: ContextVar[_Looking | None] = ContextVar("looking", default=None)


@contextmanager
def listed_once() -> Iterator[None]:
    """Inside, folders are listed once and files opened once, however many formats look at them."""
    token = _LOOKING.set(_Looking({}, {}))
    try:
        yield
    finally:
        _LOOKING.reset(token)


def files_below(path: Path) -> Iterator[Path]:
    """The files at or below a path, sorted; links to folders are not followed."""
    if path.is_file():
        yield path
    elif (looking := _LOOKING.get()) is None:
        yield from _files_below(path)
    else:
        if path not in looking.listed:
            looking.listed[path] = list(_files_below(path))
        yield from looking.listed[path]


def _files_below(path: Path) -> Iterator[Path]:
    for folder, folders, names in walk(path):
        folders.sort()
        parent = Path(folder)
        for name in sorted(names):
            yield parent / name


def first_bytes(path: Path) -> bytes:
    """The first 16 bytes of a file; none if it can't be read."""
    looking = _LOOKING.get()
    found = None if looking is None else looking.first.get(path)
    if found is None:
        found = _first_bytes(path)
        if looking is not None:
            looking.first[path] = found
    return found


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(_FIRST)
    except OSError:
        return b""


def read_bounded(path: Path, report: Report, *, most: int = MOST_BYTES) -> bytes | None:
    """The bytes of a file; None, which is reported, if it can't be read or is larger than ``most``."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        report.add(path, f"can't be read: {error.strerror}")
        return None
    if len(data) > most:
        report.add(path, f"is larger than {most:,} bytes: not taken")
        return None
    return data


def read_json(path: Path, report: Report) -> Any:
    """What a JSON file has, also NaN and infinities; None, which is reported, if it is not valid."""
    data = read_bounded(path, report)
    if data is None:
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        offset = getattr(error, "pos", None)
        report.add(path, "is not valid JSON", offset=offset)
        return None


def read_yaml(path: Path, report: Report, *, is_newer: bool = False) -> Any:
    """What a YAML file has as plain data; None, which is reported, if it is not valid.

    Args:
        is_newer: whether it is of version 1.2, in which ``yes`` and ``12:30`` are texts, and
            ``1e-7`` is a number; else of 1.1, as PyYAML writes it.

    Tags (``!!python/...``) are left out: their values are taken as plain data, and nothing is
    constructed or executed, but scalars of NumPy and paths are what they are. What would expand
    to too much by aliases is refused.
    """
    data = read_bounded(path, report, most=1 << 24)
    if data is None:
        return None
    try:
        loader = _loader(is_newer=is_newer)(data)
        node = loader.get_single_node()
        _expanded(node, {})
        return None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError, UnicodeError) as error:
        mark = getattr(error, "problem_mark", None)
        report.add(path, "is not valid YAML", offset=None if mark is None else mark.index)
        return None


def _loader(*, is_newer: bool) -> Any:
    """A loader of plain data, in which any tag is that of its kind of node."""
    loader: Any = type("PlainLoader", (yaml.SafeLoader,), {})
    loader.add_multi_constructor("", _construct_plain)
    if is_newer:
        left = {
            first: [each for each in known if each[0] not in _TAGS_OF_1_2]
            for first, known in loader.yaml_implicit_resolvers.items()
        }
        loader.yaml_implicit_resolvers = left
        for tag, pattern in _TAGS_OF_1_2.items():
            loader.add_implicit_resolver(tag, pattern, None)
    return loader


def _expanded(node: Any, known: dict[int, int]) -> int:
    """Of how many nodes a node is, once its aliases stand for what they name.

    Raises:
        YAMLError: it has itself inside, or is too large.
    """
    if not isinstance(node, yaml.CollectionNode):
        return 1
    size = known.get(id(node))
    if size is None:
        known[id(node)] = _MOST_NODES + 1  # for what has itself inside
        parts = node.value
        parts = [each for pair in parts for each in pair] if _is_mapping(node) else parts
        size = known[id(node)] = 1 + sum(_expanded(each, known) for each in parts)
    if size > _MOST_NODES:
        message = "aliases expand to too much"
        raise yaml.YAMLError(message)
    return size


def _is_mapping(node: Any) -> bool:
    return isinstance(node, yaml.MappingNode)


def _construct_plain(loader: Any, suffix: str, node: Any) -> Any:
    if suffix.endswith(".multiarray.scalar"):
        return _scalar(loader.construct_sequence(node, deep=True))
    if suffix.endswith("Path") and "pathlib." in suffix and isinstance(node, yaml.SequenceNode):
        return str(PurePosixPath(*map(str, loader.construct_sequence(node))))
    if (named := _NAMED.search(suffix)) and not node.value:
        return named[1]  # a function, a class or a module, of which the tag is all there is
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)


def _scalar(parts: list[Any]) -> Any:
    """A number of NumPy, from its type and its bytes; what is no number stays as it is."""
    try:
        kind, data = parts
        big = kind["state"][1] == ">"
        (found,) = struct.unpack((">" if big else "<") + NUMPY_CODES[kind["args"][0]], data)
    except (KeyError, IndexError, TypeError, ValueError, struct.error):
        return parts
    return found


def run_name(folder: Path, given: Path) -> str:
    """The name of a run without one: its path below the path that was given, or its folder's name."""
    top = f"{given}/".replace("//", "/")
    return str(folder).removeprefix(top) if str(folder).startswith(top) else folder.name
