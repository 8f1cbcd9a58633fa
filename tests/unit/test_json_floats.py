"""NaN and infinities in JSON: text that every reader takes, and that reads back as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigorous_recorder._values import json_floats

NAN, INF = float("nan"), float("inf")
#: Keys that the spelling uses itself, and what its places are made of.
KEYS = st.sampled_from(
    ["a", "", "/", "~", "~1", "0", "$", "$value", "$$value", "$nonfinite", "$$nonfinite", "$x"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([NAN, INF, -INF])
VALUES = st.recursive(
    LEAVES | st.text() | st.sampled_from(["NaN", "NaN /a", "$value"]),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(KEYS, inside, max_size=4),
)


def refuse(constant: str) -> None:
    raise ValueError(constant)


@given(VALUES)
def test_every_value_reads_back_from_strict_json(value: Any) -> None:
    """Also keys and texts that look like the spelling."""
    text = json_floats.dumps(value)
    json.loads(text, parse_constant=refuse)
    assert repr(json_floats.loads(text)) == repr(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"loss": NAN}, '{"loss": null, "$nonfinite": ["NaN /loss"]}'),
        (
            {"a/b": [1.5, INF], "n": None},
            '{"a/b": [1.5, null], "n": null, "$nonfinite": ["Infinity /a~1b/1"]}',
        ),
        ([-INF, 0.5], '{"$value": [null, 0.5], "$nonfinite": ["-Infinity /0"]}'),
        (NAN, '{"$value": null, "$nonfinite": ["NaN "]}'),
        ({"$value": "NaN"}, '{"$$value": "NaN"}'),
        ({"loss": "NaN"}, '{"loss": "NaN"}'),
        ([0.5, None], "[0.5, null]"),
    ],
)
def test_the_spelling_is_what_the_page_shows(value: Any, text: str) -> None:
    """Numbers that are not finite are null, and listed beside."""
    assert json_floats.dumps(value) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"loss": NaN, "b": [-Infinity]}', {"loss": NAN, "b": [-INF]}),
        ('{"$nonfinite": 5}', {"$nonfinite": 5}),
        ('{"$nonfinite": []}', {"$nonfinite": []}),
        ('{"$nonfinite": ["NaN /a"]}', {"$nonfinite": ["NaN /a"]}),
        ('{"a": 1, "$nonfinite": ["NaN /a"]}', {"a": 1, "$nonfinite": ["NaN /a"]}),
        ('{"a": null, "$nonfinite": ["x /a"]}', {"a": None, "$nonfinite": ["x /a"]}),
        ('{"a": [null], "$nonfinite": ["NaN /a/7"]}', {"a": [None], "$nonfinite": ["NaN /a/7"]}),
        ('{"$value": 1}', {"$value": 1}),
        ('[{"$nonfinite": ["NaN /a"]}]', [{"$nonfinite": ["NaN /a"]}]),
    ],
)
def test_text_of_others_is_read_as_it_stands(text: str, value: Any) -> None:
    """Bare NaN, which older versions wrote, and keys that others mean something else by."""
    assert repr(json_floats.loads(text)) == repr(value)
