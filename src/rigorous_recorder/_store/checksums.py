"""Checksums of a sealed file's footer and of each column of each row group.

Parquet has checksums of what is in a page, but none of what stands before a page or in the footer;
readers written in C++ have been seen to end the process over a flipped bit there. So a footer is
looked at before anybody reads it: under a key of its own it has CRC-32 sums as hexadecimal digits,
first that of the footer itself with eight zeros in this place, then one for each column chunk.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from .._arrow import pa, pq
from ..errors import DamagedFileError

__all__ = ["check_chunks", "check_footer", "damaged_chunks", "fill", "room_for"]

_KEY: Final = b"rigorous.checksums"
#: Another key, of which the same can be told when the first one is damaged.
_ALSO: Final = b"rigorous.checked"
#: What follows a key, as Thrift writes it: the mark of the next field, and the length of the value.
_VALUE: Final = rb"(?s)\x18[\x80-\xff]{0,4}[\x00-\x7f]"
_DIGITS: Final = 8
_TAIL: Final = 8  # the footer's length and PAR1
_ZEROS: Final = b"0" * _DIGITS
#: Most footers are not longer: then they are read with their length at once.
_MOSTLY: Final = 16_384
#: Bytes of column chunks that are read at once after they were written, where one is not larger.
_AT_ONCE: Final = 16 * 1024 * 1024
#: Up to so many bytes zlib holds on to the interpreter.
_PIECE: Final = 5 * 1024


def room_for(schema: pa.Schema, groups: int) -> dict[bytes, bytes]:
    """Metadata that has room for the checksums of a file of so many row groups."""
    count = 1 + groups * len(schema)
    return {_ALSO: b"", _KEY: _ZEROS * count}


def fill(path: Path, meta: pq.FileMetaData) -> None:
    """Put the checksums in a file that was written with room for them.

    Args:
        path: the file.
        meta: what its writer says of it.
    """
    with path.open("r+b") as file:
        start, footer = _footer(file)
        place = _place(footer)
        if place is None:
            message = f"{path} was written without room for checksums"
            raise ValueError(message)
        sums = _sums(file, meta, start)
        text = "".join(f"{each:08x}" for each in sums).encode()
        if _DIGITS + len(text) != place.stop - place.start:
            message = f"{path} has room for other checksums than those of {len(sums)} chunks"
            raise ValueError(message)
        whole = footer[: place.start] + _ZEROS + text + footer[place.stop :]
        file.seek(start + place.start)
        file.write(f"{zlib.crc32(whole):08x}".encode() + text)


def _sums(file: Any, meta: pq.FileMetaData, end: int) -> list[int]:
    """The checksums of all column chunks; many are read at once."""
    groups = map(meta.row_group, range(meta.num_row_groups))
    places = _places([each.column(at) for each in groups for at in range(meta.num_columns)])
    sums: list[int] = []
    block, known = memoryview(b""), slice(0, 0)
    for chunk in places:
        if not known.start <= chunk.start <= chunk.stop <= known.stop:
            size = max(chunk.stop - chunk.start, min(_AT_ONCE, end - chunk.start))
            file.seek(chunk.start)
            block, known = memoryview(file.read(size)), slice(chunk.start, chunk.start + size)
        sums.append(_crc(block[chunk.start - known.start : chunk.stop - known.start]))
    return sums


def _crc(data: memoryview) -> int:
    """The checksum of bytes, taken in pieces for which zlib does not let go of the interpreter.

    A thread that logs all the time gives it back after 5 ms; a MB takes 0.2 ms here, for which such a
    thread waits, and no other for more than those 5.
    """
    found = 0
    for start in range(0, len(data), _PIECE):
        found = zlib.crc32(data[start : start + _PIECE], found)
    return found


def check_footer(source: Any) -> tuple[int, ...] | None:
    """Pass over a footer that is as it was written.

    Args:
        source: the open file.

    Returns:
        The checksums of the column chunks, in order; None for a file that has none.

    Raises:
        DamagedFileError: it is not.
    """
    _, footer = _footer(source)
    place = _place(footer)
    if place is None:
        return None
    metadata = footer[place]
    first = place.start + _DIGITS
    whole = footer[: place.start] + _ZEROS + footer[first:]
    if metadata[:_DIGITS] != f"{zlib.crc32(whole):08x}".encode():
        message = "its footer is not as it was written: the checksum is another"
        raise DamagedFileError(message)
    starts = range(_DIGITS, len(metadata), _DIGITS)
    return tuple([int(metadata[at : at + _DIGITS], 16) for at in starts])


def check_chunks(
    path: str, meta: pq.FileMetaData, sums: Sequence[int], group: int, columns: Iterable[int]
) -> None:
    """Pass over columns of a row group that are as they were written.

    Args:
        columns: which ones, by their places in the file.

    Raises:
        DamagedFileError: one is not.
    """
    row_group = meta.row_group(group)
    chunks = {number: row_group.column(number) for number in columns}
    with pa.OSFile(path) as source:
        found = _sums_of(source, chunks.values())
    for (number, chunk), each in zip(chunks.items(), found, strict=True):
        if each != sums[group * meta.num_columns + number]:
            message = f"the checksum of column {chunk.path_in_schema!r} is another"
            raise DamagedFileError(message)


def damaged_chunks(
    source: Any, meta: pq.FileMetaData, sums: Sequence[int], column: int
) -> list[int]:
    """In which row groups of an open file a column is not as it was written."""
    chunks = [meta.row_group(group).column(column) for group in range(meta.num_row_groups)]
    found = _sums_of(source, chunks)
    pairs = zip(found, sums[column :: meta.num_columns], strict=True)
    return [group for group, (each, known) in enumerate(pairs) if each != known]


def _sums_of(source: Any, chunks: Iterable[pq.ColumnChunkMetaData]) -> list[int]:
    """The checksums of column chunks of an open file."""
    sums = []
    for place in _places(chunks):
        source.seek(place.start)
        sums.append(zlib.crc32(source.read(place.stop - place.start)))
    return sums


def _places(chunks: Iterable[pq.ColumnChunkMetaData]) -> list[slice]:
    """Where in their file column chunks are."""
    places = []
    for chunk in chunks:
        first = chunk.data_page_offset
        if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None:
            first = min(first, chunk.dictionary_page_offset)
        places.append(slice(first, first + chunk.total_compressed_size))
    return places


def _place(footer: bytes) -> slice | None:
    """Where the checksums are in a footer.

    Before them the least and the greatest values of columns stand in it, which can be any bytes.
    """
    key = footer.rfind(_KEY + b"\x18")
    if (found := re.compile(_VALUE).match(footer, key + len(_KEY)) if key >= 0 else None) is None:
        if _ALSO in footer:
            message = "its footer is not as it was written: its checksums are gone"
            raise DamagedFileError(message)
        return None
    start = found.end()
    size = 0  # as Thrift writes a length: seven bits a byte, the last byte below 128
    for at, byte in enumerate(footer[found.start() + 1 : start]):
        size |= (byte & 0x7F) << (7 * at)
    if size < _DIGITS or size % _DIGITS or not footer[start : start + size].isalnum():
        message = "its footer is not as it was written"
        raise DamagedFileError(message)
    return slice(start, start + size)


def _footer(file: Any) -> tuple[int, bytes]:
    """Where the footer of a file begins, and its bytes."""
    end = file.seek(0, 2) - _TAIL
    if end < 0:
        message = "it is too short for a Parquet file"
        raise DamagedFileError(message)
    known = max(0, end - _MOSTLY)
    file.seek(known)
    last = file.read()
    (size,) = struct.unpack_from("<I", last, end - known)
    start = end - size
    if start < 0:
        message = "its footer claims to be longer than the file"
        raise DamagedFileError(message)
    if start < known:
        file.seek(start)
        return start, file.read(size)
    return start, last[start - known : end - known]
