// The runs, or the recorders of a level: a table of which pages are requested, and what is drawn.

import { json } from "./api.js";
import { Columns } from "./columns.js";
import { Courses } from "./courses.js";
import { after, duration, element, shown, swatch } from "./dom.js";
import { Edit } from "./edit.js";
import { Every, valueOf } from "./every.js";
import { colorAt, shapeAt } from "./palette.js";
import { change, onChange, state } from "./state.js";
import { Table, cell } from "./table.js";

/** @typedef {{id: string, kind: string, title: string}} Column */
/** @typedef {{key: string, run: string | null, name: string | null, number: number | null, archived: boolean,
 *   group?: string, count?: number, cells: any[]}} Line */

const PAGE = 100;
/** What makes other lines. */
const ARRANGED_BY = ["runs", "sort", "down", "differs", "level", "rwhere", "filter", "group", "closed", "cols", "archived"];
/** Statistics of records are requested again at most so often, in milliseconds. */
const SELDOM = 2000;

export class Runs {
  /** @param {(failures: {name: string, reason: string}[]) => void} onFailures */
  constructor(onFailures) {
    this.onFailures = onFailures;
    /** @type {string[]} */
    this.collections = [];
    /** @type {Column[]} */
    this.columns = [];
    /** @type {string[]} */
    this.attributes = [];
    /** @type {string[]} */
    this.metrics = [];
    /** @type {string[]} */
    this.levels = [];
    /** @type {Map<number, Line[] | null>} */
    this.pages = new Map();
    /** @type {Set<string> | null} the runs that pass the filters; null for all */
    this.passing = null;
    this.count = 0;
    this.view = 0;
    /** @type {Map<string, string | null>} */
    this.names = new Map();
    /** @type {Set<string>} */
    this.unnamed = new Set();
    /** @type {(() => void)[]} */
    this.listeners = [];
    /** Charts that pick runs, and which, as the runs are now. @type {Map<object, () => (run: string) => boolean>} */
    this.picks = new Map();
    /** @type {((run: string) => boolean)[]} */
    this.isPicked = [];
    this.every = new Every(() => this.redraw());
    this.shown = { has: (/** @type {string} */ key) => this.isDrawn(key) };
    this.courses = new Courses();
    this.table = new Table((at) => this.cells(at), (first, count) => this.want(first, count));
    this.findNames = after(50, () => this.loadNames());
    this.lastRows = 0;
    this.timer = 0;
    /** Inputs whose text is not in the state yet. */
    this.typed = new Set();
    /** @type {HTMLElement[] | null} */
    this.boxRow = null;
    this.boxIds = "";
  }

  /** @param {HTMLElement} place */
  show(place) {
    this.search = this.input("runs", "Filter: lr<0.1", "Filter runs");
    this.condition = this.input("rwhere", "SQL condition", "SQL condition on runs");
    this.note = element("span", { className: "note", role: "status" });
    this.error = element("span", { className: "error" });
    this.buttons = element("div", { className: "bar" });
    this.edit = new Edit((gone) => {
      const without = (/** @type {string[]} */ keys) => keys.filter((key) => !gone.includes(key));
      change({ hidden: without(state.hidden), picked: without(state.picked) });
      this.load();
    });
    this.choice = new Columns(this);
    place.append(element("div", { className: "bar" }, this.search, this.condition, this.note, this.error), this.buttons, this.table.place, this.choice.place, this.edit.place);
    onChange((changed) => {
      if (ARRANGED_BY.some((each) => changed.has(each))) this.arrange();
      else if (["hidden", "picked", "only"].some((each) => changed.has(each))) this.redraw();
    });
  }

  /** @param {string} key @param {string} placeholder @param {string} label */
  input(key, placeholder, label) {
    const made = element("input", { type: "search", placeholder, "aria-label": label, value: state[key] });
    const take = after(key === "runs" ? 150 : 400, () => {
      this.typed.delete(made);
      change({ [key]: made.value });
    });
    made.addEventListener("input", () => {
      this.typed.add(made);
      take();
    });
    return made;
  }

  /** Request the lines in view again, and what there is. */
  async load() {
    await this.request(this.table.first);
  }

