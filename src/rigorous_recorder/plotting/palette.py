"""Colors and characters of curves, distinguishable with color blindness, too."""

from __future__ import annotations

from typing import Final

__all__ = ["COLORS", "DASHES", "MARKERS", "hex_of"]

#: From Okabe and Ito, "Color Universal Design" (2008), the most distinct ones first.
COLORS: Final = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (230, 159, 0),
    (110, 110, 110),
)
#: If there are more curves than colors, curves of the same color have different dashes.
DASHES: Final = ("-", "--", ":", "-.")
#: Markers for charts without color.
MARKERS: Final = "*o+x#@%&"


def hex_of(color: tuple[int, int, int]) -> str:
    """A color as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*color)
