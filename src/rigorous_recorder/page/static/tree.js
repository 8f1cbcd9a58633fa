// The tree of recorders: those below one are requested once it is opened, in parts.

import { json } from "./api.js";
import { Pane } from "./cells.js";
import { counted, element } from "./dom.js";
import { change, onChange, state } from "./state.js";
import { Table, cell } from "./table.js";

const PAGE = 200;
/** The address has at most so many opened recorders. */
const MOST_OPEN = 50;

/** @typedef {{id: string, label: string, records: number, all_records: number, children: number}} Recorder */

/** The recorders directly below one, and the opened ones among them. */
class Branch {
  /** @param {string} id @param {number} count */
  constructor(id, count) {
    this.id = id;
    this.count = count;
    /** @type {Map<number, Recorder[] | null>} */
    this.pages = new Map();
    /** @type {Map<number, Branch>} */
    this.opened = new Map();
  }

  /** The number of lines. @returns {number} */
  get lines() {
    return [...this.opened.values()].reduce((sum, each) => sum + each.lines, this.count);
  }

  /** What is in a line. @param {number} line @param {number} depth @returns {{branch: Branch, at: number, depth: number}} */
  find(line, depth = 0) {
    let more = 0;
    for (const [at, branch] of [...this.opened].sort(([one], [other]) => one - other)) {
      if (line <= at + more) break;
      if (line <= at + more + branch.lines) return branch.find(line - at - more - 1, depth + 1);
      more += branch.lines;
    }
    return { branch: this, at: line - more, depth };
  }
}

export class Tree {
  /** @param {import("./runs.js").Runs} runs */
  constructor(runs) {
    this.runs = runs;
    this.root = new Branch("", 0);
    this.pane = new Pane("tree", ([node]) => json("api/tree/recorder", { collection: this.shown, node }));
    this.table = new Table((line) => this.cells(line));
  }

  /** @param {HTMLElement} place */
  show(place) {
    this.pick = element("select", { "aria-label": "Collection of the tree", onchange: () => change({ collection: this.pick.value }) });
    const again = element("button", { title: "Read the tree again", onclick: () => this.restart() }, "Reload");
    this.note = element("span", { className: "note", role: "status" });
    place.append(element("div", { className: "bar" }, this.pick, again, this.note), this.table.place, this.pane.place);
    onChange((changed) => {
      if (changed.has("tab") || changed.has("collection")) this.update();
    });
  }

  /** Read it, if another collection is shown than before. */
  update() {
    const names = this.runs.collections;
    if (state.tab !== "tree" || !names.length) return;
    this.pick.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
    this.pick.value = names.includes(state.collection) ? state.collection : names[0];
    this.pick.hidden = names.length < 2;
    if (this.shown !== this.pick.value) this.restart();
  }

  restart() {
    this.shown = this.pick.value;
    this.root = new Branch("", 0);
    this.load(this.root, 0);
    this.pane.restore();
  }

  /** @param {Branch} branch @param {number} page */
  async load(branch, page) {
    branch.pages.set(page, null);
    const { root } = this;
    const body = { collection: this.shown, node: branch.id, first: page * PAGE, count: PAGE };
    try {
      const found = await json("api/tree", body);
      if (root !== this.root) return;
      branch.count = found.count;
      branch.pages.set(page, found.children);
      this.openKnown(branch, page);
      const count = counted(root.count, "experiment or other recorder", "experiments and other recorders");
      this.report(root.count ? count : "There are no recorders yet.", false);
      this.draw();
    } catch (error) {
      if (root === this.root) this.report(/** @type {Error} */ (error).message, true);
    }
  }

  /** @param {string} text @param {boolean} isError */
  report(text, isError) {
    this.note.textContent = text;
    this.note.className = isError ? "error" : "note";
  }

  draw() {
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.recorder;
    const names = ["recorder", "", "records", "with all below", "recorders below"];
    this.table.set(names.map((name, at) => cell(name, at ? "number" : "recorder")), this.root.lines);
    if (!focused) return;
    for (const each of this.table.body.querySelectorAll("button")) {
      if (each.dataset.recorder === focused) each.focus();
    }
  }

  /** @param {number} line */
  cells(line) {
    const { branch, at, depth } = this.root.find(line);
    const page = Math.floor(at / PAGE);
    if (!branch.pages.has(page)) this.load(branch, page);
    const found = branch.pages.get(page)?.[at % PAGE];
    if (!found) return null;
    const name = cell(found.label, "recorder");
    name.style.paddingInlineStart = `${8 + 18 * depth + (found.children ? 0 : 22)}px`;
    if (found.children) name.prepend(this.opener(branch, at, found));
    name.addEventListener("dblclick", () => this.pane.show(found.id, found.label));
    const link = (/** @type {string} */ text, /** @type {string} */ title, /** @type {(links: any) => Record<string, any>} */ values) =>
      element("button", { className: "small", title: `${title} ${found.label}`, "aria-label": `${title} ${found.label}`, onclick: () => this.go(found.id, values) }, text);
    const links = element("div", { className: "cell", role: "cell" }, link("Rows", "Rows of", ({ where }) => ({ tab: "rows", where })), " ",
      link("Charts", "Charts of the run of", ({ run }) => (run ? { tab: "charts", only: "1", picked: [run], hidden: [] } : { tab: "charts" })));
    return [name, links, cell(found.records), cell(found.all_records), cell(found.children)];
  }

  /** Show what belongs to a recorder. @param {string} node @param {(links: any) => Record<string, any>} values */
  async go(node, values) {
    try {
      change({ collection: this.shown, ...values(await json("api/tree/recorder", { collection: this.shown, node })) });
    } catch (error) {
      this.report(/** @type {Error} */ (error).message, true);
    }
  }

  /** @param {Branch} branch @param {number} at @param {Recorder} recorder */
  opener(branch, at, recorder) {
    const isOpen = branch.opened.has(at);
    const made = element("button", {
      className: "opener", "aria-expanded": String(isOpen), "aria-label": `Recorders below ${recorder.label}`,
      onclick: () => this.toggle(branch, at, recorder),
    }, isOpen ? "▾" : "▸");
    made.dataset.recorder = recorder.id;
    return made;
  }

  /** @param {Branch} branch @param {number} at @param {Recorder} recorder */
  toggle(branch, at, recorder) {
    const others = state.open.filter((/** @type {string} */ each) => each !== recorder.id);
    if (branch.opened.delete(at)) {
      change({ open: others });
      this.draw();
      return;
    }
    change({ open: [...others, recorder.id].slice(-MOST_OPEN) });
    this.open(branch, at, recorder);
  }

  /** @param {Branch} branch @param {number} at @param {Recorder} recorder */
  open(branch, at, recorder) {
    const opened = new Branch(recorder.id, recorder.children);
    branch.opened.set(at, opened);
    this.load(opened, 0);
  }

  /** Open those of a part that the address has. @param {Branch} branch @param {number} page */
  openKnown(branch, page) {
    branch.pages.get(page)?.forEach((recorder, place) => {
      const at = page * PAGE + place;
      if (recorder.children && state.open.includes(recorder.id) && !branch.opened.has(at)) this.open(branch, at, recorder);
    });
  }
}
