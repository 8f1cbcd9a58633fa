"""Text from anywhere, made safe for a terminal: control characters become visible escapes."""

from __future__ import annotations

__all__ = ["lines", "one_line"]


def one_line(text: str) -> str:
    r"""Text in which nothing breaks a line, moves the cursor or turns the direction of reading.

    Control, format and surrogate characters and odd blanks (all that ``str.isprintable`` refuses)
    become escapes such as ``\x1b`` and ``\u202e``.
    """
    if text.isprintable():
        return text
    return "".join(map(_visible, text))


def lines(text: str) -> str:
    """As ``one_line``, for text of several lines: these, and tabs, stay."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" else _visible(c) for c in text)


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
