// One chart for each key; only those in view are requested and drawn.

import { charts as requested, extend } from "./api.js";
import { after, counted, element, fill, swatch } from "./dom.js";
import { save, saveCsv } from "./files.js";
import { colorAt, Places, shapeAt } from "./palette.js";
import { Panels } from "./panels.js";
import { Plot } from "./plot.js";
import { change, onChange, state } from "./state.js";

/** @typedef {{cards: Set<Card>, control: AbortController}} Batch */

/** So many charts are requested together. */
const TOGETHER = 12;
/** So many cards are added each time the end is reached. */
const PAGE = 60;
/** Of so many charts new points are sent. */
const MOST_FOLLOWED = 64;
/** Then it is not tried again to add new points. */
const MOST_BREAKS = 3;
const MOST_OPTIONS = 200;
const SAMPLED = ["x", "by", "band", "smooth", "logx", "relative", "once", "low", "high", "zoomed"];

export class Charts {
  /** @param {import("./runs.js").Runs} runs */
  constructor(runs) {
    this.runs = runs;
    this.places = new Places();
    this.panels = new Panels(runs, (line) => this.placeOf(line));
    this.keys = this.panels.keys;
    /** @type {Map<string, Card>} */
    this.cards = new Map();
    this.count = PAGE;
    /** Charts whose new points are sent, with their versions. @type {Map<string, number>} */
    this.following = new Map();
    this.onFollow = () => {};
    this.followSoon = after(200, () => this.follow());
    /** @type {Set<Card>} */
    this.waiting = new Set();
    this.observer = new IntersectionObserver((seen) => this.onSeen(seen), { rootMargin: "200px" });
    /** The runs that lines over several are of. */
    this.drawn = "null";
    runs.listeners.push(() => this.runsChanged());
  }

  /** @param {HTMLElement} place */
  show(place) {
    this.place = place;
    this.bar = element("div", { className: "bar" });
    this.grid = element("div", { className: "grid", tabIndex: 0, "aria-label": "Charts" });
    this.end = element("div");
    place.append(this.bar, this.grid);
    this.observer.observe(this.end);
    onChange((changed) => {
      if (["search", "pinned", "x", "full"].some((each) => changed.has(each))) this.arrange();
      if (changed.has("by") && !changed.has("off")) change({ off: [] });
      if (changed.has("off")) this.redraw();
      if (changed.has("by") && !changed.has("colors")) change({ colors: "" });
      if (SAMPLED.some((each) => changed.has(each))) this.cards.forEach((card) => card.stale());
      if (changed.has("logy") || changed.has("clip") || this.places.read !== state.colors) this.redraw();
      this.controls();
    });
    addEventListener("resize", after(100, () => this.cards.forEach((card) => card.plot?.resize())));
  }

  /** @param {import("./kinds.js").Keys} keys */
  set(keys) {
    if (JSON.stringify(keys) === JSON.stringify(this.keys)) return;
    this.keys = keys;
    this.controls();
    this.arrange();
    this.panels.set(keys);
  }

  /** The position of a line in the palette, the same in all charts. @param {import("./kinds.js").Series} line */
  placeOf(line) {
    return line.run ? this.runs.place(line.run) : this.places.of(line.label);
  }

  /** The key of x that is drawn, unless it is likely only and a chart has another one. */
  x() {
    if (state.x === "#") return "";
    return state.x || this.keys.likely_x;
  }

