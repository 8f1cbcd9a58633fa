"""Values as the browser shows them: short in a cell, whole in a pane, images and sound as such."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import blake2b
from threading import Lock
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .._values import json_floats
from .._values.text_forms import text_form
from .body import json_of
from .plain import json_bytes, plain
from .rows import RowsRequest, value
from .workspace import Workspace

__all__ = ["Values", "media_type"]

#: The first bytes of what browsers show without running anything in it; all else is bytes.
_STARTS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_RIFF: Final[Mapping[bytes, str]] = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
#: Larger media are only named.
_LARGEST: Final = 16 << 20
#: Media of the cells that were sent last; those that were dropped are requested with their rows.
_CACHE_BYTES: Final = 96 << 20
#: Characters of a value in the pane.
_MOST_CHARACTERS: Final = 1 << 20
_HEAD: Final = 16


def media_type(content: bytes) -> str | None:
    """The type of an image or sound by its first bytes; None for others."""
    for start, kind in _STARTS:
        if content.startswith(start):
            return kind
    return _RIFF.get(content[8:12]) if content[:4] == b"RIFF" else None


class Values:
    """Values of a workspace, and the media among them that were shown last."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = Lock()
        self._media: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def routes(self) -> list[Route]:
        """The addresses of media, and of whole values of rows."""
        return [
            Route("/api/media/{name}", self._medium),
            Route("/api/cell", self._cell, methods=["POST"]),
        ]

    def cell(self, value: Any) -> Any:
        """A value in a cell: a number, bool, text or None; of bytes and arrays what they are.

        Bytes are ``{"bytes": size, "head": hexadecimal}``, media ``{"media": type, "bytes": size,
        "id": name}``, without a name if they are too large to be shown.
        """
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._of_bytes(bytes(value))
        if (shape := getattr(value, "shape", None)) is not None:
            return plain(f"{value.dtype}[{'x'.join(map(str, shape))}] {value}")
        return plain(value)

    def _of_bytes(self, content: bytes) -> dict[str, Any]:
        kind = media_type(content)
        if kind is None:
            return {"bytes": len(content), "head": content[:_HEAD].hex(" ")}
        name = self._stored(content) if len(content) <= _LARGEST else None
        return {"media": kind, "bytes": len(content), "id": name}

    def _stored(self, content: bytes) -> str:
        name = blake2b(content, digest_size=16).hexdigest()
        with self._lock:
            if self._media.setdefault(name, content) is content:
                self._size += len(content)
            self._media.move_to_end(name)
            while self._size > _CACHE_BYTES:
                self._size -= len(self._media.popitem(last=False)[1])
        return name

    def whole(self, value: Any) -> dict[str, Any]:
        """A value in the pane: ``kind`` and ``text``, ``is_cut``, and for media what a cell has."""
        if isinstance(value, (bytes, bytearray, memoryview)):
            content = bytes(value)
            kind, text = f"bytes ({len(content):,})", content[: _MOST_CHARACTERS // 3].hex(" ")
            return {**self._of_bytes(content), "kind": kind, "text": text, "is_cut": False}
        kind, text = _text_of(value)
        cut = text[:_MOST_CHARACTERS]
        return {"kind": kind, "text": cut, "is_cut": len(cut) < len(text)}

    async def _medium(self, request: Request) -> Response:
        with self._lock:
            content = self._media.get(request.path_params["name"])
        if content is None:
            return Response("It is not there any more; scroll to its row again.", 404)
        return Response(content, media_type=media_type(content))

    async def _cell(self, request: Request) -> Response:
        given = await json_of(request)
        wanted = RowsRequest.of(given)
        found = await run_in_threadpool(
            lambda: self.whole(value(self._workspace, wanted, given.get("key")))
        )
        return Response(json_bytes(found), media_type="application/json")


def _text_of(value: Any) -> tuple[str, str]:
    if value is None:
        return "no value", ""
    if isinstance(value, str):
        return ("text", value) if (found := _document(value)) is None else ("JSON", found)
    if (shape := getattr(value, "shape", None)) is not None:
        return f"{value.dtype} array of {'x'.join(map(str, shape))}", str(value.tolist())
    if isinstance(value, (dict, list)):
        return "JSON", json_floats.dumps(text_form(value), ensure_ascii=False, indent=2)
    return type(value).__name__, str(value)


def _document(text: str) -> str | None:
    """JSON text with line breaks; None if it is other text."""
    if text[:1] not in {"{", "["} or len(text) > _MOST_CHARACTERS:
        return None
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return None
