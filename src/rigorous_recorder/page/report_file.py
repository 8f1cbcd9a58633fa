"""The file of a report: the page and its data in one, of which nothing leads elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

from .chart_library import library_files
from .plain import json_bytes

__all__ = ["digest_of", "page_with", "text_of"]

_TYPES: Final = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_POLICY: Final = (
    "default-src 'none'; script-src data: 'sha256-{digest}'; style-src data:; img-src data: blob:;"
    " media-src data:; base-uri 'none'; form-action 'none'"
)


def digest_of(text: str) -> str:
    """What a policy names a text by."""
    return text_of(hashlib.sha256(text.encode()).digest())


def text_of(content: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(content).decode()


def page_with(data: Mapping[str, Any]) -> str:
    """The page's files and its data in one; none of either can end an element."""
    folder = resources.files(__package__) / "static"
    files = {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}
    files |= library_files()
    modules = {
        f"rigorous/{name}": _address(name, _bare(content))
        for name, content in files.items()
        if name.endswith(".js") and not name.startswith("uplot")
    }
    imports = json.dumps({"imports": modules})
    text = files["index.html"].decode()
    text = re.sub(r'<link rel="(module)?preload"[^>]*>\n', "", text)
    files["main.js"] = b'import "rigorous/main.js";'

    def inline(match: re.Match[str]) -> str:
        return f'"{_address(match[1], files[match[1]])}"'

    text = re.sub(r'"static/([\w.]+)"', inline, text)
    inside = json_bytes(data).decode().replace("<", "\\u003c")
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="'
        f'{_POLICY.format(digest=digest_of(imports))}">\n'
        f'<script type="importmap">{imports}</script>\n'
        f'<script type="application/json" id="inside">{inside}</script>\n'
    )
    for tab in ("sql", "tree"):
        text = text.replace(f'id="tab-{tab}"', f'id="tab-{tab}" hidden')
    return text.replace('<meta charset="utf-8">\n', f'<meta charset="utf-8">\n{head}', 1)


def _bare(content: bytes) -> bytes:
    """A module that imports others by names of the import map: data has no relative addresses."""
    return re.sub(rb'((?:from|import) |import\()"\./', rb'\1"rigorous/', content)


def _address(name: str, content: bytes) -> str:
    kind = _TYPES[name.rpartition(".")[2]]
    return f"data:{kind};base64,{text_of(content)}"
