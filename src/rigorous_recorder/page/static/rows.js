// The flat table, of which pages are requested as they are scrolled to.

import { json } from "./api.js";
import { Pane, valueCell, wideAs } from "./cells.js";
import { after, counted, element } from "./dom.js";
import { change, onChange, state } from "./state.js";
import { Table, cell } from "./table.js";

const PAGE = 200;

export class Rows {
  /** @param {import("./runs.js").Runs} runs */
  constructor(runs) {
    this.runs = runs;
    /** @type {Map<number, any[][] | null>} */
    this.pages = new Map();
    /** @type {string[]} */
    this.columns = [];
    /** The columns with numbers, as far as rows are there. @type {Set<number>} */
    this.numbers = new Set();
    this.total = 0;
    this.view = 0;
    this.later = after(50, () => this.restart());
    this.table = new Table((at) => this.cells(at), (first, count) => this.want(first, count));
  }

  /** @param {HTMLElement} place */
  show(place) {
    this.filter = element("input", { type: "search", placeholder: "SQL condition, such as loss < 0.1 and model = 'm1'", "aria-label": "Filter rows", value: state.where });
    this.filter.addEventListener("change", () => change({ where: this.filter.value }));
    this.pick = element("select", { "aria-label": "Collection", onchange: () => change({ collection: this.pick.value }) });
    this.note = element("span", { className: "note" });
    this.pane = new Pane("rows", ([first, key]) => json("api/cell", { collection: this.pick.value, where: state.where, first, key }));
    place.append(element("div", { className: "bar" }, this.pick, this.filter, this.note), this.table.place, this.pane.place);
    onChange((changed) => {
      if (["tab", "collection", "where"].some((each) => changed.has(each))) this.restart();
    });
  }

  restart() {
    if (state.tab !== "rows" || !this.runs.collections.length) return;
    const names = this.runs.collections;
    this.pick.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
    this.pick.value = names.includes(state.collection) ? state.collection : names[0];
    this.pick.hidden = names.length < 2;
    if (this.filter !== document.activeElement) this.filter.value = state.where;
    this.pages.clear();
    this.numbers.clear();
    this.view += 1;
    this.load(0);
    this.pane?.restore();
  }

  /** @param {number} first @param {number} count */
  want(first, count) {
    for (let page = Math.floor(first / PAGE); page * PAGE < first + count; page++) {
      if (!this.pages.has(page)) this.load(page);
    }
  }

  /** @param {number} page */
  async load(page) {
    const { view } = this;
    this.pages.set(page, null);
    try {
      const found = await json("api/rows", { collection: this.pick.value, where: state.where, first: page * PAGE, count: PAGE });
      if (view !== this.view) return;
      this.pages.set(page, found.rows);
      this.columns = found.columns;
      this.total = found.total;
      const all = counted(found.all ?? found.total, "record");
      this.report(found.all > found.total ? `the first ${found.total.toLocaleString("en")} of ${all}` : all, false);
      for (const row of found.rows) row.forEach((/** @type {any} */ value, /** @type {number} */ at) => typeof value === "number" && this.numbers.add(at));
      this.table.set(this.columns.map((key, at) => cell(key, [...wideAs(key), this.numbers.has(at) ? "number" : ""].join(" "))), this.total);
    } catch (error) {
      if (view !== this.view) return;
      this.report(/** @type {Error} */ (error).message, true);
      this.table.set([], 0);
    }
  }

  /** @param {string} text @param {boolean} isError */
  report(text, isError) {
    this.note.textContent = text;
    this.note.className = isError ? "error" : "note";
  }

  /** @param {number} at */
  cells(at) {
    const row = this.pages.get(Math.floor(at / PAGE))?.[at % PAGE];
    return row ? row.map((value, column) => valueCell(value, () => this.pane?.show(at, this.columns[column]), this.columns[column])) : null;
  }

}
