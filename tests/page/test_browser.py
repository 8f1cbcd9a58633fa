"""The page in a real browser: what is drawn, clicked and read there, live and with hostile values."""

from __future__ import annotations

import math
import os
import socket
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

import numpy as np
from playwright.sync_api import Browser, Page, expect, sync_playwright

from rigorous_recorder import ExperimentCollection

CHROMIUM = which("chromium") or which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]

expect.set_options(timeout=30_000)  # also on a busy machine
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield found
        found.close()


@pytest.fixture
def study(tmp_path: Path) -> ExperimentCollection:
    """Runs with a spike, a NaN, and keys and values that are markup or very long."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    for seed in (1, 2, 3):
        with collection.new_experiment(seed=seed, note=HOSTILE, long="x" * 10_000) as experiment:
            loss = [seed / (1 + step) for step in range(5_000)]
            loss[2_500:2_502] = [50.0, math.nan]
            experiment.extend({"step": list(range(5_000)), "train/loss": loss})
            experiment.push(**{"step": 0, HOSTILE: 1, "\u202egnp": 2.0})
    return collection


@pytest.fixture
def address(study: ExperimentCollection) -> Iterator[str]:
    """Where `rigorous view` serves the study."""
    del study
    command = [sys.executable, "-m", "rigorous_recorder", "view", ".", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()
        process.terminate()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page with its charts drawn; a dialog, an error or a request elsewhere fails the test."""
    found = browser.new_page(viewport={"width": 1300, "height": 800})
    wrong: list[Any] = []
    found.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    found.on("pageerror", lambda error: wrong.append(error))  # noqa: PLW0108 - it gets a mark
    found.on("console", lambda line: line.type != "error" or wrong.append(line.text))
    found.on("request", lambda sent: is_own(sent.url, address) or wrong.append(sent.url))
    found.goto(address)
    expect(card(found, "train/loss")).to_have_attribute("data-points", "15000")
    yield found
    found.close()
    assert [each for each in wrong if "status of 400" not in str(each)] == []


def is_own(url: str, address: str) -> bool:
    return url.startswith((address, "blob:", "data:"))


def card(page: Page, key: str) -> Any:
    return page.locator(f"article[aria-label={key!r}]")


def test_runs_drive_the_charts_and_hostile_text_is_text(page: Page) -> None:
    """Sorting, filtering and hiding; the address has it all, and opens the same view again."""
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    expect(card(page, HOSTILE)).to_have_attribute("data-points", "3")
    assert page.locator("img").count() == 0
    page.get_by_label("Filter runs").fill("seed>1")
    expect(page.get_by_text("2 of 3 drawn")).to_be_visible()
    page.get_by_label("Draw run 3").uncheck()
    expect(page.get_by_text("1 of 3 drawn")).to_be_visible()
    page.get_by_role("columnheader", name="seed").click()
    page.get_by_role("button", name="log y").click()
    page.reload()
    expect(page.get_by_text("1 of 3 drawn")).to_be_visible()
    expect(page.get_by_role("button", name="log y")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("columnheader", name="seed ▲")).to_be_visible()


def test_a_zoom_asks_again_and_a_double_click_shows_all(page: Page) -> None:
    """The part is read at full resolution."""
    over = card(page, "train/loss").locator(".u-over")
    box = over.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 50, steps=4)
    with page.expect_response("**/api/chart") as answer:
        page.mouse.up()
    assert answer.value.request.post_data_json["low"] > 0
    expect(page.get_by_role("button", name="Reset zoom")).to_be_visible()
    assert "low=" in page.url
    over.dblclick()
    expect(page.get_by_role("button", name="Reset zoom")).to_have_count(0)


