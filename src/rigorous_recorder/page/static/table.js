// A table of which only the lines in view exist.

import { element } from "./dom.js";

const HEIGHT = 28;
/** Browsers limit the height of an element; beyond it, scrolling skips lines. */
const TALLEST = 8_000_000;

/** @typedef {{cells: (Node | HTMLElement)[]}} Drawn */

export class Table {
  /**
   * @param {(at: number) => HTMLElement[] | null} cellsOf the cells of a line, null while unknown
   * @param {(first: number, count: number) => void} [onView] called with the lines in view
   */
  constructor(cellsOf, onView) {
    this.cellsOf = cellsOf;
    this.onView = onView;
    this.count = 0;
    this.head = element("div", { className: "head", role: "row" });
    this.body = element("div", { role: "rowgroup" });
    this.body.style.position = "relative";
    this.place = element("div", { className: "table", tabIndex: 0, role: "table" }, this.head, this.body);
    this.place.addEventListener("scroll", () => this.later());
    new ResizeObserver(() => this.later()).observe(this.place);
    this.isWaiting = false;
  }

  /** @param {HTMLElement[]} head @param {number} count */
  set(head, count) {
    this.head.replaceChildren(...head);
    this.count = count;
    this.body.style.height = `${Math.min(TALLEST, count * HEIGHT)}px`;
    this.draw();
  }

  later() {
    if (this.isWaiting) return;
    this.isWaiting = true;
    requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.isWaiting = false;
    const room = Math.ceil(this.place.clientHeight / HEIGHT) + 1;
    const full = this.count * HEIGHT, height = Math.min(TALLEST, full);
    const top = Math.max(0, this.place.scrollTop);
    const share = height > this.place.clientHeight ? top / (height - this.place.clientHeight + HEIGHT) : 0;
    const isSkipping = full > TALLEST;
    const first = Math.max(0, Math.min(this.count - room + 1, isSkipping ? Math.floor(share * this.count) : Math.floor(top / HEIGHT)));
    const last = Math.min(this.count, first + room);
    this.onView?.(first, last - first);
    const lines = [];
    for (let at = first; at < last; at++) {
      const line = element("div", { className: "line", role: "row" }, ...(this.cellsOf(at) ?? []));
      const y = isSkipping ? top + (at - first) * HEIGHT : at * HEIGHT;
      line.style.transform = `translateY(${y}px)`;
      lines.push(line);
    }
    this.body.replaceChildren(...lines);
    this.body.style.width = `${this.head.scrollWidth}px`;
  }
}

/** A cell with text. @param {any} value @param {string} [kind] */
export function cell(value, kind = "") {
  const isNumber = typeof value === "number";
  const text = value === null || value === undefined ? "" : String(value);
  return element("div", { className: `cell ${isNumber ? "number" : ""} ${kind}`, role: "cell", title: text.slice(0, 500), dir: "auto" }, text);
}
