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
    /** The first line in view. */
    this.first = 0;
    this.head = element("div", { className: "head", role: "row" });
    this.below = element("div", { className: "head boxes", role: "row", hidden: true });
    this.body = element("div", { role: "rowgroup" });
    this.body.style.position = "relative";
    this.place = element("div", { className: "table", tabIndex: 0, role: "table" }, this.head, this.below, this.body);
    /** Lines that are drawn and have not changed, by their numbers. @type {Map<number, any>} */
    this.known = new Map();
    this.keeps = false;
    this.place.addEventListener("scroll", () => this.later(true));
    /** How high the view is: to ask in each frame would lay out the lines that were just put in. */
    this.high = 0;
    new ResizeObserver(([seen]) => {
      this.high = seen.contentRect.height;
      this.later();
    }).observe(this.place);
    this.isWaiting = false;
  }

  /** Put lines in place of those that are there, which stay if they are among them. @param {HTMLElement[]} lines */
  replace(lines) {
    const wanted = new Set(lines);
    for (const each of [...this.body.children]) if (!wanted.has(/** @type {HTMLElement} */ (each))) each.remove();
    let next = this.body.firstChild;
    for (const line of lines) {
      if (line === next) next = next.nextSibling;
      else this.body.insertBefore(line, next);
    }
  }

  /** @param {HTMLElement[]} head @param {number} count @param {HTMLElement[] | null} [below] a second line of the head */
  set(head, count, below = null) {
    const titled = this.head.contains(document.activeElement) ? [...this.head.children].findIndex((each) => each === document.activeElement) : -1;
    this.head.replaceChildren(...head);
    if (titled >= 0) /** @type {HTMLElement | undefined} */ (this.head.children[titled])?.focus();
    if (below?.[0] !== (this.below.firstChild ?? undefined)) this.below.replaceChildren(...(below ?? []));
    this.below.hidden = !below;
    this.count = count;
    this.body.style.height = `${Math.min(TALLEST, count * HEIGHT)}px`;
    this.high = this.place.clientHeight;
    this.draw();
    this.body.style.width = `${this.head.scrollWidth}px`;
  }

  /** Draw before the next frame. @param {boolean} [keeps] whether lines are what they were, as after scrolling */
  later(keeps = false) {
    this.keeps = keeps && (this.keeps || !this.isWaiting);
    if (this.isWaiting) return;
    this.isWaiting = true;
    requestAnimationFrame(() => this.draw(this.keeps));
  }

  /** @param {boolean} [keeps] */
  draw(keeps = false) {
    this.isWaiting = false;
    const before = keeps ? this.known : new Map();
    this.known = new Map();
    const room = Math.ceil(this.high / HEIGHT) + 2;
    const full = this.count * HEIGHT, height = Math.min(TALLEST, full);
    const top = Math.max(0, this.place.scrollTop);
    const share = height > this.high ? top / (height - this.high + HEIGHT) : 0;
    const isSkipping = full > TALLEST;
    const first = Math.max(0, Math.min(this.count - room + 1, isSkipping ? Math.floor(share * this.count) : Math.floor(top / HEIGHT)));
    const last = Math.min(this.count, first + room);
    this.first = first;
    this.onView?.(first, last - first);
    const focus = this.body.contains(document.activeElement) ? document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.getAttribute("title") : null;
    const lines = [];
    for (let at = first; at < last; at++) {
      const cells = before.has(at) ? null : this.cellsOf(at);
      const line = before.get(at) ?? element("div", { className: "line", role: "row" }, ...(cells ?? []));
      if (cells || before.has(at)) this.known.set(at, line);
      const y = isSkipping ? top + (at - first) * HEIGHT : at * HEIGHT;
      line.style.transform = `translateY(${y}px)`;
      lines.push(line);
    }
    this.replace(lines);
    if (focus) /** @type {HTMLElement | null} */ (this.body.querySelector(`[aria-label="${CSS.escape(focus)}"], [title="${CSS.escape(focus)}"]`))?.focus({ preventScroll: true });
  }
}

/** A cell with text. @param {any} value @param {string} [kind] */
export function cell(value, kind = "") {
  const isNumber = typeof value === "number";
  const text = value === null || value === undefined ? "" : String(value);
  return element("div", { className: `cell ${isNumber ? "number" : ""} ${kind}`, role: "cell", title: text.slice(0, 500), dir: "auto" }, text);
}