def test_new_records_are_drawn_by_their_tail(page: Page, study: ExperimentCollection) -> None:
    """No chart is requested again, also after a pause, which costs nothing; a run comes into the table."""
    charts: list[str] = []
    page.on("request", lambda sent: "api/chart" in sent.url and charts.append(sent.url))
    with study.new_experiment(seed=4) as experiment:
        experiment.push({"step": 0, "train/loss": 9.0})
        expect(card(page, "train/loss")).to_have_attribute("data-points", "15001", timeout=20_000)
        expect(page.get_by_label("Draw run 4")).to_be_visible(timeout=20_000)
        with page.expect_event("requestfailed", lambda sent: sent.url.endswith("api/live")):
            hide(page, is_hidden=True)
        expect(page.locator("#live")).to_have_text("paused")
        requests: list[str] = []
        page.on("request", lambda sent: requests.append(sent.url))
        for step in range(1, 30):
            experiment.push({"step": step, "train/loss": math.nan if step == 5 else 9.0})
        assert requests == []
        hide(page, is_hidden=False)
        expect(card(page, "train/loss")).to_have_attribute("data-points", "15030", timeout=20_000)
        rows = saved(page, card(page, "train/loss"), "CSV").decode().splitlines()
        assert sum(row.startswith('"4"') for row in rows) == 29
    assert charts == []


def hide(page: Page, *, is_hidden: bool) -> None:
    """Let the page be in a tab behind others, or not."""
    value = str(is_hidden).lower()
    page.evaluate(
        f"Object.defineProperty(document, 'hidden', {{value: {value}, configurable: true}})"
    )
    page.evaluate("document.dispatchEvent(new Event('visibilitychange', {bubbles: true}))")


