"""In a real browser: the address has the whole view, and files of charts have what is drawn."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("playwright")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("youplot")
pytest.importorskip("typer")

from playwright.sync_api import Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from rigorous_recorder import ExperimentCollection

CHROMIUM = which("chromium") or which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]

FORMULA = '=HYPERLINK("http://example.org")'
CHILDREN = 20_000
#: What a reader sees of the state: pressed buttons, choices, boxes, the pane, lines of tables.
LOOK = """() => JSON.stringify([
  [...document.querySelectorAll("[aria-pressed], [aria-current], [aria-sort], [aria-expanded]")].filter((each) => each.offsetParent)
    .map((each) => [each.textContent, ...["aria-pressed", "aria-current", "aria-sort", "aria-expanded"].map((name) => each.getAttribute(name))]),
  [...document.querySelectorAll("select, input, textarea")].filter((each) => each.offsetParent)
    .map((each) => [each.ariaLabel, each.type === "checkbox" ? each.checked : each.value]),
  [...document.querySelectorAll("dialog[open]")].map((each) => [each.querySelector("h2")?.textContent, each.querySelector("pre")?.textContent]),
  [...document.querySelectorAll(".card.full")].map((each) => each.ariaLabel),
  [...document.querySelectorAll(".table")].filter((each) => each.offsetParent).map((each) => each.innerText),
])"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where two collections are served, of which one has formulas as keys and thousands of children."""
    folder = tmp_path_factory.mktemp("address")
    for name in ("one", "two"):
        with ExperimentCollection(folder / name, quiet=True) as collection:
            for seed in range(4):
                model = FORMULA if seed % 2 else "m"
                with collection.new_experiment(seed=seed, model=model, name="+x") as run:
                    run.extend(
                        {"step": list(range(50)), "loss": [seed + 1 / (1 + i) for i in range(50)]}
                    )
                    run.push(env_step=seed, reward=1.0)
                    run.push(
                        {
                            "step": 50,
                            "loss": float("inf"),
                            FORMULA: 1.5,
                            "text": "a long text, " * 9,
                        }
                    )
            if name == "one":
                with collection.new_experiment(seed=9) as run:
                    for number in range(CHILDREN):
                        run.child(number=number)
    command = [sys.executable, "-m", "rigorous_recorder", "view", str(folder), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()
        process.terminate()


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Page]:
    """The page, at first; an error in it fails the test."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        found = browser.new_context(viewport={"width": 1300, "height": 900}).new_page()
        found.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        wrong: list[Any] = []
        found.on("pageerror", lambda error: wrong.append(str(error)))
        found.goto(address)
        yield found
        browser.close()
    assert wrong == []


def card(page: Page, key: str) -> Any:
    return page.locator(f"article[data-key={json.dumps(key)}]")


def same_again(page: Page) -> None:
    """Raise unless another page at this address looks the same."""
    look = page.evaluate(LOOK)
    other = page.context.new_page()
    other.goto(page.url)
    try:
        other.wait_for_function(f"(look) => ({LOOK})() === look", arg=look, timeout=15_000)
    except PlaywrightTimeout:  # which would not tell what differs
        assert json.loads(other.evaluate(LOOK)) == json.loads(look), page.url
    other.close()


def test_means_are_of_the_drawn_runs_over_their_own_x(page: Page) -> None:
    """A line by a key is one over both collections; other records than most have another x."""
    loss, other = card(page, "loss"), card(page, "reward")
    for name, is_number in (("seed", True), ("model", False), ("start", False)):
        title = page.get_by_role("columnheader", name=name, exact=True)
        expect(title).to_have_css("text-align", "end" if is_number else "start")
    expect(other).to_have_attribute("data-points", "8")
    page.get_by_label("Lines by").select_option("model")
    expect(loss).to_have_attribute("data-points", "408")
    expect(loss.locator(".legend button")).to_have_count(2)
    page.get_by_label("Draw run 1").first.uncheck()
    expect(loss).to_have_attribute("data-points", "357")
    page.locator("select", has=page.locator("option", has_text="automatic")).select_option("step")
    expect(other).to_contain_text("Its records have env_step.")
    legend = loss.locator(".legend").bounding_box()
    canvas = loss.locator("canvas").bounding_box()
    assert legend
    assert canvas
    assert canvas["y"] + canvas["height"] <= legend["y"] + 1  # the labels of x are not below it
    page.goto(page.url.partition("#")[0] + "#")
    page.reload()


def test_an_address_has_the_whole_view(page: Page) -> None:
    """Every control of the page is in it."""
    expect(card(page, "loss")).to_have_attribute("data-state", "drawn")
    page.get_by_label("Lines by").select_option("model")
    page.get_by_role("button", name="m", exact=True).first.click()  # hides its line
    page.get_by_label("Band").select_option("minmax")
    page.get_by_label("Smoothing").fill("0.5")
    for name in ("From start", "Levels once", "log x", "log y", "Clip outliers"):
        page.get_by_role("button", name=name).click()
    page.get_by_label("Pin loss").click()
    page.get_by_label("Search charts").fill("lo")
    page.get_by_label("Filter runs").fill("seed<3")
    expect(page.get_by_text("6 of 9 drawn")).to_be_visible()
    page.get_by_role("button", name="Filters", exact=True).click()
    page.get_by_label("Filter seed").fill(">0")
    expect(page.get_by_text("4 of 9 drawn")).to_be_visible()
    page.get_by_label("Group").select_option("model")
    page.get_by_role("columnheader", name="seed").click()
    page.get_by_label("Draw run 2").first.uncheck()
    page.get_by_role("button", name="Add chart…").click()
    page.get_by_role("button", name="Add", exact=True).click()
    page.mouse.move(600, 5)
    expect(page.locator(".panels article")).to_have_attribute("data-state", "drawn")
    same_again(page)
    page.get_by_label("Full screen loss").click()
    expect(page.locator(".card.full")).to_have_count(1)
    same_again(page)
    page.keyboard.press("Escape")
    expect(page.locator(".card.full")).to_have_count(0)

    page.get_by_role("button", name="Rows", exact=True).click()
    page.get_by_label("Collection", exact=True).select_option("two")
    page.get_by_label("Filter rows").fill("step = 50")
    page.get_by_label("Filter rows").press("Enter")
    expect(page.get_by_text("4 records", exact=True)).to_be_visible()
    page.locator("#rows").get_by_text("a long text").first.dblclick()
    expect(page.locator("dialog[open] pre")).to_have_text("a long text, " * 9)
    same_again(page)
    page.keyboard.press("Escape")

    page.get_by_role("button", name="SQL", exact=True).click()
    page.get_by_label("Query", exact=True).fill(
        "SELECT collection, text FROM records WHERE text > '' ORDER BY ALL"
    )
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("8 rows in")).to_be_visible()
    page.locator("#sql").get_by_text("a long text").first.dblclick()
    expect(page.locator("dialog[open] pre")).to_have_text("a long text, " * 9)
    same_again(page)
    page.keyboard.press("Escape")


def test_thousands_of_children_are_a_few_lines(page: Page, address: str) -> None:
    """Of those that are opened the lines in view are there; the address has what is open."""
    page.goto(f"{address}#tab=tree&collection=one")
    page.reload()
    tree = page.locator("#tree")
    tree.get_by_label("Recorders below experiment 5", exact=False).click()
    expect(tree.get_by_text("number=0", exact=True)).to_be_visible()
    expect(tree.get_by_text(str(CHILDREN), exact=True)).to_be_visible()
    assert tree.locator(".line").count() < 100
    tree.locator(".table").evaluate("(each) => { each.scrollTop = each.scrollHeight; }")
    expect(tree.get_by_text(f"number={CHILDREN - 1}", exact=True)).to_be_visible()
    tree.locator(".table").evaluate("(each) => { each.scrollTop = 0; }")
    expect(tree.get_by_text("number=0", exact=True)).to_be_visible()
    same_again(page)
    tree.get_by_role("button", name="Rows of experiment 2", exact=False).click()
    expect(page.get_by_text("52 records", exact=True)).to_be_visible()
    page.get_by_role("button", name="Tree", exact=True).click()
    tree.get_by_role("button", name="Charts of the run of experiment 2", exact=False).click()
    expect(page.get_by_text("1 of 9 drawn")).to_be_visible()


def test_files_have_what_is_drawn(page: Page, address: str, tmp_path: Path) -> None:
    """Numbers as they are, and no text that a spreadsheet would run."""

    def saved(button: Any) -> Path:
        with page.expect_download() as waiting:
            button.click()
        path = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path

    page.goto(f"{address}#by=model&runs=seed%3C2")
    page.reload()
    expect(card(page, FORMULA)).to_have_attribute("data-state", "drawn")
    path = saved(card(page, FORMULA).get_by_role("button", name="CSV"))
    assert path.name == "=HYPERLINK(_http___example.org_).csv"
    rows = list(csv.reader(path.read_text().splitlines()))
    assert [each[0][0] for each in rows[0][2:]] == ["'"] * len(rows[0][2:])
    lines = {row[0] for row in rows[1:]}
    assert lines == {"m", f"'{FORMULA}"}
    page.goto(f"{address}#only=1&smoth=0.9")
    expect(page.get_by_text('The address has parts that mean nothing: "smoth".')).to_be_visible()
    page.reload()
    page.get_by_label("Draw run 4").first.check()
    expect(page.get_by_text("1 of 9 drawn")).to_be_visible()
    expect(card(page, "loss")).to_have_attribute("data-state", "drawn")
    path = saved(card(page, "loss").get_by_role("button", name="CSV"))
    rows = list(csv.reader(path.read_text().splitlines()))
    values = [float(row[2]) for row in rows[1:]]
    assert values[:50] == [3 + 1 / (1 + step) for step in range(50)]
    assert rows[0][1:] == ["step", "loss"]
    path = saved(card(page, "loss").get_by_role("button", name="SVG"))
    texts = [each.text for each in ET.parse(path).getroot().iter() if each.text]
    assert {"step", "loss"} <= {*texts}
    path = saved(card(page, "loss").get_by_role("button", name="PNG"))
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    page.goto(
        f"{address}#tab=sql&sql=SELECT+DISTINCT+model,+-1.5+AS+%22-x%22+FROM+records+ORDER+BY+ALL"
    )
    page.reload()
    path = saved(page.locator("#sql").get_by_text("CSV", exact=True))
    rows = list(csv.reader(path.read_text().splitlines()))
    assert rows == [["model", "'-x"], [f"'{FORMULA}", "-1.5"], ["m", "-1.5"]]