  controls() {
    if (!this.bar || this.bar.contains(document.activeElement) && document.activeElement?.tagName === "INPUT") return;
    const search = element("input", { type: "search", placeholder: "Search charts", "aria-label": "Search charts", value: state.search });
    search.addEventListener("input", after(150, () => change({ search: search.value })));
    const smooth = element("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: state.smooth, "aria-label": "Smoothing" });
    smooth.addEventListener("input", after(80, () => change({ smooth: smooth.value })));
    this.bar.replaceChildren(...[
      search,
      labelled("x", choice([["", `automatic (${this.keys.likely_x || "record number"})`], ["#", "record number"], ...this.keys.x.map((key) => [key, key])], state.x, (x) => change({ x, low: "", high: "", zoomed: "" }))),
      labelled("Lines by", choice([["", "run"], ...this.keys.columns.map((key) => [key, key])], state.by[0] ?? "", (by) => change({ by: by ? [by] : [] }))),
      state.by.length ? labelled("and", choice([["", "nothing else"], ...this.keys.columns.map((key) => [key, key])], state.by[1] ?? "", (by) => change({ by: by ? [state.by[0], by] : [state.by[0]] }))) : null,
      labelled("Band", choice([["std", "std"], ["sem", "sem"], ["minmax", "min-max"], ["quantile", "quartiles"], ["none", "none"]], state.band, (band) => change({ band }))),
      labelled("Smoothing", smooth),
      toggle("From start", "relative", "x from the start of each run"), toggle("Levels once", "once", "In means each recorder counts once, however many records it has"),
      toggle("log x", "logx"), toggle("log y", "logy"), toggle("Clip outliers", "clip"),
      element("button", { onclick: () => this.panels.add() }, "Add chart…"),
      state.low !== "" ? element("button", { onclick: () => change({ low: "", high: "", zoomed: "" }) }, "Reset zoom") : null,
    ].filter((each) => each !== null));
  }

  arrange() {
    const words = state.search.toLowerCase(), x = this.x();
    const found = this.keys.charts.filter((key) => key !== x && key.toLowerCase().includes(words));
    const pinned = found.filter((key) => state.pinned.includes(key));
    const sections = new Map(pinned.length ? [["Pinned", pinned]] : []);
    for (const key of found.filter((each) => !state.pinned.includes(each))) {
      const at = key.indexOf("/"), name = at > 0 ? key.slice(0, at) : "";
      sections.set(name, [...(sections.get(name) ?? []), key]);
    }
    const before = this.cards;
    this.cards = new Map();
    const children = [];
    let room = this.count;
    for (const [name, keys] of sections) {
      if (room <= 0) break;
      const cards = keys.slice(0, room).map((key) => this.card(key, before));
      room -= cards.length;
      if (name) children.push(element("h2", {}, `${name} (${keys.length})`));
      children.push(element("div", { className: "cards" }, ...cards.map((card) => card.place)));
    }
    const [full] = state.full; // the key of the enlarged chart, which may be empty
    if (found.includes(full) && !this.cards.has(full)) children.push(this.card(full, before).place);
    before.forEach((card) => this.cards.has(card.key) || card.leave());
    if (!found.length) children.push(this.nothing());
    this.grid.replaceChildren(this.panels.place, ...children, this.end);
    this.cards.forEach((card) => card.fill());
    this.hasMore = room <= 0 && found.length > this.count;
  }

  nothing() {
    if (this.keys.charts.length) return element("p", { className: "note" }, "No chart has this text in its key.");
    return element("p", { className: "note" }, "There are no records with numbers yet. Log the first: ",
      element("code", {}, "collection.new_experiment() … experiment.push(step=0, loss=0.7)"));
  }

  /** @param {string} key @param {Map<string, Card>} before */
  card(key, before) {
    const card = before.get(key) ?? new Card(key, this);
    this.cards.set(key, card);
    this.observer.observe(card.place);
    return card;
  }

  /** @param {IntersectionObserverEntry[]} seen */
  onSeen(seen) {
    for (const each of seen) {
      if (each.target === this.end) {
        if (each.isIntersecting && this.hasMore) {
          this.count += PAGE;
          this.arrange();
        }
        continue;
      }
      const card = this.cards.get(/** @type {HTMLElement} */ (each.target).dataset.key ?? "");
      if (each.isIntersecting) card?.enter();
      else card?.leave();
    }
  }

  runsChanged() {
    const drawn = state.by.length ? JSON.stringify(this.runs.drawnRuns()) : this.drawn;
    if (drawn !== this.drawn) this.cards.forEach((card) => card.stale());
    this.drawn = drawn;
    this.redraw();
  }

  redraw() {
    this.cards.forEach((card) => card.draw());
    this.panels.redraw();
  }

  /** Request a chart, together with those that others ask for now. @param {Card} card */
  ask(card) {
    if (!this.waiting.size) queueMicrotask(() => this.send());
    this.waiting.add(card);
  }

  send() {
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (let at = 0; at < waiting.length; at += TOGETHER) this.load(waiting.slice(at, at + TOGETHER));
  }

  /** What is requested of charts. @param {Card[]} cards */
  body(cards) {
    return {
      y: cards.map((card) => card.key), x: this.x(), is_likely: !state.x, by: state.by, band: state.band,
      pixels: Math.max(200, ...cards.map((card) => card.canvas.clientWidth || 360)),
      low: state.low === "" ? null : Number(state.low), high: state.high === "" ? null : Number(state.high),
      zoom_x: state.low === "" ? null : state.zoomed || this.x(), runs: state.by.length ? this.runs.drawnRuns() : null,
      smooth: Number(state.smooth), log_x: Boolean(state.logx), from_start: Boolean(state.relative), levels_once: Boolean(state.once),
    };
  }

  /** @param {Card[]} waiting */
  async load(waiting) {
    const control = new AbortController(), cards = new Set(waiting), body = this.body(waiting);
    cards.forEach((card) => { card.request = { cards, control }; });
    /** @type {Map<string, import("./api.js").Chart | Error>} */
    let found;
    try {
      found = await requested(body, control.signal);
    } catch (error) {
      if (control.signal.aborted) return;
      found = new Map(body.y.map((key) => [key, /** @type {Error} */ (error)]));
    }
    for (const card of waiting) {
      if (card.request?.control === control) card.take(found.get(card.key) ?? new Error("no answer"), body.pixels);
    }
  }

  // --- what is new -----------------------------------------------------------------------------

  toFollow() {
    return [...this.cards.values()].filter((card) => card.isFollowed()).slice(0, MOST_FOLLOWED);
  }

  /** The request of the charts whose new points can be sent; null if there are none. */
  followed() {
    const cards = this.toFollow();
    this.following = new Map(cards.map((card) => [card.key, card.version]));
    return cards.length ? { ...this.body(cards), xs: Object.fromEntries(cards.map((card) => [card.key, card.x()])), cursors: Object.fromEntries(cards.map((card) => [card.key, card.chart?.cursor])) } : null;
  }

  /** Follow other charts, if these are others. */
  follow() {
    const now = this.toFollow();
    const isSame = now.length === this.following.size && now.every((card) => this.following.get(card.key) === card.version);
    if (!isSame) this.onFollow();
  }

  /** @param {Map<string, import("./api.js").Chart | null>} found new points by key; null for charts that have to be requested whole */
  extend(found) {
    for (const [key, tail] of found) {
      const card = this.cards.get(key);
      if (card && card.version === this.following.get(key)) card.extend(tail);
    }
  }

  /** Request what is new of the charts in view that are not followed. */
  refresh() {
    this.cards.forEach((card) => card.refresh());
    this.panels.refresh();
  }
}

class Card {
  /** @param {string} key @param {Charts} charts */
  constructor(key, charts) {
    this.key = key;
    this.charts = charts;
    this.isInView = false;
    /** @type {import("./api.js").Chart | null} */
    this.chart = null;
    /** @type {Batch | null} */
    this.request = null;
    this.isBehind = false;
    /** Another one with each whole answer. */
    this.version = 0;
    this.pixels = 0;
    /** How often it had to be requested whole, one after the other. */
    this.breaks = 0;
    /** Whether more is new since the request that is under way. */
    this.isMissing = false;
    this.pin = element("button", { title: "Pin to the top", "aria-label": `Pin ${key}`, onclick: () => this.togglePin() }, "☆");
    const title = element("h3", {}, element("span", { title: key, dir: "auto" }, key), this.pin,
      element("button", { title: "Full screen", "aria-label": `Full screen ${key}`, onclick: () => this.enlarge() }, "⤢"),
      element("button", { title: "Save as PNG", onclick: () => this.savePicture() }, "PNG"),
      element("button", { title: "Save as SVG", onclick: () => this.saveSvg() }, "SVG"),
      element("button", { title: "Save the drawn points as CSV", onclick: () => this.saveCsv() }, "CSV"));
    this.canvas = element("div", { className: "plot" });
    this.legend = element("div", { className: "legend" });
    this.place = element("article", { className: "card", "aria-label": key }, title, this.canvas, this.legend);
    this.place.dataset.key = key;
    /** @type {Plot | null} */
    this.plot = null;
  }

