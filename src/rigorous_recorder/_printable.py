"""Text from any source, made safe for a terminal: control characters become escapes."""

from __future__ import annotations

__all__ = ["lines", "one_line"]


def one_line(text: str) -> str:
    r"""Text without characters that break lines, move the cursor or change the writing direction.

    Control, format and surrogate characters and unusual spaces (those that ``str.isprintable``
    rejects) become escapes such as ``\x1b`` and ``\u202e``.
    """
    if text.isprintable():
        return text
    return "".join(map(_visible, text))


def lines(text: str) -> str:
    """Like ``one_line``, but line breaks and tabs stay."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" else _visible(c) for c in text)


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
