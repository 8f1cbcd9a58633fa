"""Named views of the page: its addresses as JSON files in the folder ``views`` of a collection."""

from __future__ import annotations

import json
import re
import time
import unicodedata
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any, Final

from ._durable import make_folder, sync_folder, write_whole
from ._public import public
from .errors import ArgumentError, NotACollectionError, ReadOnlyError, UnknownViewError

__all__ = ["SavedViews"]

_FORMAT: Final = "rigorous-recorder view"
_VERSION: Final = 1
_LARGEST: Final = 1 << 18
_MOST_VIEWS: Final = 1_000
#: Names that are names of files on every system: no separator, no dot or space at an end.
_NAME: Final = re.compile(r"[\w(](?:[\w ().,+=-]{0,78}[\w)])?")


@public
class SavedViews(MutableMapping[str, str]):
    """The named views of a collection: by name what is behind ``#`` in an address of the page.

    They are JSON files in the folder ``views`` of the collection. Names are 1 to 80 letters, digits,
    spaces and ``().,+=-_``, with a letter, digit or parenthesis at both ends.

    Examples:
        >>> collection.views["Losses"] = "#x=step&search=loss"
        >>> dict(collection.views)
        {'Losses': 'x=step&search=loss'}
        >>> collection.views.rename("Losses", "All losses")
        >>> del collection.views["All losses"]
    """

    def __init__(self, folder: Path, *, is_read_only: bool) -> None:
        self._folder, self._is_read_only = folder, is_read_only

    def __getitem__(self, name: str) -> str:
        """The address of a view.

        Raises:
            UnknownViewError: there is none of this name; the message lists the names.
            ArgumentError: its file, or the name, is not valid; the message says why.
        """
        path = self._path(name)
        if not path.is_file():
            names = ", ".join(map(repr, list(self)[:20])) or "none yet"
            message = f"there is no view {name!r:.100}; there are: {names}"
            raise UnknownViewError(message)
        return _read(path)

    def __setitem__(self, name: str, address: str) -> None:
        """Save a view; one of the same name is replaced.

        Args:
            name: its name.
            address: an address of the page, or what is behind its ``#``.

        Raises:
            ArgumentError: the name or the address is not valid.
            ReadOnlyError: the collection was opened read-only.
            NotACollectionError: nothing was logged to the collection yet.
            OSError: it can't be written.
        """
        path = self._to_write(name)
        if not isinstance(address, str) or len(address) > _LARGEST // 8:
            message = (
                f"{address!r:.60} is not a valid view: expected what is behind # in an address"
            )
            raise ArgumentError(message)
        if not self._folder.parent.is_dir():
            message = f"there is no collection at {self._folder.parent} yet: log a record first"
            raise NotACollectionError(message)
        make_folder(path.parent)
        view = address.rpartition("#")[2]
        found = {"format": _FORMAT, "version": _VERSION, "view": view, "saved": time.time()}
        write_whole(path, json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))

    def __delitem__(self, name: str) -> None:
        """Delete a view.

        Raises:
            UnknownViewError: there is none of this name.
            ReadOnlyError: the collection was opened read-only.
            OSError: it can't be deleted.
        """
        path = self._to_write(name)
        try:
            path.unlink()
        except FileNotFoundError:
            self[name]  # raises with the names that are there
        sync_folder(path.parent)

    def __iter__(self) -> Iterator[str]:
        """The names, in order; those of files that are not valid are left out."""
        invalid = self.invalid
        return (path.stem for path in self._files() if path.name not in invalid)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<SavedViews {', '.join(map(repr, self)) or 'none yet'}>"

    @property
    def invalid(self) -> dict[str, str]:
        """What is wrong of files that are not valid views, by the name of the file."""
        found = {}
        for path in self._files():
            try:
                self._path(path.stem)
                _read(path)
            except ArgumentError as error:
                found[path.name] = str(error)
        return found

    def rename(self, name: str, new: str) -> None:
        """Give a view another name.

        Raises:
            UnknownViewError: there is none of this name.
            ArgumentError: there is one of the new name, or a name is not valid.
            ReadOnlyError: the collection was opened read-only.
            OSError: it can't be renamed.
        """
        path, target = self._to_write(name), self._to_write(new)
        address = self[name]
        if target.exists():
            message = f"there is a view {new!r:.100} already; delete it first, or give another name"
            raise ArgumentError(message)
        self[new] = address
        path.unlink()
        sync_folder(path.parent)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.json"))[:_MOST_VIEWS]

    def _path(self, name: Any) -> Path:
        if not isinstance(name, str) or not _NAME.fullmatch(unicodedata.normalize("NFC", name)):
            message = (
                f"{name!r:.100} is not a valid name of a view: expected 1 to 80 letters, digits, spaces"
                " and ().,+=-_, of which a letter, digit or parenthesis is at both ends"
            )
            raise ArgumentError(message)
        return self._folder / f"{unicodedata.normalize('NFC', name)}.json"

    def _to_write(self, name: Any) -> Path:
        if self._is_read_only:
            message = (
                "the collection was opened read-only: open it to write to save and delete views"
            )
            raise ReadOnlyError(message)
        return self._path(name)


def _read(path: Path) -> str:
    """The address in a file.

    Raises:
        ArgumentError: it is not a valid view; the message says why.
    """
    found = _content(path)
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise _invalid(path, f'it has no "format": "{_FORMAT}"')
    if (version := found.get("version")) != _VERSION:
        raise _invalid(path, f"its version is {version!r:.20}; this library reads {_VERSION}")
    if not isinstance(address := found.get("view"), str):
        raise _invalid(path, 'its "view" is not text')
    return address.rpartition("#")[2]


def _content(path: Path) -> Any:
    try:
        if path.is_symlink() or not path.is_file():
            raise _invalid(path, "it is not a regular file")
        if path.stat().st_size > _LARGEST:
            raise _invalid(path, f"it is larger than {_LARGEST:,} bytes")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise _invalid(path, str(error)) from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise _invalid(path, f"it is not JSON ({error})") from None


def _invalid(path: Path, reason: str) -> ArgumentError:
    return ArgumentError(f"{path.name} in {path.parent} is not a valid view: {reason}")
