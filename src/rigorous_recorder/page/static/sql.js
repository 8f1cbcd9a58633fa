// Queries: an editor, and their answers, of which pages are requested as they are scrolled to.

import { json } from "./api.js";
import { Pane, valueCell } from "./cells.js";
import { counted, element } from "./dom.js";
import { change, onChange, state } from "./state.js";
import { Table, cell } from "./table.js";

const PAGE = 200;
const EXAMPLE = "SELECT experiment_number, count(*) AS records\nFROM records\nGROUP BY ALL\nORDER BY ALL";
const HELP = "Tables: records, experiments, recorders, each collection by its name, and level('key') for each key of recorders; SHOW TABLES lists them. Ctrl+Enter runs.";

export class Sql {
  /** @param {import("./runs.js").Runs} runs */
  constructor(runs) {
    this.runs = runs;
    /** @type {Map<number, any[][] | null>} */
    this.pages = new Map();
    /** @type {{name: string, type: string}[]} */
    this.columns = [];
    this.id = "";
    /** Whether a query was run: the one of the address is, once the page shows it. */
    this.isRun = false;
    /** @type {AbortController | null} */
    this.request = null;
    this.pane = new Pane("sql", ([row, column]) => json("api/sql/cell", { id: this.id, row, column }));
    this.table = new Table((at) => this.cells(at), (first, count) => this.want(first, count));
  }

  /** @param {HTMLElement} place */
  show(place) {
    this.editor = element("textarea", { rows: 5, spellcheck: false, "aria-label": "Query", value: state.sql || EXAMPLE });
    this.editor.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.run();
    });
    this.pick = element("select", { "aria-label": "Collection of the query" });
    this.start = element("button", { onclick: () => (this.request ? this.request.abort() : this.run()) }, "Run");
    this.note = element("span", { className: "note", role: "status" }, HELP);
    this.files = element("span", { className: "bar-part" });
    place.append(element("div", { className: "bar sql" }, this.editor),
      element("div", { className: "bar" }, this.start, this.pick, this.files, this.note), this.table.place, this.pane.place);
    onChange((changed) => {
      if (changed.has("sql") && this.editor.value !== state.sql) {
        this.editor.value = state.sql || EXAMPLE;
        this.isRun = false; // a link, or a view
      }
      if (["tab", "sql"].some((each) => changed.has(each))) this.update();
    });
  }

  /** The collections to choose from. */
  update() {
    const names = this.runs.collections, before = this.isRun ? this.pick.value : state.of;
    this.pick.replaceChildren(element("option", { value: "" }, "all collections"), ...names.map((name) => element("option", { value: name }, name)));
    this.pick.value = names.includes(before) ? before : "";
    this.pick.hidden = names.length < 2;
    if (state.tab === "sql" && state.sql && names.length && !this.isRun) this.run();
  }

  async run() {
    this.request?.abort();
    const request = this.request = new AbortController();
    const body = { collection: this.pick.value, query: this.editor.value };
    this.isRun = true;
    change({ sql: this.editor.value, of: this.pick.value });
    this.start.textContent = "Cancel";
    this.report("running…", false);
    try {
      const found = await json("api/sql", body, request.signal);
      if (this.request === request) this.take(found, body);
    } catch (error) {
      if (this.request !== request) return; // another one runs
      const isOwn = request.signal.aborted;
      this.files.replaceChildren();
      this.table.set([], 0);
      this.report(isOwn ? "cancelled" : /** @type {Error} */ (error).message, !isOwn);
    }
    if (this.request === request) {
      this.request = null;
      this.start.textContent = "Run";
    }
  }

  /** @param {any} found @param {{collection: string, query: string}} body */
  take(found, body) {
    this.id = found.id;
    this.columns = found.columns;
    this.pages = new Map([[0, found.rows]]);
    const rows = counted(found.total, "row"), seconds = found.seconds.toFixed(2);
    this.report(found.is_cut ? `the first ${rows}, in ${seconds} s; the files have all` : `${rows} in ${seconds} s`, false);
    this.table.set(this.columns.map((each) => cell(each.name)), found.total);
    this.table.place.scrollTop = 0;
    this.pane.restore();
    const address = (/** @type {string} */ format) => `api/sql/export?${new URLSearchParams({ ...body, format })}`;
    this.files.replaceChildren(...[["csv", "CSV"], ["parquet", "Parquet"], ["jsonl", "JSON lines"]].map(([format, name]) =>
      element("a", { href: address(format), download: `answer.${format}` }, name)));
  }

  /** @param {string} text @param {boolean} isError */
  report(text, isError) {
    this.note.textContent = text;
    this.note.className = isError ? "error" : "note";
  }

  /** @param {number} first @param {number} count */
  want(first, count) {
    for (let page = Math.floor(first / PAGE); page * PAGE < first + count; page++) {
      if (!this.pages.has(page)) this.load(page);
    }
  }

  /** @param {number} page */
  async load(page) {
    const { id, pages } = this;
    pages.set(page, null);
    try {
      const found = await json("api/sql/rows", { id, first: page * PAGE, count: PAGE });
      pages.set(page, found.rows);
      if (id === this.id) this.table.draw();
    } catch (error) {
      if (id === this.id) this.report(/** @type {Error} */ (error).message, true);
    }
  }

  /** @param {number} at */
  cells(at) {
    const row = this.pages.get(Math.floor(at / PAGE))?.[at % PAGE];
    return row ? row.map((value, column) => valueCell(value, () => this.pane.show(at, column, this.columns[column].name))) : null;
  }
}
