"""How far sources were imported: JSON lines in the folder of a collection, of which the last counts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rigorous_recorder._durable import make_folder, sync_file, write_whole
from rigorous_recorder._store.locks import locked
from rigorous_recorder.errors import SaveError

__all__ = ["States", "turn"]

#: A file that is larger, and several times larger than what counts of it, is written anew.
_LARGE: Final = 1 << 20
_TIMES: Final = 4
_DECODER: Final = json.JSONDecoder()


class States:
    """The states by keys, as text: a collection can have many sources.

    Only the import whose turn it is may change them.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._texts: dict[str, str] = {}
        self._read_to = 0

    def __getitem__(self, key: str) -> dict[str, Any]:
        """A copy of the state of a key; empty if there is none, or a damaged one."""
        try:
            found = json.loads(self._texts.get(key, "{}"))
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def load(self) -> None:
        """Read all lines; one that is not whole is of an import that was killed, and does not count."""
        self._texts.clear()
        self._read_to = 0
        try:
            with self._file.open("rb") as file:
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._read_to += len(line)
                    self._take(line)
        except FileNotFoundError:
            pass

    def _take(self, line: bytes) -> None:
        """Take a line ``{"key": state}``, of which the state is parsed once it is needed."""
        text = line.decode("utf-8", "replace")
        try:
            key, end = _DECODER.raw_decode(text, 1)
            state = text[end + 1 : text.rindex("}")].strip()
        except (ValueError, RecursionError):
            return
        if isinstance(key, str):
            self._texts[key] = state

    def update(self, changed: Mapping[str, Mapping[str, Any]]) -> None:
        """Set states, durably.

        Raises:
            SaveError: the file can't be written.
        """
        self._texts |= {key: json.dumps(state) for key, state in changed.items()}
        size = sum(map(len, self._texts.values()))
        try:
            make_folder(self._file.parent)
            if self._read_to > max(_LARGE, _TIMES * size):
                self._write_anew()
            else:
                self._append(changed)
        except OSError as error:
            message = f"{self._file} can't be written ({error}): see that the disk has room"
            raise SaveError(message) from error

    def _append(self, keys: Mapping[str, object]) -> None:
        data = b"".join(map(self._line, keys))
        with open(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:  # noqa: PTH123
            file.truncate(self._read_to)
            file.seek(self._read_to)
            file.write(data)
            file.flush()
            sync_file(file.fileno())
        self._read_to += len(data)

    def _write_anew(self) -> None:
        data = b"".join(map(self._line, self._texts))
        write_whole(self._file, data)
        self._read_to = len(data)

    def _line(self, key: str) -> bytes:
        return f"{{{json.dumps(key)}: {self._texts[key]}}}\n".encode()


@contextmanager
def turn(lock: Path, name: str) -> Iterator[bool]:
    """Wait until no other import writes to a collection; whether another one did since the last turn.

    Args:
        lock: the file of the lock, which has the name of the import that held it last.
        name: that of this import.

    Raises:
        OSError: the file can't be written.
    """
    with locked(lock):
        before = lock.read_text("utf-8", "replace")
        if before != name:
            lock.write_text(name, "utf-8")
        yield before != name
