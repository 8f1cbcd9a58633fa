"""What the page's browser does by itself: drawing, zooming, scrolling, and the memory that it takes.

Run it with ``python benchmarks/page_drawing.py [--data FOLDER] [--cases NAMES] [--rounds N]``; it needs
``playwright``, Pillow and Chromium. Times are those of the browser's own clock:

- draw: 20 charts of 10 lines of 1,000 points, whose data are there, beside uPlot alone with the same
  data and size, in turn; until all pixels are there.
- zoom: from the change of the ends of x to the last stroke, of 10 lines of 1,000,000 points.
- keys, runs: the first lines or rows of 10,000, with what server and browser used of processors, and then a scroll by 400 pixels a frame: the longest task
  and the part of frames that took longer than 1/50 s.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from page_data import CASES
from page_speed import FLAGS, TOOLS, Server, below, chromium, cpu_seconds, is_drawn, say, written

#: Times of drawing all charts, by uPlot alone and by the page, in turn; a read pixel waits for all of them.
_DRAW = """async (rounds) => {
  const { Plot } = await import('./static/plot.js');
  const random = () => Math.random() / 10, x = Float64Array.from({ length: 1000 }, (_, at) => at);
  const curve = (line) => x.map((at) => line + 1 / (1 + at / 100) + random());
  const charts = Array.from({ length: 20 }, () => Array.from({ length: 10 }, (_, line) => curve(line)));
  const colors = ['#4b46a2', '#e90014', '#779c7d', '#d660b6', '#94954b', '#1b97ff', '#3f0030', '#00635f', '#554026', '#4664ff'];
  const places = charts.map(() => {
    const card = document.createElement('article'), place = document.createElement('div');
    card.className = 'card';
    place.className = 'plot';
    card.append(place);
    document.querySelector('.grid').prepend(card);
    return place;
  });
  const size = { width: places[0].clientWidth, height: places[0].clientHeight };
  const time = async (make) => {
    const start = performance.now(), made = charts.map(make);
    await new Promise((resolve) => setTimeout(resolve));
    for (const place of places) place.querySelector('canvas').getContext('2d').getImageData(0, 0, 1, 1);
    const took = performance.now() - start;
    made.forEach((each) => each.destroy());
    places.forEach((place) => place.replaceChildren());
    return took;
  };
  const alone = (ys, at) => new uPlot({
    ...size, legend: { show: false }, scales: { x: { time: false } },
    series: [{}, ...ys.map((_, line) => ({ stroke: colors[line], width: 1.5, points: { show: false } }))],
  }, [x, ...ys], places[at]);
  const none = new Float64Array();
  const ours = (ys, at) => {
    const plot = new Plot(places[at], () => {});
    const lines = ys.map((y, line) => ({ key: String(line), run: null, label: String(line), n: 1000, odd: 0, x, y, low: null, high: null, smooth: null, markX: none, markKind: none }));
    plot.draw(lines, { logX: false, logY: false, clip: false, low: null, high: null, place: (line) => Number(line.key), isShown: () => true, name: (line) => line.key });
    return plot;
  };
  const found = [];
  for (let round = 0; round < rounds + 2; round++) found.push([await time(alone), await time(ours)]);
  return found.slice(2);
}"""

#: The time from a change of the ends to the last stroke.
_ZOOM = """async ([low, high]) => {
  const { change } = await import('./static/state.js');
  const { stroke } = CanvasRenderingContext2D.prototype;
  let last = 0;
  CanvasRenderingContext2D.prototype.stroke = function (...path) {
    stroke.apply(this, path);
    last = performance.now();
  };
  const start = performance.now();
  change({ low: String(low), high: String(high) });
  while (!last || performance.now() - last < 400) await new Promise((resolve) => setTimeout(resolve, 20));
  CanvasRenderingContext2D.prototype.stroke = stroke;
  return last - start;
}"""

#: Scroll down and up; the longest tasks and the times of frames.
_SCROLL = """async ([selector, frames]) => {
  const place = document.querySelector(selector), tasks = [], times = [];
  const observer = new PerformanceObserver((seen) => tasks.push(...seen.getEntries().map((each) => each.duration)));
  observer.observe({ type: 'longtask' });
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  let last = await frame();
  for (let at = 0; at < frames; at++) {
    place.scrollTop += at < frames / 2 ? 400 : -400;
    const now = await frame();
    times.push(now - last);
    last = now;
  }
  await new Promise((resolve) => setTimeout(resolve, 300));
  observer.disconnect();
  times.sort((one, other) => one - other);
  return { tasks, slow: times.filter((each) => each > 20).length / frames, median: times[frames / 2], last: times[frames - 1] };
}"""


def draw(page: Page, rounds: int) -> str:
    """Beside the chart library alone."""
    found = page.evaluate(_DRAW, rounds)
    alone, ours = (statistics.median(each) for each in zip(*found, strict=True))
    ratio = statistics.median(b / a for a, b in found)
    return f"uPlot alone {alone:.0f} ms, the page {ours:.0f} ms, ratio {ratio:.2f}"


def zoom(page: Page, rounds: int) -> str:
    """Into the middle of lines."""
    steps = CASES["ten_lines"].steps
    times = [
        page.evaluate(_ZOOM, [steps * (0.2 + 0.02 * at), steps * (0.5 + 0.02 * at)])
        for at in range(rounds)
    ]
    return f"{statistics.median(times):.0f} ms ({min(times):.0f} to {max(times):.0f})"


def scroll(page: Page, selector: str, rounds: int) -> str:
    """The longest of several times, and how smooth it was."""
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=["toplevel"])
    found = [page.evaluate(_SCROLL, [selector, 120]) for _ in range(rounds)]
    used = longest(browser.stop_tracing())
    tasks = [each for one in found for each in one["tasks"]]
    slow = statistics.median(each["slow"] for each in found)
    median = statistics.median(each["median"] for each in found)
    blocks = f"{len(tasks)} tasks over 50 ms" + (f", up to {max(tasks):.0f} ms" if tasks else "")
    return f"{blocks}, of the processor at most {used:.0f} ms; a frame {median:.1f} ms, {slow:.0%} over 20 ms"


def longest(trace: bytes) -> float:
    """The processor time of the longest task of a page's main thread, in ms: also on a busy machine."""
    events = json.loads(trace)["traceEvents"]
    mains = {e["tid"] for e in events if e.get("args", {}).get("name") == "CrRendererMain"}
    return max(e.get("tdur", 0) for e in events if e["tid"] in mains and e["ph"] == "X") / 1000