  /** The key of its x. */
  x() {
    return this.chart?.x ?? this.charts.x();
  }

  /** The ends of what is shown; null for all. */
  zoom() {
    const isOwn = (state.zoomed || this.charts.x()) === this.x();
    return isOwn && state.low !== "" ? { low: Number(state.low), high: state.high === "" ? null : Number(state.high) } : { low: null, high: null };
  }

  enter() {
    this.isInView = true;
    if (!this.chart || this.isBehind) this.load();
    else this.draw();
    this.charts.followSoon();
  }

  leave() {
    this.isInView = false;
    this.cancel();
    this.plot?.destroy();
    this.plot = null;
    this.canvas.replaceChildren();
    this.charts.followSoon();
  }

  stale() {
    this.isBehind = true;
    this.breaks = 0;
    if (this.isInView) this.load();
  }

  /** Whether new points can be added; else it is requested whole. */
  isFollowed() {
    const hasCursor = this.chart !== null && Object.keys(this.chart.cursor).length > 0;
    const isWhole = !hasCursor || state.by.length || Number(state.smooth) || state.low !== "" || state.relative || state.once;
    return this.isInView && !isWhole && !this.request && !this.isBehind && this.breaks < MOST_BREAKS;
  }

  refresh() {
    if (!this.isInView) this.isBehind = true;
    else if (this.request) this.isMissing = true;
    else if (!this.isFollowed()) this.load();
  }

