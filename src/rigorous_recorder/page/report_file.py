"""The file of a report: the page and its data in one, of which nothing leads elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib import resources
from typing import Any, Final

from .chart_library import library_files
from .plain import json_bytes
from .svg_frame import text_in

__all__ = ["page_with", "pictures_with", "runs_html", "text_of"]

_TYPES: Final = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_POLICY: Final = (
    "default-src 'none'; script-src data: 'sha256-{digest}'; style-src data:; img-src data: blob:;"
    " media-src data:; base-uri 'none'; form-action 'none'"
)

_STYLE: Final = (
    "body{font:14px/1.4 system-ui,sans-serif;color:#1b1f24;background:#fff;margin:16px}"
    "h1{font-size:18px}h2{font-size:14px;margin:4px 0}svg{max-width:100%;height:auto}"
    "div.charts{display:flex;flex-wrap:wrap;gap:16px}figure{margin:0}table{border-collapse:collapse;"
    "margin-top:16px}th,td{text-align:start;padding:2px 10px 2px 0;border-bottom:1px solid #d5dae0;"
    "max-width:260px;overflow:hidden;text-overflow:ellipsis;white-space:pre}"
)


def pictures_with(title: str, note: str, figures: Iterable[str], table: str) -> str:
    """A page of pictures alone, and a table."""
    shown = "\n".join(f"<figure>{each}</figure>" for each in figures)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src'
        f" 'sha256-{_digest(_STYLE)}'\">\n"
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n<p>{escape(note)}</p>\n"
        f'<div class="charts">\n{shown}\n</div>\n{table}\n</body>\n</html>\n'
    )


def runs_html(columns: Sequence[Mapping[str, Any]], lines: Sequence[Mapping[str, Any]]) -> str:
    """The table of runs; headers of groups have the value of the group."""
    places = [at for at, each in enumerate(columns) if each["kind"] != "line"]
    head = "".join(f'<th scope="col">{text_in(str(columns[at]["title"]))}</th>' for at in places)
    rows = []
    for line in lines:
        if "group" in line:
            text = text_in(f"{line['group'] or 'none'} ({line['count']})")
            rows.append(
                f'<tr><th colspan="{max(1, len(places))}" scope="colgroup">{text}</th></tr>'
            )
            continue
        cells = (_cell(columns[at]["kind"], line["cells"][at]) for at in places)
        rows.append(f"<tr>{''.join(f'<td>{each}</td>' for each in cells)}</tr>")
    return f"<table>\n<tr>{head}</tr>\n{chr(10).join(rows)}\n</table>"


def _cell(kind: str, value: Any) -> str:
    if value is None:
        return ""
    if kind == "start":
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return text_in(f"{value:.6g}" if isinstance(value, float) else str(value))


def _digest(text: str) -> str:
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
        f'{_POLICY.format(digest=_digest(imports))}">\n'
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
