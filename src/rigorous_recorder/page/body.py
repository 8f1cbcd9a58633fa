"""Requests: JSON of a bounded size, and answers that end when the browser leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from threading import Event
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from .series import Cancelled

__all__ = ["accepts_gzip", "json_of", "unless_left"]

#: No request is larger.
_MOST_BYTES: Final = 1 << 20


async def json_of(request: Request) -> Any:
    """The JSON of a request; None if it has none, or is too large."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def accepts_gzip(request: Request) -> bool:
    """Whether the browser can read compressed answers."""
    return "gzip" in request.headers.get("accept-encoding", "")


async def unless_left(
    request: Request, read: Callable[[Event], bytes], media_type: str = "application/octet-stream"
) -> Response:
    """What a function reads, which ends when the browser leaves."""
    stop = Event()
    left = asyncio.create_task(_set_when_left(request, stop))
    try:
        found = await run_in_threadpool(read, stop)
    except Cancelled:
        return Response(status_code=499)
    finally:
        left.cancel()
    return Response(found, media_type=media_type)


async def _set_when_left(request: Request, stop: Event) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    stop.set()