def test_two_tabs_and_a_server_that_comes_back(
    browser: Browser, study: ExperimentCollection, tmp_path: Path
) -> None:
    """Both show what came meanwhile; a new run with records of the same x is a line of means."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "rigorous_recorder", "view", str(tmp_path), "--no-browser"]

    def served() -> subprocess.Popen[bytes]:
        made = subprocess.Popen([*command, "--port", port], stdout=subprocess.PIPE)
        assert made.stdout is not None
        assert made.stdout.readline()
        return made

    with served() as process:
        tabs = [browser.new_page(viewport={"width": 1300, "height": 800}) for _ in range(2)]
        for tab in tabs:
            tab.goto(f"http://127.0.0.1:{port}/")
            expect(card(tab, "train/loss")).to_have_attribute("data-points", "15000")
        with study.new_experiment(seed=4) as experiment:
            experiment.extend({"step": [7, 7], "train/loss": [1.0, 3.0]})
        for tab in tabs:
            expect(card(tab, "train/loss")).to_have_attribute("data-points", "15002")
            expect(tab.get_by_label("Draw run 4")).to_be_visible()
            for number in (1, 2, 3):
                tab.get_by_label(f"Draw run {number}").uncheck()
            rows = saved(tab, card(tab, "train/loss"), "CSV").decode().splitlines()
            assert [row.split(",")[1:] for row in rows[1:]] == [["7", "2"]]
        process.terminate()
    expect(tabs[0].get_by_text("does not answer")).to_be_visible()
    study.delete(1)
    with served() as process:
        for tab in tabs:
            expect(tab.get_by_label("Draw run 1")).to_be_hidden()
            expect(card(tab, "train/loss")).to_have_attribute("data-points", "10002")
            tab.close()
        process.terminate()


def test_rows_are_filtered_by_sql(page: Page) -> None:
    """A wrong condition is reported, and text is read in a pane of its own."""
    page.get_by_role("button", name="Rows").click()
    expect(page.get_by_text("15,003 records")).to_be_visible()
    condition = page.get_by_label("Filter rows")
    condition.fill('"train/loss" = 50')
    condition.press("Enter")
    expect(page.get_by_text("3 records", exact=True)).to_be_visible()
    page.locator("#rows .line .cell", has_text=HOSTILE).first.dblclick()
    expect(page.locator("dialog[open] h2")).to_have_text("note")
    expect(page.locator("dialog[open] pre")).to_have_text(HOSTILE)
    page.locator("dialog[open]").get_by_role("button", name="Close").click()
    condition.fill("nowhere > 1")
    condition.press("Enter")
    expect(page.locator("#rows .error")).to_contain_text("nowhere")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_windows_and_both_grounds(browser: Browser, address: str, scheme: Any) -> None:
    """Nothing is wider than the window, and text is readable on its ground."""
    page = browser.new_page(viewport={"width": 420, "height": 800}, color_scheme=scheme)
    page.goto(f"{address}#by=seed&smooth=0.9")
    expect(card(page, "train/loss")).to_have_attribute("data-state", "drawn")
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme]
    page.close()


def test_all_kinds_of_charts(page: Page, study: ExperimentCollection) -> None:
    """Added in the dialog, drawn, hidden and picked by clicks, saved, live, and in the address."""
    with study.new_experiment(seed=4) as experiment:
        confuse(experiment, 0, 1, 2)
        expect(page.get_by_label("Draw run 4")).to_be_visible(timeout=20_000)
        scatter = added(page, "scatter", x="step", y="train/loss", by="seed")
        counted = added(page, "histogram", y="train/loss")
        bars = added(page, "bars", y="train/loss", by="seed", band="quantile")
        lines = added(page, "parallel", attributes=["seed"], keys=["train/loss"])
        matrix = added(page, "heatmap", y="confusion", x="epoch")
        added(page, "heatmap", y="weights", x="epoch")
        expect(matrix.locator("output")).to_have_text("epoch 2")
        confuse(experiment, 3)
        expect(matrix.locator("output")).to_have_text("epoch 3")
    matrix.get_by_label("Step").press("Home")
    expect(matrix.locator("output")).to_have_text("epoch 0")
    expect(counted.locator("p")).to_have_text("3 NaN")
    scatter.locator(".legend button").first.click()
    expect(scatter.locator(".legend button").first).to_have_attribute("aria-pressed", "false")
    assert saved(page, bars, "CSV").startswith(b'"seed","mean","low","high","runs","odd"\n"1",')
    card(page, "train/loss").scroll_into_view_if_needed()
    expect(card(page, "train/loss").locator(".u-over")).to_be_visible()
    for chart in (card(page, "train/loss"), scatter):
        picture = saved(page, chart, "SVG")
        assert ET.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"
        assert b">step</text>" in picture
    assert saved(page, counted, "PNG").startswith(b"\x89PNG")
    pick_lowest(page, lines)
    expect(page.get_by_text("1 of 4 drawn")).to_be_visible()
    page.reload()
    expect(page.locator(".panels article")).to_have_count(6)
    expect(page.get_by_text("1 of 4 drawn")).to_be_visible()
    lines.scroll_into_view_if_needed()
    lines.get_by_role("button", name="Pick all runs").click()
    expect(page.get_by_text("4 of 4 drawn")).to_be_visible()
    bars.get_by_role("button", name="Remove this chart").click()
    expect(page.locator(".panels article")).to_have_count(5)
    card(page, "train/loss").scroll_into_view_if_needed()
    for name, key in (("From start", "from_start"), ("Levels once", "levels_once")):
        with page.expect_request(lambda sent, key=key: is_chart_with(sent, key)):
            page.get_by_role("button", name=name).click()
    expect(card(page, "train/loss")).to_have_attribute("data-points", "15000")


def is_chart_with(request: Any, key: str) -> bool:
    return request.url.endswith("/api/chart") and request.post_data_json[key]


def confuse(experiment: Any, *epochs: int) -> None:
    for epoch in epochs:
        matrix = [[1.0, 2.0], [epoch, math.nan]]
        experiment.push(epoch=epoch, confusion=matrix, weights=np.array([1.0, epoch]))


def added(page: Page, kind: str, **fields: Any) -> Any:
    """A chart that is added in the dialog, once it is drawn."""
    page.get_by_role("button", name="Add chart").click()
    dialog = page.get_by_role("dialog", name="Chart")
    dialog.get_by_label("Kind of chart").select_option(kind)
    for name, value in fields.items():
        dialog.locator(f"select[name={name}]").select_option(value)
    count = page.locator(".panels article").count()
    dialog.get_by_role("button", name="Add").click()
    found = page.locator(".panels article").nth(count)
    found.scroll_into_view_if_needed()
    expect(found).to_have_attribute("data-state", "drawn")
    return found


def saved(page: Page, chart: Any, name: str) -> bytes:
    with page.expect_download() as download:
        chart.get_by_role("button", name=name).click()
    return Path(download.value.path()).read_bytes()


def pick_lowest(page: Page, lines: Any) -> None:
    """Drag along the lower end of the first axis."""
    lines.scroll_into_view_if_needed()
    box = lines.locator(".plot").bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + box["height"] - 14)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + box["height"] - 40, steps=3)
    page.mouse.up()
