// What differs between the drawn runs, side by side, above their curves.

import { json } from "./api.js";
import { after, element, shown, swatch } from "./dom.js";
import { onChange, state } from "./state.js";

const MOST = 20;
const TITLES = /** @type {Record<string, string>} */ ({ attribute: "Attributes that differ", environment: "Environment", "last record": "Last values" });

export class Compare {
  /** @param {import("./runs.js").Runs} runs */
  constructor(runs) {
    this.runs = runs;
    this.view = "";
    this.later = after(100, () => this.load());
    runs.listeners.push(() => this.update());
    onChange((changed) => changed.has("tab") && this.update());
  }

  /** @param {HTMLElement} place */
  show(place) {
    this.place = place;
  }

  update() {
    if (state.tab === "compare") this.later();
  }

  async load() {
    if (!this.place || !this.runs.count) return;
    const runs = this.runs.drawnKeys(MOST), turn = this.turn = {};
    if (runs.length < 2) {
      this.place.replaceChildren(element("p", { className: "note" }, "Tick two runs or more to compare them; Hide all begins with none."));
      return;
    }
    try {
      const found = await json("api/compare", { runs });
      if (this.turn === turn) this.draw(found);
    } catch (error) {
      if (this.turn === turn) this.place.replaceChildren(element("p", { className: "error" }, /** @type {Error} */ (error).message));
    }
  }

  /** @param {{runs: string[], differences: {key: string, of: string, values: any[]}[]}} found */
  draw(found) {
    const names = found.runs.map((key) => element("th", { scope: "col" }, swatch(this.runs.color(key), this.runs.shape(key)), ` ${this.runs.name(key)}`));
    const rows = [element("tr", {}, element("th", { scope: "col" }, "Run"), ...names)];
    let of = "";
    for (const each of found.differences) {
      if (each.of !== of) rows.push(element("tr", { className: "of" }, element("th", { colSpan: names.length + 1, scope: "colgroup" }, TITLES[each.of] ?? each.of)));
      of = each.of;
      const cells = each.values.map((value) => element("td", { dir: "auto", title: String(value ?? "") }, text(value)));
      rows.push(element("tr", {}, element("th", { scope: "row", dir: "auto", title: each.key }, each.key), ...cells));
    }
    const drawn = this.runs.drawn(), note = drawn > found.runs.length ? element("p", { className: "note" }, `${found.runs.length} of ${drawn.toLocaleString("en")} drawn runs`) : null;
    this.place?.replaceChildren(...[note, element("table", {}, ...rows)].filter((each) => each !== null));
  }
}

/** @param {any} value */
function text(value) {
  if (value === null) return "";
  return typeof value === "number" ? shown(value) : String(value);
}