  /** Records were added: request statistics of them again, if any are shown. */
  refresh() {
    if (!this.columns.some((each) => each.kind === "metric" || each.kind === "line")) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.lastRows = Date.now();
      this.courses.age();
      this.load().catch(() => {}); // the next one comes, or the banner has the reason
    }, Math.max(0, this.lastRows + SELDOM - Date.now()));
  }

  arrange() {
    const sent = this.request(0), { view } = this;
    sent.catch((error) => this.view === view && this.report(error.message));
  }

  /** @param {string} text */
  report(text) {
    if (this.error) this.error.textContent = text;
  }

  requested() {
    const filters = Object.fromEntries(state.filter.map((/** @type {string} */ each) => each.split("\t")));
    return {
      level: state.level, where: state.rwhere, words: state.runs, filters, sort: state.sort, down: Boolean(state.down),
      group: state.group, closed: state.closed, columns: state.cols, differs: Boolean(state.differs), archived: Boolean(state.archived),
    };
  }

  /** @param {number} first the first line in view */
  async request(first) {
    this.view += 1;
    const { view } = this, page = Math.floor(first / PAGE);
    const found = await json("api/table", { ...this.requested(), first: page * PAGE, count: 2 * PAGE });
    if (view !== this.view) return;
    this.collections = found.collections;
    this.columns = found.columns;
    this.attributes = found.attributes;
    this.levels = found.levels;
    this.passing = found.runs && new Set(found.runs);
    this.count = found.all;
    this.pages = new Map([[page, found.lines.slice(0, PAGE)], [page + 1, found.lines.slice(PAGE)]]);
    this.edit?.allow(found.edit_token);
    this.table.place.classList.toggle("editable", Boolean(found.edit_token));
    this.onFailures(found.failures);
    this.report(found.errors.join("\n"));
    this.total = found.total;
    if (first === 0 && state.level + state.group + state.runs !== this.placed) this.table.place.scrollTop = 0;
    this.placed = state.level + state.group + state.runs;
    this.redraw();
    this.every.load();
  }

  /** @param {number} first @param {number} count */
  want(first, count) {
    for (let page = Math.floor(first / PAGE); page * PAGE < first + count; page++) {
      if (!this.pages.has(page) && page * PAGE < (this.total ?? 0)) this.loadPage(page);
    }
  }

  /** @param {number} page */
  async loadPage(page) {
    const { view } = this;
    this.pages.set(page, null);
    try {
      const found = await json("api/table", { ...this.requested(), first: page * PAGE, count: PAGE });
      if (view !== this.view) return;
      this.pages.set(page, found.lines);
      this.table.later();
    } catch (error) {
      if (view === this.view) this.report(/** @type {Error} */ (error).message);
    }
  }

  redraw() {
    if (!this.note) return;
    this.isPicked = [...this.picks.values()].map((pick) => pick());
    this.drawBar();
    const mark = element("div", { className: "cell mark", role: "columnheader" }, "");
    this.table.set([mark, ...this.columns.map((each, place) => this.title(each, place))], this.total ?? 0, this.boxes());
    this.listeners.forEach((call) => call());
  }

  drawBar() {
    const count = this.drawn();
    this.note.textContent = `${count.toLocaleString("en")} of ${(state.level ? this.passing?.size ?? 0 : this.count).toLocaleString("en")} drawn`;
    for (const [input, key] of [[this.search, "runs"], [this.condition, "rwhere"]]) {
      if (input !== document.activeElement && !this.typed.has(input)) input.value = state[key];
    }
    if (this.buttons.contains(document.activeElement) && document.activeElement?.tagName === "SELECT") return;
    const focus = /** @type {HTMLElement | null} */ (this.buttons.contains(document.activeElement) ? document.activeElement : null)?.textContent;
    this.buttons.replaceChildren(...[
      pick("Level", state.level, [["", "runs"], ...this.levels.map((key) => [key, key])], (level) => change({ level, sort: "", group: "", closed: [], cols: [], filter: [] })),
      pick("Group", state.group, [["", "none"], [":status", "status"], ...this.attributes.map((key) => [key, key])], (group) => change({ group, closed: [] })),
      this.toggle("Filters", "boxes"), this.toggle("Only what differs", "differs"), this.toggle("Archived", "archived"),
      element("button", { onclick: () => this.choice?.open() }, "Columns…"),
      element("button", { onclick: () => change({ only: "", hidden: [], picked: [] }) }, "Show all"),
      element("button", { onclick: () => change({ only: "1", hidden: [], picked: [] }) }, "Hide all"),
      this.edit?.token && count && this.drawnKeys(count).length === count ? element("button", { onclick: () => this.edit?.open(this.drawnKeys(count), null) }, "Edit drawn…") : null,
    ].filter((each) => each !== null));
    if (focus) [...this.buttons.querySelectorAll("button")].find((each) => each.textContent === focus)?.focus();
  }

  /** @param {string} text @param {string} key */
  toggle(text, key) {
    const press = () => {
      change({ [key]: state[key] ? "" : "1" });
      if (key === "boxes") this.redraw();
    };
    return element("button", { "aria-pressed": String(Boolean(state[key])), onclick: press }, text);
  }

  /** @param {Column} column @param {number} place */
  title(column, place) {
    const { id, title } = column, isSorted = state.sort === id;
    const arrow = isSorted ? (state.down ? " ▼" : " ▲") : "";
    const sort = () => change(!isSorted ? { sort: id, down: "" } : state.down ? { sort: "", down: "" } : { down: "1" });
    const order = isSorted ? (state.down ? "descending" : "ascending") : "none";
    const isNumber = ["number", "duration", "metric"].includes(column.kind) || (column.kind !== "start" && this.hasNumbers(place));
    return element("button", { className: `cell ${width(column)} ${isNumber ? "number" : ""}`, title, role: "columnheader", "aria-sort": order, disabled: column.kind === "line", onclick: sort }, title + arrow);
  }

  /** Whether the cells of an attribute that are there have numbers. @param {number} place */
  hasNumbers(place) {
    return [...this.pages.values()].some((page) => page?.some((line) => typeof line.cells[place] === "number"));
  }

  /** The boxes of filters below the titles, which stay as long as the columns do. */
  boxes() {
    if (!state.boxes) return null;
    const ids = JSON.stringify(this.columns.map((each) => each.id));
    if (this.boxRow && this.boxIds === ids) return this.boxRow;
    const known = new Map(state.filter.map((/** @type {string} */ each) => each.split("\t")));
    const boxes = this.columns.map((column) => {
      const box = element("input", { type: "search", placeholder: column.kind === "line" ? "" : ">0.1, 1..2, text", "aria-label": `Filter ${column.title}`, value: known.get(column.id) ?? "", disabled: column.kind === "line" });
      box.addEventListener("input", after(200, () => {
        const others = state.filter.filter((/** @type {string} */ each) => !each.startsWith(`${column.id}\t`));
        change({ filter: box.value ? [...others, `${column.id}\t${box.value}`] : others });
      }));
      return element("div", { className: `cell ${width(column)}` }, box);
    });
    this.boxIds = ids;
    this.boxRow = [element("div", { className: "cell mark" }), ...boxes];
    return this.boxRow;
  }

  /** @param {number} at */
  cells(at) {
    const line = this.pages.get(Math.floor(at / PAGE))?.[at % PAGE];
    if (!line) return null;
    return line.group === undefined ? this.row(line) : this.header(line);
  }

  /** @param {Line} line */
  row(line) {
    const { run } = line, name = `run ${line.number ?? ""}`;
    if (run) this.names.set(run, line.name);
    const mark = element("div", { className: "cell mark", role: "cell" });
    if (run) {
      mark.append(element("input", { type: "checkbox", checked: this.isDrawn(run), "aria-label": `Draw ${name}`, onchange: () => this.draw(run) }), swatch(this.color(run), this.shape(run)));
      if (this.edit?.token) mark.append(element("button", { className: "small", "aria-label": `Edit ${name}`, title: "Edit", onclick: () => this.edit?.open([run], this.labelsOf(line)) }, "✎"));
    }
    return [mark, ...this.columns.map((column, place) => this.cell(line, column, line.cells[place]))];
  }

  /** What the edit dialog begins with. @param {Line} line */
  labelsOf(line) {
    const of = (/** @type {string} */ id) => line.cells[this.columns.findIndex((each) => each.id === id)];
    return { name: line.name ?? "", note: of("note"), tags: of("tags"), archived: line.archived };
  }

  /** @param {Line} line @param {Column} column @param {any} value */
  cell(line, column, value) {
    if (column.kind === "start") return cell(value === null ? "" : new Date(value * 1000).toLocaleString("sv"), "wide");
    if (column.kind === "duration") return cell(duration(value), "number narrow");
    if (column.kind === "status") return cell(value, `narrow status-${value}`);
    if (column.kind === "line") return this.courses.cell(state.level, line.key, column.id.slice(":line:".length), line.run ? this.color(line.run) : "currentColor", () => this.table.later());
    if (column.kind === "metric" && typeof value === "number") return cell(shown(value), "number");
    return cell(value, width(column));
  }

  /** @param {Line} line */
  header(line) {
    const isOpen = !state.closed.includes(line.group);
    const press = () => change({ closed: isOpen ? [...state.closed, line.group] : state.closed.filter((/** @type {string} */ each) => each !== line.group) });
    const text = `${isOpen ? "▾" : "▸"} ${line.group || "none"} (${line.count})`;
    const button = element("button", { className: "cell group", "aria-expanded": String(isOpen), title: line.group, dir: "auto", onclick: press }, text);
    const cells = this.columns.map((column, place) => {
      const value = line.cells[place];
      if (value === null || typeof value !== "object") return this.cell({ ...line, key: "" }, column, column.kind === "line" ? null : value);
      const mean = ["start", "number"].includes(column.kind) ? "" : `mean ${column.kind === "duration" ? duration(value.mean) : shown(Number(value.mean))}`;
      return cell(mean, `number ${width(column)}`);
    });
    return [button, ...cells.slice(1)];
  }

  // --- which are drawn -------------------------------------------------------------------------

  /** @param {string} key */
  isDrawn(key) {
    const isTicked = state.only ? state.picked.includes(key) : this.isListed(key) && !state.hidden.includes(key);
    return isTicked && this.isPicked.every((isPicked) => isPicked(key));
  }

  /** @param {string} key */
  isListed(key) {
    return this.passing === null || this.passing.has(key);
  }

  /** Draw only runs that a chart picks; null for no more. @param {object} chart @param {(() => (run: string) => boolean) | null} pick */
  pick(chart, pick) {
    if (!pick && !this.picks.delete(chart)) return;
    if (pick) this.picks.set(chart, pick);
    this.redraw();
  }

  /** All runs that are listed, the newest first; none before they are there. */
  get listed() {
    return this.every.need().filter((run) => this.isListed(run.key)).reverse();
  }

  /** The keys of drawn runs; null for all, also as long as they are not known. @returns {string[] | null} */
  drawnRuns() {
    if (state.only && !this.isPicked.length) return state.picked;
    if (this.passing === null && !state.hidden.length && !this.isPicked.length) return null;
    const keys = this.passing ?? (this.every.need().length ? this.every.runs.map((run) => run.key) : null);
    return keys && [...keys].filter((key) => this.isDrawn(key));
  }

  drawn() {
    if (this.isPicked.length) return this.drawnRuns()?.length ?? 0;
    if (state.only) return state.picked.length;
    if (this.passing === null) return Math.max(0, this.count - state.hidden.length);
    return this.passing.size - state.hidden.filter((/** @type {string} */ key) => this.passing?.has(key)).length;
  }

  /** The keys of drawn runs, of which those far below may be unknown. @param {number} most @returns {string[]} */
  drawnKeys(most) {
    if (state.only) return state.picked.slice(0, most);
    const lines = [...this.pages.values()].flatMap((page) => page ?? []).flatMap((line) => line.run ?? []);
    const known = this.passing === null ? new Set(lines) : this.passing;
    return [...known].filter((key) => this.isDrawn(key)).slice(0, most);
  }

  /** Draw a run, or don't. @param {string} key */
  draw(key) {
    const list = state.only ? "picked" : "hidden", values = new Set(state[list]);
    if (!values.delete(key)) values.add(key);
    change({ [list]: [...values] });
  }

  /** An attribute of a run, or its duration. @param {import("./every.js").Run} run @param {string} key */
  value(run, key) {
    return valueOf(run, key);
  }

  /** @param {string} key */
  color(key) {
    return colorAt(this.place(key));
  }

  /** @param {string} key */
  shape(key) {
    return shapeAt(this.place(key));
  }

  /** The position of a run in the palette stays, whatever is listed. @param {string} key */
  place(key) {
    const at = key.lastIndexOf("@"), slash = key.lastIndexOf("/", at);
    const collection = Math.max(0, this.collections.indexOf(key.slice(0, slash)));
    return Number(key.slice(slash + 1, at)) + 3 * collection - 1;
  }

  /** @param {string} key */
  name(key) {
    const at = key.lastIndexOf("@"), slash = key.lastIndexOf("/", at);
    const name = this.names.get(key), number = key.slice(slash + 1, at);
    if (name === undefined) {
      this.unnamed.add(key);
      this.findNames();
    }
    return `${this.collections.length > 1 ? `${key.slice(0, slash)} ` : ""}${number}${name ? ` ${name}` : ""}`;
  }

  async loadNames() {
    const runs = [...this.unnamed];
    this.unnamed.clear();
    const found = await json("api/names", { runs }).catch(() => null);
    if (!found) return; // the banner has the reason; they are requested again when they are drawn
    runs.forEach((key) => this.names.set(key, found[key] ?? null));
    if (Object.keys(found).length) this.listeners.forEach((call) => call());
  }
}

/** @param {Column} column */
function width(column) {
  if (column.kind === "start") return "wide";
  return ["number", "status", "duration"].includes(column.kind) ? "narrow" : "";
}

/** @param {string} label @param {string} value @param {string[][]} options @param {(value: string) => void} onPick */
function pick(label, value, options, onPick) {
  const made = element("select", { onchange: () => onPick(made.value) }, ...options.map(([key, text]) => element("option", { value: key }, text)));
  made.value = value;
  return element("label", {}, label, made);
}
