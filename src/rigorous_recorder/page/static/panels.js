// The charts that were added, and the dialog that adds and changes them.

import { after, element } from "./dom.js";
import { colorsOf } from "./frame.js";
import { KINDS } from "./kinds.js";
import { colorAt, shapeAt } from "./palette.js";
import { Panel } from "./panel.js";
import { change, onChange, state } from "./state.js";

/** @typedef {import("./kinds.js").Spec} Spec */

export class Panels {
  /**
   * @param {import("./runs.js").Runs} runs
   * @param {(line: import("./kinds.js").Series) => number} placeOf the position of a line in the palette
   */
  constructor(runs, placeOf) {
    this.runs = runs;
    this.placeOf = placeOf;
    /** @type {import("./kinds.js").Keys} */
    this.keys = { charts: [], metrics: [], x: [], likely_x: "", columns: [], arrays: [] };
    /** @type {Panel[]} */
    this.panels = [];
    this.cards = element("div", { className: "cards" });
    this.place = element("div", { className: "panels", hidden: true }, element("h2", {}, "Added"), this.cards);
    this.dialog = element("dialog", { "aria-label": "Chart" });
    document.body.append(this.dialog);
    this.observer = new IntersectionObserver((seen) => seen.forEach((each) =>
      this.panels.find((panel) => panel.place === each.target)?.see(each.isIntersecting)), { rootMargin: "200px" });
    onChange((changed) => changed.has("panels") && this.arrange());
    runs.listeners.push(after(50, () => this.panels.forEach((panel) => panel.runsChanged())));
  }

  /** @param {import("./kinds.js").Keys} keys */
  set(keys) {
    this.keys = keys;
    this.arrange();
  }

  arrange() {
    const before = this.panels, rest = new Set(before);
    this.panels = state.panels.flatMap((/** @type {string} */ text) => specOf(text) ?? []).map((/** @type {Spec} */ spec, /** @type {number} */ at) => {
      const is = (/** @type {Panel} */ panel) => JSON.stringify(panel.spec) === JSON.stringify(spec);
      const found = before.find((panel) => rest.has(panel) && is(panel)) ?? (rest.has(before[at]) && before[at].spec.kind === spec.kind ? before[at] : null);
      if (!found) return new Panel(spec, this);
      rest.delete(found);
      if (!is(found)) found.set(spec);
      return found;
    });
    for (const panel of rest) {
      panel.leave();
      this.observer.unobserve(panel.place);
      this.runs.pick(panel, null);
    }
    this.place.hidden = !this.panels.length;
    const places = this.panels.map((panel) => panel.place);
    if (places.length !== this.cards.children.length || places.some((place, at) => place !== this.cards.children[at])) this.cards.replaceChildren(...places);
    places.forEach((place) => this.observer.observe(place));
    this.panels.forEach((panel) => (panel.isPicking() && !panel.found ? panel.load() : panel.draw()));
  }

  /** Request what is new of those in view. */
  refresh() {
    this.panels.forEach((panel) => panel.refresh());
  }

  redraw() {
    this.panels.forEach((panel) => panel.draw());
  }

  /** What a kind may use of the page. @param {Panel} panel @returns {import("./kinds.js").Context} */
  context(panel) {
    const { runs } = this;
    return {
      runs, keys: this.keys, colors: colorsOf(panel.area),
      color: (line) => colorAt(this.placeOf(line)), shape: (line) => shapeAt(this.placeOf(line)),
      name: (line) => (line.run ? runs.name(line.run) : line.label || "no value"),
      isShown: (line) => (line.run ? runs.shown.has(line.run) : !panel.isOff(line.key)),
    };
  }

  /** Let a panel pick the runs that are drawn. @param {Panel} panel */
  pick(panel) {
    const { found, kind, spec } = panel, { picks } = kind;
    this.runs.pick(panel, found && picks && panel.isPicking() ? () => picks(found, spec, this.context(panel)) : null);
  }

  /** @param {Panel} panel @param {Spec} spec */
  replace(panel, spec) {
    this.save(this.panels.map((each) => (each === panel ? spec : each.spec)));
  }

