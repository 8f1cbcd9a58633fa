"""The bodies of requests: JSON of a bounded size."""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.requests import Request

__all__ = ["json_of"]

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
