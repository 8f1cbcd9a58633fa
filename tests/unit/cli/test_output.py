"""What is printed: tables, JSON text and the words for times, durations and sizes."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rich")

from rigorous_recorder._values import json_floats
from rigorous_recorder.cli import output

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
)


def refuse(constant: str) -> None:
    raise ValueError(constant)


@given(JSON_VALUES)
def test_json_is_one_line_that_reads_back(value: Any) -> None:
    """Strict JSON, also of NaN and infinities."""
    text = output.json_line(value)
    assert "\n" not in text
    json.loads(text, parse_constant=refuse)
    assert repr(json_floats.loads(text)) == repr(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (dt.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.time(3, 4), "03:04:00"),
        (dt.timedelta(minutes=1.5), 90.0),
        (b"\x00\xff", "00ff"),
        (Decimal("1.5"), 1.5),
        (Decimal(2**70), 2**70),
        (Decimal("0.12345678901234567890"), "0.12345678901234567890"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_values_that_json_has_not_have_a_form_of_their_own(value: Any, expected: Any) -> None:
    """Times, durations, bytes, decimals and ids."""
    assert json.loads(output.json_line([value])) == [expected]


@given(st.text())
def test_a_cell_is_one_printable_line(text: str) -> None:
    """Whatever text was logged; what is printable is as it was."""
    cell = output.cell(text)
    assert cell.isprintable()
    assert (cell == text) == text.isprintable()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        (True, "True"),
        (1.5, "1.5"),
        ([1, {"a": None}], '[1, {"a": null}]'),
        (b"\x01", "01"),
        (dt.date(2026, 1, 2), "2026-01-02"),
    ],
)
def test_other_values_have_their_text(value: Any, expected: str) -> None:
    """As Python writes plain ones, and as JSON what has parts."""
    assert output.cell(value) == expected


def test_a_table_for_a_pipe_is_aligned_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers at the right, text at the left, nothing cut, no space at the end of a line."""
    output.print_table(("name", "n"), [("a", 1), ("a longer one", 1000), ("b", 20)])
    assert capsys.readouterr().out == (
        "name             n\na                1\na longer one  1000\nb               20\n"
    )


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 40 columns, without colors."""
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.mark.usefixtures("terminal")
def test_a_table_fits_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Text is cut, numbers are not; what has no room is named, also where later rows are wider."""
    names = ("n", "text", "when", "least", "more")
    start = [(10**9, "a" * 90, "2026-01-02 03:04:05", 1, "x")] * 1000
    rows = [*start, (2, "日本" * 40, "2026", 1, "x" * 50)]
    output.print_table(names, rows, last=("least",))
    printed = capsys.readouterr()
    head, first, *_, last_line = printed.out.splitlines()
    assert head == f"         n  text{' ' * 18}  more"
    assert first == f"1000000000  {'a' * 21}…  x"
    assert last_line == f"         2  {'日本' * 5}…   xxx…"
    assert printed.err == (
        "not shown: when, least; … is where a value is cut; use --json or a pipe to see everything\n"
    )


@pytest.mark.usefixtures("terminal")
def test_a_table_that_fits_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is reported then."""
    output.print_table(("name", "text"), [("a", "b" * 30)])
    assert capsys.readouterr() == (f"name  text\na     {'b' * 30}\n", "")


def test_colors_are_those_of_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless NO_COLOR is set, or the terminal has none."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    output.print_table(("status",), [("failed",)])
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    output.print_table(("status",), [("failed",)])
    assert capsys.readouterr().out == "\x1b[1mstatus\x1b[0m\n\x1b[31mfailed\x1b[0m\n"
    monkeypatch.setenv("TERM", "dumb")
    output.print_table(("status",), [("failed",)])
    assert "\x1b" not in capsys.readouterr().out


def test_rows_behind_the_first_thousand_are_printed_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Widths are those of the first thousand rows; later ones may be wider, and are whole."""
    rows = [("x" * (1 + (n == 1500)) * 5,) for n in range(2000)]
    output.print_table(("text",), rows)
    assert capsys.readouterr().out.split() == ["text", *(row[0] for row in rows)]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "-"),
        (0.004, "0.00 s"),
        (59.99, "59.99 s"),
        (60, "1 min 00 s"),
        (3599.7, "1 h 00 min"),
        (3600 * 25, "1 d 01 h"),
    ],
)
def test_durations_have_two_units(seconds: float | None, expected: str) -> None:
    """The two largest that fit; none for what is not known."""
    assert output.duration_text(seconds) == expected


def test_a_time_is_that_of_the_reader() -> None:
    """Local, to the second; a dash for what is not known."""
    moment = dt.datetime(2026, 1, 2, 3, 4, 5).astimezone()
    assert output.time_text(moment.timestamp()) == "2026-01-02 03:04:05"
    assert output.time_text(None) == "-"
