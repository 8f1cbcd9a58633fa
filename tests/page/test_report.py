"""Reports of the page: one file with all that it needs, in which values are text and nothing else."""

from __future__ import annotations

import base64
import json
import math
import re
import sys
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("numpy")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("youplot")

import numpy as np

from rigorous_recorder import ExperimentCollection
from rigorous_recorder.errors import UnknownViewError
from rigorous_recorder.page import save_report
from rigorous_recorder.page.packing import header_of
from rigorous_recorder.page.svg_frame import Axis

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
CHROMIUM = which("chromium") or which("chromium-browser")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a spike, odd numbers, hostile keys and values, and a view."""
    path = tmp_path_factory.mktemp("report")
    with ExperimentCollection(path / "study", quiet=True) as collection:
        for seed in (1, 2):
            with collection.new_experiment(seed=seed, note=HOSTILE) as run:
                loss = [seed / (1 + step) for step in range(3_000)]
                loss[1_500:1_503] = [50.0, math.nan, math.inf]
                run.extend({"step": list(range(3_000)), "loss": loss})
                run.push({"step": 0, HOSTILE: 1.5, "image": b"\x89PNG\r\n\x1a\n"})
                run.extend(
                    {"step": [1, 2, 3], "matrix": [[[1, 2], [3, step]] for step in range(3)]}
                )
    collection.views["Losses"] = "#x=step&search=loss&logx=1&by=seed"
    return path


def test_a_report_has_the_page_and_its_data_inside(folder: Path, tmp_path: Path) -> None:
    """No address in it leads elsewhere, and no value can end an element."""
    target = tmp_path / "report.html"
    save_report(target, "#", [folder])
    text = target.read_text()
    assert "alert(1)</script>" not in text
    assert set(re.findall(r'(?:src|href)="(\w+:)', text)) == {"data:"}
    assert "default-src 'none'" in text
    inside: Any = json.loads(re.search(r'id="inside">(.*?)</script>', text).group(1))  # type: ignore[union-attr]
    assert set(inside["charts"]) == {"loss", HOSTILE}
    assert inside["answers"]["api/runs"]["runs"][0]["attributes"]["note"] == HOSTILE
    assert inside["rows"]["study"]["total"] == 1_000
    assert inside["left_out"] == ["5,008 rows"]


def inside_of(tmp_path: Path, folder: Path, view: str) -> Any:
    """The data in a report."""
    save_report(tmp_path / "report.html", view, [folder])
    text = (tmp_path / "report.html").read_text()
    return json.loads(re.search(r'id="inside">(.*?)</script>', text).group(1))  # type: ignore[union-attr]


def test_means_of_a_report_are_of_the_drawn_runs(folder: Path, tmp_path: Path) -> None:
    """As those of the page; the points of hidden runs are in none."""
    for view, count in (
        ("#by=note&search=loss", 6_000),
        ("#by=note&search=loss&runs=seed%3D2", 3_000),
    ):
        chart = header_of(base64.b64decode(inside_of(tmp_path, folder, view)["charts"]["loss"][0]))
        assert (chart["charts"][0]["x"], chart["charts"][0]["n"]) == ("step", [count])


def test_a_report_has_charts_of_several_keys_as_the_view_has_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the runs that are drawn, each matrix once, with what is wrong of one; the rest is counted."""
    specs = [
        {"kind": "scatter", "x": "step", "y": "loss", "zoom": {"low": 10, "high": 20}},
        {"kind": "bars", "y": "loss", "by": "seed"},
        {"kind": "heatmap", "y": "matrix", "x": "step", "at": 1},
        {"kind": "parallel", "attributes": ["seed"], "keys": ["loss"]},
        {"kind": "histogram", "y": "loss", "bins": "10"},
        {"kind": "scatter", "x": "gone", "y": "loss"},
        {"kind": "nothing"},
    ]
    runs = inside_of(tmp_path, folder, "#")["answers"]["api/runs"]["runs"]
    hidden = [
        ("hidden", runs[1]["key"]),
        ("low", "100"),
        ("high", "200"),
        ("cols", ":line:loss"),
        ("where", "image is not null"),
    ]
    view = "#" + urlencode([*(("panels", json.dumps(each)) for each in specs), *hidden])
    inside = inside_of(tmp_path, folder, view)
    found = {
        (each["body"]["kind"], each["body"].get("low"), each["body"].get("at")): each
        for each in inside["plots"]
    }
    assert {kind for kind, _, _ in found} == {"scatter", "bars", "heatmap", "parallel", "histogram"}

    def header(*place: Any) -> Any:
        return header_of(base64.b64decode(found[place]["message"]))

    assert [line["n"] for line in header("scatter", 10, None)["lines"]] == [3_000]
    assert [each["label"] for each in header("bars", None, None)["bars"]] == ["1"]
    matrices = [place for place in found if place[0] == "heatmap"]
    assert [at for _, _, at in matrices] == [1, None, 0]  # the last one, 2, is at None
    assert header(*matrices[0])["total"] == 3
    assert "gone" in next(each["error"] for each in inside["plots"] if each["error"])
    whole, part = (header_of(base64.b64decode(each)) for each in inside["charts"]["loss"])
    assert max(part["charts"][0]["points"]) == 103  # of those that are shown, all
    assert max(whole["charts"][0]["points"]) > 1_000
    assert set(inside["courses"]["loss"]) == {each["key"] for each in runs}
    assert inside["answers"]["api/compare"]["runs"] == [runs[0]["key"]]
    assert len(inside["media"]) == 1
    monkeypatch.setattr("rigorous_recorder.page.report._PLOT_BYTES", 100)
    assert inside_of(tmp_path, folder, view)["left_out"][0].endswith((" chart", " charts"))


