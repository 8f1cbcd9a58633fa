"""What the page loads first, its colors, and what the keyboard does: in one real browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from shutil import which
from typing import Any

import pytest

pytest.importorskip("playwright")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("youplot")
pytest.importorskip("typer")

from playwright.sync_api import Browser, Page, expect, sync_playwright

from rigorous_recorder import ExperimentCollection

CHROMIUM = which("chromium") or which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]

expect.set_options(timeout=30_000)  # also on a busy machine


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> ExperimentCollection:
    """Twelve runs with two keys, and one of their epochs."""
    collection = ExperimentCollection(tmp_path_factory.mktemp("look") / "study", quiet=True)
    for seed in range(12):
        with collection.new_experiment(seed=seed) as experiment:
            loss = [(1 + seed) / (1 + step) for step in range(300)]
            experiment.extend({"step": list(range(300)), "loss": loss, "accuracy": loss[::-1]})
            experiment.child(epoch=0, score=seed)
    return collection


@pytest.fixture(scope="module")
def address(study: ExperimentCollection) -> Iterator[str]:
    """Where `rigorous view` serves the study."""
    folder = str(study._to_write().folder.path)
    command = [sys.executable, "-m", "rigorous_recorder", "view", folder, "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()
        process.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield found
        found.close()


def card(page: Page, key: str) -> Any:
    return page.locator(f"article[aria-label={key!r}]")


def test_the_first_load_is_small_and_requests_nothing_twice(browser: Browser, address: str) -> None:
    """Less than 300 kB besides the chart library, and each of the API once."""
    page = browser.new_page(viewport={"width": 1300, "height": 800})
    sizes: list[tuple[str, int]] = []
    followed: list[list[str]] = []

    def count(answer: Any) -> None:
        name = answer.url.removeprefix(address)
        if not name.startswith("static/uplot") and name != "api/live":
            sizes.append((name, len(answer.body())))

    def note(request: Any) -> None:
        if request.url.endswith("api/live") and request.post_data_json:
            followed.append(request.post_data_json["y"])

    page.on("requestfinished", lambda request: count(request.response()))
    page.on("request", note)
    with page.expect_request(
        lambda request: bool(request.post_data and "cursors" in request.post_data)
    ):
        page.goto(address)
    for key, points in (("loss", "3600"), ("accuracy", "3600"), ("score", "12")):
        expect(card(page, key)).to_have_attribute("data-points", points)
    expect(page.locator("#live")).to_have_text("live")
    names = [name for name, _ in sizes]
    assert {"api/keys", "api/table", "api/chart", "static/main.js"} <= set(names)
    assert sorted(set(names)) == sorted(names)
    assert followed
    assert {key for keys in followed for key in keys} == {"loss", "accuracy"}  # not of recorders
    assert sum(size for _, size in sizes) < 300_000
    page.close()


def test_a_label_has_its_color_also_after_others_come(
    browser: Browser, address: str, study: ExperimentCollection
) -> None:
    """The address has it; lines of one color have other shapes."""
    page = browser.new_page(viewport={"width": 1300, "height": 800})
    page.goto(f"{address}#by=seed")
    expect(card(page, "loss")).to_have_attribute("data-points", "3600")
    before = legend(page)
    assert len(before) == len(set(before.values())) == 12
    assert before["0"][0] == before["10"][0]
    page.evaluate(
        "location.hash = location.hash.replace(/colors=([^.]*)[.]([^.]*)/, 'colors=$2.$1')"
    )
    expect(card(page, "loss").locator(".swatch").first).to_have_css(
        "background-color", before["1"][0]
    )
    page.reload()
    expect(card(page, "loss")).to_have_attribute("data-points", "3600")
    with study.new_experiment(seed=-1) as experiment:
        experiment.push(step=0, loss=2.0)
    expect(card(page, "loss")).to_have_attribute("data-points", "3601")
    after = legend(page)
    assert [after["0"], after["1"]] == [before["1"], before["0"]]
    assert len(after) == len(set(after.values())) == 13
    page.close()


def test_a_chart_is_read_and_zoomed_by_keys(browser: Browser, address: str) -> None:
    """Its label has the ends of its axes; the crosshair has values; zoom, pan and all."""
    page = browser.new_page(viewport={"width": 1300, "height": 800})
    page.goto(address)
    plot = card(page, "loss").locator(".plot")
    expect(plot).to_have_attribute("aria-label", re.compile("x from 0 to 299, y from .* to "))
    plot.focus()
    page.keyboard.press("ArrowRight")
    expect(plot.get_by_role("status")).to_contain_text("x = 1")
    page.keyboard.press("+")
    expect(plot).to_have_attribute("aria-label", re.compile("x from 74.75 to 224.3"))
    page.keyboard.press("Shift+ArrowRight")
    expect(plot).to_have_attribute("aria-label", re.compile("x from 112.1 to 261.6"))
    expect(page.get_by_role("button", name="Reset zoom")).to_be_visible()
    assert page.evaluate("document.activeElement.className") == "plot"
    page.keyboard.press("-")
    page.keyboard.press("0")
    expect(plot).to_have_attribute("aria-label", re.compile("x from 0 to 299"))
    assert "low=" not in page.url
    page.close()


def legend(page: Page) -> dict[str, tuple[str, str]]:
    """The color and the shape of each label."""
    entries = card(page, "loss").locator(".legend button").all()
    script = "each => [getComputedStyle(each).backgroundColor, each.className]"
    return {each.inner_text(): tuple(each.locator(".swatch").evaluate(script)) for each in entries}


#: What is drawn of each column of pixels, and what its points are; NaN ends a part of a line.
CURVE = """async () => {
  const { curve } = await import('./static/marks.js');
  let state = 7;
  const random = () => (state = (state * 16807) % 2147483647) / 2147483647;
  const x = Float64Array.from({ length: 3000 }, (_, at) => at);
  const y = x.map(() => (random() < 0.01 ? NaN : random() ** 8));
  const drawn = [];
  const surface = { beginPath() {}, stroke() {}, moveTo: (a, b) => drawn.push([a, b, true]), lineTo: (a, b) => drawn.push([a, b, false]) };
  curve(surface, x, y, (value) => value / 20, (value) => value, 1, 1);
  const ends = (points) => {
    const found = {};
    for (const [a, b] of points) {
      const column = (found[Math.round(a)] ??= [Infinity, -Infinity]);
      if (!Number.isNaN(b)) Object.assign(column, [Math.min(column[0], b), Math.max(column[1], b)]);
    }
    return found;
  };
  const all = ends(Array.from(x, (value, at) => [value / 20, y[at]]));
  const parts = Array.from(y, (value, at) => !Number.isNaN(value) && (at === 0 || Number.isNaN(y[at - 1])));
  return [ends(drawn), all, drawn.filter((each) => each[2]).length, parts.filter(Boolean).length, drawn.length];
}"""


def test_curves_have_all_lows_highs_and_gaps_and_axes_short_labels(
    browser: Browser, address: str
) -> None:
    """Of each column of pixels, by few points; labels are as short as tells values apart."""
    page = browser.new_page()
    page.goto(address)
    drawn, points, begun, parts, count = page.evaluate(CURVE)
    assert drawn == points
    assert begun == parts > 10
    assert count < 1_000
    labels = "async (values) => (await import('./static/scale.js')).written(values)"
    for values, texts in (
        ([0, 2e6, 1e7], ["0", "2M", "10M"]),
        ([0, 500, 1_000], ["0", "500", "1,000"]),
        ([0, 5_000, 10_000], ["0", "5k", "10k"]),
        ([123_456_789, 123_456_790], ["123,456,789", "123,456,790"]),
        ([None, 1e-6, None], ["", "1e-6", ""]),
        ([-2e9, 1e10], ["-2G", "10G"]),
    ):
        assert page.evaluate(labels, values) == texts
    page.close()
