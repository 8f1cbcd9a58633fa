"""The modules that the page's script needs, named in the page, so that all are loaded at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["with_modules"]

_MAIN: Final = "main.js"
_IMPORTS: Final = r'^(?:import|export) [^"]*"\./([^"]+)";'
_BEFORE: Final = b'<script type="module"'


def with_modules(page: bytes, files: Mapping[str, bytes]) -> bytes:
    """The page with a line for each module that its script imports, also through others."""
    seen: dict[str, None] = {}
    wanted = [_MAIN]
    while wanted:
        if (name := wanted.pop()) in files and name not in seen:
            seen[name] = None
            wanted += re.findall(_IMPORTS, files[name].decode(), re.MULTILINE)
    lines = (f'<link rel="modulepreload" href="static/{each}">\n' for each in seen)
    return page.replace(_BEFORE, "".join(lines).encode() + _BEFORE, 1)
