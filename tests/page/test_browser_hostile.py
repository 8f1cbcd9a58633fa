"""The page in a real browser, with addresses that anyone may have written and keys of any kind."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import pytest

pytest.importorskip("playwright")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("youplot")

from playwright.sync_api import Page, expect, sync_playwright

from rigorous_recorder import ExperimentCollection

CHROMIUM = which("chromium") or which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]

expect.set_options(timeout=30_000)  # also on a busy machine
MARKUP = "<img src=x onerror=alert(1)>"
#: Also names of properties that all objects of JavaScript have.
KEYS = ("constructor", "__proto__", "toString", "a/b", "a.b", 'q"', "k" * 10_000, MARKUP, "\n", "")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of two runs as a frame has it; a dialog, an error or a request elsewhere fails."""
    collection = ExperimentCollection(tmp_path_factory.mktemp("hostile") / "a % b", quiet=True)
    for seed in range(2):
        with collection.new_experiment(seed=seed, note=MARKUP, nan=math.nan) as run:
            run.update(dict.fromkeys(KEYS, seed))
            run.push({"step": 0, **dict.fromkeys(KEYS, 1.0), "matrix": [[1, 2], [3, 4]]})
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with collection.view(opens_browser=False, edit=True) as view, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        found = browser.new_page(viewport={"width": 1300, "height": 900}, base_url=view.address)
        wrong: list[Any] = []
        found.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        found.on("pageerror", lambda error: wrong.append(error))  # noqa: PLW0108 - it gets a mark
        found.on("console", lambda line: line.type != "error" or wrong.append(line.text))
        found.on("request", lambda sent: sent.url.startswith(view.address) or wrong.append(sent))
        yield found
        browser.close()
        assert wrong == []


def show(page: Page, state: list[tuple[str, str]]) -> None:
    """Open the page anew at a state."""
    page.goto("data:,")
    page.goto(f"#{urlencode(state)}")


def test_charts_that_are_not_valid_are_left_out(page: Page) -> None:
    """The others are drawn, also of keys that all objects have, and pick runs."""
    specs: list[Any] = [
        {"kind": "parallel", "attributes": "x", "keys": 7},
        {"kind": "parallel", "brushes": {"seed": 5}},
        {"kind": "histogram", "y": "toString", "zoom": {"low": "x"}},
        {"kind": "constructor"},
        [1],
        {"kind": "heatmap", "y": "matrix"},  # of the first run, once the runs are there
        {
            "kind": "parallel",
            "attributes": ["seed", "constructor", "__proto__", "note", "nan"],
            "keys": ["toString", "__proto__"],
            "brushes": {"seed": [0.5, 2]},
        },
    ]
    panels = [("panels", each) for each in ("{", *map(json.dumps, specs))]
    show(page, [("tab", "nowhere"), *panels])
    expect(page.locator(".panels article[data-state=drawn]")).to_have_count(2)
    expect(page.get_by_text("1 of 2 drawn")).to_be_visible()


def test_charts_of_all_keys(page: Page) -> None:
    """Lines by each of them, too; what is markup stays text."""
    show(page, [])
    cards = page.locator("#charts article")
    for number in range(len(KEYS)):
        cards.nth(number).scroll_into_view_if_needed()
        expect(cards.nth(number)).to_have_attribute("data-state", "drawn")
    for key in KEYS[:3]:
        show(page, [("by", key), ("by", "note")])
        expect(cards.first.locator(".legend")).to_contain_text(MARKUP)
    assert page.locator("img").count() == 0


def test_a_frame_of_another_site(page: Page, tmp_path: Path) -> None:
    """Its dialogs are those of the page; what it may not is no error; late answers are not shown."""
    show(page, [])
    assert page.context.browser is not None
    frame = page.context.browser.new_page()
    wrong: list[Any] = []
    frame.on("pageerror", lambda error: wrong.append(error))  # noqa: PLW0108 - it gets a mark
    address = page.url.partition("#")[0]
    (tmp_path / "index.html").write_text(f"<iframe src='{address}' width=1200 height=800></iframe>")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    notebook = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=notebook.serve_forever, daemon=True).start()
    frame.goto(f"http://localhost:{notebook.server_port}/")  # another site than 127.0.0.1
    shown = frame.frame_locator("iframe")
    shown.get_by_role("button", name="Save view").click()  # which no chart of the key "" covers
    shown.get_by_label("The name of this view").last.fill("best")
    shown.get_by_role("button", name="OK").click()
    expect(shown.get_by_label("Views").locator("option", has_text="best")).to_have_count(1)
    shown.get_by_role("button", name="Rows").click()
    shown.locator("#rows .line").first.wait_for()
    held: list[Any] = []
    frame.route("**/api/cell", lambda route: route.continue_() if held else held.append(route))
    for column in (0, 1):
        if column:
            shown.locator("dialog[open]").get_by_role("button", name="Close").click()
        shown.locator("#rows .line").first.locator(".cell").nth(column).dblclick()
    value = shown.locator("dialog[open] pre")
    expect(value).to_have_text("0")  # of error_number
    with frame.expect_response("**/api/cell"):
        held[0].continue_()
    shown.locator("dialog[open]").get_by_role("button", name="Copy").click()
    expect(value).to_have_text("0")
    frame.close()
    notebook.shutdown()
    notebook.server_close()
    assert wrong == []
