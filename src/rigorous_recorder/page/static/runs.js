// The runs: which there are, which are drawn, and in which color.

import { json } from "./api.js";
import { after, duration, element, swatch } from "./dom.js";
import { change, onChange, state } from "./state.js";
import { Table, cell } from "./table.js";

/** @typedef {{key: string, collection: string, number: number, error_number: number, status: string,
 *   start: number, duration: number | null, attributes: Record<string, any>}} Run */

/** Apart for the color-blind (Okabe and Ito, and Tol's muted ones), on light and dark grounds. */
const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9", "#882255", "#44aa99", "#999933", "#7b6fd0"];
const FIXED = ["number", "status", "start", "duration"];
const COMPARISON = /^\s*([^<>=!]+?)\s*(<=|>=|!=|=|<|>)\s*(.*)$/;

export class Runs {
  /** @param {(failures: {name: string, reason: string}[]) => void} onFailures */
  constructor(onFailures) {
    this.onFailures = onFailures;
    /** @type {Run[]} */
    this.all = [];
    /** @type {Run[]} */
    this.listed = [];
    /** @type {string[]} */
    this.attributes = [];
    /** @type {string[]} */
    this.collections = [];
    /** @type {Map<string, {run: Run, at: number}>} */
    this.byKey = new Map();
    /** @type {(() => void)[]} */
    this.listeners = [];
    /** Charts that pick runs, and which, as the runs are now. @type {Map<object, () => (run: string) => boolean>} */
    this.picks = new Map();
    this.shown = new Set();
    this.table = new Table((at) => this.cells(this.listed[at]));
  }

  /** @param {HTMLElement} place */
  show(place) {
    this.search = element("input", { type: "search", placeholder: "Filter: text, or lr<0.1", "aria-label": "Filter runs", value: state.runs });
    this.search.addEventListener("input", after(150, () => change({ runs: this.search.value })));
    this.differs = element("button", { onclick: () => change({ differs: state.differs ? "" : "1" }) }, "Only what differs");
    this.note = element("span", { className: "note" });
    const all = element("button", { onclick: () => change({ hidden: [] }) }, "Show all");
    const none = element("button", { onclick: () => change({ hidden: this.listed.map((each) => each.key) }) }, "Hide all");
    place.append(element("div", { className: "bar" }, this.search, this.differs, all, none, this.note), this.table.place);
    onChange((changed) => {
      if (["runs", "sort", "down", "differs", "hidden"].some((each) => changed.has(each))) this.arrange();
    });
  }

  async load() {
    const found = await json("api/runs");
    this.all = found.runs;
    this.attributes = found.columns;
    this.collections = found.collections;
    this.byKey = new Map(this.all.map((run, at) => [run.key, { run, at }]));
    this.onFailures(found.failures);
    this.arrange();
  }

  arrange() {
    const isMatch = matcher(state.runs);
    this.listed = this.all.filter((run) => isMatch(run, this));
    if (state.sort) {
      const key = (/** @type {Run} */ run) => this.value(run, state.sort);
      const sign = state.down ? -1 : 1;
      this.listed.sort((one, other) => sign * compare(key(one), key(other), sign));
    } else this.listed.reverse(); // the newest first
    const hidden = new Set(state.hidden);
    const picks = [...this.picks.values()].map((pick) => pick());
    this.shown = new Set(this.listed.filter((run) => !hidden.has(run.key) && picks.every((isPicked) => isPicked(run.key))).map((run) => run.key));
    this.columns = [...this.fixed(), ...this.attributes.filter((key) => !state.differs || this.isDifferent(key))];
    if (this.note) {
      this.note.textContent = `${this.shown.size.toLocaleString("en")} of ${this.all.length.toLocaleString("en")} drawn`;
      this.differs.setAttribute("aria-pressed", String(Boolean(state.differs)));
      if (this.search !== document.activeElement) this.search.value = state.runs;
    }
    this.table.set([element("div", { className: "cell mark" }), ...this.columns.map((key) => this.title(key))], this.listed.length);
    this.listeners.forEach((call) => call());
  }

  /** Draw only runs that a chart picks; null for no more. @param {object} chart @param {(() => (run: string) => boolean) | null} pick */
  pick(chart, pick) {
    if (!pick && !this.picks.delete(chart)) return;
    if (pick) this.picks.set(chart, pick);
    this.arrange();
  }