  /** @param {Panel} panel */
  remove(panel) {
    this.save(this.panels.filter((each) => each !== panel).map((each) => each.spec));
  }

  /** @param {Spec[]} specs */
  save(specs) {
    change({ panels: specs.map((each) => JSON.stringify(each)) });
  }

  add() {
    this.open({ kind: "scatter" }, (spec) => this.save([...this.panels.map((each) => each.spec), spec]), "Add");
  }

  /** @param {Panel} panel */
  edit(panel) {
    this.open(panel.spec, (spec) => this.replace(panel, spec), "Change");
  }

  /** @param {Spec} spec @param {(spec: Spec) => void} onDone @param {string} word */
  open(spec, onDone, word) {
    const pick = element("select", { "aria-label": "Kind of chart", onchange: () => fill({ kind: pick.value }) },
      ...Object.entries(KINDS).map(([name, kind]) => element("option", { value: name }, kind.title)));
    const fields = element("div", { className: "fields" });
    const fill = (/** @type {Spec} */ given) => {
      pick.value = given.kind;
      fields.replaceChildren(...KINDS[given.kind].fields.map((field) => this.control(field, given)));
    };
    const done = () => {
      const values = Array.from(fields.querySelectorAll("select"), (each) => [each.name, each.multiple ? Array.from(each.selectedOptions, (option) => option.value) : each.value]);
      const changed = Object.fromEntries(values.filter(([, value]) => value.length));
      const same = spec.kind === pick.value ? Object.fromEntries(Object.entries(spec).filter(([name]) => ["run", "at"].includes(name))) : {};
      this.dialog.close();
      onDone({ kind: pick.value, ...same, ...changed });
    };
    fill(spec);
    this.dialog.replaceChildren(element("form", { method: "dialog", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); done(); } },
      element("label", {}, "Kind", pick), fields,
      element("div", { className: "buttons" }, element("button", { type: "button", onclick: () => this.dialog.close() }, "Cancel"), element("button", { type: "submit" }, word))));
    this.dialog.showModal();
  }

  /** @param {import("./kinds.js").Field} field @param {Spec} spec */
  control({ name, label, options, isMany }, spec) {
    const found = options(/** @type {any} */ ({ runs: this.runs, keys: this.keys }));
    const value = spec[name] ?? (isMany ? [] : (found[0]?.[0] ?? ""));
    const made = element("select", { name, multiple: Boolean(isMany), size: isMany ? Math.min(8, Math.max(3, found.length)) : 1 }, ...found.map(([key, text]) =>
      element("option", { value: key, selected: isMany ? value.includes(key) : key === value }, text)));
    return element("label", {}, label, made);
  }
}

/** A spec of the address; null if it is not valid. @param {string} text @returns {Spec | null} */
function specOf(text) {
  try {
    const found = JSON.parse(text);
    return Object.hasOwn(KINDS, found?.kind) && isValid(found) ? found : null;
  } catch {
    return null;
  }
}

/** Whether its values have the types that the kinds expect: anyone may have written the address. @param {Spec} spec */
function isValid(spec) {
  const isText = (/** @type {any} */ value) => typeof value === "string";
  const isTexts = (/** @type {any} */ value) => Array.isArray(value) && value.every(isText);
  const isPair = (/** @type {any} */ value) => Array.isArray(value) && value.length === 2 && value.every(Number.isFinite);
  const are = (/** @type {any} */ values, /** @type {(value: any) => boolean} */ test) => values !== null && typeof values === "object" && Object.values(values).every(test);
  const has = (/** @type {string} */ name, /** @type {(value: any) => boolean} */ test) => spec[name] === undefined || test(spec[name]);
  return KINDS[spec.kind].fields.every(({ name, isMany }) => has(name, isMany ? isTexts : isText))
    && has("run", isText) && has("at", Number.isInteger) && has("zoom", (zoom) => are(zoom, Number.isFinite)) && has("brushes", (brushes) => are(brushes, isPair));
}
