"""The colors of lines, as people with and without color blindness see them on both grounds."""

from __future__ import annotations

import re
from importlib import resources
from itertools import combinations
from typing import Any

import pytest

pytest.importorskip("numpy")

import numpy as np

from rigorous_recorder.page.svg_frame import color_at

STATIC = resources.files("rigorous_recorder.page") / "static"
#: Simulations at full severity (Machado, Oliveira and Fernandes, 2009), of linear RGB.
EYES = {
    "trichromat": np.eye(3),
    "protanope": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranope": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


@pytest.mark.parametrize(("name", "ground"), [("ON_LIGHT", "#ffffff"), ("ON_DARK", "#14171a")])
def test_lines_are_apart_from_each_other_and_from_the_ground(name: str, ground: str) -> None:
    """By 3 to 1 from the ground (WCAG 1.4.11), and by a clear difference in CIELAB."""
    assert f"{ground}" in (STATIC / "page.css").read_text("utf-8")
    text = (STATIC / "palette.js").read_text("utf-8")
    found = re.search(rf"{name} = \[(.*)\]", text)
    assert found is not None
    colors = re.findall(r"#\w{6}", found[1])
    assert len(colors) == 10
    assert [color_at(at) for at in range(10)] == colors or name == "ON_DARK"  # of pictures, too
    assert min(contrast(each, ground) for each in colors) >= 3
    for eye in EYES.values():
        seen = [lab(eye @ linear(each)) for each in colors]
        assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 20


def linear(color: str) -> Any:
    part = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(linear(each) @ TO_XYZ[1]) for each in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: Any) -> Any:
    white = np.array([0.9505, 1, 1.089])
    share = TO_XYZ @ np.clip(rgb, 0, 1) / white
    f = np.where(share > 0.008856, np.cbrt(share), 7.787 * share + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])