  fixed() {
    return this.collections.length > 1 ? ["collection", ...FIXED] : FIXED;
  }

  /** @param {string} key */
  isDifferent(key) {
    const first = JSON.stringify(this.listed[0]?.attributes[key]);
    return this.listed.some((run) => JSON.stringify(run.attributes[key]) !== first);
  }

  /** @param {string} key */
  title(key) {
    const arrow = state.sort === key ? (state.down ? " ▼" : " ▲") : "";
    const sort = () => change(state.sort !== key ? { sort: key, down: "" } : state.down ? { sort: "", down: "" } : { down: "1" });
    return element("button", { className: `cell ${key === "start" ? "wide" : ""}`, title: key, role: "columnheader", onclick: sort }, key + arrow);
  }

  /** @param {Run} run @param {string} key */
  value(run, key) {
    if (Object.hasOwn(run.attributes, key)) return run.attributes[key];
    if (key === "duration") return run.duration ?? (run.status === "running" ? Date.now() / 1000 - run.start : null);
    return FIXED.includes(key) || key === "collection" ? /** @type {any} */ (run)[key] : null;
  }

  /** @param {Run} run */
  cells(run) {
    const isShown = this.shown.has(run.key);
    const box = element("input", { type: "checkbox", checked: isShown, "aria-label": `Draw run ${run.number}`, onchange: () => this.toggle(run.key) });
    const mark = element("div", { className: "cell mark", role: "cell" }, box, swatch(this.color(run.key)));
    return [mark, ...(this.columns ?? []).map((key) => this.cell(run, key))];
  }

  /** @param {Run} run @param {string} key */
  cell(run, key) {
    const value = this.value(run, key);
    if (Object.hasOwn(run.attributes, key)) return cell(value);
    if (key === "start") return cell(new Date(value * 1000).toLocaleString("sv"), "wide");
    if (key === "duration") return cell(duration(value), "number");
    return cell(value, key === "status" ? `status-${value}` : "");
  }

  /** @param {string} key */
  toggle(key) {
    const hidden = new Set(state.hidden);
    if (!hidden.delete(key)) hidden.add(key);
    change({ hidden: [...hidden] });
  }

  /** @param {string} key */
  color(key) {
    return COLORS[(this.byKey.get(key)?.at ?? 0) % COLORS.length];
  }

  /** @param {string} key */
  name(key) {
    const run = this.byKey.get(key)?.run;
    if (!run) return key;
    const name = run.attributes.name ? ` ${run.attributes.name}` : "";
    return `${this.collections.length > 1 ? `${run.collection} ` : ""}${run.number}${name}`;
  }
}

/** The color of the line at a position. @param {number} at */
export function colorAt(at) {
  return COLORS[at % COLORS.length];
}

/**
 * Words and comparisons, all of which a run has to meet.
 * @param {string} text
 * @returns {(run: Run, runs: Runs) => boolean}
 */
function matcher(text) {
  const tests = text.split(" and ").filter((each) => each.trim()).map((each) => {
    const found = COMPARISON.exec(each);
    if (found) return comparison(found[1], found[2], found[3].trim());
    const words = each.trim().toLowerCase();
    return (/** @type {Run} */ run) => JSON.stringify(run).toLowerCase().includes(words);
  });
  return (run, runs) => tests.every((test) => test(run, runs));
}

/** @param {string} key @param {string} operator @param {string} wanted */
function comparison(key, operator, wanted) {
  const number = Number(wanted);
  return (/** @type {Run} */ run, /** @type {Runs} */ runs) => {
    const value = runs.value(run, key);
    if (operator === "=") return String(value) === wanted || (wanted !== "" && value === number);
    if (operator === "!=") return String(value) !== wanted && value !== number;
    if (typeof value !== "number" || Number.isNaN(number)) return false;
    return { "<": value < number, ">": value > number, "<=": value <= number, ">=": value >= number }[operator] ?? false;
  };
}

/** Missing values come last. @param {any} one @param {any} other @param {number} sign */
function compare(one, other, sign) {
  const [a, b] = [one ?? null, other ?? null];
  if (a === null || b === null) return a === b ? 0 : a === null ? sign : -sign;
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}
