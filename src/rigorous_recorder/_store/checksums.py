"""Checksums of a sealed file's footer, and of each column of each row group.

Parquet has checksums of page contents, but not of page headers and the footer; C++ readers can crash
the process over a flipped bit there. So the footer is verified before anything reads it. Its metadata
has CRC-32 sums as hexadecimal digits under a key of their own: first that of the footer itself, with
eight zeros in this place, then one for each column chunk.
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
from .leaves import leaves_of

__all__ = ["check_chunks", "check_footer", "damaged_chunks", "fill", "room_for"]

_KEY: Final = b"rigorous.checksums"
#: A second key, which identifies the checksums if the first one is damaged.
_ALSO: Final = b"rigorous.checked"
#: What follows a key in Thrift's encoding: the header of the next field, and the value's length.
_VALUE: Final = rb"(?s)\x18[\x80-\xff]{0,4}[\x00-\x7f]"
_DIGITS: Final = 8
_TAIL: Final = 8  # the footer's length and PAR1
_ZEROS: Final = b"0" * _DIGITS
#: Most footers are not longer than this, and are read together with their length.
_MOSTLY: Final = 16_384
#: Bytes of column chunks to read at once after writing, unless a single one is larger.
_AT_ONCE: Final = 16 * 1024 * 1024
#: Up to this many bytes, zlib does not release the GIL.
_PIECE: Final = 5 * 1024


def room_for(schema: pa.Schema, groups: int) -> dict[bytes, bytes]:
    """Metadata with reserved space for the checksums of a file with this number of row groups."""
    count = 1 + groups * sum(len(leaves_of(field)) for field in schema)
    return {_ALSO: b"", _KEY: _ZEROS * count}


def fill(path: Path, meta: pq.FileMetaData) -> None:
    """Write the checksums into a file that has reserved space for them.

    Args:
        path: the file.
        meta: its metadata, from its writer.
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
    """The checksums of all column chunks, reading many at once."""
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
    """The checksum of bytes, computed in pieces for which zlib does not release the GIL.

    A busy thread returns the GIL only after 5 ms. A megabyte takes 0.2 ms here, for which such a
    thread waits, and no other thread for more than those 5 ms.
    """
    found = 0
    for start in range(0, len(data), _PIECE):
        found = zlib.crc32(data[start : start + _PIECE], found)
    return found


def check_footer(source: Any) -> tuple[int, ...] | None:
    """Verify the footer of a file.

    Args:
        source: the open file.

    Returns:
        The checksums of the column chunks, in order; None if the file has none.

    Raises:
        DamagedFileError: it is damaged.
    """
    _, footer = _footer(source)
    place = _place(footer)
    if place is None:
        return None
    metadata = footer[place]
    first = place.start + _DIGITS
    whole = footer[: place.start] + _ZEROS + footer[first:]
    if metadata[:_DIGITS] != f"{zlib.crc32(whole):08x}".encode():
        message = "its footer is damaged: the checksum does not match"
        raise DamagedFileError(message)
    starts = range(_DIGITS, len(metadata), _DIGITS)
    return tuple([int(metadata[at : at + _DIGITS], 16) for at in starts])


def check_chunks(
    path: str, meta: pq.FileMetaData, sums: Sequence[int], group: int, columns: Iterable[int]
) -> None:
    """Verify columns of a row group.

    Args:
        columns: which ones, by their places in the file.

    Raises:
        DamagedFileError: one is damaged.
    """
    row_group = meta.row_group(group)
    chunks = {number: row_group.column(number) for number in columns}
    with pa.OSFile(path) as source:
        found = _sums_of(source, chunks.values())
    for (number, chunk), each in zip(chunks.items(), found, strict=True):
        if each != sums[group * meta.num_columns + number]:
            message = f"the checksum of column {chunk.path_in_schema!r} does not match"
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
    """The position of the checksums in a footer.

    They follow the columns' minimum and maximum values, which can be any bytes.
    """
    key = footer.rfind(_KEY + b"\x18")
    if (found := re.compile(_VALUE).match(footer, key + len(_KEY)) if key >= 0 else None) is None:
        if _ALSO in footer:
            message = "its footer is damaged: its checksums are gone"
            raise DamagedFileError(message)
        return None
    start = found.end()
    size = 0  # in Thrift's encoding: seven bits per byte, the last byte below 128
    for at, byte in enumerate(footer[found.start() + 1 : start]):
        size |= (byte & 0x7F) << (7 * at)
    if size < _DIGITS or size % _DIGITS or not footer[start : start + size].isalnum():
        message = "its footer is damaged"
        raise DamagedFileError(message)
    return slice(start, start + size)


def _footer(file: Any) -> tuple[int, bytes]:
    """The position of a file's footer, and its bytes."""
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