  /** @param {import("./api.js").Chart | null} tail */
  extend(tail) {
    if (!this.isFollowed() || !this.chart) return;
    if (!tail || !extend(this.chart, tail, 16 * this.pixels)) {
      this.breaks += 1;
      this.load();
      return;
    }
    this.breaks = 0;
    this.show();
  }

  /** The server stops to read once no chart of a request is needed. */
  cancel() {
    this.charts.waiting.delete(this);
    if (!this.request) return;
    const { cards, control } = this.request;
    this.request = null;
    cards.delete(this);
    if (!cards.size) control.abort();
  }

  load() {
    this.cancel();
    this.isMissing = false;
    this.charts.ask(this);
  }

  /** @param {import("./api.js").Chart | Error} found @param {number} pixels */
  take(found, pixels) {
    this.request = null;
    if (found instanceof Error) {
      this.plot?.destroy();
      this.plot = null;
      this.canvas.replaceChildren(element("p", { className: "error" }, found.message));
      return;
    }
    Object.assign(this, { chart: found, pixels, isBehind: false, version: this.version + 1 });
    this.show();
    if (this.isMissing) this.refresh();
    this.charts.followSoon();
  }

  show() {
    this.draw();
    this.place.dataset.state = "drawn";
    this.place.dataset.points = String(this.chart?.lines.reduce((sum, line) => sum + line.n, 0));
  }

  draw() {
    const isPinned = state.pinned.includes(this.key);
    this.pin.textContent = isPinned ? "★" : "☆";
    this.pin.ariaPressed = String(isPinned);
    if (!this.chart || !this.isInView) return;
    const { runs } = this.charts;
    if (!this.chart.lines.length) {
      this.leaveEmpty();
      return;
    }
    if (!this.plot) {
      this.canvas.replaceChildren();
      this.plot = new Plot(this.canvas, (low, high) => change({
        low: low === null ? "" : String(low), high: high === null ? "" : String(high), zoomed: low === null || this.x() === this.charts.x() ? "" : this.x(),
      }));
    }
    const place = (/** @type {any} */ line) => this.charts.placeOf(line);
    const name = (/** @type {any} */ line) => (line.run ? runs.name(line.run) : line.label || "all records");
    const entries = this.legend.childElementCount;
    if (state.by.length) this.drawLegend(place, name);
    else this.legend.replaceChildren();
    this.plot.draw(this.chart.lines, {
      logX: Boolean(state.logx), logY: Boolean(state.logy), clip: Boolean(state.clip),
      ...this.zoom(), x: this.x(), xLabel: this.x() === this.charts.x() ? "" : this.x() || "record number",
      isShown: (line) => this.isShown(line), place, name,
    });
    if (this.legend.childElementCount !== entries) this.plot.resize(); // the legend takes its height
    const odd = this.chart.lines.reduce((sum, line) => sum + line.odd, 0);
    this.place.title = odd ? `${counted(odd, "value is", "values are")} NaN or infinite` : "";
  }

