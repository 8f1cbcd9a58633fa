"""Colors and characters of curves, that are told apart by the color-blind too."""

from __future__ import annotations

from typing import Final

__all__ = ["COLORS", "DASHES", "MARKERS", "hex_of"]

#: Of Okabe and Ito, "Color Universal Design" (2008), the most different ones first.
COLORS: Final = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (230, 159, 0),
    (110, 110, 110),
)
#: Of more curves than colors, those of one color have other dashes.
DASHES: Final = ("-", "--", ":", "-.")
#: For drawings without color.
MARKERS: Final = "*o+x#@%&"


def hex_of(color: tuple[int, int, int]) -> str:
    """A color as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*color)
