"""The table of runs in a real browser: all of it is clicked, in one browser."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest

pytest.importorskip("playwright")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("youplot")
pytest.importorskip("typer")

from playwright.sync_api import Page, expect, sync_playwright

from rigorous_recorder import ExperimentCollection

CHROMIUM = which("chromium") or which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def study(tmp_path: Path) -> ExperimentCollection:
    """Many runs with hostile text, losses that fall to a known value, and episodes."""
    collection = ExperimentCollection(tmp_path / "study", quiet=True)
    for seed in range(45):
        with collection.new_experiment(seed=seed, model="ab"[seed % 2], note=HOSTILE) as experiment:
            experiment.extend({"step": [0, 1, 2], "loss": [9.0, float(seed), 5.0]})
            if seed < 2:
                experiment.child(episode=seed, reward=seed / 2).push(value=1.0)
    return collection


@pytest.fixture
def page(tmp_path: Path, study: ExperimentCollection) -> Iterator[Page]:
    """The page of the study, which can edit; a dialog, an error or a request elsewhere fails."""
    del study
    command = [sys.executable, "-m", "rigorous_recorder", "view", str(tmp_path), "--no-browser"]
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    served = subprocess.Popen([*command, "--edit"], stdout=subprocess.PIPE, env=dict(os.environ))
    with served as process, sync_playwright() as playwright:
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        found = browser.new_page(viewport={"width": 1400, "height": 900})
        wrong: list[Any] = []
        found.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        found.on("pageerror", lambda error: wrong.append(error))  # noqa: PLW0108 - it gets a mark
        found.on("console", lambda line: line.type != "error" or wrong.append(line.text))
        found.on("request", lambda sent: sent.url.startswith(address) or wrong.append(sent.url))
        found.goto(address)
        expect(found.get_by_text("45 of 45 drawn")).to_be_visible()
        yield found
        assert found.locator("img").count() == 0
        browser.close()
        process.terminate()
        assert wrong == []


def first(page: Page) -> Any:
    """The first line of the table."""
    return page.locator("#runs .line").first


def test_the_table_of_runs(page: Page, study: ExperimentCollection) -> None:
    """Filters, columns, courses, groups, levels, a comparison, edits; the address has the state."""
    filters_and_scrolling(page)
    columns_and_courses(page)
    groups_and_levels(page)
    comparison(page)
    edits(page, study)


def filters_and_scrolling(page: Page) -> None:
    page.locator("#runs .table").evaluate("each => each.scrollTop = each.scrollHeight")
    expect(page.get_by_label("Draw run 1", exact=True)).to_be_visible()
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Filter seed").fill("10..12")
    expect(page.get_by_text("3 of 45 drawn")).to_be_visible()
    page.get_by_label("SQL condition on runs").fill("seed <> 11")
    expect(page.get_by_text("2 of 45 drawn")).to_be_visible()
    page.reload()
    expect(page.get_by_text("2 of 45 drawn")).to_be_visible()
    expect(page.get_by_label("Filter seed")).to_have_value("10..12")
    page.get_by_label("SQL condition on runs").fill("nowhere > 1")
    expect(page.locator("#runs span.error")).to_contain_text('no column "nowhere"')
    page.get_by_label("SQL condition on runs").fill("")
    page.get_by_label("Filter seed").fill("")
    expect(page.get_by_text("45 of 45 drawn")).to_be_visible()
    draw = page.get_by_label("Draw run 45")
    draw.focus()
    page.keyboard.press("Space")
    expect(page.get_by_text("44 of 45 drawn")).to_be_visible()
    expect(draw).to_be_focused()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Only what differs").click()
    expect(page.get_by_role("columnheader", name="note")).to_have_count(0)


def columns_and_courses(page: Page) -> None:
    page.get_by_role("button", name="Columns…").click()
    for statistic in ("lowest", "course"):
        page.get_by_label("Statistic", exact=True).select_option(label=statistic)
        page.get_by_label("Key of records").select_option("loss")
        page.get_by_role("button", name="Add statistic").click()
    for name in ("start", "duration", "status"):
        page.get_by_role("button", name=f"Remove {name}").click()
    page.get_by_role("button", name="Move min loss up").click()
    page.get_by_role("dialog", name="Columns").get_by_role("button", name="Close").click()
    page.get_by_role("columnheader", name="min loss").click()
    expect(page.get_by_role("columnheader", name="min loss ▲")).to_be_visible()
    expect(first(page).get_by_label("Draw run 1", exact=True)).to_be_visible()
    expect(first(page).get_by_role("img")).to_have_attribute("aria-label", "loss: 0 to 9")


def groups_and_levels(page: Page) -> None:
    page.get_by_label("Group").select_option("model")
    group = page.get_by_role("button", name="▾ a (23)")
    expect(first(page)).to_contain_text("mean")
    group.click()
    expect(page.get_by_role("button", name="▸ a (23)")).to_have_attribute("aria-expanded", "false")
    expect(page.get_by_label("Draw run 2", exact=True)).to_be_visible()
    expect(page.get_by_label("Draw run 1", exact=True)).to_have_count(0)
    page.get_by_label("Group").select_option("")
    page.get_by_label("Level").select_option("episode")
    expect(page.get_by_text("2 of 2 drawn")).to_be_visible()
    expect(page.get_by_role("columnheader", name="reward")).to_be_visible()
    page.get_by_label("Level").select_option("")


def comparison(page: Page) -> None:
    page.get_by_role("button", name="Hide all").click()
    expect(page.get_by_text("0 of 45 drawn")).to_be_visible()
    for number in (45, 44):
        page.get_by_label(f"Draw run {number}").check()
    page.get_by_role("button", name="Compare").click()
    cells = page.locator("#compare tr", has_text="seed").locator("td")
    expect(cells).to_have_text(["44", "43"])
    expect(page.locator("article[aria-label='loss']")).to_be_visible()
    page.reload()
    expect(cells).to_have_text(["44", "43"])
    assert "only=1" in page.url
    page.get_by_role("button", name="Show all").click()


def edits(page: Page, study: ExperimentCollection) -> None:
    dialog = page.get_by_role("dialog", name="Edit runs")
    page.get_by_label("Edit run 45").click()
    dialog.get_by_label("Name").fill(HOSTILE)
    page.get_by_label("Tags to add").fill("best, paper")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("columnheader", name="tags")).to_be_visible()
    run = study.experiment(45)
    assert (run.name, run.tags, run.note) == (HOSTILE, ("best", "paper"), HOSTILE)
    page.get_by_label("Edit run 44").click()
    dialog.get_by_role("button", name="Archive", exact=True).click()
    expect(page.get_by_text("44 of 45 drawn")).to_be_visible()
    page.get_by_label("Edit run 43").click()
    dialog.get_by_role("button", name="Delete…").click()
    dialog.get_by_role("button", name="Keep").click()
    dialog.get_by_role("button", name="Delete…").click()
    dialog.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("43 of 44 drawn")).to_be_visible()
    assert 43 not in study