  /** @param {import("./api.js").Line} line */
  isShown(line) {
    return line.run ? this.charts.runs.shown.has(line.run) : !state.off.includes(line.key);
  }

  leaveEmpty() {
    this.plot?.destroy();
    this.plot = null;
    const { others } = /** @type {import("./api.js").Chart} */ (this.chart);
    const instead = others.length ? `Its records have ${others.join(", ")}.` : "Choose the record number.";
    const text = state.by.length && this.charts.runs.drawnRuns()?.length === 0 ? "No run is drawn." : `No record has both this and x, ${this.x()}. ${instead}`;
    this.canvas.replaceChildren(element("p", { className: "note" }, text));
  }

  /** @param {(line: any) => number} place @param {(line: any) => string} name */
  drawLegend(place, name) {
    const entries = (this.chart?.lines ?? []).slice(0, 50).map((line) => element("button", {
      "aria-pressed": String(!state.off.includes(line.key)), title: name(line), onclick: () => this.toggleLine(line.key),
    }, swatch(colorAt(place(line)), shapeAt(place(line))), name(line)));
    this.legend.replaceChildren(...entries);
  }

  togglePin() {
    const { pinned } = state;
    change({ pinned: pinned.includes(this.key) ? pinned.filter((/** @type {string} */ each) => each !== this.key) : [...pinned, this.key] });
  }

  /** Hide a line in all charts, or show it. @param {string} key */
  toggleLine(key) {
    const others = state.off.filter((/** @type {string} */ each) => each !== key);
    change({ off: others.length < state.off.length ? others : [...others, key] });
  }

  enlarge() {
    change({ full: state.full[0] === this.key ? [] : [this.key] });
  }

  fill() {
    if (fill(this.place, state.full[0] === this.key, () => this.enlarge())) this.plot?.resize();
  }

  async savePicture() {
    const picture = await this.plot?.picture();
    if (picture) save(picture, this.key, "png");
  }

  saveSvg() {
    if (this.plot) save(this.plot.svg(this.x() || "record number", this.key), this.key, "svg");
  }

  saveCsv() {
    const { runs } = this.charts;
    const lines = (this.chart?.lines ?? []).filter((line) => this.isShown(line)).flatMap((line) => Array.from(line.x, (x, at) => [line.run ? runs.name(line.run) : line.label, x, line.y[at]]));
    saveCsv([["line", this.x() || "record number", this.key], ...lines], this.key);
  }
}

/** @param {string} text @param {Node} control */
function labelled(text, control) {
  return element("label", {}, text, control);
}

/** A list, of which many options are only there once it is used. @param {string[][]} options @param {string} value @param {(value: string) => void} onPick */
function choice(options, value, onPick) {
  const made = element("select", { onchange: () => onPick(made.value) });
  const fill = (/** @type {string[][]} */ some) => {
    made.replaceChildren(...some.map(([key, text]) => element("option", { value: key }, text)));
    made.value = value;
  };
  const isLong = options.length > MOST_OPTIONS;
  fill(isLong ? options.filter(([key]) => key === value) : options);
  if (isLong) for (const use of ["focus", "pointerenter"]) made.addEventListener(use, () => fill(options), { once: true });
  return made;
}

/** @param {string} text @param {string} key @param {string} [title] */
function toggle(text, key, title = "") {
  return element("button", { title, "aria-pressed": String(Boolean(state[key])), onclick: () => change({ [key]: state[key] ? "" : "1", ...(key === "relative" ? { low: "", high: "" } : {}) }) }, text);
}
