// A chart that was added: its card, what it requests, and what a drag on it changes.

import { plot } from "./api.js";
import { element, fill, swatch } from "./dom.js";
import { save, saveCsv } from "./files.js";
import { legend, legendHeight } from "./frame.js";
import { KINDS } from "./kinds.js";
import { Svg } from "./svg.js";

/** Requests take at most this part of the time, so that following is no burden. */
const SHARE = 10;
const MOST_IN_LEGEND = 50;

export class Panel {
  /**
   * @param {import("./kinds.js").Spec} spec
   * @param {import("./panels.js").Panels} panels
   */
  constructor(spec, panels) {
    this.spec = spec;
    this.panels = panels;
    this.kind = KINDS[spec.kind];
    /** @type {import("./kinds.js").Found | null} */
    this.found = null;
    /** @type {import("./kinds.js").Drawn | null} */
    this.drawn = null;
    /** @type {AbortController | null} */
    this.request = null;
    this.isInView = false;
    this.isBehind = true;
    this.requested = "";
    this.timer = 0;
    this.earliest = 0;
    this.build();
  }

  build() {
    const button = (/** @type {string} */ text, /** @type {string} */ title, /** @type {() => void} */ onclick) =>
      element("button", { title, "aria-label": title, onclick }, text);
    this.title = element("span", { dir: "auto" });
    this.canvas = element("canvas", { role: "img" });
    this.tooltip = element("div", { className: "tooltip", hidden: true });
    this.drag = element("div", { className: "u-select drag", hidden: true });
    this.area = element("div", { className: "plot" }, this.canvas, this.drag, this.tooltip);
    this.controls = element("div", { className: "controls" });
    this.note = element("p", { className: "note" });
    this.legend = element("div", { className: "legend" });
    this.place = element("article", { className: "card" }, element("h3", {}, this.title,
      button("✎", "Change this chart", () => this.panels.edit(this)),
      button("⤢", "Full screen", () => this.enlarge()),
      button("PNG", "Save as PNG", () => this.savePng()),
      button("SVG", "Save as SVG", () => this.saveSvg()),
      button("CSV", "Save what is drawn as CSV", () => this.saveTable()),
      button("✕", "Remove this chart", () => this.panels.remove(this))), this.controls, this.area, this.note, this.legend);
    this.area.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => this.startDrag(event));
    this.area.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => this.point(event));
    this.area.addEventListener("pointerleave", () => { this.tooltip.hidden = true; });
    this.area.addEventListener("dblclick", () => this.drawn?.reset && this.change(this.drawn.reset));
    new ResizeObserver(() => this.draw()).observe(this.area);
  }

  name() {
    return `${this.kind.title}: ${this.kind.name(this.spec)}`;
  }

  /** @param {import("./kinds.js").Spec} spec */
  set(spec) {
    this.spec = spec;
    if (this.found && this.requested === JSON.stringify(this.body())) this.pickAndDraw();
    else this.load();
  }

  pickAndDraw() {
    this.panels.pick(this);
    this.draw();
  }

  /** Whether the legend has hidden a line. @param {string} key */
  isOff(key) {
    return Boolean(this.spec.off?.includes(key));
  }

  /** @param {string} key */
  toggleLine(key) {
    const off = this.spec.off ?? [], others = off.filter((/** @type {string} */ each) => each !== key);
    const now = others.length < off.length ? others : [...others, key];
    this.change({ off: now.length ? now : null });
  }

  /** Change values of the spec; null removes one. @param {Record<string, any>} values */
  change(values) {
    const spec = Object.fromEntries(Object.entries({ ...this.spec, ...values }).filter(([, value]) => value !== null && value !== ""));
    this.panels.replace(this, /** @type {import("./kinds.js").Spec} */ (spec));
  }

  /** @param {boolean} isInView */
  see(isInView) {
    this.isInView = isInView;
    if (isInView && this.isBehind) this.load();
    else if (isInView) this.draw();
    else if (!this.isPicking()) this.stop();
  }

  /** Whether it picks runs, also while nobody sees it. */
  isPicking() {
    return Boolean(this.kind.picks && this.spec.brushes);
  }

  stop() {
    this.isBehind ||= this.request !== null;
    this.request?.abort();
    this.request = null;
  }

  /** Request what is new, not too often. */
  refresh() {
    this.isBehind = true;
    if (!(this.isInView || this.isPicking()) || this.request || this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.load();
    }, Math.max(0, this.earliest - performance.now()));
  }

  /** What is drawn may be of other runs now. */
  runsChanged() {
    if (this.isInView && this.requested !== JSON.stringify(this.body())) this.load();
    else this.draw();
  }

  /** What is requested; null as long as that is unknown. */
  body() {
    const { runs } = this.panels, width = this.area.clientWidth || 360, height = this.area.clientHeight || 200;
    const body = this.kind.body(this.spec, this.panels.context(this));
    return body && { kind: this.spec.kind, width, height, runs: runs.drawnRuns(), ...body };
  }

  async load() {
    this.stop();
    this.isBehind = true;
    if (!this.isInView && !this.isPicking()) return;
    const request = new AbortController(), start = performance.now(), body = this.body();
    if (!body) return; // until the runs are there
    this.request = request;
    this.isBehind = false;
    try {
      const found = await plot(body, request.signal);
      if (request.signal.aborted) return;
      this.requested = JSON.stringify(body);
      this.found = found;
      this.fail("");
      this.pickAndDraw();
      this.place.dataset.state = "drawn";
    } catch (error) {
      if (request.signal.aborted) return;
      this.found = null;
      this.fail(/** @type {Error} */ (error).message);
    }
    this.request = null;
    this.earliest = performance.now() + Math.max(500, SHARE * (performance.now() - start));
    if (this.isBehind) this.refresh();
  }

  /** @param {string} message "" if all is well */
  fail(message) {
    this.note.className = message ? "error" : "note";
    this.note.textContent = message;
    this.canvas.hidden = Boolean(message);
    if (message) this.drawControls();
  }

  draw() {
    this.title.textContent = this.title.title = this.name();
    this.place.setAttribute("aria-label", this.name());
    fill(this.place, Boolean(this.spec.full), () => this.enlarge());
    if (!this.found || !this.isInView) return;
    const context = this.panels.context(this);
    this.note.textContent = [this.kind.note(this.found, this.spec, context), this.found.note].filter(Boolean).join("; ");
    this.drawControls();
    this.drawLegend(context);
    const width = this.area.clientWidth, height = this.area.clientHeight, ratio = devicePixelRatio || 1; // what they leave
    if (!width || !height) return;
    Object.assign(this.canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    const surface = this.canvas.getContext("2d");
    surface.scale(ratio, ratio);
    this.drawn = this.kind.paint(surface, width, height, this.found, this.spec, context);
    this.canvas.setAttribute("aria-label", `${this.name()}. ${this.note.textContent}`);
  }

  drawControls() {
    if (this.controls.contains(document.activeElement) && this.controls.children.length > 1) {
      this.controls.querySelector("output")?.replaceWith(...this.made().filter((each) => each.tagName === "OUTPUT"));
      return;
    }
    this.controls.replaceChildren(...this.made());
  }

  made() {
    return this.kind.controls?.(this.found, this.spec, this.panels.context(this), (values) => this.change(values)) ?? [];
  }

  /** @param {import("./kinds.js").Context} context */
  drawLegend(context) {
    const lines = this.spec.by && this.found?.header.lines ? this.found.header.lines : [];
    this.legend.replaceChildren(...lines.slice(0, MOST_IN_LEGEND).map((/** @type {import("./kinds.js").Series} */ line) => element("button", {
      "aria-pressed": String(!this.isOff(line.key)), title: context.name(line), onclick: () => this.toggleLine(line.key),
    }, swatch(context.color(line), context.shape(line)), context.name(line))));
  }

  // --- pointer ------------------------------------------------------------------------------------

  /** @param {PointerEvent} event */
  at(event) {
    const box = this.area.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  /** @param {PointerEvent} event */
  point(event) {
    const { x, y } = this.at(event), found = event.buttons ? null : this.drawn?.textAt(x, y);
    this.tooltip.hidden = !found;
    if (!found) return;
    this.tooltip.replaceChildren(...found.map(([name, value]) => element("div", {}, element("span"), element("span", {}, name), element("b", {}, value))));
    const isRight = x > this.area.clientWidth / 2;
    Object.assign(this.tooltip.style, { left: isRight ? "" : `${x + 12}px`, right: isRight ? `${this.area.clientWidth - x + 12}px` : "", top: `${Math.max(0, y - 20)}px` });
  }

  /** @param {PointerEvent} event */
  startDrag(event) {
    if (!this.drawn?.dragged || event.button) return;
    const from = this.at(event), { area, drag } = this;
    area.setPointerCapture(event.pointerId);
    const move = (/** @type {PointerEvent} */ moved) => {
      const to = this.at(moved);
      drag.hidden = false;
      Object.assign(drag.style, { left: `${Math.min(from.x, to.x)}px`, top: `${Math.min(from.y, to.y)}px`, width: `${Math.abs(to.x - from.x)}px`, height: `${Math.abs(to.y - from.y)}px` });
    };
    const end = (/** @type {PointerEvent} */ last) => {
      area.removeEventListener("pointermove", move);
      drag.hidden = true;
      const to = this.at(last), isDrag = Math.hypot(to.x - from.x, to.y - from.y) > 4;
      const found = isDrag && last.type === "pointerup" ? this.drawn?.dragged?.(from, to) : null;
      if (found) this.change(found);
    };
    area.addEventListener("pointermove", move);
    area.addEventListener("pointerup", end, { once: true });
    area.addEventListener("pointercancel", end, { once: true });
  }

  // --- files --------------------------------------------------------------------------------------

  enlarge() {
    this.change({ full: this.spec.full ? null : 1 });
  }

  savePng() {
    const copy = element("canvas", { width: this.canvas.width, height: this.canvas.height }), ctx = copy.getContext("2d");
    ctx.fillStyle = this.panels.context(this).colors.ground;
    ctx.fillRect(0, 0, copy.width, copy.height);
    ctx.drawImage(this.canvas, 0, 0);
    copy.toBlob((/** @type {Blob | null} */ found) => found && save(found, this.name(), "png"));
  }

  saveSvg() {
    if (!this.found) return;
    const context = this.panels.context(this), width = this.area.clientWidth, height = this.area.clientHeight;
    const lines = (this.found.header.lines ?? []).filter(context.isShown);
    const entries = lines.map((/** @type {import("./kinds.js").Series} */ line) => ({ color: context.color(line), shape: context.shape(line), name: context.name(line) }));
    const surface = new Svg(width, height + legendHeight(entries, width), context.colors.ground);
    legend(surface, entries, height, width, context.colors);
    this.kind.paint(surface, width, height, this.found, this.spec, context);
    save(surface.blob(this.name()), this.name(), "svg");
  }

  saveTable() {
    if (this.found) saveCsv(this.kind.table(this.found, this.spec, this.panels.context(this)), this.name());
  }

  leave() {
    this.stop();
    clearTimeout(this.timer);
  }
}