def memory(process: int) -> float:
    """The proportional sizes of the browser's processes, in MB."""
    total = 0
    for each in [process, *below(process)]:
        try:
            found = re.search(r"Pss:\s+(\d+)", Path(f"/proc/{each}/smaps_rollup").read_text())
        except OSError:
            continue
        total += int(found[1]) if found else 0
    return total / 1024


def first(page: Page, selector: str) -> float:
    """Seconds from navigation to an element, as the page sees it."""
    page.wait_for_selector(selector, timeout=120_000)
    return float(page.evaluate("performance.now() / 1000"))


def case(browser: Browser, name: str, given: Any, process: int) -> None:
    """One line of the table."""
    data = "runs" if name == "runs" else name
    folder = written(
        "ours",
        {"draw": "twenty", "zoom": "ten_lines", "runs": "many_runs"}.get(name, data),
        sys.executable,
        given.data.absolute(),
    )
    server = Server(TOOLS["ours"], sys.executable, folder)
    page = browser.new_page(viewport={"width": 1300, "height": 800})
    try:
        page.goto(server.address, wait_until="commit")
        took = first(page, "#runs .line" if name == "runs" else "article[data-state=drawn]")
        while not is_drawn(page, TOOLS["ours"]):
            page.wait_for_timeout(100)
        page.wait_for_timeout(1_500)
        used = [cpu_seconds(server.processes()), cpu_seconds([process, *below(process)])]
        text = f"first paint {took:.2f} s; of processors {used[0]:.2f} and {used[1]:.2f} s"
        if name == "draw":
            text = draw(page, given.rounds)
        elif name == "zoom":
            text = zoom(page, given.rounds)
        else:
            text += f"; {scroll(page, '#charts .grid' if name == 'keys' else '#runs .table', given.rounds)}"
        print(f"| {name} | {text}; browser {memory(process):.0f} MB |", flush=True)
    finally:
        page.close()
        server.close()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default="draw,zoom,keys,runs")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--data", type=Path, default=Path("benchmarks/.page"))
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores\n\n| case | |\n|---|---|")
    with sync_playwright() as playwright:
        for name in given.cases.split(","):
            browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
            (process,) = [each for each in below(os.getpid()) if is_browser(each)][:1]
            say(name)
            case(browser, name, given, process)
            browser.close()


def is_browser(process: int) -> bool:
    """Whether it is Chromium's first process."""
    try:
        return "chrom" in Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return False


if __name__ == "__main__":
    main()