def test_a_static_report_has_pictures_alone(folder: Path, tmp_path: Path) -> None:
    """Of the charts of a saved view; each is an SVG, and there is no script."""
    target = tmp_path / "static.html"
    save_report(target, "Losses", [folder], static=True)
    text = target.read_text()
    pictures = re.findall(r"<figure>(.*?)</figure>", text)
    assert len(pictures) == 1
    root = ET.fromstring(pictures[0])
    lines = [each.get("d", "") for each in root.iter() if each.get("stroke-width") == "1.5"]
    assert len(lines) == 2
    assert all("nan" not in each and "inf" not in each for each in lines)
    assert "1</text>" in pictures[0]
    specs = [
        {"kind": "scatter", "x": "step", "y": "loss", "logy": "1"},
        {"kind": "bars", "y": HOSTILE, "by": "note"},
        {"kind": "heatmap", "y": "matrix", "x": "step"},
        {"kind": "parallel", "attributes": ["note", "seed"], "keys": ["loss"]},
        {"kind": "histogram", "y": "loss"},
        {"kind": "scatter", "x": HOSTILE, "y": "gone"},
    ]
    view = urlencode([("smooth", "0.5"), *(("panels", json.dumps(each)) for each in specs)])
    save_report(target, f"#{view}", [folder], static=True)
    text = target.read_text()
    found = [ET.fromstring(each) for each in re.findall(r"<figure>(.*?)</figure>", text)]
    assert len(found) == len(specs) + 2
    scatter, bars, matrix, parallel, _, gone, loss, _ = (
        ET.tostring(each, "unicode") for each in found
    )
    assert "gone" in gone
    assert bars.count('opacity="0.55"') == 1
    assert matrix.count("#fde725") == 1  # the highest of four
    assert parallel.count('stroke-width="1.4"') == 2
    assert scatter.count('stroke-linecap="round"') == 2
    assert loss.count('stroke-opacity="0.25"') == 2  # the raw lines behind the smoothed ones
    assert "<td>2</td>" in text  # the runs
    assert "<script" not in text
    assert "&lt;/script&gt;" in text
    save_report(target, "#smooth=nan", [folder], static=True)
    with pytest.raises(UnknownViewError, match=r"no view 'Lost'; there are: 'Losses'"):
        save_report(target, "Lost", [folder])


@pytest.mark.parametrize("is_log", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        [1.7e308, -1.7e308],
        [sys.float_info.max] * 2,
        [5e-324, 1e-323],
        [5e-324, 1.7e308],
        [1e16, 1e16 + 2],
        [1.0, 1.0 + 2**-52],
        [0.0],
        [],
    ],
)
def test_axes_of_pictures_have_ticks_for_any_numbers(values: list[float], is_log: bool) -> None:
    """A loss that has diverged stops no report."""
    axis = Axis([np.array(values)], 0, 100, is_log=is_log, room=0.05)
    places = [at for at, _ in axis.ticks()]
    assert len(places) < 30
    there = [value for value in values if value > 1e-300 or not is_log]
    assert all(-1 < at < 101 for at in [*places, *axis.at(np.array(there))])


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_report_opens_from_disk_and_makes_no_request(folder: Path, tmp_path: Path) -> None:
    """Charts are drawn and zoomed, runs hidden, rows read, and hostile text is text."""
    playwright = pytest.importorskip("playwright.sync_api")
    specs = [
        {"kind": "scatter", "x": "step", "y": "loss"},
        {"kind": "bars", "y": "loss", "by": "seed"},
        {"kind": "heatmap", "y": "matrix", "x": "step"},
        {"kind": "parallel", "attributes": ["seed"], "keys": ["loss"]},
        {"kind": "histogram", "y": "loss"},
    ]
    view = urlencode([("panels", json.dumps(each)) for each in specs] + [("smooth", "0.5")])
    save_report(tmp_path / "report.html", f"#{view}", [folder])
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 700})
        wrong: list[str] = []
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: line.type != "error" or wrong.append(line.text))
        page.on(
            "request",
            lambda sent: sent.url.startswith(("data:", "file:")) or wrong.append(sent.url),
        )
        page.goto(f"file://{tmp_path}/report.html")
        card = page.locator("article[aria-label=loss]")
        card.scroll_into_view_if_needed()
        playwright.expect(card).to_have_attribute("data-points", "6000")
        playwright.expect(page.get_by_text("report of")).to_be_visible()
        panel = page.locator(".panels article")
        for at in range(len(specs)):  # also those that are below the window
            panel.nth(at).scroll_into_view_if_needed()
            playwright.expect(panel.nth(at)).to_have_attribute("data-state", "drawn")
        panel.nth(2).get_by_label("Step").fill("0")
        playwright.expect(panel.nth(2).locator("output")).to_have_text("step 1")
        panel.nth(4).scroll_into_view_if_needed()
        box = panel.nth(4).locator("canvas").bounding_box()
        page.mouse.move(box["x"] + 200, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + 300, box["y"] + 60)
        page.mouse.up()
        page.wait_for_function("decodeURIComponent(location.hash).includes('zoom')")
        page.get_by_role("button", name="Compare").click()
        playwright.expect(page.get_by_role("rowheader", name="seed")).to_be_visible()
        page.get_by_role("button", name="Hide all").click()
        playwright.expect(page.get_by_text("0 of 2 drawn")).to_be_visible()
        page.get_by_role("button", name="Rows", exact=True).click()
        playwright.expect(page.get_by_text("the first 1,000 of 6,008 records")).to_be_visible()
        playwright.expect(page.get_by_role("button", name="SQL")).to_have_count(0)
        browser.close()
    assert wrong == []
