// The dialog in which columns of the table of runs are chosen and ordered.

import { element } from "./dom.js";
import { change, state } from "./state.js";

/** @typedef {import("./runs.js").Runs} Runs */

const STATISTICS = [["last", "last"], ["min", "lowest"], ["max", "highest"], ["mean", "mean"], ["count", "count"], ["line", "course"]];
const FIXED = [[":number", "number"], [":status", "status"], [":start", "start"], [":duration", "duration"], [":collection", "collection"]];

export class Columns {
  /** @param {Runs} runs */
  constructor(runs) {
    this.runs = runs;
    this.list = element("ol", { className: "columns", "aria-label": "Columns that are shown" });
    this.attribute = element("select", { "aria-label": "Attribute" });
    this.statistic = element("select", { "aria-label": "Statistic" }, ...STATISTICS.map(([key, text]) => element("option", { value: key }, text)));
    this.metric = element("select", { "aria-label": "Key of records" });
    const add = (/** @type {() => string} */ id) => element("button", { type: "button", onclick: () => this.add(id()) }, "Add");
    const addAttribute = add(() => this.attribute.value);
    const addMetric = add(() => `:${this.statistic.value}:${this.metric.value}`);
    addAttribute.setAttribute("aria-label", "Add attribute");
    addMetric.setAttribute("aria-label", "Add statistic");
    const reset = element("button", { type: "button", onclick: () => this.set([]) }, "All attributes");
    this.place = element("dialog", { "aria-label": "Columns" },
      element("form", { method: "dialog", className: "bar" }, element("strong", {}, "Columns"), reset, element("button", {}, "Close")),
      element("div", { className: "bar" }, this.attribute, addAttribute),
      element("div", { className: "bar" }, this.statistic, this.metric, addMetric),
      this.list);
  }

  open() {
    this.draw();
    this.place.showModal();
  }

  ids() {
    return state.cols.length ? [...state.cols] : this.runs.columns.map((each) => each.id);
  }

  /** Before the start and the duration, which are wide. @param {string} id */
  add(id) {
    const ids = this.ids(), at = ids.indexOf(":start");
    this.set(at < 0 ? [...ids, id] : [...ids.slice(0, at), id, ...ids.slice(at)]);
  }

  /** @param {string[]} ids */
  set(ids) {
    change({ cols: [...new Set(ids)] });
    this.draw();
  }

  draw() {
    const ids = this.ids(), { runs } = this;
    fill(this.attribute, [...FIXED, ...runs.attributes.map((key) => [key, key])].filter(([id]) => !ids.includes(id)));
    fill(this.metric, runs.metrics.map((key) => [key, key]));
    const titles = new Map([...FIXED, ...runs.columns.map((each) => [each.id, each.title])].map(([id, text]) => [id, text]));
    this.list.replaceChildren(...ids.map((id, at) => {
      const text = titles.get(id) ?? id.replace(/^:(\w+):/, "$1 ");
      const move = (/** @type {number} */ by) => () => {
        const moved = ids.filter((_, place) => place !== at);
        moved.splice(Math.max(0, at + by), 0, id);
        this.set(moved);
        /** @type {HTMLElement | null} */ (this.list.children[Math.max(0, at + by)]?.querySelector("button"))?.focus();
      };
      return element("li", {}, element("span", { dir: "auto" }, text),
        element("button", { type: "button", "aria-label": `Move ${text} up`, disabled: !at, onclick: move(-1) }, "↑"),
        element("button", { type: "button", "aria-label": `Move ${text} down`, disabled: at === ids.length - 1, onclick: move(1) }, "↓"),
        element("button", { type: "button", "aria-label": `Remove ${text}`, disabled: ids.length < 2, onclick: () => this.set(ids.filter((each) => each !== id)) }, "✕"));
    }));
  }
}

/** @param {any} select @param {string[][]} options */
function fill(select, options) {
  const before = select.value;
  select.replaceChildren(...options.map(([key, text]) => element("option", { value: key }, text)));
  if (options.some(([key]) => key === before)) select.value = before;
}
