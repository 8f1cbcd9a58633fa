"""Locating collections: the folder for a path, and suggestions for a mistyped one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from .._lazy_imports import difflib
from ..errors import NotACollectionError
from .find import search
from .folder import TABLES

__all__ = ["SUFFIX", "folder_of", "place_of", "require_place"]

#: The default suffix of a collection's folder.
SUFFIX: Final = ".collection"
#: Limits of the search: levels, folders in total, and seconds.
_LEVELS: Final = 4
_FOLDERS: Final = 2_000
_SECONDS: Final = 0.5
#: Maximum number of suggestions.
_NAMED: Final = 10
#: From this similarity on, a name counts as a misspelling of another one.
_ALIKE: Final = 0.6


# --- locating ------------------------------------------------------------------------------------


def require_place(path: Path) -> Path:
    """The folder of the collection at a path, with or without its suffix ``.collection``.

    Raises:
        NotACollectionError: there is none; the message suggests similar paths.
    """
    place = place_of(path)
    if place is None:
        raise NotACollectionError(_what_is_there(path))
    return place


def place_of(path: Path) -> Path | None:
    """The folder of a collection; None if there is none."""
    for place in _places(path):
        if (place / "collection.json").is_file():
            return place
    return None


def folder_of(path: Path) -> Path:
    """The folder of a possibly damaged collection, with or without its suffix ``.collection``.

    Raises:
        NotACollectionError: there is none.
    """
    place = place_of(path) or _place_with(path, any)
    if place is None:
        raise NotACollectionError(_what_is_there(path))
    return place


def _places(path: Path) -> tuple[Path, ...]:
    return (path, path.with_name(path.name + SUFFIX)) if path.name else (path,)


def _place_with(path: Path, which: Callable[[Iterable[bool]], bool]) -> Path | None:
    """The candidate with any, or all, of a collection's subfolders."""
    for place in _places(path):
        if which((place / name).is_dir() for name in (*TABLES, "live")):
            return place
    return None


# --- suggestions ---------------------------------------------------------------------------------


def _what_is_there(path: Path) -> str:
    if (lost := _place_with(path, all)) is not None:
        return (
            f"{lost} has all folders of a collection, but no collection.json: `rigorous repair"
            f" {lost} NEW` makes a new collection of what they hold"
        )
    if path.is_dir():
        found = f"{path} is a folder without a collection.json"
    elif path.exists():
        found = f"{path} is a file"
    else:
        found = f"there is neither {path} nor {path.name}{SUFFIX} beside it"
    return f"{found}; expected the folder of a collection, such as data/my_study. {_near(path)}"


def _near(path: Path) -> str:
    """The collections at or below a folder, or below its parent."""
    folder = next((each.absolute() for each in (path, path.parent) if each.is_dir()), None)
    if folder is None:
        return f"There is no folder {path.parent.absolute()} either"
    found, is_all = search(folder, levels=_LEVELS, folders=_FOLDERS, seconds=_SECONDS)
    if not found:
        none = f"There are no collections in {folder}"
        return none if is_all else f"{none}, as far as a quick search shows; {_looking_on(folder)}"
    alike = " or ".join(map(str, _alike(path, found)))
    question = f"Did you mean {alike}? " if alike else ""
    lines = [f"  {each}" for each in found[:_NAMED]]
    if len(found) > _NAMED or not is_all:
        lines.append(f"  ... {_looking_on(folder)}")
    return "\n".join([f"{question}Collections in {folder}:", *lines])


def _looking_on(folder: Path) -> str:
    return f"rigorous ls {folder} searches for more"


def _alike(path: Path, found: list[Path]) -> list[Path]:
    """The collections whose names are most similar to that of the path, if similar at all."""
    name = _bare(path)
    shares = {each: difflib.SequenceMatcher(None, name, _bare(each)).ratio() for each in found}
    best = max(shares.values())
    return [each for each, share in shares.items() if share == best >= _ALIKE][:_NAMED]


def _bare(path: Path) -> str:
    """The name without its suffix, in lower case."""
    return path.name.removesuffix(SUFFIX).casefold()
