"""Pages of documentation as programs: their Python blocks, and the output they promise."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A Python block, with the text block that stands right behind it, if one does."""

    line: int
    code: str
    output: str | None


def blocks(page: Path) -> list[Block]:
    """The Python blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = list(_BLOCK.finditer(text))
    result = []
    for match, following in zip(found, [*found[1:], None], strict=True):
        if match[1] != "python":
            continue
        is_next = following is not None and not text[match.end() : following.start()].strip()
        output = (
            following[2] if following is not None and is_next and following[1] == "text" else None
        )
        result.append(Block(text[: match.start()].count("\n") + 1, match[2], output))
    return result


def run(page: Path, names: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run all Python blocks of a page as one program; what one prints must be what it promises."""
    names = {"__name__": "__page__", **(names or {})}
    for block in blocks(page):
        printed = io.StringIO()
        code = compile("\n" * block.line + block.code, str(page), "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        if block.output is not None:
            assert printed.getvalue() == block.output, f"{page.name}, line {block.line}"
    return names
